# Smooths in models of counts and yes/no, from mgcv: REML (which does not hang on the basis) and ML with the penalised
# columns given, orthogonal to the straight line as mixflow has them. A random intercept is bs = "re".
# Rscript gamm.R <folder of classic data> > gamm.json
suppressMessages({library(mgcv); library(jsonlite)})
folder <- commandArgs(TRUE)[1]
read <- function(name) read.csv(file.path(folder, name), stringsAsFactors = TRUE)
tight <- gam.control(epsilon = 1e-12, newton = list(conv.tol = 1e-11))
of <- function(m, x, grid, smooth = 1, more = list()) {
  s <- summary(m, re.test = FALSE)
  f <- predict(m, grid, type = "terms", se.fit = TRUE, newdata.guaranteed = TRUE)
  column <- grep(x, colnames(f$fit), fixed = TRUE)[1]
  invisible(capture.output(v <- gam.vcomp(m, rescale = TRUE)))
  if (is.list(v)) v <- if (is.null(v$all)) v$vc else v$all
  list(score = -m$gcv.ubre, coef = as.list(s$p.coeff), se = as.list(s$se[seq_along(s$p.coeff)]),
       edf = s$s.table[smooth, "edf"], ref_df = s$s.table[smooth, "Ref.df"], chisq = s$s.table[smooth, "Chi.sq"],
       p = s$s.table[smooth, "p-value"], sd = if (is.matrix(v)) as.list(v[, 1]) else as.list(v),
       x = grid[[attr(grid, "x")]], fit = f$fit[, column], fit_se = f$se.fit[, column])
}
# The penalised columns of s(x, k), with identity penalty, orthogonal to 1 and x.
penalised <- function(x, k) {
  sm <- smoothCon(s(x, k = k), data.frame(x = x))[[1]]
  e <- eigen(sm$S[[1]], symmetric = TRUE); keep <- e$values > 1e-8 * max(e$values)
  Z <- sm$X %*% e$vectors[, keep] %*% diag(1 / sqrt(e$values[keep]))
  Z <- residuals(lm(Z ~ x)); Z / sqrt(mean(rowSums(Z^2)))
}
owls <- read("Owls__glmmTMB.csv"); con <- read("Contraception__mlmRev.csv"); con$district <- factor(con$district)
con$use <- as.integer(con$use == "Y")
at <- seq(22, 29, length.out = 5)
og <- data.frame(ArrivalTime = at, FoodTreatment = "Deprived", BroodSize = 1, Nest = owls$Nest[1]); attr(og, "x") <- "ArrivalTime"
cg <- data.frame(age = seq(-10, 15, length.out = 5), urban = "N", district = con$district[1]); attr(cg, "x") <- "age"
out <- list()
m <- gam(SiblingNegotiation ~ FoodTreatment + s(ArrivalTime, k = 8) + s(Nest, bs = "re") + offset(log(BroodSize)),
         family = poisson, data = owls, method = "REML", control = tight)
out$owls_poisson <- of(m, "s(ArrivalTime)", og)
m <- gam(SiblingNegotiation ~ FoodTreatment + s(ArrivalTime, k = 8) + s(Nest, bs = "re") + offset(log(BroodSize)),
         family = nb(), data = owls, method = "REML", control = tight)
out$owls_nb <- c(of(m, "s(ArrivalTime)", og), theta = m$family$getTheta(TRUE))
m <- gam(use ~ urban + s(age, k = 8) + s(district, bs = "re"), family = binomial, data = con, method = "REML", control = tight)
out$contraception <- of(m, "s(age)", cg)
m <- gam(SiblingNegotiation ~ FoodTreatment + s(ArrivalTime, k = 6, by = FoodTreatment, id = 1) + s(Nest, bs = "re") +
           offset(log(BroodSize)), family = poisson, data = owls, method = "REML", control = tight)
out$owls_by <- of(m, "s(ArrivalTime):FoodTreatmentDeprived", og)
Z <- penalised(con$age, 8)
m <- gam(use ~ urban + age + Z + s(district, bs = "re"), paraPen = list(Z = list(diag(ncol(Z)))), family = binomial,
         data = con, method = "ML", control = tight)
out$contraception_ml <- list(loglik = -m$gcv.ubre, sd = as.list(1 / sqrt(m$sp)), coef = as.list(coef(m)[1:3]))
Z <- penalised(owls$ArrivalTime, 8)
m <- gam(SiblingNegotiation ~ FoodTreatment + ArrivalTime + Z + s(Nest, bs = "re") + offset(log(BroodSize)),
         paraPen = list(Z = list(diag(ncol(Z)))), family = nb(), data = owls, method = "ML", control = tight)
out$owls_ml <- list(loglik = -m$gcv.ubre, sd = as.list(1 / sqrt(m$sp)), coef = as.list(coef(m)[1:3]), theta = m$family$getTheta(TRUE))
out$versions <- list(R = R.version.string, mgcv = as.character(packageVersion("mgcv")))
cat(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE), "\n")
