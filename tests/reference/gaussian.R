# Fits every case of gaussian_cases.json by lme4/lmerTest and writes gaussian.json.
# Run from tests/reference:  Rscript gaussian.R
suppressMessages({library(lme4); library(lmerTest); library(jsonlite)})
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"), lmerTest.limit = 1e6)

read_case <- function(case) {
  frame <- read.csv(file.path("data", case$data), colClasses = "character", na.strings = "", check.names = FALSE)
  for (name in names(frame)) {
    if (name %in% names(case$factors)) {
      levels <- case$factors[[name]]
      frame[[name]] <- factor(frame[[name]], if (is.null(levels)) unique(frame[[name]]) else unlist(levels))
    } else if (!anyNA(suppressWarnings(as.numeric(na.omit(frame[[name]]))))) {
      frame[[name]] <- as.numeric(frame[[name]])
    }
  }
  response <- all.vars(as.formula(case$formula))[1]
  frame[[response]][unlist(case$missing_response) + 1] <- NA
  drop <- unlist(case$drop_rows) + 1
  droplevels(if (length(drop)) frame[-drop, , drop = FALSE] else frame)
}

# R's coefficient names ("MachineB:Days") as mixflow writes them ("Machine[B]:Days").
mixflow_names <- function(fit, r_names) {
  frame <- model.frame(fit)
  factors <- names(frame)[vapply(frame, is.factor, TRUE)]
  one <- function(part) {
    for (f in factors) if (startsWith(part, f) && substring(part, nchar(f) + 1) %in% levels(frame[[f]]))
      return(paste0(f, "[", substring(part, nchar(f) + 1), "]"))
    part
  }
  vapply(strsplit(r_names, ":"), function(parts) paste(vapply(parts, one, ""), collapse = ":"), "")
}

# For each term of the fixed part: the joint F test that its own coefficients are all zero.
joint_tests <- function(fit, names) {
  assign <- attr(getME(fit, "X"), "assign")
  labels <- c("(Intercept)", attr(terms(fit), "term.labels"))
  lapply(unique(assign), function(k) {
    rows <- diag(length(assign))[assign == k, , drop = FALSE]
    test <- contestMD(fit, rows)
    list(term = labels[k + 1], coefficients = I(names[assign == k]), f = test[["F value"]], num_df = test[["NumDF"]],
         den_df = test[["DenDF"]], p = test[["Pr(>F)"]])
  })
}

# Random terms in lme4's order: theta is the lower triangle of each term's relative Cholesky factor, column-major.
random_terms <- function(fit) {
  cnms <- getME(fit, "cnms"); groups <- names(cnms); vc <- VarCorr(fit); lambda <- getME(fit, "Tlist")
  levels <- vapply(getME(fit, "flist"), nlevels, 1L)[attr(getME(fit, "flist"), "assign")]
  lapply(seq_along(cnms), function(k) list(
    group = sub("[.][0-9]+$", "", groups[k]), columns = I(mixflow_names(fit, cnms[[k]])),
    r_columns = I(cnms[[k]]), n_levels = unname(levels[k]),
    relative_cholesky = unname(as.matrix(lambda[[k]])), covariance = unname(matrix(vc[[k]], length(cnms[[k]])))))
}

modes <- function(fit) {
  frame <- as.data.frame(ranef(fit, condVar = TRUE))
  frame$grpvar <- as.character(frame$grpvar); frame$term <- mixflow_names(fit, as.character(frame$term)); frame$grp <- as.character(frame$grp)
  first <- ave(seq_len(nrow(frame)), frame$grpvar, frame$term, FUN = seq_along) <= 10
  setNames(frame[first, ], c("group", "term", "level", "mode", "sd"))
}

describe <- function(fit) {
  table <- coef(summary(fit)); names <- mixflow_names(fit, names(fixef(fit))); theta <- getME(fit, "theta")
  vc <- as.data.frame(VarCorr(fit))
  vc$grp <- sub("[.][0-9]+$", "", vc$grp)
  vc$var1 <- ifelse(is.na(vc$var1), NA, mixflow_names(fit, as.character(vc$var1)))
  vc$var2 <- ifelse(is.na(vc$var2), NA, mixflow_names(fit, as.character(vc$var2)))
  list(n = nobs(fit), objective = -2 * as.numeric(logLik(fit)), loglik = as.numeric(logLik(fit)), aic = AIC(fit),
       singular = isSingular(fit, tol = 1e-4), sigma = sigma(fit), theta = I(unname(theta)), theta_names = I(names(theta)),
       coefficients = data.frame(name = names, r_name = rownames(table), estimate = table[, 1], se = table[, 2], df = table[, 3],
                                 t = table[, 4], p = table[, 5]),
       vcov = unname(as.matrix(vcov(fit))), random_terms = random_terms(fit),
       variance_components = setNames(vc, c("group", "term", "term_2", "variance_or_covariance", "sd_or_correlation")),
       joint_tests = joint_tests(fit, names),
       vcov_varpar = unname(fit@vcov_varpar), modes = modes(fit))
}

run <- function(case) {
  notes <- character(); started <- proc.time()[["elapsed"]]
  collect <- function(w) { notes <<- c(notes, conditionMessage(w)); tryInvokeRestart("muffleWarning"); tryInvokeRestart("muffleMessage") }
  result <- withCallingHandlers(tryCatch({
    frame <- read_case(case)
    if (!is.null(case$weights)) frame$.weights <- frame[[case$weights]] else frame$.weights <- 1
    arguments <- list(as.formula(case$formula), data = frame, REML = case$reml, control = tight())
    if (!is.null(case$weights)) arguments$weights <- quote(.weights)
    start <- best_start(arguments, if (isTRUE(case$slow)) 2 else 8)
    fit <- do.call(lmerTest::lmer, c(arguments, list(start = start$theta)))
    c(list(default_start_objective = start$default_start_objective), describe(fit))
  }, error = function(e) list(error = conditionMessage(e))), warning = collect, message = collect)
  cat(sprintf("%-36s %8.2f s  %s\n", case$id, proc.time()[["elapsed"]] - started,
              if (is.null(result$error)) sprintf("%.5f singular=%s", result$objective, result$singular) else result$error))
  c(list(id = case$id, messages = I(notes)), result)
}

cases <- fromJSON("gaussian_cases.json", simplifyVector = FALSE)$cases
only <- commandArgs(TRUE)
if (length(only)) cases <- Filter(function(x) x$id %in% only, cases)
results <- lapply(cases, run)
if (!length(only)) writeLines(json17(list(versions = versions(), control = "bobyqa, rhoend 1e-9, maxfun 1e5", cases = results)), "gaussian.json")
