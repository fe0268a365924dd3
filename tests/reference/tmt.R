# TMT, 10 background proteins of PXD0015258 (5 mixtures x 3 technical replicates x 10 channels): from Proteome Discoverer's
# PSMs to tests, by R alone. PSM choice as MSstatsTMT; log2; channel medians brought to the mean of the 120 samples' medians;
# each ion minus its mean over the reference channels of the run plus the median of these means; stats::medpolish with
# channels in rows; lmerTest `~ condition + (1 | mixture) + (1 | mixture:techrep)`, all pairs of the four conditions.
# Run from tests/reference:  Rscript tmt.R   Then the rows of each protein, every ion in every channel, with `+ (1 | run) + (1 | peptide)`.
# Writes tmt/{proteins.csv.gz,contrasts,fits,ions}.csv and versions.json
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
folder <- "../../../shared/data/proteomics/"
psm <- read.delim(gzfile(paste0(folder, "tmt_ups1_pd_psms.tsv.gz")), quote = "", check.names = FALSE, stringsAsFactors = FALSE)
what <- read.delim(paste0(folder, "tmt_ups1_pd_annotation.tsv"), colClasses = "character")
columns <- grep("^Abundance", names(psm), value = TRUE); channels <- sub("Abundance..", "", columns, fixed = TRUE)
x <- as.matrix(psm[columns]); x[!is.na(x) & x == 0] <- NA
ion <- paste(psm$Annotated.Sequence, psm$Modifications, psm$Charge); run <- psm$Spectrum.File
measured <- rowSums(!is.na(x))
best <- order(-measured, psm[["Isolation.Interference...."]], -psm$Ions.Score, -rowSums(x, na.rm = TRUE))
best <- best[measured[best] >= 3]
best <- best[!duplicated(paste(ion, run)[best])]
samples <- expand.grid(channel = channels, run = unique(what$Run), stringsAsFactors = FALSE)
samples <- cbind(samples, what[match(paste(samples$run, samples$channel), paste(what$Run, what$Channel)), c("Condition", "Mixture", "TechRepMixture")])
ions <- unique(ion[best])
y <- matrix(NA_real_, length(ions), nrow(samples))
for (k in best) y[match(ion[k], ions), match(paste(run[k], channels), paste(samples$run, samples$channel))] <- log2(x[k, ])
is_reference <- samples$Condition == "Norm"
medians <- apply(y, 2, median, na.rm = TRUE)
y <- sweep(y, 2, medians - mean(medians[!is_reference]))
level <- sapply(unique(samples$run), function(r) rowMeans(y[, samples$run == r & is_reference, drop = FALSE], na.rm = TRUE))
level[is.nan(level)] <- NA
y <- y - level[, samples$run] + apply(level, 1, median, na.rm = TRUE)
protein_of <- psm$Protein.Accessions[match(ions, ion)]
polish <- function(protein) { fit <- suppressWarnings(medpolish(t(y[protein_of == protein, , drop = FALSE]), na.rm = TRUE, trace.iter = FALSE)); fit$overall + fit$row }
proteins <- sort(unique(protein_of))
values <- t(sapply(proteins, polish))
ids <- paste0(sub(".raw", "", samples$run, fixed = TRUE), "|", samples$channel)
write_csv17(data.frame(protein = rep(proteins, each = ncol(values)), sample = rep(ids, length(proteins)), value = as.vector(t(values))), "tmt/proteins.csv.gz", 15)
d <- data.frame(condition = factor(samples$Condition), mixture = factor(samples$Mixture), techrep = factor(samples$TechRepMixture))[!is_reference, ]
d <- droplevels(d); levels_of <- levels(d$condition)
pairs <- combn(levels_of, 2)
pairs_of <- function(protein, fit) {
  weights <- apply(pairs, 2, function(p) { w <- setNames(numeric(4), levels_of); w[p[2]] <- 1; w[p[1]] <- -1; w[1] <- 0; unname(w) })
  tests <- do.call(rbind, lapply(seq_len(ncol(pairs)), function(k) {
    t <- contest1D(fit, weights[, k])
    data.frame(protein = protein, contrast = paste(pairs[2, k], "vs", pairs[1, k]), estimate = t$Estimate, se = t[["Std. Error"]], df = t$df, p = t[["Pr(>|t|)"]])
  }))
  list(fit = fit, tests = tests)
}
# The rows of a protein: every ion in every channel.
test_ions <- function(protein) {
  rows <- which(protein_of == protein); use <- which(!is_reference)
  long <- data.frame(d[rep(seq_along(use), each = length(rows)), ], run = rep(ids[use], each = length(rows)), peptide = rep(ions[rows], length(use)))
  long$y <- as.vector(y[rows, use])
  fit <- suppressMessages(lmer(y ~ condition + (1 | mixture) + (1 | mixture:techrep) + (1 | run) + (1 | peptide), long, control = tight()))
  pairs_of(protein, fit)$tests
}
test_protein <- function(protein) {
  d$y <- values[protein, !is_reference]
  found <- pairs_of(protein, suppressMessages(lmer(y ~ condition + (1 | mixture) + (1 | mixture:techrep), d, control = tight())))
  fit <- found$fit
  v <- as.data.frame(VarCorr(fit)); of <- function(g) v$vcov[v$grp == g]
  list(tests = found$tests, fit = data.frame(protein = protein, n = sum(!is.na(d$y)), singular = isSingular(fit), mixture = of("mixture"), techrep = of("mixture:techrep"), residual = of("Residual"), loglik = as.numeric(logLik(fit))))
}
found <- lapply(proteins, test_protein)
tests <- do.call(rbind, lapply(found, `[[`, "tests"))
tests$q <- ave(tests$p, tests$contrast, FUN = function(p) p.adjust(p, "BH"))
write_csv17(tests, "tmt/contrasts.csv"); write_csv17(do.call(rbind, lapply(found, `[[`, "fit")), "tmt/fits.csv")
ions_tests <- do.call(rbind, lapply(proteins, test_ions))
ions_tests$q <- ave(ions_tests$p, ions_tests$contrast, FUN = function(p) p.adjust(p, "BH"))
write_csv17(ions_tests, "tmt/ions.csv")
print(c(p = sum(ions_tests$p < 0.05), q = sum(ions_tests$q < 0.05), of = nrow(ions_tests)))
writeLines(json17(versions()), "tmt/versions.json")
print(c(p = sum(tests$p < 0.05), q = sum(tests$q < 0.05), of = nrow(tests)))
