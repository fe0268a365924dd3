# Reference values of ComBat from R's sva, with its inner solver run to conv = 1e-12.
# Run in this folder: Rscript combat.R
# Writes combat/<case>_{input,sheet,output}.csv.gz for each case and combat/versions.txt.
# The real case reads ../../../shared/data/proteomics/alzheimer_csf_proteins.csv (acore 0.3.3, PRIDE PXD016278),
# whose copy lies in the project with the embedded study; its input is therefore not written again.
suppressMessages({library(sva)})

# sva stops its solver when the largest relative change is below 1e-4, up to 1e-5 away from the limit.
# The shipped function is taken as it is; only the default of `conv` is replaced.
exact <- sva:::it.sol
formals(exact)$conv <- 1e-12
# `abs(new - old) / old` never counts values below zero (its sign is that of `old`); as shipped, that is kept.
assignInNamespace("it.sol", exact, ns = "sva")

write_gz <- function(x, name) {
  con <- gzfile(name, "w"); on.exit(close(con))
  write.csv(x, con, row.names = FALSE, quote = FALSE, na = "")
}
text <- function(m, digits) { out <- apply(m, 2, function(v) ifelse(is.na(v), "", formatC(v, digits = digits, format = "g"))); as.data.frame(out) }

run <- function(case, dat, sheet, keep = character(0), write_input = TRUE) {
  mod <- if (length(keep)) model.matrix(as.formula(paste("~", paste(keep, collapse = " + "))), sheet) else NULL
  out <- suppressMessages(ComBat(dat, batch = sheet$batch, mod = mod))
  if (write_input) {
    write_gz(text(dat, 17), paste0("combat/", case, "_input.csv.gz"))
    write_gz(sheet, paste0("combat/", case, "_sheet.csv.gz"))
  }
  write_gz(text(out, 12), paste0("combat/", case, "_output.csv.gz"))
  cat(case, "keep:", keep, "dim:", dim(dat), "missing:", sum(is.na(dat)), "\n")
}

set.seed(20261120)
n <- 36; f <- 40
sheet <- data.frame(batch = rep(c("b1", "b2", "b3"), c(8, 12, 16)),
                    condition = sample(rep(c("A", "B", "C"), 12)),
                    age = round(rnorm(n, 60, 10), 1))
shift <- matrix(rnorm(f * 3, 0, 1), f); stretch <- matrix(sqrt(1 / rgamma(f * 3, 4, 3)), f)
b <- as.integer(factor(sheet$batch))
dat <- matrix(rnorm(f * n), f) * stretch[, b] + shift[, b] + rnorm(f, 20, 3) +
  outer(rnorm(f), as.integer(factor(sheet$condition)) - 1) + outer(rnorm(f, 0, 0.03), sheet$age)
holes <- dat
holes[sample(length(holes), 0.15 * length(holes))] <- NA
constant <- dat
constant[3, b == 2] <- 7
single <- sheet; single$batch[1] <- "b4"

run("plain", dat, sheet)
run("keep", dat, sheet, c("condition", "age"))
run("missing", holes, sheet)
run("missing_keep", holes, sheet, c("condition", "age"))
run("constant", constant, sheet, "condition")
run("single", dat, single, "age")

csf <- read.csv("../../../shared/data/proteomics/alzheimer_csf_proteins.csv", check.names = FALSE)
y <- t(as.matrix(csf[, -(1:5)]))
samples <- data.frame(batch = csf$collection_site, AD = csf$AD, age = csf$age, male = csf$male)
cat("csf complete proteins:", sum(complete.cases(y)), "\n")
# sva stops where a protein has fewer than two values in a site: those proteins are left out.
enough <- apply(y, 1, function(v) all(tapply(!is.na(v), samples$batch, sum) >= 2))
cat("csf proteins with two values in each site:", sum(enough), "\n")
run("csf_complete", y[complete.cases(y), ], samples, write_input = FALSE)
run("csf_missing", y[enough, ], samples, write_input = FALSE)
run("csf_missing_keep", y[enough, ], samples, c("AD", "age", "male"), write_input = FALSE)

writeLines(c(R.version.string, paste("sva", packageVersion("sva")), paste("matrixStats", packageVersion("matrixStats")),
             "inner solver conv = 1e-12"), "combat/versions.txt")
