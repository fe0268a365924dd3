# Tukey's median polish by stats::medpolish(na.rm = TRUE), for tests/preprocess/test_median_polish.py.
# Run from tests/reference:  Rscript median_polish.R   Writes median_polish.json
source("lib.R")
set.seed(20261121)
polish <- function(x, eps = 0.01, maxiter = 10L) {
  messages <- character()
  fit <- withCallingHandlers(medpolish(x, eps = eps, maxiter = maxiter, trace.iter = FALSE, na.rm = TRUE),
                             warning = function(w) { messages <<- c(messages, conditionMessage(w)); invokeRestart("muffleWarning") })
  list(rows = nrow(x), columns = ncol(x), eps = eps, maxiter = maxiter, values = as.numeric(t(x)), overall = fit$overall,
       row = as.numeric(fit$row), column = as.numeric(fit$col), residual = as.numeric(t(fit$residuals)),
       converged = length(messages) == 0)
}
table_of <- function(rows, columns, missing = 0, sd = 1) {
  x <- outer(rnorm(rows, 20, 2), rnorm(columns, 0, 3), `+`) + matrix(rnorm(rows * columns, sd = sd), rows)
  x[sample(length(x), round(missing * length(x)))] <- NA
  x
}
cases <- list(
  deaths = rbind(c(14, 15, 14), c(7, 4, 7), c(8, 2, 10), c(15, 9, 10), c(0, 2, 0)),   # example of ?medpolish
  complete = table_of(7, 4), even = table_of(6, 6), one_row = table_of(1, 9), one_column = table_of(9, 1), one_cell = matrix(3.5, 1, 1),
  missing = table_of(27, 6, 0.4), sparse = table_of(20, 5, 0.75), heavy = table_of(12, 8, 0.2, sd = 8), additive = outer(1:5, c(2, 4, 9), `+`),
  constant = matrix(7, 4, 3))
cases$empty_row <- cases$missing; cases$empty_row[3, ] <- NA
cases$empty_column <- cases$missing; cases$empty_column[, 2] <- NA
cases$ties <- round(cases$missing)
out <- lapply(cases, polish)
out$tight <- polish(cases$heavy, eps = 1e-10, maxiter = 50L)
out$one_iteration <- polish(cases$heavy, maxiter = 1L)
writeLines(json17(list(versions = versions(), cases = out)), "median_polish.json")

# Proteins of the CPTAC A-C table as MSstats summarises them (TMP without imputation): log2, run medians brought to their
# mean, runs in rows, precursors in columns, overall + row. Every 25th protein in order of first appearance.
long <- read.delim(gzfile("../../../shared/data/proteomics/cptac_study6_ABC_msstats.tsv.gz"), quote = "", stringsAsFactors = FALSE)
runs <- unique(long$Run)
charge <- ifelse(is.na(long$PrecursorCharge), "", long$PrecursorCharge)
long$precursor <- paste(long$PeptideSequence, charge, sep = "_"); long$y <- log2(long$Intensity)
medians <- tapply(long$y, long$Run, median, na.rm = TRUE)
long$y <- long$y - (medians - mean(medians))[long$Run]
seen <- unique(long$ProteinName[!is.na(long$y)])
chosen <- seen[seq(1, length(seen), by = 25)]
tables <- lapply(chosen, function(protein) {
  d <- long[long$ProteinName == protein, ]
  wide <- tapply(d$y, list(factor(d$Run, runs), d$precursor), identity)
  fit <- suppressWarnings(medpolish(wide, na.rm = TRUE, trace.iter = FALSE))
  data.frame(protein = protein, run = runs, value = fit$overall + fit$row, row.names = NULL)
})
write_csv17(do.call(rbind, tables), "cptac_abc_polished.csv.gz", 15)
