# Variance partition (the formula of variancePartition's calcVarPart), slopes by a moderator and equivalence by emmeans.
# Run from tests/reference:  Rscript derived.R   Writes partition.csv and derived.json, for tests/derived.
# The genes of variancePartition (simulated, GPL-2) are read from ../../../shared/data and are not copied.
source("lib.R")
suppressPackageStartupMessages({library(lmerTest); library(emmeans)})
emm_options(lmer.df = "satterthwaite")

# variancePartition, getVarianceComponents and calcVarPart: variances of columns X_j beta_j (divisor n), scaled to that of X beta.
calc_var_part <- function(fit) {
  found <- vapply(lme4::VarCorr(fit), function(v) attr(v, "stddev")^2, 0)
  X <- lme4::getME(fit, "X"); use <- colnames(X) != "(Intercept)"; n <- nrow(X)
  effects <- sweep(X[, use, drop = FALSE], 2, lme4::fixef(fit)[use], `*`)
  alone <- apply(effects, 2, var) * (n - 1) / n
  found <- c(found, alone / sum(alone) * var(rowSums(effects)) * (n - 1) / n, Residual = sigma(fit)^2)
  found / sum(found)
}
folder <- "../../../shared/data/singlecell"
genes <- as.matrix(read.delim(file.path(folder, "varpart_geneExpr.tsv"), row.names = 1)); info <- read.delim(file.path(folder, "varpart_info.tsv"))
for (g in c("Individual", "Tissue", "Batch")) info[[g]] <- factor(info[[g]])
parts <- lapply(rownames(genes), function(gene) {
  info$y <- genes[gene, info$ID]
  fit <- suppressMessages(lme4::lmer(y ~ Age + Height + (1 | Individual) + (1 | Tissue) + (1 | Batch), info, REML = FALSE, control = tight(calc.derivs = FALSE)))
  data.frame(feature = gene, t(calc_var_part(fit)))
})
write_csv17(do.call(rbind, parts), "partition.csv", 10)

read <- function(name, g) { d <- read.csv(file.path("data", paste0(name, ".csv"))); d[[g]] <- factor(d[[g]]); d }
fit <- function(formula, d) suppressMessages(lmerTest::lmer(as.formula(formula), d, control = tight()))
orthodont <- read("Orthodont__nlme", "Subject"); pigs <- na.omit(read("dietox__geepack", "Pig")); stool <- read("ergoStool__nlme", "Subject")
row_of <- function(e) { s <- as.data.frame(e); list(estimate = I(s[[2]]), std_error = I(s$SE), df = I(s$df), low = I(s$lower.CL), high = I(s$upper.CL)) }
by_sex <- fit("distance ~ age * Sex + (age | Subject)", orthodont)
by_start <- fit("Weight ~ Time * Start + (1 | Pig)", pigs); at <- mean(pigs$Start) + c(-1, 0, 1) * sd(pigs$Start)
tost <- function(data, formula, what, delta) {
  d <- if (data == "ergoStool__nlme") stool else orthodont
  pair <- contrast(emmeans(fit(formula, d), what), list(x = if (what == "Type") c(-1, 1, 0, 0) else c(1, -1)))
  told <- as.data.frame(test(pair, delta = delta, side = "equivalence")); ends <- as.data.frame(confint(pair, level = 0.9))
  list(data = data, formula = formula, factor = what, delta = delta, estimate = told$estimate, std_error = told$SE, df = told$df, p_value = told$p.value,
       low = ends$lower.CL, high = ends$upper.CL)
}
out <- list(versions = c(versions(), emmeans = as.character(packageVersion("emmeans"))),
  slopes = list(
    c(list(data = "Orthodont__nlme", formula = "distance ~ age * Sex + (age | Subject)", group = "Subject", slope = "age", by = "Sex", at = NULL, levels = I(c("Female", "Male"))),
      row_of(emtrends(by_sex, ~ Sex, var = "age"))),
    c(list(data = "dietox__geepack", formula = "Weight ~ Time * Start + (1 | Pig)", group = "Pig", slope = "Time", by = "Start", at = NULL),
      { s <- as.data.frame(emtrends(by_start, ~ Start, var = "Time", at = list(Start = at))); list(estimate = I(s$Time.trend), std_error = I(s$SE), df = I(s$df), low = I(s$lower.CL), high = I(s$upper.CL)) })),
  equivalence = list(tost("Orthodont__nlme", "log(distance) ~ age + Sex + (1 | Subject)", "Sex", log(1.25)),
                     tost("ergoStool__nlme", "effort ~ Type + (1 | Subject)", "Type", 5)))
writeLines(json17(out), "derived.json")
