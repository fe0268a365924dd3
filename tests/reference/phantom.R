# CT phantom (../../../shared/data/radiomics/ccr1_ct_phantom_pyradiomics.csv.gz): variance components of each feature,
# `~ 1 + (1 | Patient) + (1 | cartridge) + (1 | cartridge:position)`. Recipe: README.md. Writes phantom.csv.
# Run from tests/reference:  Rscript phantom.R
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
table <- read.csv(gzfile("../../../shared/data/radiomics/ccr1_ct_phantom_pyradiomics.csv.gz"), colClasses = c(ROI = "character", Patient = "character"), check.names = FALSE)
parts <- regmatches(table$ROI, regexec("^(.+)_([0-9]{2})$", table$ROI))
table$cartridge <- factor(vapply(parts, `[`, "", 2)); table$position <- factor(vapply(parts, `[`, "", 3)); table$Patient <- factor(table$Patient)
features <- setdiff(names(table), c("Patient", "ROI", "Scanner", "Batch", "cartridge", "position"))
fit_feature <- function(name) {
  data <- table; data$y <- table[[name]]
  base <- data.frame(feature = name, n = sum(!is.na(data$y)))
  if (sd(data$y, na.rm = TRUE) == 0) return(cbind(base, status = "constant", data.frame(patient = NA, cartridge = NA, position = NA, residual = NA, cartridge_share = NA, intercept = NA, se = NA, df = NA, objective = NA, scale = NA)))
  scale <- sd(data$y); data$y <- data$y / scale                   # some features are 1e11: fitted in units of their sd, written back
  arguments <- list(y ~ 1 + (1 | Patient) + (1 | cartridge) + (1 | cartridge:position), data, REML = TRUE, control = tight())
  start <- best_start(arguments, 2)
  fit <- suppressWarnings(suppressMessages(do.call(lmerTest::lmer, c(arguments, list(start = start$theta))))); s <- coef(summary(fit))
  v <- setNames(as.data.frame(VarCorr(fit))$vcov, as.data.frame(VarCorr(fit))$grp) * scale^2
  cbind(base, status = if (isSingular(fit)) "singular" else "ok",
        data.frame(patient = v[["Patient"]], cartridge = v[["cartridge"]], position = v[["cartridge:position"]], residual = v[["Residual"]],
                   cartridge_share = v[["cartridge"]] / sum(v), intercept = s[1, 1] * scale, se = s[1, 2] * scale, df = s[1, 3],
                   objective = -2 * as.numeric(logLik(fit)) + 2 * (nobs(fit) - 1) * log(scale), scale = scale))
}
results <- do.call(rbind, lapply(features, fit_feature))
write_csv17(results, "phantom.csv", 14)
writeLines(json17(versions()), "versions.json")
print(length(features)); print(table(results$status)); print(results[grep("firstorder_Mean$", results$feature), ]); print(summary(results$cartridge_share)); print(nlevels(table$cartridge:table$position)); print(levels(table$cartridge))
