# Makes the tables of the engine's reference grid (engine_cases.json) in tests/reference/data from classic tables.
# Run from tests/reference:  Rscript make_engine_data.R
source("lib.R")
classic <- "../../../shared/data/classic"
copied <- c("Early__mlmRev.csv", "Milk__nlme.csv", "columb__mgcv.csv", "dat_konstantopoulos2011__metadat.csv",
            "dat_assink2016__metadat.csv", "dat_bangertdrowns2004__metadat.csv")
invisible(file.copy(file.path(classic, copied), "data", overwrite = TRUE))
Sys.chmod(file.path("data", copied), "0644")
plain <- function(name) read.csv(file.path(classic, name), check.names = FALSE)

# sleepstudy: days as a factor, and responses made singular: NoSubject without differences between subjects, Straight
# with the means of the days on a line (a smooth of Days has nothing to add).
d <- read.csv("data/sleepstudy_derived.csv")
d$DayF <- paste0("d", d$Days)
d$NoSubject <- d$Reaction - ave(d$Reaction, d$Subject) + mean(d$Reaction)
day <- ave(d$Reaction, d$Days)
d$Straight <- d$Reaction - day + 250 + 10 * d$Days
write_csv17(d[, c("Reaction", "Days", "Subject", "Centred", "Weight", "Condition", "Flat", "Tied", "DayF", "NoSubject", "Straight")],
            "data/sleepstudy_engine.csv")

# Ovary: the cycle's sine and cosine, and the number of the measurement within the mare.
d <- plain("Ovary__nlme.csv")
d$sine <- sin(2 * pi * d$Time); d$cosine <- cos(2 * pi * d$Time)
d$order <- ave(d$Time, d$Mare, FUN = rank)
write_csv17(d, "data/Ovary_engine.csv")

# BodyWeight: the number of the weighing (days 43 and 44 lie closer than the others).
d <- plain("BodyWeight__nlme.csv")
d$visit <- match(d$Time, sort(unique(d$Time)))
write_csv17(d, "data/BodyWeight_engine.csv")

# Beat the Blues: one row for each visit; 100 patients, of whom 48 drop out.
d <- plain("BtheB__HSAUR3.csv")
months <- c(2, 3, 5, 8)
long <- do.call(rbind, lapply(seq_len(nrow(d)), function(i) data.frame(
  subject = paste0("p", i), drug = d$drug[i], length = d$length[i], treatment = d$treatment[i], pre = d$bdi.pre[i],
  month = months, visit = paste0("m", months), bdi = unlist(d[i, paste0("bdi.", months, "m")]))))
write_csv17(long[!is.na(long$bdi), ], "data/BtheB_long.csv")

# BCG vaccine: log risk ratios and their sampling variances (escalc's formulas for measure RR).
d <- plain("dat_bcg__metadat.csv")
treated <- d$tpos + d$tneg; control <- d$cpos + d$cneg
d$yi <- log(d$tpos / treated) - log(d$cpos / control)
d$vi <- 1 / d$tpos - 1 / treated + 1 / d$cpos - 1 / control
write_csv17(d[, c("trial", "year", "ablat", "alloc", "yi", "vi")], "data/bcg_engine.csv")

# Teacher expectancy: weeks of contact, at most three (Raudenbush): nothing is left between the studies.
d <- plain("dat_raudenbush1985__metadat.csv")
d$weeks_capped <- pmin(d$weeks, 3)
write_csv17(d[, c("study", "year", "weeks", "weeks_capped", "setting", "tester", "yi", "vi")], "data/raudenbush_engine.csv")
