"""Cross-level interactions shown as slopes at values of the moderator, as an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import build
from mixflow.inference.tests import test
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "slope": "column whose slope it is",
    "by": "moderator",
    "at": "level or value of the moderator",
    "estimate": "slope there: change of the feature for one unit of the column",
    "std_error": "its standard error",
    "df": "degrees of freedom",
    "statistic": "t",
    "p_value": "p of a slope of zero",
    "q_value": "Benjamini-Hochberg q over the features, for each value of the moderator",
    "conf_low": "lower confidence limit",
    "conf_high": "upper confidence limit",
    "status": "how the test ended",
}
NUMBERS = ("estimate", "std_error", "df", "statistic", "p_value", "q_value", "conf_low", "conf_high")


def run(subject: Subject, *, slope: str, by: str, at: Sequence[Any] | None = None) -> pd.DataFrame:
    """The slope at every value, for every feature."""
    design, fit = subject.design, subject.fit
    places = _places(design, slope, by, at)
    spec = {label: {slope: 1, "at": {by: value}} for label, value in places.items()}
    asked = build(spec, design)
    found = test(fit, asked, level=1 - subject.alpha, df=subject.df, design=design)
    n, m = len(fit.status), len(asked)
    table = {"feature": np.repeat(fit.feature_ids, m), "slope": slope, "by": by}
    table["at"] = np.tile(np.array(list(places), dtype=object), n)
    table |= {name: found[name].ravel() for name in NUMBERS}
    return pd.DataFrame(table).assign(status=[MEANING[Status(int(s))].label for s in found["status"].ravel()])


def _places(design: Design, slope: str, by: str, at: Sequence[Any] | None) -> dict[str, Any]:
    """Label -> level or number of the moderator; raises where one of the two is not what it must be."""
    if design.variable(slope).kind != "number":
        remedy = "Name the number as slope and the factor as by."
        raise MixflowError(Problem("Only a number has a slope", column="slope", value=slope, remedy=remedy))
    if slope == by:
        message = "A slope cannot be its own moderator"
        raise MixflowError(Problem(message, column="by", value=by, remedy="Name the other variable."))
    moderator = design.variable(by)
    if moderator.kind == "factor":
        return {str(level): level for level in at or moderator.levels}
    if at is not None:
        return {f"{_number(value):g}": _number(value) for value in at}
    spread = float(design.frame[by].to_numpy(dtype=float).std(ddof=1))
    steps = {"mean - sd": -1, "mean": 0, "mean + sd": 1}
    return {
        f"{moderator.mean + k * spread:.4g} ({word})": moderator.mean + k * spread
        for word, k in steps.items()
    }


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        remedy = "Give numbers: [0, 10, 20]."
        message = "The moderator is a number, and so are its values"
        raise MixflowError(Problem(message, column="at", value=value, remedy=remedy)) from error


register(
    Analysis(
        name="slopes_by",
        title="Slopes by a moderator",
        purpose="Shows an interaction as what it means: the slope of one variable at values of another.",
        help=(
            "With `x * z` in the formula the slope of x depends on z (a cross-level interaction where z belongs to"
            " the group and x to its members: does the effect of treatment on patients depend on the hospital's"
            " size?). Each row is the slope at one value of the moderator, by default its levels, or its mean and"
            " one standard deviation over the samples to both sides; other factors weigh equally, other numbers"
            " stand at their mean. Whether slopes differ is the test of the interaction itself (analysis terms), not"
            " whether one slope is significant and the other is not. Where x and z interact, the model needs a"
            " random slope of x (`(x | group)`), or the test is too sure of itself (Heisig and Schaeffer 2019)."
        ),
        run=run,
        options={
            "slope": {"type": "string", "format": "column", "description": "Number whose slope is wanted."},
            "by": {"type": "string", "format": "column", "description": "Moderator, a factor or a number."},
            "at": {
                "type": "array",
                "minItems": 1,
                "items": {"type": ["number", "string"]},
                "description": "Levels or values; all levels, or mean and mean +- sd by default.",
            },
        },
        required=("slope", "by"),
        columns=COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
