# Makes tests/reference/data: copies of classic tables (see data/README.md) and tables derived from them.
# Run from tests/reference:  Rscript make_data.R
source("lib.R")
classic <- "../../../shared/data/classic"
copied <- c("sleepstudy__lme4.csv", "Dyestuff__lme4.csv", "Dyestuff2__lme4.csv", "Penicillin__lme4.csv",
            "Pastes__lme4.csv", "cake__lme4.csv", "Oats__nlme.csv", "Machines__nlme.csv", "Orthodont__nlme.csv",
            "Oxboys__nlme.csv", "Pixel__nlme.csv", "Assay__nlme.csv", "Alfalfa__nlme.csv", "ergoStool__nlme.csv",
            "Rail__nlme.csv", "BodyWeight__nlme.csv", "Wafer__nlme.csv", "RatPupWeight__nlme.csv",
            "ChickWeight__datasets.csv", "dietox__geepack.csv", "beets__pbkrtest.csv", "obk_long__afex.csv",
            "TVbo__lmerTest.csv", "ScotsSec__mlmRev.csv", "CO2__datasets.csv")
invisible(file.copy(file.path(classic, copied), "data", overwrite = TRUE))
Sys.chmod(file.path("data", copied), "0644")

read <- function(name) read.csv(file.path(classic, name), colClasses = c(id = "character"), check.names = FALSE)
plain <- function(name) read.csv(file.path(classic, name), check.names = FALSE)

# sleepstudy with: a quadratic, weights, an offset, a two-level factor, a response whose own slopes are removed (slope
# variance zero) and one whose intercepts and slopes are perfectly correlated (correlation at its bound).
d <- plain("sleepstudy__lme4.csv")
i <- seq_len(nrow(d)) - 1
d$Centred <- d$Days - 4.5
d$Square <- d$Centred^2
d$Weight <- 0.5 + (i %% 4) / 2
d$Offset <- 3 * d$Days + (i %% 3)
subject <- match(d$Subject, unique(d$Subject))
d$Condition <- ifelse(subject %% 2 == 0, "treated", "control")
own_slope <- ave(d$Reaction * d$Centred, d$Subject, FUN = sum) / ave(d$Centred^2, d$Subject, FUN = sum)
d$Flat <- d$Reaction - own_slope * d$Centred
within <- d$Reaction - ave(d$Reaction, d$Subject) - own_slope * d$Centred
d$Tied <- 250 + 10 * d$Days + (subject - 9.5) * 6 * (1 + 0.1 * d$Days) + within
write_csv17(d, "data/sleepstudy_derived.csv")

# Penicillin with the sample means removed: one of two crossed variances is zero.
d <- plain("Penicillin__lme4.csv")
d$flat <- d$diameter - ave(d$diameter, d$sample)
write_csv17(d, "data/Penicillin_derived.csv")

# Pastes with the batch means removed: the outer of two nested variances is zero.
d <- plain("Pastes__lme4.csv")
d$flat <- d$strength - ave(d$strength, d$batch)
write_csv17(d, "data/Pastes_derived.csv")

# Consumers' liking of ham; the response's name has a dot in R's table.
d <- plain("ham__lmerTest.csv")
names(d)[names(d) == "Informed.liking"] <- "liking"
write_csv17(d, "data/ham_derived.csv")

# Meta-analysis of school calendars: weights are the inverse sampling variances.
d <- plain("dat_konstantopoulos2011__metadat.csv")
d$w <- 1 / d$vi
write_csv17(d, "data/konstantopoulos_derived.csv")

# A part of InstEval (students up to number 500): three crossed factors with many levels.
d <- plain("InstEval__lme4.csv.gz")
write_csv17(d[as.integer(d$s) <= 500, ], "data/InstEval_part.csv.gz")

# A part of Chem97 (education authorities up to number 40): many schools within authorities.
d <- plain("Chem97__mlmRev.csv.gz")
write_csv17(d[as.integer(d$lea) <= 40, c("lea", "school", "score", "gender", "gcsecnt")], "data/Chem97_part.csv.gz")

# Children within schools over time (Bryk, Egger), without the columns not used.
d <- plain("egsingle__mlmRev.csv")
write_csv17(d[, c("schoolid", "childid", "year", "math", "female")], "data/egsingle_part.csv.gz")

# Lexical decision and naming: crossed subjects and items, correct answers only.
d <- plain("fhch2010__afex.csv.gz")
write_csv17(d[d$correct, c("id", "item", "task", "stimulus", "frequency", "log_rt")], "data/fhch2010_part.csv.gz")
