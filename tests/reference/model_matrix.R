# Design matrices, random-effect columns and contrasts of marginal means, as R, lme4 and emmeans have them.
# Run in this folder: Rscript model_matrix.R   (writes model_matrix.json)
suppressPackageStartupMessages({library(lme4); library(emmeans); library(jsonlite)})
source("lib.R")

set.seed(1)
n <- 24
frame <- data.frame(
  a = factor(rep(c("A", "B", "C", "A", "B", "C", "C", "A"), 3), levels = c("B", "A", "C")),
  b = factor(rep(c("x", "x", "y", "y", "x", "y", "x", "y"), 3), levels = c("y", "x")),
  site = rep(c("s1", "s2", "s1", "s2"), each = 6),
  plot = rep(c("p1", "p2", "p3"), 8),
  t = round(rnorm(n, 10, 3), 2),
  u = round(runif(n, 1, 5), 2),
  y = round(rnorm(n), 3)
)
frame$u[c(3, 17)] <- NA

fixed <- c(
  "~ 1", "~ t", "~ a", "~ 0 + a", "~ t - 1", "~ a + b + t", "~ a * b", "~ a * t", "~ a:t", "~ 0 + a:b", "~ 0 + a + b",
  "~ (a + b + t)^2", "~ a / t", "~ a * b * t", "~ log(t) + I(t^2) + sqrt(u)", "~ u + a", "~ a + a:b", "~ site + plot",
  "~ b %in% a", "~ log2(u) * b", "~ 0 + t + a", "~ C(a, contr.sum) * t", "~ C(b, contr.treatment) + log10(t)",
  "~ a * b - b", "~ (a + b):t", "~ exp(t / 10) + log1p(u) + abs(t - 10)"
)
rows <- list()
for (text in fixed) {
  m <- model.matrix(as.formula(text), frame)
  rows[[length(rows) + 1]] <- list(formula = text, names = I(colnames(m)), rows = I(as.integer(rownames(m)) - 1L),
                                   matrix = I(unname(m)))
}

codings <- list()
for (coding in c("sum", "helmert", "poly", "treatment")) for (text in c("~ a * t", "~ a + b")) {
  m <- model.matrix(as.formula(text), frame, contrasts.arg = list(a = paste0("contr.", coding)))
  codings[[length(codings) + 1]] <- list(formula = text, coding = coding, matrix = I(unname(m)))
}

random <- c(
  "y ~ 1 + (1 | site)", "y ~ t + (t | site)", "y ~ t + (0 + t | site)", "y ~ t + (t || site)", "y ~ 1 + (1 | site/plot)",
  "y ~ a + (a | site)", "y ~ a + (0 + a | site)", "y ~ 1 + (1 | a:b)", "y ~ 1 + (1 | site) + (1 | plot)", "y ~ u + (u | a)",
  "y ~ b + (b || plot)", "y ~ 1 + (t - 1 | site:plot)", "y ~ 1 + (1 | a/b/plot)", "y ~ t * b + (t * b | site)"
)
relaxed <- lmerControl(check.nobs.vs.nlev = "ignore", check.nobs.vs.nRE = "ignore", check.nobs.vs.rankZ = "ignore",
                       check.nlev.gtr.1 = "ignore")
terms <- list()
for (text in random) {
  parts <- lFormula(as.formula(text), frame, control = relaxed)$reTrms
  blocks <- list()
  for (i in seq_along(parts$cnms)) {
    group <- names(parts$cnms)[i]
    z <- as.matrix(t(parts$Ztlist[[i]]))
    blocks[[i]] <- list(group = sub("[.][0-9]+$", "", group), terms = I(parts$cnms[[i]]),
                        levels = I(levels(parts$flist[[attr(parts$flist, "assign")[i]]])), z = I(unname(z)))
  }
  terms[[length(terms) + 1]] <- list(formula = text, blocks = I(blocks))
}

# emmeans with its defaults: weights on the coefficients of lm, equal weights over the other factors
weights <- function(text, specs, at = list(), method) {
  fit <- lm(as.formula(text), frame)
  con <- contrast(emmeans(fit, as.formula(specs), at = at), method)
  list(formula = text, specs = specs, at = I(at), names = I(as.character(as.data.frame(con)[[1]])),
       coef = I(names(coef(fit))), weights = I(unname(con@linfct)))
}
means <- list(
  weights("y ~ a + b + t", "~ a", list(), "revpairwise"), weights("y ~ a * b + t", "~ a", list(), "revpairwise"),
  weights("y ~ a * b + t", "~ a", list(b = "x"), "revpairwise"), weights("y ~ a * t + b", "~ a", list(), "trt.vs.ctrl"),
  weights("y ~ a * t + b", "~ a", list(t = 7), "revpairwise"), weights("y ~ a * b * t", "~ b", list(), "revpairwise"),
  weights("y ~ a * log(t)", "~ a", list(), "trt.vs.ctrl"), weights("y ~ 0 + a + b", "~ b", list(), "revpairwise"),
  weights("y ~ a * b + u", "~ a", list(), "revpairwise")
)
json <- json17(list(
  made_by = "model_matrix.R", R = R.version.string, lme4 = as.character(packageVersion("lme4")),
  emmeans = as.character(packageVersion("emmeans")), frame = lapply(frame, function(v) I(if (is.factor(v)) as.character(v) else v)),
  levels = list(a = I(levels(frame$a)), b = I(levels(frame$b))), fixed = rows, codings = codings, random = terms, means = means))
writeLines(json, "model_matrix.json")
