"""The models of glmm.R as mixflow fits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cbpp": ("cbpp__lme4.csv", "cbind(incidence, size - incidence) ~ period + (1 | herd)", {"family": "binomial"}),
    "cbpp_probit": ("cbpp__lme4.csv", "cbind(incidence, size - incidence) ~ period + (1 | herd)",
                    {"family": "binomial", "link": "probit"}),
    "cbpp_cloglog": ("cbpp__lme4.csv", "cbind(incidence, size - incidence) ~ period + (1 | herd)",
                     {"family": "binomial", "link": "cloglog"}),
    "cbpp_agq9": ("cbpp__lme4.csv", "cbind(incidence, size - incidence) ~ period + (1 | herd)",
                  {"family": "binomial", "nagq": 9}),
    "ticks": ("grouseticks__lme4.csv", "TICKS ~ YEAR + height + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
              {"family": "poisson"}),
    "contraception": ("Contraception__mlmRev.csv",
                      "use ~ age + I(age ** 2) + urban + livch + (urban | district)", {"family": "binomial"}),
    "owls": ("Owls__glmmTMB.csv",
             "SiblingNegotiation ~ FoodTreatment * SexParent + offset(log(BroodSize)) + (1 | Nest)",
             {"family": "nbinom2", "zi": "~ 1"}),
    "owls_poisson": ("Owls__glmmTMB.csv",
                     "SiblingNegotiation ~ FoodTreatment + ArrivalTime + offset(log(BroodSize)) + (1 | Nest)",
                     {"family": "poisson", "zi": "~ 1"}),
    "salamanders": ("Salamanders__glmmTMB.csv", "count ~ mined + (1 | site)",
                    {"family": "poisson", "zi": "~ mined"}),
    "salamanders_nb": ("Salamanders__glmmTMB.csv", "count ~ spp + mined + (1 | site)",
                       {"family": "nbinom2", "dispersion": "~ DOY"}),
    "owls_zi_random": ("Owls__glmmTMB.csv",
                       "SiblingNegotiation ~ FoodTreatment + offset(log(BroodSize)) + (1 | Nest)",
                       {"family": "poisson", "zi": "~ FoodTreatment + (1 | Nest)"}),
    "epil2": ("epil2__glmmTMB.csv", "y ~ Base * trt + Age + Visit + (Visit | subject)", {"family": "nbinom2"}),
    "epil2_nb1": ("epil2__glmmTMB.csv", "y ~ Base * trt + Age + Visit + (1 | subject)", {"family": "nbinom1"}),
    "toenail": ("toenail__HSAUR3.csv", "severe ~ treatment * time + (1 | patientID)", {"family": "binomial"}),
    "toenail_agq25": ("toenail__HSAUR3.csv", "severe ~ treatment * time + (1 | patientID)",
                      {"family": "binomial", "nagq": 25}),
}  # fmt: skip
"""name: (file, formula, options of mixflow.fit)."""


def frame(folder: Path, file: str) -> pd.DataFrame:
    """The table as glmm.R makes it ready."""
    table = pd.read_csv(folder / file)
    for column in (
        "period",
        "herd",
        "INDEX",
        "BROOD",
        "LOCATION",
        "YEAR",
        "district",
        "subject",
        "patientID",
    ):
        if column in table and (column != "period" or "herd" in table):
            table[column] = table[column].astype(str)
    if "HEIGHT" in table:
        table["height"] = (table["HEIGHT"] - table["HEIGHT"].mean()) / table["HEIGHT"].std()
    if "outcome" in table:
        table["severe"] = (table["outcome"] == "moderate or severe").astype(int)
    if "trt" in table:
        table["trt"] = pd.Categorical(table["trt"], ["placebo", "progabide"])
    return table
