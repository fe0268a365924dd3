# InstEval by lmerTest, once: Rscript peer_insteval.R InstEval.csv.gz out.json. Fit and summary timed apart.
suppressMessages({library(lmerTest); library(jsonlite)})
a <- commandArgs(TRUE); d <- read.csv(a[1]); for (v in c("s", "d", "dept", "service")) d[[v]] <- factor(d[[v]])
timed <- function(e) system.time(e)[["elapsed"]]
f <- NULL; plain <- timed(f <- lme4::lmer(y ~ service + (1 | s) + (1 | d) + (1 | dept:service), d, control = lme4::lmerControl(calc.derivs = FALSE)))
v <- as.data.frame(lme4::VarCorr(f)); names <- v$grp
write_json(list(seconds = plain, loglik = as.numeric(logLik(f)), variances = as.list(setNames(v$vcov, names)), version = as.character(packageVersion("lme4"))), a[2], auto_unbox = TRUE, digits = NA)
