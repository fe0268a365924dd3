# Shared by the scripts of tests/reference: numbers written with 17 significant digits, and settings of lmer.
number17 <- function(x) ifelse(is.na(x) | !is.finite(x), "null", sprintf("%.17g", x))

# JSON text of nested lists, data frames (as records) and vectors; NA becomes null. Scalars are not boxed unless I().
json17 <- function(x) {
  quoted <- function(s) ifelse(is.na(s), "null", vapply(s, function(v) as.character(jsonlite::toJSON(v, auto_unbox = TRUE)), ""))
  if (is.null(x)) return("null")
  if (is.data.frame(x)) {
    rows <- lapply(seq_len(nrow(x)), function(i) json17(as.list(x[i, , drop = FALSE])))
    return(paste0("[", paste(rows, collapse = ",\n  "), "]"))
  }
  if (is.matrix(x)) {
    return(paste0("[", paste(apply(x, 1, function(r) json17(I(as.vector(r)))), collapse = ", "), "]"))
  }
  if (is.list(x)) {
    body <- vapply(x, json17, "")
    if (is.null(names(x))) return(paste0("[", paste(body, collapse = ",\n "), "]"))
    return(paste0("{", paste0(quoted(names(x)), ": ", body, collapse = ",\n "), "}"))
  }
  cells <- if (is.character(x) || is.factor(x)) quoted(as.character(x)) else
    if (is.logical(x)) ifelse(is.na(x), "null", tolower(x)) else number17(x)
  if (length(x) == 1 && !inherits(x, "AsIs")) cells else paste0("[", paste(cells, collapse = ", "), "]")
}

# CSV with 17 significant digits (or fewer) and empty missing values; gzip when the name ends in .gz.
write_csv17 <- function(frame, path, digits = 17) {
  text <- as.data.frame(lapply(frame, function(v) if (is.double(v)) ifelse(is.na(v), "", sprintf(paste0("%.", digits, "g"), v)) else
    ifelse(is.na(v), "", as.character(v))), check.names = FALSE)
  connection <- if (grepl("[.]gz$", path)) gzfile(path, "wb") else file(path, "wb")
  on.exit(close(connection))
  write.csv(text, connection, row.names = FALSE, quote = vapply(frame, function(v) !is.numeric(v), TRUE) |> which())
}

# R's defaults are too loose to be a reference: bobyqa to rhoend = 1e-9.
tight <- function(...) lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-9, maxfun = 1e5), ...)

versions <- function() {
  packages <- c("lme4", "lmerTest", "pbkrtest", "nlme", "Matrix", "jsonlite")
  c(list(R = R.version.string), setNames(lapply(packages, function(p) as.character(packageVersion(p))), packages))
}

# lme4 can stop at a false boundary (a diagonal of theta at zero while the model with the sign of that column turned goes
# on downhill; case `wafer` of gaussian_cases.json). So: several seeded starts, the lowest objective kept.
best_start <- function(arguments, starts) {
  arguments$control <- tight(calc.derivs = FALSE)
  quiet <- function(a) suppressWarnings(suppressMessages(do.call(lme4::lmer, a)))
  fit <- quiet(arguments); best <- fit; lower <- lme4::getME(fit, "lower")
  set.seed(1)
  for (k in seq_len(starts)) {
    start <- rnorm(length(lower))
    arguments$start <- ifelse(lower == 0, abs(start), start)
    other <- quiet(arguments)
    if (logLik(other) > logLik(best) + 1e-9) best <- other
  }
  # NULL: lme4's own start is as good (a start near zero would make bobyqa's first step smaller than its last).
  improved <- logLik(best) > logLik(fit) + 1e-7
  list(theta = if (improved) lme4::getME(best, "theta"), default_start_objective = -2 * as.numeric(logLik(fit)))
}

# A contrast on the coefficients of the whole design, expressed in those of a fit whose rows lack factor levels.
# x: the fit's own model matrix; full: that of its rows with all levels of the study; weights: named, on full's columns.
# NULL where the rows cannot estimate it (row space of `full`); else the contrast on the fit's own coefficients.
translate <- function(x, full, weights) {
  l <- setNames(rep(0, ncol(full)), colnames(full)); l[names(weights)] <- weights
  s <- svd(full); keep <- s$d > s$d[1] * 1e-9
  a <- s$u[, keep, drop = FALSE] %*% ((t(s$v[, keep, drop = FALSE]) %*% l) / s$d[keep])
  if (max(abs(t(full) %*% a - l)) > 1e-8 * max(abs(l))) return(NULL)
  drop(t(x) %*% a)
}

# Estimate, standard error, Satterthwaite df, t and p of each contrast (a named list of named weights); NA where not estimable.
test_contrasts <- function(fit, full, contrasts) {
  rows <- lapply(names(contrasts), function(k) {
    l <- translate(lme4::getME(fit, "X"), full, contrasts[[k]])
    if (is.null(l)) return(data.frame(contrast = k, estimate = NA_real_, se = NA_real_, df = NA_real_, t = NA_real_, p = NA_real_))
    test <- lmerTest::contest1D(fit, l)
    data.frame(contrast = k, estimate = test[["Estimate"]], se = test[["Std. Error"]], df = test[["df"]],
               t = test[["t value"]], p = test[["Pr(>|t|)"]])
  })
  do.call(rbind, rows)
}
