# Structured covariances, restricted likelihood, likelihood ratios, profile limits and penalties of generalised models.
# Rscript glmm_inference.R <folder of classic data> > glmm_inference.json
suppressMessages({library(glmmTMB); library(lme4); library(jsonlite); library(brglm2)})
folder <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)
tight <- glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14, x.tol = 1e-12))
of <- function(m) {
  s <- summary(m)$coefficients$cond
  v <- VarCorr(m)$cond[[1]]
  list(loglik = as.numeric(logLik(m)), term = rownames(s), estimate = unname(s[, 1]), se = unname(s[, 2]),
       sd = unname(attr(v, "stddev")), correlation = if (nrow(v) > 1) attr(v, "correlation")[2, 1] else NULL,
       disp = if (m$modelInfo$family$family == "nbinom2") unname(m$fit$par["betad"]) else NULL)
}
cbpp <- read("cbpp__lme4.csv"); cbpp$period <- factor(cbpp$period); cbpp$herd <- factor(cbpp$herd)
epil2 <- read("epil2__glmmTMB.csv"); epil2$subject <- factor(epil2$subject); epil2$visit <- factor(epil2$period)
epil2$time <- numFactor(epil2$period)
out <- list()
fixed <- y ~ Base * trt + Age
out$diag <- of(glmmTMB(update(fixed, . ~ . + Visit + diag(Visit | subject)), epil2, poisson, control = tight))
out$ar1 <- of(glmmTMB(update(fixed, . ~ . + ar1(visit + 0 | subject)), epil2, poisson, control = tight))
out$cs <- of(glmmTMB(update(fixed, . ~ . + cs(visit + 0 | subject)), epil2, poisson, control = tight))
out$ou <- of(glmmTMB(update(fixed, . ~ . + ou(time + 0 | subject)), epil2, poisson, control = tight))
out$reml_binomial <- of(glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, REML = TRUE, control = tight))
out$reml_poisson <- of(glmmTMB(update(fixed, . ~ . + Visit + (1 | subject)), epil2, poisson, REML = TRUE, control = tight))
out$reml_nb <- of(glmmTMB(update(fixed, . ~ . + Visit + (1 | subject)), epil2, nbinom2, REML = TRUE, control = tight))
full <- glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight)
null <- glmmTMB(cbind(incidence, size - incidence) ~ 1 + (1 | herd), cbpp, binomial, control = tight)
none <- glmmTMB(cbind(incidence, size - incidence) ~ period, cbpp, binomial, control = tight)
a <- anova(null, full)
out$lrt <- list(statistic = a$Chisq[2], df = a[["Chi Df"]][2], p = a[["Pr(>Chisq)"]][2], variance = 2 * as.numeric(logLik(full) - logLik(none)))
ci <- confint(full, method = "profile", parm = "beta_"); sd <- exp(confint(full, method = "profile", parm = "theta_"))
out$profile <- list(beta = unname(ci), sd = unname(as.vector(sd)))
g <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial)
out$profile_lme4 <- unname(confint(g, method = "profile", quiet = TRUE, devtol = 1e-6))
# A normal prior: a Laplace likelihood with the penalty added, maximised directly from glmmTMB's own function.
X <- model.matrix(~ period, cbpp); sds <- c(0, apply(X[, -1], 2, function(v) sqrt(mean((v - mean(v))^2)))); prior_sd <- 0.5
obj <- full$obj; pen <- function(p) obj$fn(p) + sum((p[1:4] * sds / prior_sd)^2) / 2
gr <- function(p) {g <- obj$gr(p); g[1:4] <- g[1:4] + p[1:4] * (sds / prior_sd)^2; g}
best <- nlminb(full$fit$par, pen, gr, control = list(rel.tol = 1e-14))
H <- optimHess(best$par, pen, gr)
out$normal <- list(estimate = unname(best$par), se = unname(sqrt(diag(solve(H)))), loglik = -as.numeric(obj$fn(best$par)))
# Firth: the endometrial cancer data of Heinze and Schemper (2002), which are separated in NV.
data("endometrial", package = "brglm2")
f <- glm(HG ~ NV + PI + EH, binomial, endometrial, method = "brglmFit", type = "AS_mean", epsilon = 1e-12, maxit = 1000)
out$firth <- list(estimate = unname(coef(f)), se = unname(sqrt(diag(vcov(f)))), loglik = as.numeric(logLik(f)), data = as.list(endometrial))
out$versions <- lapply(c(glmmTMB = "glmmTMB", lme4 = "lme4", brglm2 = "brglm2"), function(p) as.character(packageVersion(p)))
cat(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE), "\n")
