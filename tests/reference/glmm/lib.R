# Answers of R to one case of glmm_cases.json, each polished to where the gradient is nothing.
suppressMessages({library(glmmTMB); library(lme4); library(ordinal); library(jsonlite); library(statmod)})
tight <- glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14, x.tol = 1e-12))

table_of <- function(spec, folder) {
  d <- read.csv(file.path(folder, spec$file), stringsAsFactors = TRUE)
  for (n in unlist(spec$factors)) d[[n]] <- factor(d[[n]])
  for (n in names(spec$ordered)) d[[n]] <- droplevels(factor(as.character(d[[n]]), levels = unlist(spec$ordered[[n]])))
  d
}
as_r <- function(text) if (is.null(text)) NULL else as.formula(gsub("**", "^", text, fixed = TRUE), env = globalenv())

# Newton with the Hessian by central differences of the exact gradient (TMB's): the optimum to rounding.
polish <- function(obj, par) {
  for (i in 1:6) {
    hessian <- hessian_of(obj, par); gradient <- as.numeric(obj$gr(par))
    step <- tryCatch(solve(hessian, gradient), error = function(e) NULL)
    if (is.null(step) || min(eigen(hessian, TRUE, TRUE)$values) <= 0) break
    after <- suppressWarnings(obj$fn(par - step))
    if (!is.finite(after) || after > obj$fn(par) + 1e-7) break
    par <- par - step
    if (max(abs(step)) < 1e-9) break
  }
  obj$fn(par)
  list(par = par, hessian = hessian_of(obj, par), gradient = max(abs(obj$gr(par))))
}
hessian_of <- function(obj, par, h = 1e-4) {
  out <- sapply(seq_along(par), function(i) {
    e <- replace(numeric(length(par)), i, h * max(1, abs(par[i])))
    (as.numeric(obj$gr(par + e)) - as.numeric(obj$gr(par - e))) / (2 * e[i])
  })
  (out + t(out)) / 2
}
part <- function(term, estimate, se) list(term = I(term), estimate = I(unname(estimate)), se = I(unname(se)))

of_obj <- function(obj, start, names_of, package) {
  found <- polish(obj, start); par <- found$par
  # Directions without curvature (a variance of zero, a family at its bound) are left out of the inverse.
  values <- eigen(found$hessian, TRUE)
  good <- values$values > 1e-4
  cov <- values$vectors[, good, drop = FALSE] %*% (t(values$vectors[, good, drop = FALSE]) / values$values[good])
  se <- sqrt(diag(cov)); name <- names(par)
  parts <- list()
  for (p in names(names_of)) {
    at <- which(name %in% names_of[[p]]$par)
    if (length(at)) parts[[p]] <- part(names_of[[p]]$term, par[at], se[at])
  }
  list(package = package, loglik = -as.numeric(obj$fn(par)), gradient = found$gradient,
       least_curvature = min(values$values), parts = parts, par = par, se = se, cov = cov)
}
own_of <- function(family, own, se) switch(family,
  t = part("df", exp(own), exp(own) * se),
  tweedie = part("power", plogis(own) + 1, dlogis(own) * se),
  NULL)

by_glmmtmb <- function(case, d, family = NULL) {
  if (!is.null(case$simpler)) case$family <- case$simpler # glmmTMB stops at no optimum where the dispersion has none
  if (is.null(family)) family <- family_of(case)
  one <- as_r("~ 1")
  arguments <- list(as_r(case$formula), data = d, family = family, control = tight,
                    ziformula = if (is.null(case$zi)) as_r("~ 0") else as_r(case$zi),
                    dispformula = if (is.null(case$dispersion)) one else as_r(case$dispersion))
  if (!is.null(case$weights)) arguments$weights <- d[[case$weights]]
  if (case$family == "ordbeta") arguments$start <- list(psi = c(-1, 1)) # its own start has no gap between the cutpoints
  # Only the optimum is asked for; its Hessian is made here.
  model <- suppressWarnings(do.call(glmmTMB, c(arguments, se = FALSE)))
  x <- function(i) colnames(getME(model, i))
  labels <- list(mu = list(par = "beta", term = x("X")), zi = list(par = "betazi", term = x("Xzi")),
                 dispersion = list(par = c("betad", "betadisp"), term = x("Xd")))
  out <- of_obj(model$obj, model$fit$par, labels, "glmmTMB")
  own <- which(names(out$par) %in% c("thetaf", "psi"))
  if (length(own)) {
    if (case$family == "ordbeta") {
      # psi are the cutpoints themselves in this version of glmmTMB. Without ones the upper is at infinity: null.
      no <- if (out$par[own][2] > 10) c(1, NA) else c(1, 1)
      out$parts$family <- part(c("lower", "upper"), out$par[own] * no, out$se[own] * no)
    } else out$parts$family <- own_of(case$family, out$par[own], out$se[own])
  }
  report <- model$obj$report(model$obj$env$last.par)
  out$sd <- I(sort(as.numeric(unlist(c(report$sd, report$sdzi)))))
  cor <- unlist(lapply(c(report$corr, report$corrzi), function(m) if (length(m) > 1) m[lower.tri(m)]))
  if (length(cor)) out$cor <- I(cor)
  out$par <- out$se <- out$cov <- NULL
  out
}
family_of <- function(case) {
  link <- case$link
  f <- switch(case$family, Gamma = stats::Gamma(if (is.null(link)) "log" else link), beta = beta_family(if (is.null(link)) "logit" else link),
              t = t_family(), binomial = stats::binomial(if (is.null(link)) "logit" else link), poisson = poisson(),
              tweedie = glmmTMB::tweedie(), ordbeta = glmmTMB::ordbeta(), betabinomial = betabinomial(),
              get(case$family, asNamespace("glmmTMB"))())
  f
}

# glmer with quadrature: its deviance function at (theta, beta), Newton on numeric derivatives, its constant restored.
by_glmer <- function(case, d) {
  d$.weights <- if (is.null(case$weights)) 1 else d[[case$weights]]
  family <- family_of(case)
  model <- glmer(as_r(case$formula), d, family, nAGQ = case$nagq, weights = .weights,
                 control = glmerControl(optimizer = "bobyqa", tolPwrss = 1e-13, check.conv.grad = "ignore",
                                        optCtrl = list(maxfun = 1e5, rhoend = 1e-9)))
  fun <- update(model, devFunOnly = TRUE)
  par <- c(getME(model, "theta"), fixef(model))
  for (i in 1:3) {
    h <- numDeriv::hessian(fun, par); step <- solve(h, numDeriv::grad(fun, par))
    if (fun(par - step) > fun(par) + 1e-9) break
    par <- par - step
  }
  cov <- 2 * solve(numDeriv::hessian(fun, par)); k <- length(getME(model, "theta"))
  y <- model@resp$y; w <- model@resp$weights
  saturated <- if (family$family == "binomial") sum(dbinom(round(y * w), round(w), ifelse(w == 0, 0, y), log = TRUE))
               else sum(w * dpois(y, y, log = TRUE))
  list(package = "lme4", loglik = -fun(par) / 2 + saturated,
       parts = list(mu = part(names(fixef(model)), par[-seq_len(k)], sqrt(diag(cov))[-seq_len(k)])), sd = I(unname(par[seq_len(k)])))
}

by_clmm <- function(case, d) {
  random <- grepl("|", case$formula, fixed = TRUE); link <- if (is.null(case$link)) "logit" else case$link
  # clmm of ordinal 2022.11-16 has cloglog and loglog the wrong way round (its clm has not): see docs/reference.md.
  arguments <- list(as_r(case$formula), data = d, link = if (random && link == "cloglog") "loglog" else link,
                    threshold = if (is.null(case$thresholds)) "flexible" else case$thresholds)
  if (!is.null(case$weights)) arguments$weights <- d[[case$weights]]
  if (random) {
    arguments$nAGQ <- if (is.null(case$nagq)) 1 else case$nagq
    arguments$control <- clmm.control(gradTol = 1e-9, innerCtrl = "noWarn", maxIter = 200, maxLineIter = 200)
    model <- do.call(clmm, arguments)
  } else model <- do.call(clm, c(arguments, list(control = clm.control(gradTol = 1e-10))))
  cov <- vcov(model); a <- length(model$alpha); b <- length(model$beta)
  turn <- if (is.null(model$tJac)) diag(a) else model$tJac
  theta <- as.numeric(turn %*% model$alpha)
  out <- list(package = "ordinal", alpha = unname(model$alpha), turn = unname(turn), loglik = as.numeric(logLik(model)), gradient = max(abs(model$gradient)),
              parts = list(mu = part(names(model$beta), model$beta, sqrt(diag(cov))[a + seq_len(b)]),
                           family = part(paste0("theta", seq_along(theta)), theta,
                                         sqrt(diag(turn %*% cov[seq_len(a), seq_len(a)] %*% t(turn))))))
  if (random) out$sd <- I(sort(unlist(lapply(VarCorr(model), function(m) attr(m, "stddev")), use.names = FALSE)))
  out
}

# Response, designs and groups of a case for reference.cpp.
parts_of <- function(case, d) {
  left <- sub("~.*", "", case$formula); fixed <- lme4::nobars(as_r(sub(".*~", "~", case$formula)))
  bars <- lme4::findbars(as_r(sub(".*~", "~", case$formula)))
  if (case$family == "censored") {
    inside <- eval(parse(text = sub("^(cens|below)", "list", left)), d)
    y <- do.call(cbind, inside)
    if (grepl("^below", left)) y <- cbind(ifelse(y[, 1] <= y[, 2], -Inf, y[, 1]), y[, 1])
  } else if (case$family == "cumulative") {
    v <- as.integer(eval(parse(text = left), d)) - 1; y <- cbind(v, v)
  } else { v <- eval(parse(text = left), d); y <- cbind(v, v) }
  frame <- model.frame(fixed, d)
  offset <- model.offset(frame); if (is.null(offset)) offset <- numeric(nrow(d))
  disp <- as_r(if (is.null(case$dispersion)) "~ 1" else case$dispersion); dbar <- lme4::findbars(disp)
  one <- function(bar) list(Z = model.matrix(eval(substitute(~ x, list(x = bar[[2]]))), d), g = eval(bar[[3]], d))
  X <- model.matrix(fixed, d); if (case$family == "cumulative") X <- X[, -1, drop = FALSE]
  if (length(bars) > 1) dbar <- bars[2]
  list(y = y, offset = offset, second = length(bars) > 1, X = X, Xd = model.matrix(lme4::nobars(disp), d),
       random = if (length(bars)) one(bars[[1]]), randomd = if (length(dbar)) one(dbar[[1]]))
}
by_tmb <- function(case, d) {
  ordered <- case$family == "cumulative"; clmm <- if (ordered) by_clmm(case, d)
  p <- parts_of(case, d); n <- nrow(d); k <- if (is.null(p$random)) 0 else ncol(p$random$Z)
  y <- p$y; y[y == -Inf] <- -1e301; y[y == Inf] <- 1e301
  data <- list(family = c(nbinom2 = 0L, lognormal = 1L, censored = 2L, Gamma = 3L, cumulative = 4L)[[case$family]], y = y, weight = rep(1, n),
               offset = p$offset, X = p$X, Xd = if (ordered) matrix(0, n, 0) else p$Xd, Z = if (k) p$random$Z else matrix(0, n, 0),
               level = if (k) as.integer(p$random$g) - 1L else integer(n),
               second = as.integer(p$second), turn = if (ordered) clmm$turn else matrix(0, 0, 0),
               link = match(if (is.null(case$link)) "logit" else case$link, c("logit", "probit", "cloglog")) - 1L,
               leveld = if (is.null(p$randomd)) integer(n) else as.integer(p$randomd$g) - 1L)
  middle <- log(pmax(abs(ifelse(is.finite(p$y[, 1]), p$y[, 1], p$y[, 2])), 1e-3))
  beta <- numeric(ncol(p$X)); if (case$family == "lognormal") beta <- unname(coef(lm.fit(p$X, middle)))
  if (case$family == "censored") beta <- unname(coef(lm.fit(p$X, ifelse(is.finite(p$y[, 1]), p$y[, 1], p$y[, 2]))))
  if (ordered) beta <- as.numeric(clmm$parts$mu$estimate)
  pars <- list(beta = beta, betad = numeric(if (ordered) 0 else ncol(p$Xd)), own = if (ordered) clmm$alpha else numeric(0), theta = if (k == 2) c(-1, -1, 0) else rep(-1, k),
               thetad = if (is.null(p$randomd)) numeric(0) else -1,
               u = matrix(0, if (k) nlevels(p$random$g) else 0, k),
               ud = numeric(if (is.null(p$randomd)) 0 else nlevels(p$randomd$g)))
  random <- c("u", "ud")[c(k > 0, !is.null(p$randomd))]
  obj <- TMB::MakeADFun(data, pars, random = if (length(random)) random, DLL = "reference", silent = TRUE)
  best <- nlminb(obj$par, obj$fn, obj$gr, control = list(iter.max = 3000, eval.max = 3000, rel.tol = 1e-14))
  out <- of_obj(obj, best$par, list(mu = list(par = "beta", term = colnames(p$X)),
                                    dispersion = list(par = "betad", term = colnames(p$Xd))), "TMB")
  at <- which(names(out$par) == "theta"); sd <- exp(out$par[at[seq_len(k)]])
  if (k == 2) out$cor <- I(unname(out$par[at[3]] / sqrt(1 + out$par[at[3]]^2)))
  if (ordered) {
    at <- names(out$par) == "own"; cov <- clmm$turn %*% out$cov[at, at] %*% t(clmm$turn)
    out$parts$family <- part(clmm$parts$family$term, as.numeric(clmm$turn %*% out$par[at]), sqrt(diag(cov)))
    out$parts$dispersion <- NULL; out$package <- "TMB, ordinal"; out$clmm_loglik <- clmm$loglik
  }
  out$sd <- I(sort(unname(c(sd, exp(out$par[names(out$par) == "thetad"])))))
  out$par <- out$se <- out$cov <- NULL
  out
}

# One random intercept by 101 points of adaptive quadrature around each group's own mode: the integral to rounding.
by_integral <- function(case, d) {
  p <- parts_of(case, d); rule <- gauss.quad.prob(101, "normal"); groups <- split(seq_len(nrow(d)), p$random$g)
  density <- switch(case$family, Gamma = function(y, eta, phi) dgamma(y[, 1], phi, phi / exp(eta), log = TRUE),
    censored = function(y, eta, phi) ifelse(y[, 1] == y[, 2], dnorm(y[, 1], eta, phi, log = TRUE),
      log(pnorm(y[, 2], eta, phi) - pnorm(y[, 1], eta, phi))))
  b <- ncol(p$X)
  minus <- function(par) {
    eta <- as.numeric(p$X %*% par[1:b]); phi <- exp(par[b + 1]); sd <- exp(par[b + 2])
    -sum(sapply(groups, function(i) {
      joint <- function(u) sum(density(p$y[i, , drop = FALSE], eta[i] + sd * u, phi)) + dnorm(u, log = TRUE)
      mode <- optimize(joint, c(-8, 8), maximum = TRUE, tol = 1e-9)$maximum
      scale <- 1 / sqrt(max(-(joint(mode + 1e-3) - 2 * joint(mode) + joint(mode - 1e-3)) / 1e-6, 1))
      v <- sapply(rule$nodes, function(x) joint(mode + scale * x) - dnorm(x, log = TRUE)) + log(rule$weights) + log(scale)
      max(v) + log(sum(exp(v - max(v))))
    }))
  }
  first <- by_tmb(within(case, nagq <- NULL), d)
  par <- c(first$parts$mu$estimate, first$parts$dispersion$estimate, log(first$sd))
  par <- nlminb(par, minus, control = list(rel.tol = 1e-14))$par
  for (i in 1:2) par <- par - solve(numDeriv::hessian(minus, par), numDeriv::grad(minus, par))
  se <- sqrt(diag(solve(numDeriv::hessian(minus, par))))
  list(package = "R, quadrature", loglik = -minus(par),
       parts = list(mu = part(colnames(p$X), par[1:b], se[1:b]), dispersion = part("(Intercept)", par[b + 1], se[b + 1])),
       sd = I(exp(par[b + 2])))
}

by_survreg <- function(case, d) {
  p <- parts_of(case, d); y <- p$y; y[y[, 1] == -Inf, 1] <- NA
  model <- survival::survreg(survival::Surv(y[, 1], y[, 2], type = "interval2") ~ p$X - 1, dist = "gaussian",
                             control = survival::survreg.control(rel.tolerance = 1e-13, maxiter = 100))
  se <- sqrt(diag(model$var)); b <- ncol(p$X)
  list(package = "survival", loglik = model$loglik[2],
       parts = list(mu = part(colnames(p$X), coef(model), se[1:b]), dispersion = part("(Intercept)", log(model$scale), se[b + 1])),
       sd = I(numeric(0)))
}
