# HMP2 (../../../shared/data/microbiome/hmp2_maaslin2_*): 87 species by lmerTest, as MaAsLin2 fits them.
# Recipe: README.md. Writes hmp2_results.csv.gz and hmp2_fits.csv.gz (our own numbers only, never the raw data).
# Run from tests/reference:  Rscript hmp2.R
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"))
folder <- "../../../shared/data/microbiome/hmp2_maaslin2_"
sheet <- read.delim(paste0(folder, "metadata.tsv"), row.names = 1)
abundance <- read.delim(paste0(folder, "taxonomy.tsv"), row.names = 1, check.names = FALSE)
sheet <- sheet[rownames(abundance), ]                             # the tables list the samples in different orders
for (name in c("dysbiosisnonIBD", "dysbiosisUC", "dysbiosisCD", "antibiotics")) sheet[[name]] <- factor(sheet[[name]], c("No", "Yes"))
sheet$diagnosis <- factor(sheet$diagnosis, c("nonIBD", "CD", "UC"))
values <- asin(sqrt(as.matrix(abundance) / rowSums(abundance)))   # total-sum scaling over the 87 species, every sample

rename <- function(names) sub("^diagnosis(CD|UC)$", "diagnosis[\\1]", sub("^(dysbiosis.*|antibiotics)Yes$", "\\1[Yes]", names))
fit_species <- function(name) {
  data <- sheet; data$y <- values[, name]
  arguments <- list(y ~ diagnosis + dysbiosisnonIBD + dysbiosisUC + dysbiosisCD + antibiotics + age + (1 | site) + (1 | subject),
                    data, REML = TRUE, control = tight())
  start <- best_start(arguments, 2)
  fit <- suppressMessages(do.call(lmerTest::lmer, c(arguments, list(start = start$theta)))); s <- coef(summary(fit)); v <- as.data.frame(VarCorr(fit))
  list(rows = data.frame(feature = name, name = rename(rownames(s)), estimate = s[, 1], se = s[, 2], df = s[, 3], t = s[, 4], p = s[, 5]),
       fit = data.frame(feature = name, n = nobs(fit), status = if (isSingular(fit)) "singular" else "ok", site = v$vcov[v$grp == "site"], subject = v$vcov[v$grp == "subject"],
                        residual = sigma(fit)^2, loglik = as.numeric(logLik(fit)), start_gain = 2 * as.numeric(logLik(fit)) + start$default_start_objective))
}
results <- lapply(colnames(values), fit_species)
rows <- do.call(rbind, lapply(results, `[[`, "rows")); fits <- do.call(rbind, lapply(results, `[[`, "fit"))
rows$q <- ave(rows$p, rows$name, FUN = function(p) p.adjust(p, "BH"))
write_csv17(rows, "hmp2_results.csv.gz"); write_csv17(fits, "hmp2_fits.csv.gz")
writeLines(json17(versions()), "versions.json")
print(table(fits$n, fits$status)); print(summary(fits$start_gain))
print(rows[rows$name == "dysbiosisCD[Yes]" & rows$feature %in% c("Faecalibacterium prausnitzii", "Bacteroides uniformis", "Escherichia coli"), ], digits = 8)
print(tapply(rows$q < 0.05, rows$name, sum))
