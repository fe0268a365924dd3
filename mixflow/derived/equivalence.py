"""Equivalence of two levels by two one-sided tests, as an analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import special

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import build
from mixflow.inference.tests import test
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "comparison": "test against reference",
    "estimate": "difference of the two means on the scale of the model",
    "std_error": "its standard error",
    "df": "degrees of freedom by the model's method",
    "ratio": "the difference as a ratio of (geometric) means; the difference itself where the scale is identity",
    "conf_low": "lower limit of the ratio, at twice the level of each one-sided test (90 % for 5 %)",
    "conf_high": "upper limit of the ratio",
    "p_lower": "p of the one-sided test against the lower bound",
    "p_upper": "p of the one-sided test against the upper bound",
    "p_value": "the larger of both: p of the hypothesis that the levels are not equivalent",
    "equivalent": "yes where p_value is below the level, that is, where the limits lie within the bounds",
    "status": "how the test ended",
}
SCALES: dict[str, tuple[Callable, Callable]] = {
    "log": (np.log, np.exp),
    "log2": (np.log2, np.exp2),
    "log10": (np.log10, lambda x: 10.0**x),
    "identity": (np.asarray, np.asarray),
}


def run(
    subject: Subject,
    *,
    factor: str,
    levels: Sequence[str],
    bounds: Sequence[float] = (0.8, 1.25),
    scale: str = "log",
) -> pd.DataFrame:
    """Two one-sided tests of the first level against the second, for every feature.

    Schuirmann (1987), J. Pharmacokinet. Biopharm. 15:657, with the degrees of freedom of the mixed model.
    """
    low, high = _bounds(bounds, scale)
    name = f"{levels[0]} vs {levels[1]}"
    (contrast,) = build({name: {factor: list(levels)}}, subject.design)
    found = test(subject.fit, [contrast], level=1 - 2 * subject.alpha, df=subject.df, design=subject.design)
    one = {
        key: found[key][:, 0] for key in ("estimate", "std_error", "df", "conf_low", "conf_high", "status")
    }
    p_lower = special.stdtr(one["df"], -(one["estimate"] - low) / one["std_error"])
    p_upper = special.stdtr(one["df"], (one["estimate"] - high) / one["std_error"])
    p = np.maximum(p_lower, p_upper)
    back = SCALES[scale][1]
    table = pd.DataFrame({"feature": subject.fit.feature_ids, "comparison": name})
    for key in ("estimate", "std_error", "df"):
        table[key] = one[key]
    for key, source in (("ratio", "estimate"), ("conf_low", "conf_low"), ("conf_high", "conf_high")):
        table[key] = back(one[source])
    words = np.where(np.isnan(p), "", np.where(p < subject.alpha, "yes", "no"))
    table = table.assign(p_lower=p_lower, p_upper=p_upper, p_value=p, equivalent=words)
    return table.assign(status=[MEANING[Status(int(s))].label for s in one["status"]])


def _bounds(bounds: Sequence[float], scale: str) -> tuple[float, float]:
    """The bounds on the scale of the model; raises where they are not two in order, or no ratios."""
    logs = scale != "identity"
    if len(bounds) != 2 or not bounds[0] < bounds[1] or (logs and bounds[0] <= 0):
        remedy = (
            "Write [0.8, 1.25]; on a log scale both are ratios above 0, with identity differences: [-5, 5]."
        )
        message = "The bounds of equivalence are a lower and an upper one"
        raise MixflowError(Problem(message, column="bounds", value=list(bounds), remedy=remedy))
    low, high = SCALES[scale][0](np.array(bounds, dtype=float))
    return float(low), float(high)


register(
    Analysis(
        name="equivalence",
        title="Equivalence by two one-sided tests",
        purpose="Tells for every feature whether two treatments are shown to differ by less than matters.",
        help=(
            "A test that finds no difference does not show that there is none. Here the burden lies the other way:"
            " equivalence is shown where the 90 % interval of the ratio lies within the bounds, which is the same as"
            " rejecting both that the ratio is below the lower and that it is above the upper bound, each at 5 %"
            " (Schuirmann 1987). 0.8 and 1.25 are the bounds of bioequivalence for means of logarithms. The scale"
            " says which logarithm the fitted values are: log (natural), log2, log10; identity compares differences."
            " No correction for many features is made: equivalence is asked of each by itself."
        ),
        run=run,
        options={
            "factor": {"type": "string", "format": "column", "description": "Factor of the treatments."},
            "levels": {
                "type": "array",
                "items": {"type": "string"},
                "minItems": 2,
                "maxItems": 2,
                "description": "Test and reference: [T, R].",
            },
            "bounds": {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 2,
                "maxItems": 2,
                "default": [0.8, 1.25],
                "description": "Lower and upper bound of the ratio (identity: of the difference).",
            },
            "scale": {"enum": list(SCALES), "default": "log", "description": "Scale of the fitted values."},
        },
        required=("factor", "levels"),
        columns=COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
