# Many features of Student's t by glmmTMB: t.csv.gz holds 100 simulated ones (20 subjects x 6, df 3 to 5, of many scales).
# Outcomes are divided by their spread before the fit: in their own unit glmmTMB 1.1.5 fails more often.
# Rscript t.R <folder of t.csv.gz> > t.json
suppressMessages({library(glmmTMB); library(jsonlite)})
d <- read.csv(gzfile(file.path(commandArgs(TRUE)[1], "t.csv.gz"))); d$subject <- factor(d$subject)
one <- function(name) {
  unit <- sd(d[[name]]); d$y <- d[[name]] / unit
  m <- suppressWarnings(glmmTMB(y ~ x + arm + (1 | subject), d, family = t_family()))
  se <- tryCatch(unname(suppressWarnings(sqrt(diag(vcov(m)$cond)))) * unit, error = function(e) rep(NA, 3))
  list(loglik = as.numeric(-m$fit$objective - nrow(d) * log(unit)), convergence = m$fit$convergence,
       definite = isTRUE(m$sdr$pdHess), gradient = max(abs(m$obj$gr(m$fit$par))), df = unname(family_params(m)[1]),
       estimate = unname(fixef(m)$cond) * unit, se = se)
}
failed <- list(loglik = NA, convergence = 1, definite = FALSE, gradient = NA, df = NA, estimate = rep(NA, 3), se = rep(NA, 3))
out <- sapply(grep("^f", names(d), value = TRUE), function(name) tryCatch(one(name), error = function(e) failed), simplify = FALSE)
out$versions <- list(R = R.version.string, glmmTMB = as.character(packageVersion("glmmTMB")))
cat(toJSON(out, auto_unbox = TRUE, digits = 12, na = "null"), "\n")
