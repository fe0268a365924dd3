# Reference values of generalised mixed models: the cases of glmm_cases.json by glmmTMB (Laplace), lme4 (quadrature),
# ordinal, survival, and by reference.cpp (TMB) where none of these has the model.
# cd tests/reference; Rscript glmm/glmm.R [names of cases; all where none] merges its answers into glmm/glmm.json
here <- "glmm"
source(file.path(here, "lib.R"))
listed <- fromJSON("glmm_cases.json", simplifyVector = FALSE)
store <- file.path(here, "glmm.json")
stored <- function() if (file.exists(store)) fromJSON(store, simplifyVector = FALSE, simplifyMatrix = FALSE) else list()
put <- function(out) writeLines(toJSON(out, auto_unbox = TRUE, digits = 12, pretty = TRUE, null = "null", na = "null"), store)
asked <- commandArgs(TRUE)
if (!length(asked)) asked <- names(listed$cases)

template <- function() {
  build <- file.path(tempdir(), "reference.cpp")
  built <- Sys.getenv("TMB_REFERENCE", sub("[.]cpp$", "", build)) # a compiled template, to save two minutes
  if (!file.exists(TMB::dynlib(built))) { file.copy(file.path(here, "reference.cpp"), build); TMB::compile(build) }
  dyn.load(TMB::dynlib(built))
}
answer <- function(case, d) {
  r <- case$r
  if (is.null(r)) r <- if (case$family == "cumulative") { if (is.null(case$nagq) && grepl("|", case$formula, fixed = TRUE)) "tmb" else "clmm" } else if (!is.null(case$nagq)) "glmer" else "glmmTMB"
  if (r %in% c("tmb", "tmb_agq", "integrate") && !is.loaded("MakeADFunObject", "reference")) template()
  switch(r, glmmTMB = by_glmmtmb(case, d), glmer = by_glmer(case, d), clmm = by_clmm(case, d), tmb = by_tmb(case, d),
         tmb_agq = , integrate = by_integral(case, d), survreg = by_survreg(case, d),
         glmmTMB_ziGamma = by_glmmtmb(case, d, ziGamma("log")))
}
for (name in asked) {
  case <- listed$cases[[name]]
  began <- proc.time()[[3]]
  found <- tryCatch(answer(case, table_of(listed$tables[[case$table]], "data")), error = function(e) list(error = conditionMessage(e)))
  cat(name, if (is.null(found$error)) format(found$loglik, digits = 12) else found$error,
      "gradient", format(found$gradient), "curvature", format(found$least_curvature), round(proc.time()[[3]] - began, 1), "s\n")
  out <- stored()
  out[[name]] <- found[setdiff(names(found), c("alpha", "turn"))]
  put(out)
}
out$versions <- c(list(R = R.version.string), sapply(c("glmmTMB", "lme4", "ordinal", "survival", "TMB"), function(p) as.character(packageVersion(p)), simplify = FALSE))
put(out)
