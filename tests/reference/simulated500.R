# 500 simulated features and 10 pathological ones, fitted one by one by lmerTest.
# Writes simulated500/{samples.csv, values.csv.gz, features.csv, coefficients.csv.gz, fits.csv.gz, contrasts.csv.gz}.
# Run from tests/reference:  Rscript simulated500.R
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
set.seed(20240501, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
options(contrasts = c("contr.treatment", "contr.poly"))

make_samples <- function() {
  sizes <- rep(c(3, 4, 5, 6, 7), length.out = 16)                 # 16 subjects of varying size, 79 samples
  subject <- rep(sprintf("S%02d", 1:16), sizes)
  n <- length(subject)
  condition <- ifelse(as.integer(factor(subject)) %% 3 == 0, "treated", ifelse(as.integer(factor(subject)) %% 3 == 1, "control", "placebo"))
  data.frame(sample = sprintf("run%03d", seq_len(n)), condition = factor(condition, c("control", "placebo", "treated")),
             time = round(runif(n, 0, 8), 2), subject = factor(subject), batch = factor(paste0("B", sample(1:6, n, TRUE))))
}

# Standard deviations of subject and batch: a third of the features has no subject effect, a third (independently) no batch effect.
simulate_feature <- function(samples) {
  sd_subject <- if (runif(1) < 1 / 3) 0 else rgamma(1, 2, 2)
  sd_batch <- if (runif(1) < 1 / 3) 0 else rgamma(1, 2, 4)
  sigma <- exp(rnorm(1, -0.5, 0.4)); beta <- c(rnorm(1, 20, 3), rnorm(5, 0, c(0.8, 0.8, 0.1, 0.1, 0.1)))
  fixed <- model.matrix(~ condition * time, samples) %*% beta
  y <- as.vector(fixed) + rnorm(16, 0, sd_subject)[samples$subject] + rnorm(6, 0, sd_batch)[samples$batch] + rnorm(nrow(samples), 0, sigma)
  y[runif(length(y)) < 0.2] <- NA
  list(y = y, sd_subject = sd_subject, sd_batch = sd_batch, sigma = sigma)
}

# What a pathological feature is made of; everything else stays as simulated.
pathological <- function(y, samples) {
  keep <- function(rows) replace(rep(NA_real_, length(y)), rows, y[rows])
  complete <- which(!is.na(y))
  list(all_missing = keep(integer()), constant = ifelse(is.na(y), NA, 7.25), treated_absent = keep(complete[samples$condition[complete] != "treated"]),
       control_absent = keep(complete[samples$condition[complete] != "control"]), one_condition_only = keep(complete[samples$condition[complete] == "placebo"]),
       five_values = keep(complete[c(1, 12, 25, 40, 55)]), seven_values = keep(complete[c(1, 9, 18, 27, 36, 45, 55)]),
       one_subject = keep(complete[samples$subject[complete] == "S05"]), one_batch = keep(complete[samples$batch[complete] == "B2"]),
       one_value_a_subject = keep(complete[!duplicated(samples$subject[complete])]))
}

contrasts <- list(`placebo vs control` = c(`condition[placebo]` = 1), `treated vs control` = c(`condition[treated]` = 1),
                  `treated vs placebo` = c(`condition[treated]` = 1, `condition[placebo]` = -1),
                  `treated vs control at time 4` = c(`condition[treated]` = 1, `condition[treated]:time` = 4))

mixflow_name <- function(name) sub("condition(placebo|treated)", "condition[\\1]", name)

full_design <- function(samples) {
  full <- model.matrix(~ condition * time, samples)
  colnames(full) <- mixflow_name(colnames(full))
  full
}

# lmer's own answer; NULL with its message where it has none. A constant response is none: lmer returns rounding noise.
attempt <- function(samples) {
  messages <- character(); gain <- NA_real_
  note <- function(c) { messages <<- c(messages, trimws(conditionMessage(c))); tryInvokeRestart("muffleWarning"); tryInvokeRestart("muffleMessage") }
  fit <- withCallingHandlers(tryCatch({
    arguments <- list(y ~ condition * time + (1 | subject) + (1 | batch), samples, REML = TRUE, control = tight())
    first <- do.call(lmerTest::lmer, arguments)
    if (sd(samples$y, na.rm = TRUE) == 0) stop("constant response, sigma ", format(sigma(first)))
    start <- best_start(arguments, 3)
    fit <- do.call(lmerTest::lmer, c(arguments, list(start = start$theta)))
    gain <- 2 * as.numeric(logLik(fit)) + start$default_start_objective
    fit
  }, error = function(e) { messages <<- c(messages, paste("error:", conditionMessage(e))); NULL }), warning = note, message = note)
  list(fit = fit, message = gsub("\\s+", " ", paste(unique(messages), collapse = " | ")), gain = gain)
}

fit_feature <- function(feature, y, samples) {
  samples$y <- y; result <- attempt(samples); fit <- result$fit
  head <- data.frame(feature = feature, n = sum(!is.na(y)), status = if (is.null(fit)) "no fit" else if (isSingular(fit)) "singular" else "ok",
                     message = result$message, start_gain = result$gain)
  if (is.null(fit)) return(list(fit = cbind(head, theta_subject = NA_real_, theta_batch = NA_real_, sigma = NA_real_, loglik = NA_real_)))
  theta <- getME(fit, "theta"); full <- full_design(samples)[!is.na(y), ]
  own <- setNames(lapply(colnames(full), function(name) setNames(1, name)), colnames(full))
  coefficients <- test_contrasts(fit, full, own); names(coefficients)[1] <- "name"
  list(fit = cbind(head, theta_subject = theta[["subject.(Intercept)"]], theta_batch = theta[["batch.(Intercept)"]], sigma = sigma(fit), loglik = as.numeric(logLik(fit))),
       coefficients = cbind(feature = feature, coefficients), contrasts = cbind(feature = feature, test_contrasts(fit, full, contrasts)))
}

samples <- make_samples()
simulated <- lapply(1:500, function(i) simulate_feature(samples))
values <- setNames(lapply(simulated, `[[`, "y"), sprintf("f%03d", 1:500))
values <- c(values, pathological(simulate_feature(samples)$y, samples))
results <- lapply(names(values), function(f) fit_feature(f, values[[f]], samples))
bind <- function(part) do.call(rbind, lapply(results, `[[`, part))
write_csv17(samples, "simulated500/samples.csv")
write_csv17(data.frame(feature = names(values), setNames(as.data.frame(do.call(rbind, values)), samples$sample)), "simulated500/values.csv.gz")
write_csv17(data.frame(feature = sprintf("f%03d", 1:500), do.call(rbind, lapply(simulated, function(s) data.frame(s[-1])))), "simulated500/truth.csv")
write_csv17(bind("fit"), "simulated500/fits.csv.gz")
write_csv17(bind("coefficients"), "simulated500/coefficients.csv.gz")
write_csv17(bind("contrasts"), "simulated500/contrasts.csv.gz")
writeLines(json17(c(versions(), list(control = "bobyqa, rhoend 1e-9, maxfun 1e5"))), "simulated500/versions.json")
print(table(bind("fit")$status)); print(tail(bind("fit"), 10))
