# One peer on one case: Rscript peer.R FOLDER formula residual peer features repetitions cores seed out.json
# Each repetition fits other features, on `cores` forked processes (limma: one call). Timed by the clock, one warm-up fit before.
# Set OPENBLAS_NUM_THREADS=1 in the caller.
suppressMessages({library(parallel); library(jsonlite)})
a <- commandArgs(TRUE); folder <- a[1]; peer <- a[4]; count <- as.integer(a[5]); repetitions <- as.integer(a[6]); cores <- as.integer(a[7]); set.seed(as.integer(a[8]))
package <- c(lmertest = "lmerTest", lme4 = "lme4", pbkrtest = "pbkrtest", nlme = "nlme", nlme_ar1 = "nlme", glmmtmb = "glmmTMB", limma = "limma",
  glmmtmb_nbinom2 = "glmmTMB", glmmtmb_zi = "glmmTMB", glmer = "lme4", glmer_agq9 = "lme4", clmm = "ordinal")[[peer]]
suppressMessages({library(package, character.only = TRUE); if (peer == "pbkrtest") library(lme4)})
text <- function(d) { k <- vapply(d, is.character, TRUE); d[k] <- lapply(d[k], function(v) factor(v, unique(v))); d }
formula <- as.formula(paste("y", a[2])); fixed <- as.formula(paste("y", sub("\\s*\\+\\s*\\(.*$", "", a[2])))
if (file.exists(file.path(folder, "long.csv"))) {
  parts <- split(text(read.csv(file.path(folder, "long.csv"))), ~feature, drop = TRUE); parts <- lapply(parts, droplevels); total <- length(parts)
  data_of <- function(i) parts[[i]]
} else {
  sheet <- text(read.csv(file.path(folder, "rows.csv"))); bytes <- file.size(file.path(folder, "values.f64"))
  values <- matrix(readBin(file.path(folder, "values.f64"), "double", bytes / 8, endian = "little"), ncol = nrow(sheet), byrow = TRUE); total <- nrow(values)
  data_of <- function(i) { sheet$y <- values[i, ]; sheet }
}
quiet <- function(e) suppressWarnings(suppressMessages(e))
fit <- switch(peer,
  lmertest = function(d) coef(summary(lmerTest::lmer(formula, d, control = lme4::lmerControl(calc.derivs = FALSE)))),
  lme4 = function(d) coef(summary(lme4::lmer(formula, d, control = lme4::lmerControl(calc.derivs = FALSE)))),
  pbkrtest = function(d) { m <- lme4::lmer(formula, d, control = lme4::lmerControl(calc.derivs = FALSE)); v <- vcovAdj(m); p <- vcov(m)
    vapply(seq_along(lme4::fixef(m)), function(j) Lb_ddf(as.numeric(seq_along(lme4::fixef(m)) == j), p, v), 0) },
  nlme = function(d) summary(lme(fixed, random = ~1 | group, data = d[!is.na(d$y), ])),
  nlme_ar1 = function(d) summary(lme(fixed, random = ~1 | group, correlation = corAR1(form = ~time | group), data = d[!is.na(d$y), ])),
  glmmtmb = function(d) summary(glmmTMB(formula, d, REML = TRUE)), limma = NULL,
  glmmtmb_nbinom2 = function(d) { m <- glmmTMB(formula, d, family = nbinom2); answer(m, coef(summary(m))$cond) },
  glmmtmb_zi = function(d) { m <- glmmTMB(formula, d, family = nbinom2, ziformula = ~1); answer(m, coef(summary(m))$cond) },
  glmer = function(d) { m <- glmer(formula, d, family = binomial); answer(m, coef(summary(m))) },
  glmer_agq9 = function(d) { m <- glmer(formula, d, family = binomial, nAGQ = 9); answer(m, coef(summary(m))) },
  clmm = function(d) { d$y <- factor(d$y, ordered = TRUE); m <- clmm(formula, d); answer(m, tail(coef(summary(m)), m$dims$nbeta)) })
# Log-likelihood, estimates, standard errors: kept where a peer answers so, to be held against mixflow's.
answer <- function(m, table) structure(c(as.numeric(logLik(m)), table[, 1], table[, 2]), class = "answer")
kept <- function(found) if (inherits(found, "answer")) unname(unclass(found)) else TRUE
one <- function(i) tryCatch(kept(quiet(fit(data_of(i)))), error = function(e) FALSE)
whole <- function(rows) quiet({ x <- model.matrix(fixed[-2], sheet); r <- duplicateCorrelation(values[rows, ], x, block = sheet$group)
  f <- lmFit(values[rows, ], x, block = sheet$group, correlation = r$consensus.correlation); topTable(eBayes(f), coef = 2, number = Inf); as.list(rep(TRUE, length(rows))) })
run <- function(rows) if (peer == "limma") whole(rows) else mclapply(rows, one, mc.cores = cores, mc.preschedule = TRUE)
invisible(if (peer == "limma") whole(1:20) else one(1))
order <- sample(total); out <- lapply(seq_len(repetitions), function(r) {
  rows <- order[((r - 1) * count + seq_len(count) - 1) %% total + 1]; before <- proc.time()[["elapsed"]]; found <- run(rows)
  seconds <- proc.time()[["elapsed"]] - before; told <- vapply(found, is.numeric, TRUE)
  c(list(seconds = seconds, features = length(rows), failed = sum(vapply(found, isFALSE, TRUE))),
    if (any(told)) list(rows = I(rows[told] - 1), answers = I(found[told]))) })
write_json(list(peer = peer, package = package, version = as.character(packageVersion(package)), R = R.version.string, runs = out), a[9], auto_unbox = TRUE, digits = NA)
