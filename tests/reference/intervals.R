# Profile limits, likelihood-ratio tests, R2 and predictions by lme4 and performance. Run from this folder: Rscript intervals.R
# lme4 interpolates its limits from the points of the profile, hence the dense points (delta.cutoff) here.
source("lib.R")
suppressPackageStartupMessages({library(lme4); library(performance); library(insight)})
read <- function(name, factors) {
  d <- read.csv(file.path("data", name))
  for (f in factors) d[[f]] <- factor(d[[f]])
  d
}
sleep <- read("sleepstudy__lme4.csv", "Subject")
gaps <- sleep[-c(1, 5, 17, 44, 45, 46, 98, 99, 131, 150, 151, 177), ]
dyestuff <- read("Dyestuff__lme4.csv", "Batch"); dyestuff2 <- read("Dyestuff2__lme4.csv", "Batch")
pastes <- read("Pastes__lme4.csv", c("batch", "cask", "sample")); penicillin <- read("Penicillin__lme4.csv", c("plate", "sample"))
oats <- read("Oats__nlme.csv", c("Block", "Variety"))
frames <- list(sleepstudy = sleep, sleepstudy_gaps = gaps, Dyestuff = dyestuff, Dyestuff2 = dyestuff2, Pastes = pastes,
               Penicillin = penicillin, Oats = oats)
fit <- function(formula, data, reml = TRUE, ...) suppressMessages(suppressWarnings(
  lmer(as.formula(formula), frames[[data]], REML = reml, control = tight(), ...)))

profiles <- list(
  list(data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)"),
  list(data = "sleepstudy_gaps", formula = "Reaction ~ Days + (Days | Subject)"),
  list(data = "sleepstudy", formula = "Reaction ~ Days + (Days || Subject)"),
  list(data = "Dyestuff", formula = "Yield ~ 1 + (1 | Batch)"),
  list(data = "Dyestuff2", formula = "Yield ~ 1 + (1 | Batch)", control = lmerControl(), points = 16), # bobyqa at rhoend = 1e-9 loses the profile of sigma here
  list(data = "Pastes", formula = "strength ~ 1 + (1 | batch) + (1 | sample)"),
  list(data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"))
of_profile <- function(case) {
  control <- if (is.null(case$control)) tight() else case$control
  f <- suppressMessages(lmer(as.formula(case$formula), frames[[case$data]], control = control))
  case$control <- NULL
  p <- suppressWarnings(profile(f, delta.cutoff = 1 / (if (is.null(case$points)) 64 else case$points), maxpts = 2000, signames = FALSE))
  limits <- suppressWarnings(confint(p, level = 0.95))
  wald <- confint(f, method = "Wald", parm = "beta_")
  c(case, list(names = I(rownames(limits)), low = I(unname(limits[, 1])), high = I(unname(limits[, 2])),
               wald_low = I(unname(wald[, 1])), wald_high = I(unname(wald[, 2]))))
}

pairs <- list(
  list(data = "sleepstudy", null = "Reaction ~ 1 + (Days | Subject)", full = "Reaction ~ Days + (Days | Subject)", refit = TRUE),
  list(data = "sleepstudy_gaps", null = "Reaction ~ 1 + (Days | Subject)", full = "Reaction ~ Days + (Days | Subject)", refit = TRUE),
  list(data = "sleepstudy", null = "Reaction ~ Days + (1 | Subject)", full = "Reaction ~ Days + (Days | Subject)", refit = FALSE),
  list(data = "sleepstudy", null = "Reaction ~ Days + (Days || Subject)", full = "Reaction ~ Days + (Days | Subject)", refit = FALSE),
  list(data = "sleepstudy", null = "Reaction ~ Days + (1 | Subject)", full = "Reaction ~ Days + (Days || Subject)", refit = FALSE),
  list(data = "Pastes", null = "strength ~ 1 + (1 | sample)", full = "strength ~ 1 + (1 | batch) + (1 | sample)", refit = FALSE),
  list(data = "Oats", null = "yield ~ nitro + (1 | Block)", full = "yield ~ nitro * Variety + (1 | Block)", refit = TRUE))
of_pair <- function(case) {
  a <- fit(case$null, case$data); b <- fit(case$full, case$data)
  t <- suppressMessages(as.data.frame(anova(a, b, refit = case$refit)))
  c(case, list(npar = I(t$npar), aic = I(t$AIC), bic = I(t$BIC), loglik = I(t$logLik), chisq = t$Chisq[2], df = t$Df[2],
               p = t[["Pr(>Chisq)"]][2]))
}

r2s <- list(
  list(data = "sleepstudy", formula = "Reaction ~ Days + (Days | Subject)"),
  list(data = "sleepstudy_gaps", formula = "Reaction ~ Days + (Days | Subject)"),
  list(data = "sleepstudy", formula = "Reaction ~ Days + (1 | Subject)"),
  list(data = "Penicillin", formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"),
  list(data = "Oats", formula = "yield ~ nitro * Variety + (1 | Block)"))
of_r2 <- function(case) {
  f <- fit(case$formula, case$data); v <- get_variance(f)
  r <- r2_nakagawa(f)
  c(case, list(fixed = v$var.fixed, random = v$var.random, residual = v$var.residual, marginal = unname(r$R2_marginal),
               conditional = unname(r$R2_conditional)))
}

new <- data.frame(Days = c(0, 4.5, 12, 3), Subject = c("308", "308", "372", "999"))
f <- fit("Reaction ~ Days + (Days | Subject)", "sleepstudy_gaps")
prediction <- list(data = "sleepstudy_gaps", formula = "Reaction ~ Days + (Days | Subject)", days = I(new$Days), subject = I(new$Subject),
                   known = I(unname(predict(f, new, allow.new.levels = TRUE))), none = I(unname(predict(f, new, re.form = NA))))
out <- list(versions = c(versions(), list(performance = as.character(packageVersion("performance")), insight = as.character(packageVersion("insight")))),
            profiles = lapply(profiles, of_profile), pairs = lapply(pairs, of_pair), r2 = lapply(r2s, of_r2), prediction = prediction)
writeLines(json17(out), "intervals.json")
