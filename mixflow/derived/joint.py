"""Two models of the same features side by side with one p, as an analysis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.errors import MixflowError, Problem
from mixflow.inference.tests import test
from mixflow.inference.two_parts import OTHER, OWN, joined

WITH = "with"
COLUMNS = {
    "feature": "feature",
    "contrast": "contrast, of the same name in both models",
    "estimate_own": "the contrast in this model",
    "p_own": "its p",
    "estimate_other": "the contrast in the model named by `with`, on that model's scale",
    "p_other": "its p",
    "p_value": "joint p: 1 - (1 - smaller p)^2; where one model has no p, that of the other",
    "q_value": "Benjamini-Hochberg of the joint p over the features, for each contrast",
    "leading": "the model with the smaller p",
    "direction": "same or opposite: whether both estimates have one sign",
}


def run(subject: Subject, **options: Any) -> pd.DataFrame:
    """The contrasts that both models have. ``with``: the other model's name, whose tests are in `Subject.others`."""
    name = str(options[WITH])
    if name not in subject.others:
        remedy = (
            "Ask for it in a study's config; in Python join two tables by mixflow.inference.two_parts.joined."
        )
        raise MixflowError(
            Problem("The other model's tests are not here", column=WITH, value=name, remedy=remedy)
        )
    other = subject.others[name]
    single = [c for c in subject.contrasts if c.kind == "t"]
    shared = [c for c in single if c.name in set(other["contrast"])]
    if len(other) and not shared:
        remedy = f"Give both models a contrast of one name; {name} has {', '.join(sorted(set(other['contrast'])))}."
        raise MixflowError(Problem("The models share no contrast", column=WITH, value=name, remedy=remedy))
    found = test(subject.fit, shared, df=subject.df, design=subject.design)
    ids = np.asarray(subject.fit.feature_ids, dtype=object)
    own = [
        pd.DataFrame(
            {
                "feature": ids,
                "contrast": c.name,
                "estimate": found["estimate"][:, i],
                "p_value": found["p_value"][:, i],
            }
        )
        for i, c in enumerate(shared)
    ]
    if not own:
        return pd.DataFrame(columns=list(COLUMNS))
    table = joined(pd.concat(own, ignore_index=True), other)
    table["leading"] = table["leading"].map({OWN: "this model", OTHER: name, "": ""})
    sign = np.sign(table["estimate_own"].to_numpy(float)) * np.sign(table["estimate_other"].to_numpy(float))
    table["direction"] = np.select([sign > 0, sign < 0], ["same", "opposite"], "")
    return table[list(COLUMNS)]


register(
    Analysis(
        name="joint",
        title="Two models side by side, with a joint p",
        purpose="Joins each contrast with that of another model of the same features, such as abundance with presence.",
        help=(
            "A taxon can be there more often, or be more where it is. The model of presence (response: presence) "
            "tells the first, the model of abundance where present (response: nonzero) the second; they are "
            "independent of each other given the samples, so the smaller of their p-values is turned into one p, "
            "1 - (1 - p)^2, as MaAsLin 3 does (Nickols and others 2024). Where one model has no p, the other's "
            "stands alone. Call features by the joint q, then read which model leads. An effect on presence in "
            "the direction of one on abundance may be a matter of detection: what is rarer is missed more often; "
            "where the samples differ in depth, put its logarithm into the model of presence."
        ),
        run=run,
        options={WITH: {"type": "string", "format": "model", "description": "The other model's name."}},
        required=(WITH,),
        columns=COLUMNS,
        own_rows=True,
        models=("gaussian", "generalised"),
    )
)
