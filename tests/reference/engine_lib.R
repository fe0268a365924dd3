# Shared by engine.R: reading a case, names, and each R package's fit with tight tolerances, brought to one form:
# list(n, loglik (constants as lme4 has them), beta, vcov, names, ...).
read_case <- function(case) {
  if (startsWith(case$data, "config/")) return(NULL)
  frame <- read.csv(file.path("data", case$data), colClasses = "character", na.strings = "", check.names = FALSE)
  for (name in names(frame)) {
    if (name %in% names(case$factors)) {
      levels <- case$factors[[name]]
      frame[[name]] <- factor(frame[[name]], if (is.null(levels)) unique(frame[[name]]) else unlist(levels))
    } else if (!anyNA(suppressWarnings(as.numeric(na.omit(frame[[name]]))))) {
      frame[[name]] <- as.numeric(frame[[name]])
    }
  }
  drop <- unlist(case$drop_rows) + 1
  droplevels(if (length(drop)) frame[-drop, , drop = FALSE] else frame)
}

# R's coefficient names ("MachineB:Days") as mixflow writes them ("Machine[B]:Days").
mixflow_names <- function(r_names, frame) {
  factors <- names(frame)[vapply(frame, is.factor, TRUE)]
  one <- function(part) {
    for (f in factors[order(-nchar(factors))]) {
      level <- substring(part, nchar(f) + 1)
      if (startsWith(part, f) && level %in% levels(frame[[f]])) return(paste0(f, "[", level, "]"))
    }
    if (part %in% c("intrcpt", "X.Intercept.")) "(Intercept)" else part
  }
  vapply(strsplit(r_names, ":"), function(parts) paste(vapply(parts, one, ""), collapse = ":"), "")
}

fixed_part <- function(formula) lme4::nobars(as.formula(formula))

# lme4 (lmerTest): several seeded starts, the lowest objective kept (lib.R, best_start).
fit_lmer <- function(formula, frame, reml, weights = NULL) {
  if (length(lme4::findbars(as.formula(formula))) == 0) {
    if (!is.null(weights)) frame$.weights <- frame[[weights]] else frame$.weights <- 1
    return(lm(as.formula(formula), frame, weights = .weights))
  }
  frame$.weights <- if (is.null(weights)) 1 else frame[[weights]]
  arguments <- list(as.formula(formula), data = frame, REML = reml, control = tight())
  if (!is.null(weights)) arguments$weights <- quote(.weights)
  start <- best_start(arguments, if (nrow(frame) > 500) 2 else 8)
  do.call(lmerTest::lmer, c(arguments, list(start = start$theta)))
}

# nlme: gls where there is no random effect. Rows are sorted by group first, so that nlme's order is the frame's.
group_name <- function(r) {
  text <- paste(c("", r$random, r$correlation), collapse = " ")
  if (!grepl("|", text, fixed = TRUE) && !grepl("list", text, fixed = TRUE)) return(NULL)
  name <- if (grepl("list[(]", text)) sub(".*list[(] *([A-Za-z]+) *=.*", "\\1", text) else sub(".*[|] *([A-Za-z]+).*", "\\1", text)
  name
}

# nlme evaluates a correlation's formula within each group: factor() there numbers the group's own visits, and a group
# without the second visit would have its third in the second's place. So visits are numbered over all rows first.
number_visits <- function(r, frame) {
  pattern <- "as[.]integer[(]factor[(]([A-Za-z]+)[)][)]"
  if (is.null(r$correlation) || !grepl(pattern, r$correlation)) return(list(r = r, frame = frame))
  frame$visit_number <- as.integer(factor(frame[[sub(paste0(".*", pattern, ".*"), "\\1", r$correlation)]]))
  r$correlation <- sub(pattern, "visit_number", r$correlation)
  list(r = r, frame = frame)
}

fit_nlme <- function(case, frame, reml, fixed = NULL) {
  numbered <- number_visits(case[["r"]], frame); r <- numbered$r; frame <- numbered$frame; text <- function(x) if (is.null(x)) NULL else eval(parse(text = x))
  group <- group_name(r)
  if (!is.null(group)) frame <- frame[order(as.integer(frame[[group]])), , drop = FALSE]
  formula <- if (is.null(fixed)) as.formula(if (is.null(r$fixed)) case$formula else r$fixed) else fixed
  arguments <- list(formula, data = frame, method = if (reml) "REML" else "ML",
                    correlation = text(r$correlation), weights = text(r$weights))
  if (case$engine == "gls") {
    control <- nlme::glsControl(tolerance = 1e-10, msTol = 1e-12, maxIter = 500, msMaxIter = 500)
    fit <- do.call(nlme::gls, c(arguments, list(control = control)))
  } else {
    control <- nlme::lmeControl(tolerance = 1e-10, msTol = 1e-12, maxIter = 500, msMaxIter = 500, msMaxEval = 2000, niterEM = 50)
    fit <- do.call(nlme::lme, c(arguments, list(random = text(r$random), control = control)))
  }
  polish(fit, frame, group, formula, reml)
}

# The marginal covariance of each group's rows / sigma^2 under nlme's model structure.
blocks <- function(structure, frame, group) {
  index <- if (is.null(group)) as.list(seq_len(nrow(frame))) else split(seq_len(nrow(frame)), frame[[group]])
  sd <- if (is.null(structure$varStruct)) rep(1, nrow(frame)) else 1 / as.vector(nlme::varWeights(structure$varStruct))
  correlation <- if (is.null(structure$corStruct)) NULL else nlme::corMatrix(structure$corStruct)
  d <- if (is.null(structure$reStruct)) NULL else as.matrix(nlme::pdMatrix(structure$reStruct[[1]]))
  z <- if (is.null(d)) NULL else model.matrix(formula(structure$reStruct[[1]]), frame)
  lapply(seq_along(index), function(k) {
    rows <- index[[k]]
    v <- if (is.null(correlation)) diag(length(rows)) else matrix(as.matrix(correlation[[names(index)[k]]]), length(rows))
    v <- v * outer(sd[rows], sd[rows])
    if (!is.null(d)) v <- v + z[rows, , drop = FALSE] %*% d %*% t(z[rows, , drop = FALSE])
    list(rows = rows, v = v)
  })
}

# -2 log-likelihood (restricted: lme4's constant), beta and its covariance, from the marginal covariances of blocks.
gaussian <- function(v, x, y, reml) {
  p <- ncol(x); a <- matrix(0, p, p); b <- numeric(p); c <- 0; logdet <- 0
  for (block in v) {
    r <- chol(block$v); logdet <- logdet + 2 * sum(log(diag(r)))
    xs <- backsolve(r, x[block$rows, , drop = FALSE], transpose = TRUE); ys <- backsolve(r, y[block$rows], transpose = TRUE)
    a <- a + crossprod(xs); b <- b + drop(crossprod(xs, ys)); c <- c + sum(ys^2)
  }
  beta <- solve(a, b); n <- length(y); rss <- c - sum(b * beta)
  objective <- n * log(2 * pi) + logdet + rss
  if (reml) objective <- objective - p * log(2 * pi) + as.numeric(determinant(a)$modulus)
  list(objective = objective, beta = beta, vcov = solve(a))
}

# Newton steps from nlme's answer on its own likelihood: nlme stops too early for a reference. The objective is written
# out by dense blocks, so nlme's log-likelihood is checked at the same time.
polish <- function(fit, frame, group, formula, reml) {
  x <- model.matrix(formula, frame); y <- model.response(model.frame(formula, frame)); structure <- fit$modelStruct
  evaluate <- function(par) {
    s <- structure; k <- length(par)
    if (k > 1) coef(s) <- par[-k]
    scaled <- lapply(blocks(s, frame, group), function(b) list(rows = b$rows, v = b$v * exp(2 * par[k])))
    c(gaussian(scaled, x, y, reml), list(blocks = scaled, structure = s))
  }
  # Inf where the covariance is numerically singular: a step there is refused
  objective <- function(par) tryCatch(evaluate(par)$objective, error = function(e) Inf)
  start <- c(as.numeric(coef(structure)), log(fit$sigma)); par <- start
  by_nlme <- -2 * as.numeric(logLik(fit))
  stopifnot(abs(objective(start) - by_nlme) < 1e-6 * abs(by_nlme))
  for (step in 1:6) {
    g <- numDeriv::grad(objective, par); h <- numDeriv::hessian(objective, par)
    next_par <- par - solve(h, g)
    if (!is.finite(objective(next_par)) || objective(next_par) > objective(par)) break
    par <- next_par
    if (max(abs(g)) < 1e-7) break
  }
  at <- evaluate(par)
  list(fit = fit, frame = frame, group = group, par = par, evaluate = evaluate, at = at, reml = reml, x = x, y = y,
       objective_by_nlme = by_nlme, gradient = max(abs(numDeriv::grad(objective, par))),
       hessian = numDeriv::hessian(objective, par), sigma = exp(par[length(par)]))
}

fit_tmb <- function(case, frame) {
  formula <- as.formula(if (is.null(case[["r"]]$formula)) case$formula else case[["r"]]$formula)
  control <- glmmTMB::glmmTMBControl(optCtrl = list(iter.max = 5000, eval.max = 5000, rel.tol = 1e-14, x.tol = 1e-12))
  arguments <- list(formula, data = frame, REML = case$reml, control = control)
  fit <- do.call(glmmTMB::glmmTMB, arguments)
  # a second run from the first answer: nlminb stops at times before its tolerances
  again <- try(do.call(glmmTMB::glmmTMB, c(arguments, list(start = list(theta = fit$fit$par[names(fit$fit$par) == "theta"])))), silent = TRUE)
  if (!inherits(again, "try-error") && isTRUE(again$fit$objective < fit$fit$objective)) again else fit
}

fit_rma <- function(case, frame, reml, mods = case[["r"]]$mods) {
  response <- all.vars(as.formula(case$formula))[1]
  arguments <- list(frame[[response]], frame[[case$options$variances]], data = frame, method = if (reml) "REML" else "ML")
  if (!is.null(mods)) arguments$mods <- as.formula(mods)
  if (case$engine == "rma") {
    fit <- do.call(metafor::rma.uni, c(arguments, list(control = list(threshold = 1e-12, maxiter = 10000))))
  } else {
    arguments$random <- as.formula(case[["r"]]$random)
    names(arguments)[2] <- "V"
    by <- function(...) try(do.call(metafor::rma.mv, c(arguments, list(control = list(...)))), silent = TRUE)
    fit <- by(rel.tol = 1e-12, iter.max = 5000, eval.max = 5000)
    if (inherits(fit, "try-error")) fit <- by(optimizer = "optim", optmethod = "BFGS", reltol = 1e-14, maxit = 5000)
  }
  # metafor adds log|X'X| / 2 to the restricted log-likelihood; lme4 does not
  constant <- if (reml) as.numeric(determinant(crossprod(fit$X))$modulus) / 2 else 0
  list(fit = fit, loglik = as.numeric(logLik(fit)) - constant)
}

fit_gam <- function(case, frame) {
  control <- mgcv::gam.control(epsilon = 1e-12, newton = list(conv.tol = 1e-12, maxNstep = 5, maxSstep = 2, maxHalf = 30, use.svd = FALSE))
  mgcv::gam(as.formula(case[["r"]]$formula), data = frame, method = if (case$reml) "REML" else "ML", control = control)
}
