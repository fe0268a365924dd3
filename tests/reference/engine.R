# Fits every case of engine_cases.json by the R package it names and writes engine/<id>.json.
# Run from tests/reference:  Rscript engine.R            (all cases; with ids as arguments: those)
suppressMessages({library(lme4); library(lmerTest); library(nlme); library(glmmTMB); library(mgcv); library(metafor); library(jsonlite)})
source("lib.R"); source("engine_lib.R"); source("engine_inference.R")
options(contrasts = c("contr.treatment", "contr.poly"), lmerTest.limit = 1e6, pbkrtest.limit = 1e6)

run_lmer <- function(case, frame) {
  fit <- fit_lmer(case$formula, frame, case$reml, case$options$weights); ask <- case$inference
  names <- mixflow_names(names(fixef(fit)), frame); vc <- as.data.frame(VarCorr(fit))
  vc <- data.frame(group = sub("[.][0-9]+$", "", vc$grp), term = ifelse(is.na(vc$var1), NA, mixflow_names(as.character(vc$var1), frame)),
                   term_2 = ifelse(is.na(vc$var2), NA, mixflow_names(as.character(vc$var2), frame)), variance = vc$vcov, sd = vc$sdcor)
  tests <- by_method(fit, names, "Satterthwaite")
  out <- list(n = nobs(fit), loglik = as.numeric(logLik(fit)), aic = AIC(fit), bic = BIC(fit), singular = isSingular(fit, tol = 1e-4),
              sigma = sigma(fit), coefficients = coefficient_table(names, fixef(fit), as.matrix(vcov(fit)), df = tests$t$df),
              vcov = unname(as.matrix(vcov(fit))), components = vc)
  if (isTRUE(ask$satterthwaite)) out$satterthwaite <- tests
  if (isTRUE(ask$kenward_roger)) {
    adjusted <- unname(as.matrix(pbkrtest::vcovAdj(fit)))
    out$kenward_roger <- c(list(vcov = adjusted), by_method(fit, names, "Kenward-Roger"))
  }
  if (!is.null(ask$type)) {
    out$type <- list(satterthwaite = type_tables(fit, unlist(ask$type), "Satterthwaite"))
    if (isTRUE(ask$kenward_roger)) out$type$`kenward-roger` <- type_tables(fit, unlist(ask$type), "Kenward-Roger")
  }
  if (!is.null(ask$lrt)) out$lrt <- lapply(ask$lrt, function(entry) lrt_lmer(case, frame, entry))
  if (isTRUE(ask$profile)) out$profile <- profile_lmer(fit, names, case, frame)
  if (isTRUE(ask$wald)) out$wald <- wald_limits(out$coefficients)
  if (isTRUE(ask$modes)) out$modes <- modes_lmer(fit, frame)
  if (isTRUE(ask$r2)) out$r2 <- r2_lmer(fit)
  if (!is.null(ask$predict)) out$predict <- predictions(fit, ask$predict, frame)
  if (!is.null(ask$means)) out$means <- lapply(ask$means, function(entry) means_lmer(fit, entry, names))
  out
}

run_nlme <- function(case, frame) {
  found <- fit_nlme(case, frame, case$reml); fit <- found$fit; structure <- found$at$structure; ask <- case$inference
  names <- mixflow_names(colnames(found$x), frame)
  widest <- order(-vapply(found$at$blocks, function(b) length(b$rows), 1L))[seq_len(min(2, length(found$at$blocks)))]
  covariances <- lapply(found$at$blocks[widest], function(b) list(
    rows = I(as.integer(rownames(found$frame)[b$rows]) - 1L), covariance = unname(b$v)))
  out <- list(n = nrow(found$x), loglik = -found$at$objective / 2, loglik_by_nlme = -found$objective_by_nlme / 2, gradient = found$gradient,
              sigma = found$sigma, coefficients = coefficient_table(names, found$at$beta, found$at$vcov), vcov = unname(found$at$vcov),
              correlation = I(unname(as.numeric(coef(structure$corStruct, unconstrained = FALSE)))),
              relative_sd = if (!is.null(structure$varStruct)) as.list(coef(structure$varStruct, unconstrained = FALSE)), covariances = covariances)
  if (!is.null(structure$reStruct)) out$random <- unname(as.matrix(pdMatrix(structure$reStruct[[1]]))) * found$sigma^2
  if (isTRUE(ask$containment)) out$containment <- data.frame(name = names, df = unname(fit$fixDF$X))
  if (isTRUE(ask$residual)) out$residual <- list(df = nrow(found$x) - ncol(found$x))
  if (!is.null(ask$type_containment)) out$type_containment <- lapply(setNames(nm = unlist(ask$type_containment)), function(type) {
    table <- anova(fit, type = if (type == 1) "sequential" else "marginal")
    data.frame(term = rownames(table), f = table[["F-value"]], num_df = table[["numDF"]], den_df = table[["denDF"]])
  })
  if (isTRUE(ask$satterthwaite_dense)) out$satterthwaite <- satterthwaite_dense(found, names)
  if (isTRUE(ask$kenward_roger_dense)) out$kenward_roger <- kenward_roger_dense(found, names, sub("[(].*", "", c(case[["r"]]$correlation, "varIdent")[1]))
  if (!is.null(ask$lrt)) out$lrt <- lapply(ask$lrt, function(entry) {
    ml <- function(fixed) {
      m <- fit_nlme(case, frame, FALSE, fixed)
      list(loglik = -m$at$objective / 2, n_par = length(m$par) + ncol(m$x), n = nrow(m$x))
    }
    c(list(reduced = entry$reduced), likelihood_ratio(ml(fixed_part(case$formula)), ml(fixed_part(entry$reduced))))
  })
  if (isTRUE(ask$modes)) out$modes <- modes_nlme(found, frame)
  out
}

# Conditional modes from the polished parameters: D Z' V^-1 (y - X beta), group by group.
modes_nlme <- function(found, frame) {
  structure <- found$at$structure; d <- as.matrix(pdMatrix(structure$reStruct[[1]])) * found$sigma^2
  z <- model.matrix(formula(structure$reStruct[[1]]), found$frame); residual <- found$y - found$x %*% found$at$beta
  rows <- lapply(found$at$blocks, function(b) data.frame(
    group = found$group, term = mixflow_names(colnames(z), frame), level = as.character(found$frame[[found$group]][b$rows[1]]),
    mode = drop(d %*% t(z[b$rows, , drop = FALSE]) %*% solve(b$v, residual[b$rows]))))
  first_levels(do.call(rbind, rows))
}

# (X' V^-1 X)^-1 as lme4 and nlme have it. glmmTMB's own covariance adds, by REML, what the error of the variance
# parameters does to the coefficients.
vcov_tmb <- function(fit) {
  z <- as.matrix(getME(fit, "Z")); x <- getME(fit, "X"); g <- VarCorr(fit)$cond
  stopifnot(length(g) == 1)
  levels <- ncol(z) / nrow(g[[1]])
  v <- z %*% kronecker(diag(levels), matrix(g[[1]], nrow(g[[1]]))) %*% t(z) + diag(sigma(fit)^2, nrow(z))
  as.matrix(solve(t(x) %*% solve(v, x)))
}

run_tmb <- function(case, frame) {
  numbers <- all.vars(as.formula(case$formula)); frame <- frame[, numbers]
  fit <- fit_tmb(case, frame); beta <- fixef(fit)$cond; v <- vcov_tmb(fit); names <- mixflow_names(names(beta), frame)
  matrices <- lapply(VarCorr(fit)$cond, function(m) unname(matrix(m, nrow(m))))
  out <- list(n = nobs(fit), loglik = -fit$fit$objective, gradient = max(abs(fit$obj$gr(fit$fit$par))), sigma = sigma(fit),
              coefficients = coefficient_table(names, beta, v, se_by_glmmTMB = unname(sqrt(diag(as.matrix(vcov(fit)$cond))))),
              vcov = unname(v), random = matrices,
              random_columns = lapply(VarCorr(fit)$cond, function(m) I(colnames(m))))
  if (isTRUE(case$inference$modes)) {
    found <- as.data.frame(ranef(fit, condVar = FALSE))
    out$modes <- first_levels(data.frame(group = as.character(found$grpvar), term = mixflow_names(as.character(found$term), frame),
                                         level = as.character(found$grp), mode = found$condval))
  }
  out
}

run_rma <- function(case, frame) {
  found <- fit_rma(case, frame, case$reml); fit <- found$fit; ask <- case$inference
  names <- mixflow_names(rownames(fit$beta), frame)
  tau2 <- if (case$engine == "rma") fit$tau2 else fit$sigma2
  out <- list(n = fit$k, loglik = found$loglik, tau2 = I(tau2), coefficients = coefficient_table(names, drop(fit$beta), fit$vb, z = drop(fit$zval), p = drop(fit$pval)),
              vcov = unname(fit$vb))
  if (!is.null(ask$lrt)) out$lrt <- lapply(ask$lrt, function(entry) {
    ml <- function(mods) {
      m <- fit_rma(case, frame, FALSE, mods)
      list(loglik = m$loglik, n_par = length(m$fit$beta) + 1, n = m$fit$k)
    }
    c(list(reduced = entry$reduced), likelihood_ratio(ml(case[["r"]]$mods), ml(entry$mods)))
  })
  if (isTRUE(ask$profile)) out$profile <- profile_tau(case, frame, fit)
  if (isTRUE(ask$modes) && case$engine == "rma.mv") {
    found_modes <- nlme::ranef(fit)
    out$modes <- first_levels(do.call(rbind, lapply(names(found_modes), function(g) data.frame(
      group = g, term = "(Intercept)", level = rownames(found_modes[[g]]), mode = found_modes[[g]]$intrcpt))))
  } else if (isTRUE(ask$modes)) {
    weight <- fit$tau2 / (fit$tau2 + fit$vi)
    out$modes <- data.frame(level = as.character(frame[[names(case$factors)[1]]])[fit$not.na], mode = weight * drop(fit$yi - fit$X %*% fit$beta),
                            sd = sqrt(weight * fit$vi))
  }
  out
}

# Limits of tau by the profile of the log-likelihood (ML), by root finding over fits with tau2 given.
profile_tau <- function(case, frame, fit) {
  response <- all.vars(as.formula(case$formula))[1]
  drop_at <- function(tau) 2 * (logLik(fit) - logLik(metafor::rma.uni(frame[[response]], frame[[case$options$variances]], method = "ML", tau2 = tau^2))) - qchisq(0.95, 1)
  tau <- sqrt(fit$tau2)
  low <- if (drop_at(0) < 0) 0 else uniroot(drop_at, c(0, tau), tol = 1e-10)$root
  list(tau = I(c(low, uniroot(drop_at, c(tau, tau + 10 * fit$se.tau2 + 5), tol = 1e-10)$root)))
}

run_gam <- function(case, frame) {
  fit <- fit_gam(case, frame); prediction <- predict(fit, se.fit = TRUE)
  capture.output(components <- mgcv::gam.vcomp(fit, rescale = FALSE))
  edf <- vapply(fit$smooth, function(s) sum(fit$edf[s$first.para:s$last.para]), 1)
  first <- seq_len(min(60, length(prediction$fit)))
  list(n = nrow(fit$model), score = as.numeric(fit$gcv.ubre), sigma = sqrt(fit$sig2), labels = I(vapply(fit$smooth, function(s) s$label, "")), edf = I(edf), edf_total = sum(fit$edf),
       rows = I(as.integer(rownames(fit$model))[first] - 1L), fitted = I(unname(as.vector(prediction$fit))[first]), se = I(unname(as.vector(prediction$se.fit))[first]),
       components = I(as.numeric(if (is.list(components)) components$all else as.matrix(components)[, 1])))
}

runners <- list(lmer = run_lmer, lme = run_nlme, gls = run_nlme, glmmTMB = run_tmb, rma = run_rma, rma.mv = run_rma, gam = run_gam,
                limma = function(case, frame) moderation(case))

run <- function(case) {
  notes <- character(); started <- proc.time()[["elapsed"]]
  collect <- function(w) { notes <<- c(notes, conditionMessage(w)); tryInvokeRestart("muffleWarning"); tryInvokeRestart("muffleMessage") }
  result <- withCallingHandlers(tryCatch(runners[[case$engine]](case, read_case(case)), error = function(e) list(error = conditionMessage(e))),
                                warning = collect, message = collect)
  cat(sprintf("%-30s %7.2f s  %s\n", case$id, proc.time()[["elapsed"]] - started,
              if (is.null(result$error)) sprintf("%s %s", format(c(result$loglik, NA)[1], digits = 10), paste(format(result$gradient, digits = 2))) else result$error))
  c(list(id = case$id, messages = I(unique(notes))), result)
}

dir.create("engine", showWarnings = FALSE)
used <- c("lme4", "lmerTest", "pbkrtest", "nlme", "emmeans", "glmmTMB", "mgcv", "metafor", "limma", "numDeriv", "Matrix")
stated <- c(list(R = R.version.string), setNames(lapply(used, function(p) as.character(packageVersion(p))), used))
writeLines(json17(stated), "engine/versions.json")
cases <- fromJSON("engine_cases.json", simplifyVector = FALSE)$cases
only <- commandArgs(TRUE)
for (case in if (length(only)) Filter(function(x) x$id %in% only, cases) else cases) {
  writeLines(json17(run(case)), file.path("engine", paste0(case$id, ".json")))
}
