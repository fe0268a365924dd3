# CPTAC study 6 peptides (../../../shared/data/proteomics/cptac_study6_peptides200*): `~ condition + (1 | lab)` by lmerTest.
# Recipe: README.md. Writes cptac/{contrasts,fits}.csv.gz, calls.csv, one_group.csv, observed.csv and versions.json.
# Run from tests/reference:  Rscript cptac.R
suppressMessages({library(lme4); library(lmerTest)})
source("lib.R")
options(contrasts = c("contr.treatment", "contr.poly"))
folder <- "../../../shared/data/proteomics/cptac_study6_peptides200"
table <- read.delim(gzfile(paste0(folder, ".txt.gz")), check.names = FALSE, quote = "")
runs <- read.delim(paste0(folder, "_annotation.tsv"), stringsAsFactors = TRUE)
table <- table[!(table$Reverse %in% "+") & !(table[["Potential contaminant"]] %in% "+"), ]
values <- as.matrix(table[paste("Intensity", runs$run)]); dimnames(values) <- list(table$Sequence, runs$run)
values[values == 0] <- NA
values <- log2(values)
values <- sweep(values, 2, apply(values, 2, median, na.rm = TRUE))         # every run's median becomes 0
ups <- grepl("ups", table$Proteins, fixed = TRUE)

conditions <- levels(runs$condition)
pairs <- t(combn(conditions, 2))[, 2:1]                                     # higher minus lower concentration
full_all <- model.matrix(~ condition, runs)
weights_of <- function(pair) { w <- c(1, -1); names(w) <- paste0("condition", pair); w[pair != conditions[1]] }
contrasts <- setNames(apply(pairs, 1, weights_of, simplify = FALSE), paste(pairs[, 1], "vs", pairs[, 2]))
in_pair <- function(observed) vapply(seq_len(nrow(pairs)), function(k) sum(observed & runs$condition %in% pairs[k, ]), 1L)

attempt <- function(y) {
  data <- runs; data$y <- y; messages <- character()
  note <- function(c) { messages <<- c(messages, trimws(conditionMessage(c))); tryInvokeRestart("muffleWarning"); tryInvokeRestart("muffleMessage") }
  observed <- droplevels(data[!is.na(y), ])
  formula <- if (nlevels(observed$condition) == 1) y ~ 1 + (1 | lab) else y ~ condition + (1 | lab)
  fit <- withCallingHandlers(tryCatch({
    arguments <- list(formula, observed, REML = TRUE, control = tight())
    do.call(lmerTest::lmer, c(arguments, list(start = best_start(arguments, 1)$theta)))
  }, error = function(e) { messages <<- c(messages, paste("error:", conditionMessage(e))); NULL }), warning = note, message = note)
  list(fit = fit, message = gsub("\\s+", " ", paste(unique(messages), collapse = " | ")))
}
# FALSE where the residual contrasts K'y (K spans the complement of X) have covariance sigma^2 (I + theta^2 M) with M = K'ZZ'K
# a multiple of I: the objective is flat along a curve of (theta, sigma), lmer returns where it started, and standard errors
# of contrasts between labs are arbitrary. M = 0 where the conditions span the labs; n - p = 1 always.
identifiable <- function(observed) {
  x <- qr(full_all[observed, , drop = FALSE]); z <- model.matrix(~ 0 + lab, runs)[observed, , drop = FALSE]; n <- sum(observed)
  if (n <= x$rank) return(FALSE)
  k <- qr.Q(x, complete = TRUE)[, (x$rank + 1):n, drop = FALSE]; m <- crossprod(k, z); e <- eigen(tcrossprod(m), TRUE, TRUE)$values
  diff(range(e)) > 1e-9 * max(1, e)
}
# What least squares says where lmer refuses because all values come from one lab.
one_lab_rows <- function(i) {
  observed <- !is.na(values[i, ]); data <- runs[observed, ]; data$y <- values[i, observed]
  if (nlevels(droplevels(data$lab)) != 1 || nlevels(droplevels(data$condition)) < 2) return(NULL)
  fit <- lm(y ~ condition, droplevels(data)); n <- in_pair(observed); v <- vcov(fit); x <- model.matrix(fit); full <- full_all[observed, , drop = FALSE]
  rows <- lapply(which(n >= 4), function(k) {
    l <- translate(x, full, contrasts[[k]]); if (is.null(l) || df.residual(fit) == 0) return(NULL)
    t <- sum(l * coef(fit)) / sqrt(drop(l %*% v %*% l))
    data.frame(feature = rownames(values)[i], ups = ups[i], contrast = names(contrasts)[k], p = 2 * pt(-abs(t), df.residual(fit)))
  })
  do.call(rbind, rows)
}
fit_peptide <- function(i) {
  y <- values[i, ]; observed <- !is.na(y); result <- attempt(y); fit <- result$fit
  head <- data.frame(feature = rownames(values)[i], ups = ups[i], n = sum(observed), conditions = length(unique(runs$condition[observed])),
                     labs = length(unique(runs$lab[observed])), identifiable = sum(observed) > 0 && identifiable(observed), status = if (is.null(fit)) "no fit" else if (isSingular(fit)) "singular" else "ok",
                     message = result$message)
  if (is.null(fit)) return(list(fit = cbind(head, lab = NA_real_, residual = NA_real_, loglik = NA_real_)))
  tests <- test_contrasts(fit, full_all[observed, , drop = FALSE], contrasts)
  tests$n_pair <- in_pair(observed)
  list(fit = cbind(head, lab = as.data.frame(VarCorr(fit))$vcov[1], residual = sigma(fit)^2, loglik = as.numeric(logLik(fit))),
       contrasts = cbind(feature = rownames(values)[i], ups = ups[i], tests))
}
results <- lapply(which(rowSums(!is.na(values)) > 0), fit_peptide)
fits <- do.call(rbind, lapply(results, `[[`, "fit")); tests <- do.call(rbind, lapply(results, `[[`, "contrasts"))
tests$tested <- !is.na(tests$p) & tests$n_pair >= 4
tests$q <- NA_real_
tests$q[tests$tested] <- ave(tests$p[tests$tested], tests$contrast[tests$tested], FUN = function(p) p.adjust(p, "BH"))
count_calls <- function(rows, variant) do.call(rbind, lapply(names(contrasts), function(k) {
  r <- rows[rows$contrast == k, ]; called <- p.adjust(r$p, "BH") < 0.05
  data.frame(variant = variant, contrast = k, tested_ups = sum(r$ups), tested_yeast = sum(!r$ups), called_ups = sum(called & r$ups), called_yeast = sum(called & !r$ups))
}))
columns <- c("feature", "ups", "contrast", "p"); tested <- tests[tests$tested, columns]
sure <- tested[tested$feature %in% fits$feature[fits$identifiable], ]
one_lab <- do.call(rbind, lapply(seq_len(nrow(values)), one_lab_rows))
calls <- rbind(count_calls(tested, "lmer"), count_calls(sure, "lmer, lab identifiable"), count_calls(rbind(tested, one_lab), "lmer, least squares where one lab"),
               count_calls(rbind(sure, one_lab), "lmer, lab identifiable, least squares where one lab"))
counts <- t(apply(!is.na(values), 1, function(o) tapply(o, runs$condition, sum)))
one <- rowSums(counts > 0) == 1
write_csv17(tests[!is.na(tests$estimate), ], "cptac/contrasts.csv.gz", 12); write_csv17(fits, "cptac/fits.csv.gz", 12)
write_csv17(calls, "cptac/calls.csv", 12)
write_csv17(data.frame(feature = rownames(values), ups = ups, counts, check.names = FALSE)[one, ], "cptac/one_group.csv")
observed <- aggregate(counts / 9, list(kind = ifelse(ups, "ups", "yeast")), mean); write_csv17(observed, "cptac/observed.csv", 12)
writeLines(json17(versions()), "cptac/versions.json")
print(dim(values)); print(sum(ups)); print(sum(rowSums(counts) == 0)); print(calls); print(observed); print(table(fits$status)); print(table(fits$identifiable, fits$status)); print(table(one, ups))
