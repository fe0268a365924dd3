"""Families compared by AIC, as an analysis."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.derived.residual_checks import outcome_of
from mixflow.family.registry import FAMILIES
from mixflow.inference import families


def run(subject: Subject, *, among: Sequence[str], zi: bool = False) -> pd.DataFrame:
    """The model by each family."""
    return families.among(outcome_of(subject), among, zi)


register(
    Analysis(
        name="families",
        title="Families compared",
        purpose="Fits the same model by several families and says for every feature which describes it best.",
        help=(
            "AIC is minus twice the log-likelihood plus twice the number of parameters: a family with one more "
            "parameter must gain one unit of log-likelihood. Families within 2 of the best are hardly told apart "
            "(Burnham and Anderson 2002). One family for all features is simpler to report than the best of each: "
            "take one that is best, or within 2, for most. The model's own family is always among them; formulas "
            "of dispersion and zeros are its own where it has them, else one intercept."
        ),
        run=run,
        options={
            "among": {
                "type": "array",
                "items": {"type": "string", "enum": list(FAMILIES)},
                "minItems": 1,
                "description": "Families to compare: [poisson, nbinom2, nbinom1].",
            },
            "zi": {"type": "boolean", "description": "Each with zero inflation too, where it takes any."},
        },
        required=("among",),
        columns=families.COLUMNS,
        models=("generalised",),
    )
)
