# Features with as many values as coefficients (df.residual = 0) in limma. Run at the root of the project.
suppressMessages(library(limma)); library(jsonlite)
set.seed(11)
n <- 40; X <- model.matrix(~ rep(c("a","b","c"), each=3)); colnames(X) <- c("(Intercept)","arm[b]","arm[c]")
y <- matrix(rnorm(n*9), n) * sqrt(0.5 / rchisq(n, 6) * 6) + rnorm(n)
y[1, c(2,3,5,6,8,9)] <- NA      # one value in each arm: 3 values, 3 coefficients
y[2, c(2,3,5,6,7,8,9)] <- NA    # a and b once, c never: 2 values, 2 coefficients
y[3, 2:9] <- NA                 # one value: the intercept alone
y[4, 4:9] <- NA                 # a alone, with two residual df
y[5, c(1, 5)] <- NA
f <- eBayes(suppressWarnings(lmFit(y, X)))
write_json(list(versions=list(R=R.version.string, limma=as.character(packageVersion("limma"))), values=y, df_residual=f$df.residual, s2_prior=f$s2.prior, df_prior=f$df.prior, s2_post=f$s2.post, coefficients=f$coefficients, t=f$t, p=f$p.value, df_total=f$df.total, colnames=colnames(X)), "tests/reference/limma_saturated.json", digits=12, na="null", auto_unbox=TRUE)
