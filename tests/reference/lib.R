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

# CSV with 17 significant digits and empty missing values; gzip when the name ends in .gz.
write_csv17 <- function(frame, path) {
  text <- as.data.frame(lapply(frame, function(v) if (is.double(v)) ifelse(is.na(v), "", sprintf("%.17g", v)) else
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
