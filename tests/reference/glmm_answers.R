# Predictions, means on the response scale and averages over random effects of generalised models, by glmmTMB
# and emmeans; averages and their errors by direct integration and numDeriv. Writes glmm_answers.json.
suppressMessages({library(glmmTMB); library(emmeans); library(jsonlite); library(numDeriv)})
arg <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arg)) arg[1] else "tests/reference"
read <- function(name) read.csv(file.path(folder, "data", name))
tight <- glmmTMBControl(optCtrl = list(rel.tol = 1e-15, x.tol = 1e-12, iter.max = 2000, eval.max = 4000))
both <- function(p) list(fit = as.numeric(p$fit), se = as.numeric(p$se.fit))
z_table <- function(g) { t <- as.data.frame(summary(g, infer = c(TRUE, FALSE), df = Inf, adjust = "none"))
  list(value = t[[2]], se = t$SE, low = t$asymp.LCL, high = t$asymp.UCL) }

# The population average of rows x of mu, z of zi, and its error over (beta, betazi, log sd).
average <- function(m, x, offset, inverse, zi = NULL) {
  v <- vcov(m, full = TRUE)
  par <- c(fixef(m)$cond, if (!is.null(zi)) fixef(m)$zi, log(attr(VarCorr(m)$cond[[1]], "stddev")))
  p <- ncol(x)
  value <- function(par) sapply(seq_len(nrow(x)), function(i) {
    eta <- offset[i] + sum(x[i, ] * par[1:p]); s <- exp(par[length(par)])
    mean <- integrate(function(u) inverse(eta + s * u) * dnorm(u), -12, 12, rel.tol = 1e-11)$value
    if (is.null(zi)) mean else mean * plogis(-par[p + 1]) })
  gradient <- jacobian(value, par)
  list(fit = as.numeric(value(par)), se = sqrt(diag(gradient %*% v %*% t(gradient))))
}

d <- read("cbpp__lme4.csv"); d$period <- factor(d$period); d$herd <- factor(d$herd)
m <- glmmTMB(cbind(incidence, size - incidence) ~ period + (1 | herd), d, binomial, control = tight)
nd <- data.frame(period = factor(c(1, 3), levels = 1:4), herd = c("1", "new"), size = 10, incidence = 1)
cbpp <- list(
  link = both(predict(m, type = "link", se.fit = TRUE)),
  response = both(predict(m, type = "response", se.fit = TRUE)),
  new = both(suppressWarnings(predict(m, nd, type = "link", se.fit = TRUE, allow.new.levels = TRUE))),
  none = both(predict(m, nd, type = "response", se.fit = TRUE, re.form = NA)),
  average = average(m, model.matrix(~ period, nd), c(0, 0), plogis),
  means = z_table(emmeans(m, "period", type = "response")),
  pairs = z_table(contrast(emmeans(m, "period", type = "response"), "revpairwise")))

o <- read("Owls__glmmTMB.csv")
m <- glmmTMB(SiblingNegotiation ~ FoodTreatment + ArrivalTime + offset(log(BroodSize)) + (1 | Nest), o,
             ziformula = ~1, family = poisson, control = tight)
rows <- c(1, 50, 300)
owls <- list(
  response = both(predict(m, o[rows, ], type = "response", se.fit = TRUE)),
  none = both(predict(m, o[rows, ], type = "response", se.fit = TRUE, re.form = NA)),
  average = average(m, model.matrix(~ FoodTreatment + ArrivalTime, o)[rows, ], log(o$BroodSize)[rows], exp, TRUE),
  means = z_table(emmeans(m, "FoodTreatment", type = "response")),
  rates = z_table(emmeans(m, "FoodTreatment", type = "response", offset = 0)),
  pairs = z_table(contrast(emmeans(m, "FoodTreatment", type = "response"), "revpairwise")))
write_json(list(versions = list(R = as.character(getRversion()), glmmTMB = as.character(packageVersion("glmmTMB")),
  emmeans = as.character(packageVersion("emmeans"))), cbpp = cbpp, owls = owls),
  file.path(folder, "glmm_answers.json"), auto_unbox = TRUE, digits = 10)
