# Intraclass correlations by psych::ICC and lme4, and exact limits (Harville and Fenech 1985) from dense matrices.
# Run from tests/reference:  Rscript icc.R   Writes icc.json, for tests/derived/test_icc.py.
source("lib.R")
suppressPackageStartupMessages({library(lme4); library(psych)})
sf <- matrix(c(9, 2, 5, 8, 6, 1, 3, 2, 8, 4, 6, 8, 7, 1, 2, 6, 10, 5, 6, 9, 6, 2, 4, 7), ncol = 4, byrow = TRUE) # Shrout and Fleiss 1979
set.seed(3)
ratings <- outer(rnorm(20, 10, 2), rnorm(5, 0, 1), `+`) + matrix(rnorm(100), 20)
holes <- ratings; holes[sample(100, 25)] <- NA
sf_holes <- sf; sf_holes[cbind(c(1, 3, 5), c(2, 4, 1))] <- NA
wide <- list(sf = sf, sf_holes = sf_holes, ratings = ratings, ratings_holes = holes)
long <- function(w) na.omit(data.frame(y = as.numeric(w), subject = paste0("s", row(w)), rater = paste0("r", col(w))))

# Harville and Fenech: eigenvalues of Z'MZ, M = I - P_X, and the F of the eigenvectors' contrasts.
exact <- function(y, X, g, level = 0.95) {
  Z <- model.matrix(~ 0 + factor(g)); M <- diag(nrow(X)) - X %*% solve(crossprod(X), t(X))
  e <- eigen(crossprod(Z, M %*% Z), symmetric = TRUE); keep <- e$values > 1e-8
  d <- e$values[keep]; u <- as.numeric(t(e$vectors[, keep, drop = FALSE]) %*% crossprod(Z, M %*% y)) / sqrt(d)
  fit <- lm.fit(cbind(X, Z), y); f <- length(y) - fit$rank; ms <- sum(fit$residuals^2) / f; r <- sum(keep)
  pivot <- function(t) mean(u^2 / (1 + d * t)) / ms
  end <- function(p) if (pivot(0) <= qf(p, r, f)) 0 else uniroot(function(t) pivot(t) - qf(p, r, f), c(0, 1e7), tol = 1e-13)$root
  t <- c(end((1 + level) / 2), end((1 - level) / 2))
  list(low = t[1] / (1 + t[1]), high = t[2] / (1 + t[2]), f = pivot(0), df1 = r, df2 = f)
}
variances <- function(f) setNames(as.data.frame(VarCorr(f))$vcov, as.data.frame(VarCorr(f))$grp)
by_psych <- function(w) {
  suppressMessages(suppressWarnings(r <- ICC(w, lmer = TRUE, missing = FALSE)))
  v <- r$results; list(icc = I(v$ICC[1:3]), low = I(v$`lower bound`[1:3]), high = I(v$`upper bound`[1:3]))
}
ratings_of <- function(name) {
  d <- long(wide[[name]]); two <- lmer(y ~ 1 + (1 | subject) + (1 | rater), d, control = tight()); v <- variances(two)
  one <- variances(lmer(y ~ 1 + (1 | subject), d, control = tight())); fixed <- variances(lmer(y ~ rater + (1 | subject), d, control = tight()))
  list(name = name, y = I(d$y), subject = I(d$subject), rater = I(d$rater), psych = by_psych(wide[[name]]),
       oneway = c(icc = one[["subject"]] / sum(one), exact(d$y, model.matrix(~ 1, d), d$subject)),
       fixed = c(icc = fixed[["subject"]] / sum(fixed), exact(d$y, model.matrix(~ rater, d), d$subject)),
       agreement = v[["subject"]] / sum(v), consistency = v[["subject"]] / (v[["subject"]] + v[["Residual"]]))
}
read <- function(name, g) { d <- read.csv(file.path("data", name)); d[[g]] <- factor(d[[g]]); d }
sleep <- read("sleepstudy__lme4.csv", "Subject")[-c(1, 5, 17, 44, 45, 46, 98, 99, 131, 150, 151, 177), ]
rat <- read("RatPupWeight__nlme.csv", "Litter"); dye <- read("Dyestuff2__lme4.csv", "Batch")
of_data <- function(data, d, formula, g) {
  f <- suppressMessages(lmer(as.formula(formula), d, control = tight())); v <- variances(f)
  c(list(data = data, rows = I(as.integer(rownames(d)) - 1L), formula = formula, group = g, icc = v[[g]] / sum(v)),
    exact(model.response(model.frame(f)), getME(f, "X"), d[[g]]))
}
out <- list(versions = c(versions(), psych = as.character(packageVersion("psych"))), ratings = lapply(names(wide), ratings_of),
  data = list(of_data("sleepstudy__lme4", sleep, "Reaction ~ Days + (1 | Subject)", "Subject"),
    of_data("RatPupWeight__nlme", rat, "weight ~ Treatment + sex + (1 | Litter)", "Litter"),
    of_data("Dyestuff2__lme4", dye, "Yield ~ 1 + (1 | Batch)", "Batch")))
writeLines(json17(out), "icc.json")
