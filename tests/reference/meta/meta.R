# Meta-analyses of cases.json by metafor, refitted tightly.
# Rscript tests/reference/meta/meta.R <folder of classic data> tests/reference/meta/cases.json > tests/reference/meta/meta.json
# (needs Debian's r-cran-metafor and r-cran-biasedurn)
suppressMessages({library(metafor); library(jsonlite); library(lme4)})
where <- commandArgs(TRUE)
cases <- fromJSON(where[2], simplifyVector = FALSE)
frame <- function(case) {
  d <- read.csv(file.path(where[1], sprintf("dat_%s__metadat.csv", case$data)), stringsAsFactors = FALSE)
  for (name in names(case$rows)) d <- d[as.character(d[[name]]) == case$rows[[name]], ]
  d
}
columns <- function(case, d) lapply(case$columns, function(name) d[[name]])
tight <- list(threshold = 1e-10, maxiter = 10000, tol = 1e-12)

normal <- function(case, d) {
  asked <- c(list(measure = case$measure, method = case$method, test = case$test, mods = as.formula(case$mods), data = d,
                  control = tight), columns(case, d))
  fit <- do.call(rma, asked)
  ci <- if (case$mods == "~ 1") predict(fit) else NULL
  limits <- confint(fit, control = list(tau2.max = 1e6))$random["tau^2", c("ci.lb", "ci.ub")]
  list(term = rownames(fit$beta), estimate = as.numeric(fit$beta), se = fit$se, p = fit$pval, low = fit$ci.lb, high = fit$ci.ub,
       tau2 = fit$tau2, I2 = fit$I2, H2 = fit$H2, Q = fit$QE, Qp = fit$QEp, pi = c(ci$pi.lb, ci$pi.ub),
       weights = as.numeric(weights(fit)), tau2_limits = as.numeric(limits), QM = fit$QM, QMp = fit$QMp,
       yi = as.numeric(fit$yi), vi = as.numeric(fit$vi))
}
multilevel <- function(case, d) {
  fit <- rma.mv(d[[case$columns$yi]], d[[case$columns$vi]], mods = as.formula(sub("yi", "", case$formula)),
                random = as.formula(case$random), data = d, method = case$method, control = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000))
  list(term = rownames(fit$beta), estimate = as.numeric(fit$beta), se = fit$se, p = fit$pval, tau2 = fit$sigma2,
       low = fit$ci.lb, high = fit$ci.ub, Q = fit$QE, Qp = fit$QEp)
}
counts <- function(case, d) {
  control <- if (case$model == "CM.EL" && case$measure == "OR")
    list(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-8, maxfun = 1e4), dnchgprec = 1e-14,
         intCtrl = list(rel.tol = 1e-10, lower = -15, upper = 15))
  else list(glmerCtrl = list(optimizer = "bobyqa", tolPwrss = 1e-9, optCtrl = list(maxfun = 1e5, rhoend = 1e-9)))
  asked <- c(list(measure = case$measure, method = "ML", mods = as.formula(case$mods), data = d, nAGQ = case$nagq,
                  control = control), columns(case, d))
  # a formula ~ 1 beside counts would add a second intercept
  if (case$mods == "~ 1") asked$mods <- NULL
  if (case$measure != "PLO") asked <- c(asked, list(model = case$model))
  if (grepl("^UM", case$model) && case$measure != "PLO") asked <- c(asked, list(coding = case$coding))
  if (case$model == "UM.RS") asked$cor <- case$cor
  fit <- suppressWarnings(do.call(rma.glmm, asked))
  list(term = rownames(fit$beta), estimate = as.numeric(fit$beta), se = fit$se, p = fit$pval, low = fit$ci.lb, high = fit$ci.ub,
       tau2 = fit$tau2, sigma2 = fit$sigma2, loglik = as.numeric(logLik(fit)), k = fit$k, I2 = fit$I2, H2 = fit$H2, QE.LRT = fit$QE.LRT, QE.df = fit$QE.df,
       pi = if (case$mods == "~ 1") c(predict(fit)$pi.lb, predict(fit)$pi.ub))
}
found <- lapply(names(cases), function(name) {
  message(name)
  tryCatch(match.fun(cases[[name]]$kind)(cases[[name]], frame(cases[[name]])),
           error = function(e) list(error = conditionMessage(e)))
})
names(found) <- names(cases)
found$versions <- list(R = as.character(getRversion()), metafor = as.character(packageVersion("metafor")),
                       lme4 = as.character(packageVersion("lme4")), BiasedUrn = as.character(packageVersion("BiasedUrn")))
cat(toJSON(found, digits = 12, auto_unbox = TRUE, na = "null", null = "null", pretty = 1), "\n")
