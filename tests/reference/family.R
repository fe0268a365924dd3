# Log-likelihoods of fixed-effect fits by glmmTMB (and clm of ordinal), with the predictors of every row: what a family's
# parametrisation and constants are. Rscript tests/reference/family.R > tests/reference/family.json
suppressMessages({library(glmmTMB); library(jsonlite)})
source("tests/reference/lib.R")
set.seed(1)
n <- 60
x <- round(rnorm(n), 3)
mu <- exp(0.8 + 0.4 * x)
count <- rnbinom(n, mu = mu, size = 1.5)
zeros <- rbinom(n, 1, 0.3)
frame <- data.frame(
  x = x, count = count, inflated = ifelse(zeros == 1, 0, count), positive = pmax(count, 1),
  amount = round(rgamma(n, 2, scale = mu / 2), 4) + 0.001, share = round(rbeta(n, 2, 3), 4),
  real = round(1 + x + rt(n, 4), 4), success = rbinom(n, 9, plogis(x + rnorm(n)))
)
frame$failure <- 9 - frame$success
frame$ends <- pmin(pmax(round(frame$share * 1.6 - 0.3, 4), 0), 1)
frame$mass <- ifelse(zeros == 1, 0, frame$amount)
one <- function(name, response, family, zi = FALSE, start = NULL) {
  columns <- strsplit(response, " ")[[1]]
  left <- if (length(columns) == 2) "cbind(success, failure)" else columns
  fit <- suppressWarnings(glmmTMB(as.formula(paste(left, "~ x")), frame, family = family, ziformula = if (zi) ~x else ~0, start = start))
  p <- fit$fit$parfull
  list(name = name, link = fit$modelInfo$family$link, zi = zi, y = as.matrix(frame[columns]), loglik = as.numeric(logLik(fit)),
    mu = I(predict(fit, type = "link")), dispersion = I(p[names(p) == "betad"]), own = I(unname(p[names(p) == "psi"])),
    zi_eta = I(if (zi) predict(fit, type = "zlink") else numeric(0)))
}
fits <- list(
  one("poisson", "count", poisson()), one("nbinom1", "count", nbinom1()), one("nbinom2", "count", nbinom2()),
  one("poisson", "inflated", poisson(), TRUE), one("nbinom2", "inflated", nbinom2(), TRUE),
  one("truncated_poisson", "positive", truncated_poisson()), one("truncated_nbinom1", "positive", truncated_nbinom1()),
  one("truncated_nbinom2", "positive", truncated_nbinom2()), one("truncated_nbinom2", "inflated", truncated_nbinom2(), TRUE),
  one("binomial", "success failure", binomial()), one("binomial", "success failure", binomial("probit")),
  one("binomial", "success failure", binomial("cloglog")), one("betabinomial", "success failure", betabinomial()),
  one("Gamma", "amount", Gamma("log")), one("Gamma", "mass", ziGamma("log"), TRUE), one("beta", "share", beta_family()),
  one("ordbeta", "ends", ordbeta(), start = list(psi = c(-1, 1))), one("tweedie", "mass", tweedie()), one("t", "real", t_family())
)
cumulative <- list()
if (requireNamespace("ordinal", quietly = TRUE)) for (link in c("logit", "probit", "cloglog")) for (kind in c("flexible", "symmetric", "equidistant")) {
  category <- pmin(count, 4)
  fit <- ordinal::clm(factor(category) ~ x, link = link, threshold = kind)
  cumulative <- c(cumulative, list(list(link = link, thresholds = kind, y = I(category), mu = I(x * coef(fit)[["x"]]),
    natural = I(as.vector(fit$Theta)), loglik = as.numeric(logLik(fit)))))
}
cat(json17(list(versions = c(list(R = R.version.string), glmmTMB = as.character(packageVersion("glmmTMB")),
  ordinal = if (length(cumulative)) as.character(packageVersion("ordinal")) else NA), fits = fits, cumulative = cumulative)), "\n")
