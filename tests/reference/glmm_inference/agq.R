# Adaptive Gauss-Hermite quadrature over two effects of one group, written here: no R package at hand does it
# (lme4's nAGQ takes one effect). The same rule as Pinheiro and Bates (1995): points u + R^-1 x, R'R = H at the mode.
# Rscript agq.R <folder of classic data> > agq.json
suppressMessages({library(glmmTMB); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)

# Golub and Welsch: points and weights for exp(-x^2 / 2) / sqrt(2 pi).
hermite <- function(n) {
  e <- eigen(local({m <- matrix(0, n, n); i <- seq_len(n - 1); m[cbind(i, i + 1)] <- m[cbind(i + 1, i)] <- sqrt(i); m}))
  list(x = e$values, w = e$vectors[1, ]^2)
}
bernoulli <- list(l = function(y, e, k) y * e - log1p(exp(-abs(e))) - pmax(e, 0), d1 = function(y, e, k) y - plogis(e),
                  d2 = function(y, e, k) -plogis(e) * plogis(-e), own = 0)
pois <- list(l = function(y, e, k) dpois(y, exp(e), log = TRUE), d1 = function(y, e, k) y - exp(e), d2 = function(y, e, k) -exp(e), own = 0)
# psi = beta, lower triangle of Lambda by columns, own.
minus2 <- function(psi, fam, y, X, Z, id, n) {
  p <- ncol(X); m <- max(id)
  L <- matrix(c(psi[p + 1:2], 0, psi[p + 3])[c(1, 2, 3, 4)], 2); k <- if (fam$own) psi[p + 4] else 0
  fixed <- drop(X %*% psi[1:p]); ZL <- Z %*% L
  u <- matrix(0, m, 2); by <- function(v) rowsum(v, id, reorder = TRUE)
  joint <- function(u) by(fam$l(y, fixed + rowSums(ZL * u[id, , drop = FALSE]), k))[, 1] - rowSums(u^2) / 2
  hess <- function(eta) {
    w <- -fam$d2(y, eta, k)
    h <- by(cbind(w * ZL[, 1]^2, w * ZL[, 1] * ZL[, 2], w * ZL[, 2]^2)); h[, 1] <- h[, 1] + 1; h[, 3] <- h[, 3] + 1; h
  }
  value <- joint(u)
  for (it in 1:200) {
    eta <- fixed + rowSums(ZL * u[id, , drop = FALSE])
    g <- by(ZL * fam$d1(y, eta, k)) - u; h <- hess(eta); det <- h[, 1] * h[, 3] - h[, 2]^2
    step <- cbind(h[, 3] * g[, 1] - h[, 2] * g[, 2], h[, 1] * g[, 2] - h[, 2] * g[, 1]) / det
    if (max(abs(step)) < 1e-10) break
    size <- rep(1, m)
    repeat {
      new <- joint(u + size * step); bad <- new < value - 1e-12
      if (!any(bad) || min(size) < 1e-6) break
      size[bad] <- size[bad] / 2
    }
    u <- u + size * step; value <- joint(u)
  }
  h <- hess(fixed + rowSums(ZL * u[id, , drop = FALSE]))
  r11 <- sqrt(h[, 1]); r12 <- h[, 2] / r11; r22 <- sqrt(h[, 3] - r12^2)
  q <- hermite(n); grid <- expand.grid(a = 1:n, b = 1:n)
  terms <- mapply(function(a, b) {
    s2 <- q$x[b] / r22; s1 <- (q$x[a] - r12 * s2) / r11
    joint(u + cbind(s1, s2)) + (q$x[a]^2 + q$x[b]^2) / 2 + log(q$w[a]) + log(q$w[b])
  }, grid$a, grid$b)
  top <- apply(terms, 1, max)
  -2 * sum(top + log(rowSums(exp(terms - top))) - log(r11) - log(r22))
}
gradient <- function(f, x, h = 1e-4) sapply(seq_along(x), function(i) {e <- replace(0 * x, i, h); (8 * (f(x + e) - f(x - e)) - (f(x + 2 * e) - f(x - 2 * e))) / (12 * h)})
hessian <- function(f, x, h = 3e-3) {
  P <- length(x); H <- matrix(0, P, P); f0 <- f(x); e <- function(i) replace(0 * x, i, h)
  for (i in 1:P) for (j in i:P) H[i, j] <- H[j, i] <- if (i == j) (-f(x + 2 * e(i)) + 16 * f(x + e(i)) - 30 * f0 + 16 * f(x - e(i)) - f(x - 2 * e(i))) / (12 * h^2) else
    (f(x + e(i) + e(j)) - f(x + e(i) - e(j)) - f(x - e(i) + e(j)) + f(x - e(i) - e(j))) / (4 * h^2)
  H
}
fit <- function(model, fam, n, formula, slope, data, group) {
  X <- model.matrix(formula, data); y <- data[[all.vars(model$call$formula)[1]]]; id <- as.integer(factor(data[[group]]))
  Z <- model.matrix(slope, data)
  S <- VarCorr(model)$cond[[1]]; L <- t(chol(matrix(S, 2)))
  start <- c(fixef(model)$cond, L[1, 1], L[2, 1], L[2, 2], if (fam$own) fixef(model)$disp)
  scale <- c(1 / apply(X, 2, function(v) sqrt(mean(v^2))), rep(1, length(start) - ncol(X)))  # like units
  f <- function(z) minus2(z * scale, fam, y, X, Z, id, n)
  best <- nlminb(start / scale, f, function(z) gradient(f, z), control = list(rel.tol = 1e-13, iter.max = 300))
  H <- hessian(f, best$par); g <- gradient(f, best$par)
  z <- best$par - solve(H, g); psi <- z * scale
  Lm <- matrix(c(psi[ncol(X) + 1:2], 0, psi[ncol(X) + 3]), 2); S <- Lm %*% t(Lm)
  se <- sqrt(diag(2 * solve(H))) * scale
  list(package = "agq.R", nodes = n, loglik = -f(z) / 2, gradient = max(abs(gradient(f, z))), at_double = -minus2(psi, fam, y, X, Z, id, 2 * n + 1) / 2,
       laplace_loglik = as.numeric(logLik(model)),
       parts = list(mu = list(term = colnames(X), estimate = unname(psi[1:ncol(X)]), se = unname(se[1:ncol(X)]))),
       own = if (fam$own) psi[length(psi)] else NULL, own_se = if (fam$own) se[length(se)] else NULL,
       sd = sqrt(diag(S)), correlation = S[1, 2] / sqrt(S[1, 1] * S[2, 2]))
}
epil2 <- read("epil2__glmmTMB.csv"); epil2$subject <- factor(epil2$subject)
con <- read("Contraception__mlmRev.csv"); con$district <- factor(con$district); con$use <- as.integer(con$use == "Y")
toe <- read("toenail__HSAUR3.csv"); toe$patientID <- factor(toe$patientID); toe$severe <- as.integer(toe$outcome == "moderate or severe")
out <- list()
m <- glmmTMB(y ~ Base * trt + Age + Visit + (Visit | subject), epil2, poisson)
out$epil2_slope <- fit(m, pois, 15, ~ Base * trt + Age + Visit, ~ Visit, epil2, "subject")
m <- glmmTMB(use ~ age + I(age^2) + urban + livch + (urban | district), con, binomial)
out$contraception <- fit(m, bernoulli, 9, ~ age + I(age^2) + urban + livch, ~ urban, con, "district")
m <- glmmTMB(severe ~ treatment * time + (time | patientID), toe, binomial)
out$toenail_slope <- fit(m, bernoulli, 15, ~ treatment * time, ~ time, toe, "patientID")
out$versions <- list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")))
cat(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE), "\n")
