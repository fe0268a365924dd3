# lmerTest and pbkrtest on the features of values.f64: Rscript peer.R samples.csv values.f64 formula processes out.csv
# One row for each feature, contrast and method: estimate, standard error, df, p; theta and whether the fit is singular.
# lmer's default settings are too loose to compare p-values feature by feature, so bobyqa runs to rhoend = 1e-9.
suppressMessages({library(Matrix); library(lme4); library(lmerTest); library(pbkrtest); library(parallel)})
arguments <- commandArgs(trailingOnly = TRUE)
if (length(arguments) != 5) stop("usage: Rscript peer.R samples.csv values.f64 formula processes out.csv")
samples <- read.csv(arguments[1]); formula <- as.formula(paste("y", arguments[3]))
count <- file.size(arguments[2]) / 8
values <- matrix(readBin(arguments[2], "double", count, endian = "little"), ncol = nrow(samples), byrow = TRUE)
control <- lmerControl(optimizer = "bobyqa", calc.derivs = FALSE, optCtrl = list(rhoend = 1e-9, maxfun = 1e5))
one <- function(i) {
  samples$y <- values[i, ]
  fit <- suppressWarnings(suppressMessages(lmerTest::lmer(formula, samples, control = control)))
  adjusted <- pbkrtest::vcovAdj(fit); plain <- vcov(fit)
  rows <- lapply(c("between", "within"), function(name) {
    L <- as.numeric(names(fixef(fit)) == name)
    s <- contest1D(fit, L)
    b <- sum(L * fixef(fit)); se <- sqrt(drop(L %*% as.matrix(adjusted) %*% L)); df <- pbkrtest::Lb_ddf(L, plain, adjusted)
    data.frame(feature = i - 1, contrast = name, method = c("satterthwaite", "kenward-roger"), estimate = b,
               std_error = c(s[["Std. Error"]], se), df = c(s[["df"]], df),
               p_value = c(s[["Pr(>|t|)"]], 2 * pt(-abs(b / se), df)),
               theta = getME(fit, "theta")[[1]])
  })
  do.call(rbind, rows)
}
found <- mclapply(seq_len(nrow(values)), function(i) tryCatch(one(i), error = function(e) stop(i, ": ", conditionMessage(e))),
                  mc.cores = as.integer(arguments[4]))
failed <- vapply(found, inherits, TRUE, "try-error")
if (any(failed)) stop(sum(failed), " features failed, the first: ", found[failed][[1]])
found <- do.call(rbind, found)
numbers <- vapply(found, is.double, TRUE)
found[numbers] <- lapply(found[numbers], function(v) sprintf("%.12g", v))
write.csv(found, arguments[5], row.names = FALSE, quote = FALSE)
