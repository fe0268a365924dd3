# Reference values of generalised mixed models, from glmmTMB (Laplace) and lme4 (quadrature), refitted tightly.
# Rscript tests/reference/glmm/glmm.R <folder of classic data> > tests/reference/glmm/glmm.json
suppressMessages({library(glmmTMB); library(lme4); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)
tight <- glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14, x.tol = 1e-12))

of_tmb <- function(model) {
  s <- summary(model)$coefficients
  parts <- Filter(Negate(is.null), lapply(c(mu = "cond", dispersion = "disp", zi = "zi"), function(part) {
    if (is.null(s[[part]])) return(NULL)
    list(term = rownames(s[[part]]), estimate = unname(s[[part]][, 1]), se = unname(s[[part]][, 2]))
  }))
  # An intercept alone of the dispersion is not in the summary: betadisp is its log.
  fixed <- model$fit$par[names(model$fit$par) %in% c("betadisp", "betad")]
  if (is.null(parts$dispersion) && length(fixed) == 1) {
    se <- sqrt(diag(vcov(model, full = TRUE)))
    parts$dispersion <- list(term = "(Intercept)", estimate = unname(fixed),
                             se = unname(se[grep("^(disp|d)~", names(se))][1]))
  }
  vc <- VarCorr(model)
  sds <- unlist(lapply(vc, function(part) lapply(part, function(m) attr(m, "stddev"))))
  list(package = "glmmTMB", loglik = as.numeric(logLik(model)), df = attr(logLik(model), "df"), parts = parts,
       sd = as.list(sds))
}
of_glmer <- function(model, nodes) {
  s <- summary(model)$coefficients
  list(package = "lme4", deviance_loglik = as.numeric(logLik(model)), loglik = full_loglik(model, nodes),
       parts = list(mu = list(term = rownames(s), estimate = unname(s[, 1]), se = unname(s[, 2]))),
       sd = as.list(unlist(lapply(VarCorr(model), function(m) attr(m, "stddev")))))
}
# glmer leaves the log density of the saturated model out of its log-likelihood by quadrature.
full_loglik <- function(model, nodes) {
  if (nodes == 1) return(as.numeric(logLik(model)))
  y <- model@resp$y; w <- model@resp$weights
  as.numeric(logLik(model)) + sum(dbinom(round(y * w), round(w), ifelse(w == 0, 0, y), log = TRUE))
}
strict <- glmerControl(optimizer = "bobyqa", tolPwrss = 1e-12, optCtrl = list(maxfun = 1e5, rhoend = 1e-9), check.conv.grad = "ignore")

cbpp <- read("cbpp__lme4.csv"); cbpp$period <- factor(cbpp$period); cbpp$herd <- factor(cbpp$herd)
ticks <- read("grouseticks__lme4.csv")
for (n in c("INDEX", "BROOD", "LOCATION", "YEAR")) ticks[[n]] <- factor(ticks[[n]])
ticks$height <- as.numeric(scale(ticks$HEIGHT))
con <- read("Contraception__mlmRev.csv"); con$district <- factor(con$district)
owls <- read("Owls__glmmTMB.csv"); sal <- read("Salamanders__glmmTMB.csv")
epil2 <- read("epil2__glmmTMB.csv"); epil2$subject <- factor(epil2$subject)
toe <- read("toenail__HSAUR3.csv"); toe$patientID <- factor(toe$patientID)
toe$severe <- as.integer(toe$outcome == "moderate or severe")

out <- list()
out$cbpp <- of_tmb(glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial, control = tight))
out$cbpp_probit <- of_tmb(glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
                                  binomial("probit"), control = tight))
out$cbpp_cloglog <- of_tmb(glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp,
                                   binomial("cloglog"), control = tight))
out$cbpp_agq9 <- of_glmer(glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
                                nAGQ = 9, control = strict), 9)
out$ticks <- of_tmb(glmmTMB(TICKS ~ YEAR + height + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION), ticks, poisson,
                            control = tight))
out$contraception <- of_tmb(glmmTMB(use ~ age + I(age^2) + urban + livch + (urban | district), con, binomial,
                                    control = tight))
out$owls <- of_tmb(glmmTMB(SiblingNegotiation ~ FoodTreatment * SexParent + offset(log(BroodSize)) + (1 | Nest),
                           owls, nbinom2, ziformula = ~1, control = tight))
out$owls_poisson <- of_tmb(glmmTMB(SiblingNegotiation ~ FoodTreatment + ArrivalTime + offset(log(BroodSize)) +
                                     (1 | Nest), owls, poisson, ziformula = ~1, control = tight))
out$salamanders <- of_tmb(glmmTMB(count ~ mined + (1 | site), sal, poisson, ziformula = ~mined, control = tight))
out$salamanders_nb <- of_tmb(glmmTMB(count ~ spp + mined + (1 | site), sal, nbinom2, dispformula = ~DOY,
                                     control = tight))
out$owls_zi_random <- of_tmb(glmmTMB(SiblingNegotiation ~ FoodTreatment + offset(log(BroodSize)) + (1 | Nest), owls,
                                     poisson, ziformula = ~FoodTreatment + (1 | Nest), control = tight))
out$epil2 <- of_tmb(glmmTMB(y ~ Base * trt + Age + Visit + (Visit | subject), epil2, nbinom2, control = tight))
out$epil2_nb1 <- of_tmb(glmmTMB(y ~ Base * trt + Age + Visit + (1 | subject), epil2, nbinom1, control = tight))
out$toenail <- of_tmb(glmmTMB(severe ~ treatment * time + (1 | patientID), toe, binomial, control = tight))
out$toenail_agq25 <- of_glmer(glmer(severe ~ treatment * time + (1 | patientID), toe, binomial, nAGQ = 25,
                                    control = strict), 25)
out$versions <- list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")),
                     lme4 = as.character(packageVersion("lme4")))
cat(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE), "\n")
