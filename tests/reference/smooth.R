# Penalised splines by mgcv (REML): fitted values, edf, sigma, smoothing variances, terms on new data with standard errors.
# Usage: Rscript smooth.R
source("lib.R")
suppressMessages(library(mgcv))
cases <- jsonlite::read_json("smooth_cases.json")$cases
tight_gam <- gam.control(epsilon = 1e-12, maxit = 1000, newton = list(conv.tol = 1e-11, maxNstep = 5, maxSstep = 2, maxHalf = 60, use.svd = FALSE))

# mgcv's Newton can stop at a saddle (columb_two: "step failure"): other starts as well, the lowest score kept.
best_gam <- function(formula, data) {
  fit <- gam(formula, data = data, method = "REML", control = tight_gam)
  for (start in c(1e-4, 1, 1e4)) {
    for (turn in unique(list(seq_along(fit$sp), rev(seq_along(fit$sp))))) {
      sp <- rep_len(c(start, 1 / start), length(fit$sp))[turn]
      other <- suppressWarnings(gam(formula, data = data, method = "REML", control = tight_gam,
                                    in.out = list(sp = sp, scale = fit$sig2)))
      if (other$gcv.ubre < fit$gcv.ubre - 1e-9) fit <- other
    }
  }
  fit
}

run <- function(case) {
  data <- read.csv(file.path("data", paste0(case$data, ".csv")), check.names = FALSE)
  if (!is.null(case$drop)) data <- data[seq_len(nrow(data)) %% case$drop != 0, ]
  for (f in unlist(case$factors)) data[[f]] <- factor(data[[f]])
  formula <- as.formula(case$r)
  data <- data[complete.cases(data[, all.vars(formula)]), ]
  b <- best_gam(formula, data)
  vc <- gam.vcomp(b, rescale = TRUE)
  if (is.list(vc)) vc <- vc$all %||% vc$vc
  sds <- if (is.matrix(vc)) setNames(vc[, "std.dev"], rownames(vc)) else vc
  smooths <- Filter(function(s) !inherits(s, "random.effect"), b$smooth)
  edf <- vapply(smooths, function(s) sum(b$edf[s$first.para:s$last.para]), 0)
  labels <- vapply(smooths, function(s) s$label, "")
  rows <- round(seq(1, nrow(data), length.out = 9))
  terms <- predict(b, data[rows, ], type = "terms", se.fit = TRUE)
  score <- function(factor) {
    sp <- b$full.sp %||% b$sp
    sp <- b$sp; sp[1] <- sp[1] * factor
    as.numeric(gam(formula, data = data, method = "REML", sp = sp)$gcv.ubre)
  }
  list(id = case$id, n = nrow(data), sigma2 = b$sig2, fitted = I(as.vector(fitted(b))),
       smooths = lapply(seq_along(smooths), function(i) list(label = labels[i], edf = edf[i],
         p_overall = summary(b)$s.table[labels[i], "p-value"],
         fit = I(as.vector(terms$fit[, labels[i]])), se = I(as.vector(terms$se.fit[, labels[i]])))),
       rows = I(rows), std_dev = as.list(sds), sp = I(as.vector(b$sp)),
       reml = as.numeric(b$gcv.ubre), reml_first_sp_times_10 = score(10), reml_first_sp_tenth = score(0.1))
}
`%||%` <- function(a, b) if (is.null(a)) b else a
out <- list(versions = c(list(R = R.version.string), mgcv = as.character(packageVersion("mgcv"))), cases = lapply(cases, run))
writeLines(json17(out), "smooth.json")
