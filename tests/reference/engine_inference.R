# What engine.R writes beside estimates: one function for each inference a case asks for.
coefficient_table <- function(names, beta, vcov, ...) data.frame(name = names, estimate = unname(beta), se = unname(sqrt(diag(vcov))), ...)

labels_of <- function(fit) c("(Intercept)", attr(terms(fit), "term.labels"))

# t tests of all coefficients and the joint F test of each term, by lmerTest.
by_method <- function(fit, names, ddf) {
  p <- length(names); assign <- attr(lme4::getME(fit, "X"), "assign")
  rows <- lapply(seq_len(p), function(k) {
    test <- lmerTest::contest1D(fit, diag(p)[k, ], ddf = ddf)
    data.frame(name = names[k], se = test[["Std. Error"]], df = test[["df"]], t = test[["t value"]], p = test[["Pr(>|t|)"]])
  })
  joint <- lapply(unique(assign), function(k) {
    test <- lmerTest::contestMD(fit, diag(p)[assign == k, , drop = FALSE], ddf = ddf)
    list(term = labels_of(fit)[k + 1], coefficients = I(names[assign == k]), f = test[["F value"]], num_df = test[["NumDF"]],
         den_df = test[["DenDF"]], p = test[["Pr(>F)"]])
  })
  list(t = do.call(rbind, rows), f = joint)
}

type_tables <- function(fit, types, ddf) {
  one <- function(type) {
    table <- anova(fit, type = type, ddf = ddf)
    data.frame(term = rownames(table), f = table[["F value"]], num_df = table[["NumDF"]], den_df = table[["DenDF"]], p = table[["Pr(>F)"]])
  }
  setNames(lapply(types, one), types)
}

# -2 log-likelihood by ML of both models; with `mixture` p is the mean of the two chi-squares' p (Stram and Lee 1994).
likelihood_ratio <- function(full, reduced, mixture = NULL) {
  chisq <- max(0, 2 * (full$loglik - reduced$loglik)); df <- full$n_par - reduced$n_par
  p <- pchisq(chisq, df, lower.tail = FALSE)
  if (!is.null(mixture)) {
    tail <- function(k) if (k == 0) as.numeric(chisq <= 0) else pchisq(chisq, k, lower.tail = FALSE)
    p <- mean(vapply(mixture, tail, 1))
  }
  criteria <- function(m) list(loglik = m$loglik, n_par = m$n_par, aic = -2 * m$loglik + 2 * m$n_par, bic = -2 * m$loglik + log(m$n) * m$n_par)
  list(chisq = chisq, df = df, p = p, full_model = criteria(full), null_model = criteria(reduced))
}

summary_ml <- function(fit) list(loglik = as.numeric(logLik(fit)), n_par = attr(logLik(fit), "df"), n = length(fitted(fit)))

lrt_lmer <- function(case, frame, entry) {
  c(list(reduced = entry$reduced, mixture = if (!is.null(entry$mixture)) I(unlist(entry$mixture))),
    likelihood_ratio(summary_ml(fit_lmer(case$formula, frame, FALSE, case$options$weights)),
                     summary_ml(fit_lmer(entry$reduced, frame, FALSE, case$options$weights)), unlist(entry$mixture)))
}

# Limits of the profile likelihood (ML), by root finding on lme4's deviance in standard deviations and correlations
# (devfun2) and, for coefficients, on fits with the coefficient given: confint.merMod interpolates by splines, which is
# off by up to a few per cent near a boundary and NA at it. Its answer stands beside (low_by_lme4, high_by_lme4).
profile_lmer <- function(fit, names, case, frame) {
  profiled <- try(suppressWarnings(profile(fit, signames = FALSE, devtol = 1e-7, optimizer = "bobyqa")), silent = TRUE)
  by_lme4 <- if (inherits(profiled, "try-error")) NULL else try(confint(profiled, level = 0.95), silent = TRUE)
  deviance <- lme4:::devfun2(fit, useSc = TRUE, signames = FALSE, transfuns = list(from.chol = lme4::Cv_to_Sv, to.chol = lme4::Sv_to_Cv, to.sd = identity))
  best <- attr(deviance, "optimum"); best <- best[seq_len(length(best) - length(names))]; is_cor <- grepl("^cor_", names(best)); lowest <- -2 * as.numeric(logLik(fit))
  lower <- ifelse(is_cor, -1, 0); upper <- ifelse(is_cor, 1, Inf)
  rows <- lapply(seq_along(best), function(k) limits(function(v) minimise(deviance, best, k, v, lower, upper) - lowest, best[k], lower[k], upper[k]))
  se <- sqrt(diag(as.matrix(vcov(fit))))
  rows <- c(rows, lapply(seq_along(names), function(k) limits(function(v) with_coefficient(case, frame, fit, k, v) - lowest, fixef(fit)[k], -Inf, Inf, se[k])))
  out <- data.frame(parameter = c(names(best), names), do.call(rbind, rows))
  if (is.matrix(by_lme4) && nrow(by_lme4) == nrow(out)) { out$low_by_lme4 <- by_lme4[, 1]; out$high_by_lme4 <- by_lme4[, 2] }
  rownames(out) <- NULL
  out
}

# The deviance with parameter k at v, least over the others (several starts: the surface has edges at zero).
minimise <- function(deviance, best, k, v, lower, upper) {
  with_k <- function(others) { par <- best; par[-k] <- others; par[k] <- v; deviance(unname(par)) }
  if (length(best) == 1) return(with_k(numeric()))
  free <- setdiff(seq_along(best), k); low <- lower[free]; high <- upper[free]
  starts <- list(best[free], pmax(best[free], 0.3 * best[length(best)] * (low == 0)), ifelse(low < 0, 0.9 * sign(best[free]), best[free]))
  tries <- vapply(starts, function(s) {
    s <- pmin(pmax(s, low + 1e-3 * (low < 0)), high - 1e-3 * (high == 1))
    size <- pmax(abs(s), 1)
    result <- try(minqa::bobyqa(s / size, function(u) { d <- try(with_k(u * size), silent = TRUE); if (inherits(d, "try-error") || !is.finite(d)) 1e10 else d },
                                lower = low / size, upper = high / size, control = list(rhobeg = 0.05, rhoend = 1e-9, maxfun = 20000)), silent = TRUE)
    if (inherits(result, "try-error")) Inf else result$fval
  }, 1)
  min(tries)
}

with_coefficient <- function(case, frame, fit, k, v) {
  x <- lme4::getME(fit, "X"); frame$.y <- lme4::getME(fit, "y") - v * x[, k]
  frame$.weights <- if (is.null(case$options$weights)) 1 else frame[[case$options$weights]]
  bars <- paste(vapply(lme4::findbars(lme4::expandDoubleVerts(as.formula(case$formula))), function(b) paste0("(", deparse(b), ")"), ""), collapse = " + ")
  rest <- x[, -k, drop = FALSE]
  fixed <- if (ncol(rest)) { frame$.rest <- rest; "0 + .rest" } else "0"
  if (ncol(rest) == 0) return(without_fixed(fit, v * x[, k]))
  -2 * as.numeric(logLik(suppressMessages(suppressWarnings(lme4::lmer(as.formula(paste(".y ~", fixed, "+", bars)), frame, REML = FALSE, weights = .weights,
    control = tight(calc.derivs = FALSE), start = pmax(lme4::getME(fit, "theta"), 0.1 * (lme4::getME(fit, "lower") == 0)))))))
}

# lmer wants one coefficient at least: the deviance without any, least over theta, sigma profiled.
without_fixed <- function(fit, offset) {
  y <- lme4::getME(fit, "y") - offset; zt <- lme4::getME(fit, "Zt"); template <- lme4::getME(fit, "Lambdat"); index <- lme4::getME(fit, "Lind")
  w <- sqrt(weights(fit)); n <- length(y)
  deviance <- function(theta) {
    template@x <- theta[index]; z <- as.matrix(Matrix::t(template %*% zt)) * w; yw <- y * w
    r <- chol(diag(ncol(z)) + crossprod(z)); rss <- sum(yw^2) - sum(backsolve(r, crossprod(z, yw), transpose = TRUE)^2)
    2 * sum(log(diag(r))) - sum(log(w^2)) + n * (1 + log(2 * pi * rss / n))
  }
  starts <- list(lme4::getME(fit, "theta"), pmax(lme4::getME(fit, "theta"), 1))
  min(vapply(starts, function(s) minqa::bobyqa(s, deviance, lower = lme4::getME(fit, "lower"), control = list(rhobeg = 0.1, rhoend = 1e-9, maxfun = 20000))$fval, 1))
}

# Where the deviance has risen by the chi-square's 95 % point; the bound where it never does.
limits <- function(rise, at, lower, upper, step = NULL) {
  level <- qchisq(0.95, 1); f <- function(v) rise(v) - level
  step <- if (is.null(step)) max(abs(at) / 2, if (is.finite(upper)) 0.2 else 0.1) else step
  side <- function(sign, bound) {
    near <- at; far <- at
    repeat {
      near <- far; far <- far + sign * step; step <- step * 1.5
      if (sign * (far - bound) >= 0) { if (f(bound - sign * (abs(bound) == 1) * 1e-7) < 0) return(bound); far <- bound - sign * (abs(bound) == 1) * 1e-7; break }
      if (f(far) > 0) break
    }
    uniroot(f, sort(c(near, far)), tol = 1e-8 * max(1, abs(at)))$root
  }
  c(low = unname(side(-1, lower)), high = unname(side(1, upper)))
}

wald_limits <- function(table) {
  half <- qt(0.975, table$df) * table$se
  data.frame(name = table$name, low = table$estimate - half, high = table$estimate + half)
}

# Conditional modes and standard deviations of the first 10 levels of each term.
modes_lmer <- function(fit, frame) {
  found <- as.data.frame(lme4::ranef(fit, condVar = TRUE))
  out <- data.frame(group = sub("[.][0-9]+$", "", as.character(found$grpvar)), term = mixflow_names(as.character(found$term), frame),
                    level = as.character(found$grp), mode = found$condval, sd = found$condsd)
  first_levels(out)
}

first_levels <- function(out) out[ave(seq_len(nrow(out)), out$group, out$term, FUN = seq_along) <= 10, ]

# Nakagawa's R2: variance of the fixed part, mean variance of the random part over the rows (Johnson 2014), residual.
r2_lmer <- function(fit) {
  fixed <- var(drop(lme4::getME(fit, "X") %*% lme4::fixef(fit)))
  z <- lme4::getME(fit, "Z") %*% lme4::getME(fit, "Lambda")
  random <- mean(Matrix::rowSums(z^2)) * sigma(fit)^2
  list(fixed = fixed, random = random, residual = sigma(fit)^2, marginal = fixed / (fixed + random + sigma(fit)^2),
       conditional = (fixed + random) / (fixed + random + sigma(fit)^2))
}

predictions <- function(fit, rows, frame) {
  new <- do.call(rbind, lapply(rows, function(r) as.data.frame(r, stringsAsFactors = FALSE)))
  for (name in names(new)) if (is.factor(frame[[name]])) new[[name]] <- factor(new[[name]], unique(c(levels(frame[[name]]), new[[name]])))
  list(conditional = I(unname(predict(fit, new, allow.new.levels = TRUE))), fixed = I(unname(predict(fit, new, re.form = NA))))
}

# emmeans: means, their contrasts without adjustment, and the weights on the coefficients of each row.
with_weights <- function(grid, names) {
  table <- as.data.frame(summary(grid, adjust = "none", infer = c(TRUE, TRUE), level = 0.95))
  key <- setdiff(names(table), c("emmean", "estimate", "SE", "df", "lower.CL", "upper.CL", "t.ratio", "p.value"))
  label <- do.call(paste, c(lapply(table[key], as.character), list(sep = " | ")))
  estimate <- if ("emmean" %in% names(table)) table$emmean else table$estimate
  list(table = data.frame(label = label, estimate = estimate, se = table$SE, df = table$df, low = table$lower.CL,
                          high = table$upper.CL, t = table$t.ratio, p = table$p.value),
       coefficients = I(names), weights = unname(grid@linfct))
}

means_lmer <- function(fit, entry, names) {
  at <- lapply(entry$at, unlist)
  grid <- function(specs) emmeans::emmeans(fit, specs, at = if (length(at)) at, lmer.df = entry$df, pbkrtest.limit = 1e5, lmerTest.limit = 1e5)
  means <- suppressMessages(grid(entry$factor))
  out <- list(factor = entry$factor, at = entry$at, df = entry$df, means = with_weights(means, names))
  for (method in unlist(entry$contrasts)) out[[method]] <- with_weights(emmeans::contrast(means, method), names)
  if (!is.null(entry$interaction)) {
    both <- suppressMessages(grid(c(entry$factor, entry$interaction)))
    out$interaction <- with_weights(emmeans::contrast(both, interaction = "pairwise"), names)
  }
  out
}

# Satterthwaite's df for nlme's models (Fai and Cornelius 1996), derivatives by numDeriv on the likelihood written out.
satterthwaite_dense <- function(polished, names) {
  cov_par <- 2 * solve(polished$hessian)
  p <- length(names)
  gradient <- numDeriv::jacobian(function(par) diag(polished$evaluate(par)$vcov), polished$par)
  variance <- diag(polished$at$vcov)
  data.frame(name = names, df = 2 * variance^2 / rowSums((gradient %*% cov_par) * gradient))
}

# limma's moderation.
moderation <- function(case) {
  folder <- "../../config/studies/alzheimer-csf"
  values <- read.csv(file.path(folder, "proteins.csv"), row.names = 1, check.names = FALSE)
  samples <- read.delim(file.path(folder, "samples.tsv"), row.names = 1, colClasses = c(AD = "character", male = "character"))
  samples <- samples[rownames(values), ]
  for (name in names(case$factors)) samples[[name]] <- factor(samples[[name]], unlist(case$factors[[name]]))
  y <- t(as.matrix(values))
  if (grepl("complete", case$id)) y <- y[rowSums(is.na(y)) == 0, ]
  fit <- limma::lmFit(y, model.matrix(as.formula(case$formula), samples))
  bayes <- limma::eBayes(fit, trend = isTRUE(case$options$trend), robust = isTRUE(case$options$robust))
  names <- mixflow_names(colnames(fit$coefficients), samples)
  list(n_features = nrow(y), coefficients = I(names), feature = I(rownames(y)), sigma = I(unname(fit$sigma)), df_residual = I(unname(fit$df.residual)),
       mean = I(unname(fit$Amean)), df_prior = I(unname(bayes$df.prior)), variance_prior = I(unname(bayes$s2.prior)),
       variance_posterior = I(unname(bayes$s2.post)), df_total = I(unname(bayes$df.total)), t = unname(bayes$t), p = unname(bayes$p.value))
}

# Kenward and Roger (1997) for nlme's residual structures, by the marginal covariances of blocks. Parameters are those in
# which SAS has them: covariances (CS, unstructured by visit), variances (by group), or (sigma^2, rho), where the second
# derivatives of V count.
kenward_roger_dense <- function(polished, names, kind) {
  natural <- natural_parameters(polished, kind); r <- length(natural$gamma); n_blocks <- length(polished$at$blocks); p <- length(names)
  sizes <- vapply(polished$at$blocks, function(b) length(b$rows), 1L); ends <- cumsum(sizes^2)
  split_v <- function(v) lapply(seq_len(n_blocks), function(k) matrix(v[(ends[k] - sizes[k]^2 + 1):ends[k]], sizes[k]))
  first <- lapply(seq_len(r), function(i) split_v(natural$first[, i]))
  x <- lapply(polished$at$blocks, function(b) polished$x[b$rows, , drop = FALSE]); inverse <- lapply(polished$at$blocks, function(b) solve(b$v))
  over <- function(f) Reduce(`+`, lapply(seq_len(n_blocks), f))
  phi <- solve(over(function(k) t(x[[k]]) %*% inverse[[k]] %*% x[[k]]))
  P <- lapply(first, function(g) -over(function(k) t(x[[k]]) %*% inverse[[k]] %*% g[[k]] %*% inverse[[k]] %*% x[[k]]))
  Q <- function(i, j) over(function(k) t(x[[k]]) %*% inverse[[k]] %*% first[[i]][[k]] %*% inverse[[k]] %*% first[[j]][[k]] %*% inverse[[k]] %*% x[[k]])
  information <- matrix(0, r, r); inner <- matrix(0, p, p); q <- list()
  for (i in seq_len(r)) for (j in seq_len(r)) {
    q[[paste(i, j)]] <- Q(i, j)
    traces <- over(function(k) sum((inverse[[k]] %*% first[[i]][[k]]) * t(inverse[[k]] %*% first[[j]][[k]])))
    information[i, j] <- (traces - 2 * sum(phi * t(q[[paste(i, j)]])) + sum((phi %*% P[[i]]) * t(phi %*% P[[j]]))) / 2
  }
  W <- solve(information)
  for (i in seq_len(r)) for (j in seq_len(r)) {
    curve <- if (is.null(natural$second)) 0 else { g <- split_v(natural$second[[i]][, j]); over(function(k) t(x[[k]]) %*% inverse[[k]] %*% g[[k]] %*% inverse[[k]] %*% x[[k]]) }
    inner <- inner + W[i, j] * (q[[paste(i, j)]] - P[[i]] %*% phi %*% P[[j]] - curve / 4)
  }
  adjusted <- phi + 2 * phi %*% inner %*% phi
  df <- vapply(seq_len(p), function(k) {
    moved <- vapply(P, function(m) (phi %*% m %*% phi)[k, k] / phi[k, k], 1)
    A <- sum(W * outer(moved, moved)); B <- 7 * A / 2; g <- (2 * A - 5 * A) / (3 * A)
    d <- 3 + 2 * (1 - g); E <- 1 / (1 - A); V <- 2 * (1 + g / d * B) / ((1 - (1 - g) / d * B)^2 * (1 - (3 - g) / d * B))
    rho <- V / (2 * E^2); 4 + 3 / (rho - 1)
  }, 1)
  list(vcov = unname(adjusted), t = data.frame(name = names, se = sqrt(diag(adjusted)), df = df))
}

natural_parameters <- function(polished, kind) {
  stack <- function(blocks) unlist(lapply(blocks, function(b) as.vector(b$v)))
  widest <- which.max(vapply(polished$at$blocks, function(b) length(b$rows), 1L)); par <- polished$par
  if (kind %in% c("corAR1", "corCAR1")) {
    unconstrained <- if (kind == "corAR1") function(rho) log((1 + rho) / (1 - rho)) else function(rho) log(rho / (1 - rho))
    rho <- if (kind == "corAR1") tanh(par[1] / 2) else plogis(par[1])
    v_of <- function(gamma) stack(polished$evaluate(c(unconstrained(gamma[2]), log(gamma[1]) / 2))$blocks)
    gamma <- c(exp(2 * par[2]), rho)
    slope <- function(i) function(gamma) numDeriv::jacobian(function(u) { g <- gamma; g[i] <- u; v_of(g) }, gamma[i])[, 1]
    return(list(gamma = gamma, first = numDeriv::jacobian(v_of, gamma), second = lapply(1:2, function(i) numDeriv::jacobian(slope(i), gamma))))
  }
  gamma_of <- function(par) {
    at <- polished$evaluate(par); v <- at$blocks[[widest]]$v
    if (kind == "corCompSymm") c(v[1, 1], v[2, 1]) else if (kind == "corSymm") v[lower.tri(v, diag = TRUE)] else {
      sds <- coef(at$structure$varStruct, unconstrained = FALSE, allCoef = TRUE)
      exp(2 * par[length(par)]) * c(as.matrix(pdMatrix(at$structure$reStruct[[1]])), sds^2)
    }
  }
  turn <- numDeriv::jacobian(gamma_of, par)
  list(gamma = gamma_of(par), first = numDeriv::jacobian(function(u) stack(polished$evaluate(u)$blocks), par) %*% solve(turn), second = NULL)
}
