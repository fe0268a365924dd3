# CPTAC study 6 A-C, MSstats long table: `~ condition + lab + (1 | run) + (1 | peptide)` protein by protein, by lmerTest.
# log2; every run's median over all its values set to 0 ("centred") or not ("raw"); proteins with at least 2 precursors and
# 4 runs (1,262). lmer fits 1,148 of them: it refuses one lab (a factor with one level) and one value per run (levels = values).
# Where there is one lab only, `lab` is left out here, which gives the same contrasts between conditions (column `lmer` says so).
# Run from tests/reference:  Rscript cptac_abc.R      Writes cptac_abc/{fits,contrasts,uncentred}.csv.gz, calls.csv, versions.json
#                            Rscript cptac_abc.R kr   Writes cptac_abc/kenward_roger.csv.gz (pbkrtest): UPS and every fifth other protein, of at most 200 values
suppressMessages({library(lme4); library(lmerTest); library(parallel)})
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"))
path <- "../../../shared/data/proteomics/cptac_study6_ABC_msstats.tsv.gz"
long <- read.delim(gzfile(path), quote = "", stringsAsFactors = FALSE)
long <- long[!is.na(long$Intensity), ]
charge <- ifelse(is.na(long$PrecursorCharge), "", long$PrecursorCharge)
long <- data.frame(protein = long$ProteinName, peptide = paste(long$PeptideSequence, charge, sep = "_"), run = long$Run,
                   condition = factor(long$Condition), lab = factor(long$BioReplicate), raw = log2(long$Intensity))
long$centred <- long$raw - ave(long$raw, long$run, FUN = median)
full_all <- model.matrix(~ condition + lab, long)
distinct <- function(v) tapply(v, long$protein, function(x) length(unique(x)))
enough <- names(which(distinct(long$peptide) >= 2 & distinct(long$run) >= 4))
rows_of <- split(seq_len(nrow(long)), long$protein)[enough]
contrasts <- list("B-A" = c(condition6B = 1), "C-A" = c(condition6C = 1), "C-B" = c(condition6C = 1, condition6B = -1))

fit_protein <- function(protein, response) {
  rows <- rows_of[[protein]]; data <- droplevels(long[rows, ]); data$y <- data[[response]]
  labs <- nlevels(data$lab)
  formula <- if (labs > 1) y ~ condition + lab + (1 | run) + (1 | peptide) else y ~ condition + (1 | run) + (1 | peptide)
  fit <- suppressWarnings(suppressMessages(tryCatch(lmerTest::lmer(formula, data, REML = TRUE, control = tight()), error = function(e) conditionMessage(e))))
  failed <- is.character(fit)
  head <- data.frame(feature = protein, ups = grepl("ups", protein, fixed = TRUE), n = nrow(data), peptides = length(unique(data$peptide)),
                     runs = length(unique(data$run)), labs = labs, lmer = labs > 1 && !failed,
                     status = if (failed) "no fit" else if (isSingular(fit)) "singular" else "ok", message = if (failed) fit else "")
  if (failed) return(list(fit = cbind(head, run_variance = NA_real_, peptide_variance = NA_real_, residual = NA_real_, loglik = NA_real_)))
  v <- as.data.frame(VarCorr(fit)); of <- function(g) v$vcov[v$grp == g]
  tests <- test_contrasts(fit, full_all[rows, , drop = FALSE], contrasts)
  list(fit = cbind(head, run_variance = of("run"), peptide_variance = of("peptide"), residual = of("Residual"), loglik = as.numeric(logLik(fit))),
       contrasts = cbind(feature = protein, ups = head$ups, lmer = head$lmer, tests))
}
fit_all <- function(response) {
  found <- mclapply(enough, fit_protein, response = response, mc.cores = 2, mc.preschedule = FALSE)
  list(fits = do.call(rbind, lapply(found, `[[`, "fit")), contrasts = do.call(rbind, lapply(found, `[[`, "contrasts")))
}
count_calls <- function(found, variant) do.call(rbind, lapply(names(contrasts), function(k) {
  r <- found$contrasts[found$contrasts$contrast == k & found$contrasts$lmer & !is.na(found$contrasts$p), ]; called <- p.adjust(r$p, "BH") < 0.05
  data.frame(variant = variant, contrast = k, tested_ups = sum(r$ups), tested_yeast = sum(!r$ups), called_ups = sum(called & r$ups),
             called_yeast = sum(called & !r$ups), median_ups = median(r$estimate[r$ups]), median_yeast = median(r$estimate[!r$ups]))
}))
# Kenward and Roger's tests by pbkrtest: the adjusted covariance once a fit, then each contrast's df.
kenward_roger <- function(protein) {
  rows <- rows_of[[protein]]; data <- droplevels(long[rows, ]); data$y <- data$centred
  fit <- suppressWarnings(suppressMessages(tryCatch(lmer(y ~ condition + lab + (1 | run) + (1 | peptide), data, control = tight()), error = function(e) NULL)))
  if (is.null(fit)) return(NULL)
  adjusted <- pbkrtest::vcovAdj(fit); plain <- vcov(fit)
  do.call(rbind, lapply(names(contrasts), function(k) {
    l <- translate(getME(fit, "X"), full_all[rows, , drop = FALSE], contrasts[[k]]); if (is.null(l)) return(NULL)
    estimate <- sum(l * fixef(fit)); se <- sqrt(drop(l %*% adjusted %*% l)); df <- pbkrtest::Lb_ddf(l, plain, adjusted)
    data.frame(feature = protein, contrast = k, se = se, df = df, p = 2 * pt(-abs(estimate / se), df))
  }))
}
if ("kr" %in% commandArgs(TRUE)) {
  few <- enough[lengths(rows_of) <= 200]; few <- few[grepl("ups", few, fixed = TRUE) | seq_along(few) %% 5 == 0]
  seconds <- system.time(found <- mclapply(few, kenward_roger, mc.cores = 2, mc.preschedule = FALSE))[["elapsed"]]
  write_csv17(do.call(rbind, found), "cptac_abc/kenward_roger.csv.gz", 10); print(seconds)
  quit()
}
seconds <- system.time(centred <- fit_all("centred"))[["elapsed"]]
write_csv17(centred$fits, "cptac_abc/fits.csv.gz", 12); write_csv17(centred$contrasts, "cptac_abc/contrasts.csv.gz", 12)
print(count_calls(centred, "centred")); print(seconds)
raw <- fit_all("raw")
calls <- rbind(count_calls(centred, "centred"), count_calls(raw, "raw"))
write_csv17(raw$contrasts[c("feature", "contrast", "estimate", "se", "df", "p")], "cptac_abc/uncentred.csv.gz", 8)
write_csv17(calls, "cptac_abc/calls.csv", 12); writeLines(json17(versions()), "cptac_abc/versions.json")
print(calls); print(table(centred$fits$status, centred$fits$lmer)); print(table(centred$fits$message))
