# limma's empirical Bayes of variances, and dream's rule for mixed models. Run in this folder: Rscript limma.R
# Writes limma.json: for each case the variances, residual df and covariate, and what squeezeVar makes of them; then
# moderated t and F of a linear model with missing values (eBayes), and dream's moderated t of a mixed model.
# variancePartition is not in Debian: dream's rule is written out here from its documentation (rdf.merMod: n - 2 tr(H) +
# tr(HH), H the hat matrix; eBayes: squeezeVar on sigma^2 with these df, standard errors scaled, df of the test + prior df).
suppressMessages({library(limma); library(lme4); library(lmerTest)})
source("lib.R")
set.seed(20261121)
n <- 120
draw <- function(df, d0 = 6, s0 = 0.3) s0 * rchisq(n, df) / df * (if (is.finite(d0)) d0 / rchisq(n, d0) else 1)
equal <- rep(8, n)
unequal <- sample(c(2, 3, 5, 9, 17.5), n, replace = TRUE)
abundance <- runif(n, 18, 32)
rising <- exp(sin(abundance / 4))
outlying <- draw(equal); outlying[c(3, 50, 77)] <- c(40, 900, 1e5)
zeros <- draw(equal); zeros[c(1, 2, 90)] <- 0
gaps <- draw(unequal); gaps[c(5, 60)] <- NA
none <- replace(unequal, c(9, 33), 0)
gapless <- draw(none + 1)
cases <- list(
  list(id = "equal", x = draw(equal), df = equal),
  list(id = "unequal", x = draw(unequal), df = unequal),
  list(id = "no_spread", x = draw(equal, Inf), df = equal),
  list(id = "trend", x = draw(equal) * rising, df = equal, covariate = abundance),
  list(id = "trend_unequal", x = draw(unequal) * rising, df = unequal, covariate = abundance),
  list(id = "trend_no_spread", x = draw(equal, Inf) * rising, df = equal, covariate = abundance),
  list(id = "robust", x = outlying, df = equal, robust = TRUE),
  list(id = "robust_unequal", x = replace(draw(unequal), c(3, 50), c(40, 900)), df = unequal, robust = TRUE),
  list(id = "robust_no_outlier", x = draw(equal), df = equal, robust = TRUE),
  list(id = "robust_no_spread", x = replace(draw(rep(40, n), Inf), 7, 30), df = rep(40, n), robust = TRUE),
  list(id = "robust_trend", x = outlying * rising, df = equal, robust = TRUE, covariate = abundance),
  list(id = "robust_trend_unequal", x = draw(unequal) * rising, df = unequal, robust = TRUE, covariate = abundance),
  list(id = "zeros", x = zeros, df = equal),
  list(id = "zeros_robust", x = zeros, df = equal, robust = TRUE),
  list(id = "gaps", x = gaps, df = unequal),
  list(id = "gaps_trend", x = gaps * rising, df = unequal, covariate = abundance),
  list(id = "gaps_robust", x = gaps, df = unequal, robust = TRUE),
  list(id = "no_df", x = gapless, df = none),
  list(id = "trend_infinite", x = rising * seq(0.9, 1.1, length.out = n)[order(runif(n))], df = equal, covariate = abundance),
  list(id = "few", x = draw(equal)[1:4], df = equal[1:4]),
  list(id = "few_trend", x = (draw(equal) * rising)[1:10], df = equal[1:10], covariate = abundance[1:10])
)
squeezed <- lapply(cases, function(case) {
  out <- suppressWarnings(squeezeVar(case$x, case$df, covariate = case$covariate, robust = isTRUE(case$robust)))
  c(list(id = case$id, robust = isTRUE(case$robust), x = I(case$x), df = I(case$df)),
    if (!is.null(case$covariate)) list(covariate = I(case$covariate)),
    list(df_prior = I(ifelse(is.infinite(out$df.prior), -1, out$df.prior)), var_prior = I(out$var.prior),
         var_post = I(out$var.post)))  # -1 stands for infinite df
})

# A linear model, 60 features x 18 samples, a third of the values missing.
group <- factor(rep(c("a", "b", "c"), each = 6)); x <- round(rnorm(18), 3)
values <- matrix(round(rnorm(60 * 18, sd = sqrt(4 / rchisq(60, 4))) + runif(60, 18, 30), 6), 60)
full <- values; values[sample(length(values), 330)] <- NA
linear <- lapply(list(plain = c(FALSE, FALSE), trend = c(TRUE, FALSE), robust = c(FALSE, TRUE)), function(how) {
  fit <- suppressWarnings(lmFit(values, model.matrix(~ group + x)))
  eb <- suppressWarnings(eBayes(fit, trend = how[1], robust = how[2]))
  # With missing values limma's F takes the covariance of one feature for all, so F is compared on the full table.
  complete <- suppressWarnings(eBayes(lmFit(full, model.matrix(~ group + x)), trend = how[1], robust = how[2]))
  both <- topTable(complete, coef = 2:3, number = Inf, sort.by = "none")
  list(t = eb$t, p = eb$p.value, df_total = I(eb$df.total), s2_post = I(eb$s2.post), F = I(both$F), F_p = I(both$P.Value))
})

# A mixed model by dream's rule, 40 features x 24 samples of 8 subjects.
subject <- factor(rep(1:8, each = 3)); time <- rep(0:2, 8); arm <- rep(c(0, 1), each = 12)
mixed <- t(sapply(1:40, function(i) round(rnorm(8, sd = runif(1, 0, 1.5))[subject] + rnorm(24, sd = sqrt(5 / rchisq(1, 5))), 6)))
mixed[sample(length(mixed), 150)] <- NA
rows <- lapply(1:40, function(i) {
  data <- data.frame(y = mixed[i, ], subject, time, arm)
  fit <- suppressMessages(lmerTest::lmer(y ~ time + arm + (1 | subject), data, control = tight()))
  H <- as.matrix(hatvalues(fit, fullHatMatrix = TRUE)); k <- coef(summary(fit))
  list(rdf = nrow(H) - 2 * sum(diag(H)) + sum(H * H), sigma = sigma(fit), estimate = k[2:3, 1], se = k[2:3, 2], df = k[2:3, 3])
})
rdf <- sapply(rows, `[[`, "rdf"); sigma <- sapply(rows, `[[`, "sigma")
eb <- squeezeVar(sigma^2, rdf)
dream <- lapply(1:2, function(k) {
  pick <- function(name) sapply(rows, function(r) r[[name]][[k]])
  t <- pick("estimate") / (pick("se") / sigma * sqrt(eb$var.post))
  list(t = I(t), df = I(pick("df") + eb$df.prior), p = I(2 * pt(-abs(t), pick("df") + eb$df.prior)))
})
names(dream) <- c("time", "arm")

out <- list(versions = c(versions(), list(limma = as.character(packageVersion("limma")),
                                          statmod = as.character(packageVersion("statmod")))),
            squeezed = squeezed,
            linear = c(list(values = values, full = full, group = I(as.character(group)), x = I(x)), linear),
            dream = c(list(values = mixed, rdf = I(rdf), df_prior = eb$df.prior, s2_post = I(eb$var.post)), dream))
writeLines(json17(out), "limma.json")
