# The embedded study: cerebrospinal-fluid proteomes of Alzheimer's disease, protein by protein, by lmerTest and lm.
# Writes embedded/{mixed,fixed,ignored,without_kiel}.csv.gz, embedded/variance.csv and embedded/summary.json.
# Run from tests/reference:  Rscript embedded.R
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"))
table <- read.csv("../../../shared/data/proteomics/alzheimer_csf_proteins.csv", check.names = FALSE)
proteins <- names(table)[-(1:5)]
table$AD <- factor(table$AD, c(0, 1), c("control", "AD"))
table$male <- factor(table$male, c(0, 1), c("0", "1"))
table$collection_site <- factor(table$collection_site)          # reference level Berlin

rename <- function(names) sub("^male1$", "male[1]", sub("^ADAD$", "AD[AD]", sub("^collection_site(.+)$", "collection_site[\\1]", names)))

fit_mixed <- function(protein, data) {
  data$y <- data[[protein]]
  arguments <- list(y ~ AD + age + male + (1 | collection_site), data, REML = TRUE, control = tight())
  suppressMessages(do.call(lmerTest::lmer, c(arguments, list(start = best_start(arguments, 2)$theta))))
}
rows_mixed <- function(protein, fit) {
  s <- coef(summary(fit))
  data.frame(feature = protein, name = rename(rownames(s)), estimate = s[, 1], se = s[, 2], df = s[, 3], t = s[, 4], p = s[, 5])
}
rows_fixed <- function(protein, formula, data) {
  data$y <- data[[protein]]; fit <- lm(formula, data); s <- coef(summary(fit))
  data.frame(feature = protein, name = rename(rownames(s)), estimate = s[, 1], se = s[, 2], df = df.residual(fit), t = s[, 3], p = s[, 4])
}
with_q <- function(rows) { rows$q <- ave(rows$p, rows$name, FUN = function(p) p.adjust(p, "BH")); rows }
# Variance of the fixed part over the feature's own rows (as variancePartition takes it), for shares of the total variance.
variance_row <- function(protein, fit) {
  v <- as.data.frame(VarCorr(fit)); site <- v$vcov[1]; residual <- v$vcov[2]; fixed <- var(as.vector(getME(fit, "X") %*% fixef(fit)))
  data.frame(feature = protein, n = nobs(fit), sites = nlevels(model.frame(fit)$collection_site |> droplevels()), singular = isSingular(fit),
             site = site, residual = residual, fixed = fixed, share = site / (site + residual), share_of_total = site / (site + residual + fixed),
             theta = getME(fit, "theta"), loglik = as.numeric(logLik(fit)))
}
bind <- function(f, ...) do.call(rbind, lapply(proteins, f, ...))
no_kiel <- droplevels(table[table$collection_site != "Kiel", ])
mixed <- lapply(proteins, fit_mixed, data = table); mixed_no_kiel <- lapply(proteins, fit_mixed, data = no_kiel)
results <- list(mixed = do.call(rbind, Map(rows_mixed, proteins, mixed)), without_kiel = do.call(rbind, Map(rows_mixed, proteins, mixed_no_kiel)),
                fixed = bind(rows_fixed, y ~ AD + age + male + collection_site, table), ignored = bind(rows_fixed, y ~ AD + age + male, table))
results <- lapply(results, with_q)
variance <- do.call(rbind, Map(variance_row, proteins, mixed)); variance_no_kiel <- do.call(rbind, Map(variance_row, proteins, mixed_no_kiel))
hits <- lapply(results, function(r) r$feature[r$name == "AD[AD]" & r$q < 0.05])
ad <- results$mixed[results$mixed$name == "AD[AD]", ]
for (name in names(results)) write_csv17(results[[name]], file.path("embedded", paste0(name, ".csv.gz")))
write_csv17(variance, "embedded/variance.csv"); write_csv17(variance_no_kiel, "embedded/variance_without_kiel.csv")
writeLines(json17(list(versions = versions(), hits = lapply(hits, I), shared_mixed_fixed = length(intersect(hits$mixed, hits$fixed)),
  shared_mixed_without_kiel = length(intersect(hits$mixed, hits$without_kiel)), singular = I(variance$feature[variance$singular]),
  singular_without_kiel = I(variance_no_kiel$feature[variance_no_kiel$singular]),
  median_share = median(variance$share), median_share_of_total = median(variance$share_of_total),
  J3KNA1 = variance[variance$feature == "J3KNA1", c("share", "share_of_total")], missing_fraction = mean(is.na(table[proteins])))), "embedded/summary.json")
print(vapply(hits, length, 1L)); print(head(ad[order(ad$p), ], 12)); print(table(variance$sites))
print(variance[which.max(variance$share), ]); cat(readLines("embedded/summary.json"), sep = "\n")
