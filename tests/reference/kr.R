# Kenward-Roger (pbkrtest), type I/II/III tables (lmerTest) and containment df (nlme) for cases of gaussian_cases.json.
# Run from tests/reference:  Rscript kr.R   -> kr.json
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(nlme); library(jsonlite)})
lmer <- lme4::lmer
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"), lmerTest.limit = 1e6)
for (e in parse("gaussian.R"))  # its functions only
  if (is.call(e) && identical(e[[1]], as.name("<-")) && is.call(e[[3]]) && identical(e[[3]][[1]], as.name("function"))) eval(e)

cases <- c("sleepstudy_unbalanced", "sleepstudy_missing", "sleepstudy_independent_unbalanced", "sleepstudy_condition",
           "sleepstudy_quadratic_unbalanced", "cake", "cake_unbalanced", "penicillin_unbalanced", "pastes_unbalanced",
           "oats_unbalanced", "machines_unbalanced", "machines_slopes", "orthodont", "chickweight", "dietox_nested", "beets",
           "obk", "tvbo_noise_missing", "co2_missing", "ham", "dyestuff_unbalanced",
           "dyestuff2_reml", "sleepstudy_flat_slope", "sleepstudy_flat_slope_correlated", "sleepstudy_tied", "penicillin_flat",
           "pastes_flat")
# nlme's form of the same models
nested <- list(sleepstudy_condition = ~ Days | Subject, oats = ~ 1 | Block / Variety, oats_unbalanced = ~ 1 | Block / Variety,
               machines_nested = ~ 1 | Worker / Machine, machines_unbalanced = ~ 1 | Worker / Machine, orthodont = ~ age | Subject,
               ratpup = ~ 1 | Litter, dietox_nested = ~ 1 | Litter / Pig, pastes_unbalanced = ~ 1 | batch / cask,
               co2_missing = ~ 1 | Plant, machines_no_intercept = ~ 0 + Machine | Worker)

# F tests of each term's own coefficients, as in gaussian.R, by Kenward-Roger.
joint_kr <- function(fit, names) {
  assign <- attr(getME(fit, "X"), "assign")
  labels <- c("(Intercept)", attr(terms(fit), "term.labels"))
  lapply(unique(assign), function(k) {
    s <- KRmodcomp(fit, diag(length(assign))[assign == k, , drop = FALSE])$stats
    list(term = labels[k + 1], coefficients = I(names[assign == k]), f = s$Fstat, num_df = s$ndf, den_df = s$ddf, scale = s$F.scaling)
  })
}

table_of <- function(fit, type, ddf) {
  a <- anova(fit, type = type, ddf = ddf)
  data.frame(term = rownames(a), df_num = a$NumDF, df = a$DenDF, f = a$`F value`, p = a$`Pr(>F)`)
}

kr <- function(case) {
  frame <- read_case(case)
  frame$.weights <- 1
  arguments <- list(as.formula(case$formula), data = frame, REML = TRUE, control = tight())
  start <- best_start(arguments, 8)
  fit <- suppressMessages(suppressWarnings(do.call(lmerTest::lmer, c(arguments, list(start = start$theta)))))
  adjusted <- vcovAdj(fit); p <- length(fixef(fit)); names <- mixflow_names(fit, base::names(fixef(fit)))
  out <- list(coefficients = I(names), vcov_adjusted = unname(as.matrix(adjusted)), W = unname(as.matrix(attr(adjusted, "W"))),
              condition = attr(adjusted, "condi"), singular = isSingular(fit, tol = 1e-4),
              df = I(vapply(seq_len(p), function(i) get_Lb_ddf(fit, diag(p)[i, ]), 1.0)), joint = joint_kr(fit, names))
  if (length(attr(terms(fit), "term.labels")) > 1) for (type in 1:3) for (ddf in c("Satterthwaite", "Kenward-Roger"))
    out[[paste0("type", type, "_", ddf)]] <- suppressMessages(table_of(fit, type, ddf))
  out
}

containment <- function(case) {
  frame <- read_case(case)
  fixed <- lme4::nobars(as.formula(case$formula))
  frame <- na.omit(frame[intersect(names(frame), c(all.vars(fixed), all.vars(nested[[case$id]])))])
  fit <- do.call(lme, list(fixed, data = frame, random = nested[[case$id]], control = lmeControl(returnObject = TRUE, opt = "optim", maxIter = 200)))
  list(df = I(unname(fit$fixDF$X)), terms = I(names(fit$fixDF$terms)), terms_df = I(unname(fit$fixDF$terms)))
}

all <- fromJSON("gaussian_cases.json", simplifyVector = FALSE)$cases
results <- list()
for (case in all) if (case$id %in% c(cases, names(nested))) {
  own <- list(id = case$id)
  if (case$id %in% cases) own <- c(own, list(kr = kr(case)))
  if (case$id %in% names(nested)) own <- c(own, list(containment = containment(case)))
  cat(case$id, "\n"); results <- c(results, list(own))
}
writeLines(json17(list(versions = versions(), cases = results)), "kr.json")
