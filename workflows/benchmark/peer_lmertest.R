# The peer of the speed benchmark: lme4 + lmerTest (Satterthwaite) on a subset of features, in forked processes.
#
#   Rscript peer_lmertest.R samples.csv values formula n_features processes out.json
#
# samples.csv  one row a sample; text columns become factors, levels in order of appearance
# values       *.csv(.gz): first column the feature id, then one column a sample, in the order of samples.csv, empty = missing;
#              any other name: little-endian float64, C order, shape (feature, sample), NaN = missing
# formula      right-hand side, such as "~ condition * time + (1 | subject)"
# n_features   how many to fit, spaced evenly over the table; 0 = all
# processes    forked workers
#
# Timed, for each feature: lmerTest::lmer without lme4's derivative check (fit, and the derivatives that Satterthwaite needs)
# and coef(summary()) with its df (the two are also reported apart). Not timed: start of R,
# reading, one warm-up fit. Set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1 in the caller, for both sides.
suppressMessages({library(lme4); library(lmerTest); library(parallel); library(jsonlite)})

read_values <- function(path, samples) {
  if (grepl("[.]csv([.]gz)?$", path)) {
    table <- read.csv(path, check.names = FALSE)
    return(list(ids = as.character(table[[1]]), values = as.matrix(table[-1])))
  }
  count <- file.size(path) / 8
  values <- matrix(readBin(path, "double", count, endian = "little"), ncol = nrow(samples), byrow = TRUE)
  list(ids = as.character(seq_len(nrow(values)) - 1), values = values)
}

as_factors <- function(samples) {
  text <- vapply(samples, is.character, TRUE)
  samples[text] <- lapply(samples[text], function(column) factor(column, unique(column)))
  samples
}

fit_one <- function(y, samples, formula) {
  samples$y <- y
  before <- proc.time(); started <- before[["elapsed"]]
  fit <- suppressWarnings(suppressMessages(lmerTest::lmer(formula, samples, control = lmerControl(calc.derivs = FALSE))))
  fitted <- proc.time()[["elapsed"]]
  table <- suppressWarnings(coef(summary(fit)))
  used <- proc.time() - before  # R counts the children of mclapply only now and then, so each counts its own
  list(cpu = sum(used[c("user.self", "sys.self")]), seconds = c(fit = fitted - started, summary = before[["elapsed"]] + used[["elapsed"]] - fitted), terms = rownames(table), estimate = table[, 1],
       std_error = table[, 2], df = table[, 3], p_value = table[, 5], loglik = as.numeric(logLik(fit)), sigma = sigma(fit),
       theta = unname(getME(fit, "theta")), singular = isSingular(fit))
}
try_one <- function(y, samples, formula) tryCatch(fit_one(y, samples, formula), error = function(e) list(error = conditionMessage(e)))

# Peak resident memory of this process and its finished children is the caller's to measure (Snakemake's benchmark does).
main <- function(arguments) {
  if (length(arguments) != 6) stop("usage: Rscript peer_lmertest.R samples.csv values formula n_features processes out.json")
  samples <- as_factors(read.csv(arguments[1], check.names = FALSE))
  table <- read_values(arguments[2], samples)
  formula <- as.formula(paste("y", arguments[3])); wanted <- as.integer(arguments[4]); processes <- as.integer(arguments[5])
  total <- nrow(table$values)
  rows <- if (wanted == 0 || wanted >= total) seq_len(total) else unique(round(seq(1, total, length.out = wanted)))
  try_one(table$values[rows[1], ], samples, formula)
  started <- proc.time()[["elapsed"]]
  fits <- mclapply(rows, function(i) try_one(table$values[i, ], samples, formula), mc.cores = processes)
  wall <- proc.time()[["elapsed"]] - started
  seconds <- vapply(fits, function(fit) if (is.null(fit$seconds)) c(fit = NA, summary = NA) else fit$seconds, c(fit = 0, summary = 0))
  report <- list(features_in_table = total, features_fitted = length(rows), processes = processes, wall_seconds = wall,
                 cpu_seconds = sum(vapply(fits, function(fit) if (is.null(fit$cpu)) 0 else fit$cpu, 0)),
                 wall_seconds_per_feature = wall / length(rows),
                 process_seconds_per_feature = as.list(rowMeans(seconds, na.rm = TRUE)),
                 failed = sum(vapply(fits, function(fit) !is.null(fit$error), TRUE)),
                 singular = sum(vapply(fits, function(fit) isTRUE(fit$singular), TRUE)),
                 versions = list(R = R.version.string, lme4 = as.character(packageVersion("lme4")),
                                 lmerTest = as.character(packageVersion("lmerTest")), blas = basename(extSoftVersion()[["BLAS"]])),
                 results = Map(function(i, fit) c(list(row = i - 1, feature = table$ids[i]), fit[!names(fit) %in% c("seconds", "cpu")]), rows, fits))
  write_json(report, arguments[6], digits = NA, auto_unbox = TRUE, na = "null")
}
main(commandArgs(TRUE))
