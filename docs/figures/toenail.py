"""Laplace beside 25 points of quadrature on few yes/no outcomes a patient (docs/generalised.md).

Run in the project's folder: python docs/figures/toenail.py
Writes toenail.csv and toenail.svg beside itself. Takes about a minute. Data: De Backer et al. (1998), as in HSAUR3.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import mixflow

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "tests" / "reference" / "data" / "glmm" / "toenail.csv"
FORMULA = "severe ~ treatment * time + (1 | patientID)"
POINTS = {"Laplace": 1, "25 points": 25}
STYLE = {"Laplace": ("#d55e00", "s"), "25 points": ("#0072b2", "o")}
NAMES = {"(Intercept)": "intercept", "treatment[terbinafine]": "terbinafine", "time": "month",
         "treatment[terbinafine]:time": "terbinafine x month"}  # fmt: skip


def estimates() -> pd.DataFrame:
    """Coefficients with their limits, and the standard deviation of the patients, by each approximation."""
    table = pd.read_csv(DATA, dtype={"patientID": str})
    found = []
    for how, points in POINTS.items():
        result = mixflow.fit(FORMULA, table, family="binomial", nagq=points)
        own = result.coefficients[["term", "estimate", "conf_low", "conf_high"]]
        sd = float(result.variance_components["std_dev"].iloc[0])
        last = pd.DataFrame([{"term": "SD of patients", "estimate": sd}])
        found.append(pd.concat([own, last], ignore_index=True).assign(how=how))
    return pd.concat(found, ignore_index=True)


def figure(table: pd.DataFrame) -> Figure:
    """Estimates side by side, and the chance that a typical patient's infection is severe."""
    drawing = Figure(figsize=(7.2, 2.7), layout="constrained")
    left, right = drawing.subplots(1, 2)
    terms = list(dict.fromkeys(table["term"]))
    for shift, (how, own) in zip((0.14, -0.14), table.groupby("how", sort=False), strict=True):
        colour, marker = STYLE[str(how)]
        y = np.arange(len(terms), 0, -1) + shift
        low, high = (own[end].fillna(own["estimate"]) for end in ("conf_low", "conf_high"))
        left.hlines(y, low, high, color=colour, lw=1)
        left.plot(own["estimate"], y, marker, color=colour, ms=4, label=how)
        beta, month = own.set_index("term")["estimate"], np.linspace(0, 12, 60)
        eta = beta["(Intercept)"] + beta["time"] * month
        right.plot(
            month, 1 / (1 + np.exp(-eta)), color=colour, ls="-" if shift < 0 else (0, (4, 2)), label=how
        )
    left.set_yticks(range(len(terms), 0, -1), [NAMES.get(term, term) for term in terms])
    left.axvline(0, color="#8b93a0", lw=0.6)
    left.set_xlabel("log odds (SD of patients: logit scale)")
    right.set(
        xlabel="month",
        ylabel="chance of a severe infection,\ntypical patient on itraconazole",
        ylim=(0, None),
    )
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False)
    return drawing


if __name__ == "__main__":
    made = estimates()
    made.round(6).to_csv(HERE / "toenail.csv", index=False, lineterminator="\n")
    with mpl.rc_context({"font.size": 7.5, "svg.hashsalt": "toenail", "svg.fonttype": "none"}):
        figure(made).savefig(HERE / "toenail.svg", metadata={"Date": None}, facecolor="white")
    print(made.to_string())
