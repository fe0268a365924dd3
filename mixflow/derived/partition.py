"""Variance partition, as an analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.partition import COLUMNS, partition


def run(subject: Subject, *, roles: Mapping[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """Shares of the variance of every feature."""
    return partition(subject.fitted, roles)


NAMES = {"type": "array", "items": {"type": "string"}}

register(
    Analysis(
        name="partition",
        title="Variance partition",
        purpose="Splits each feature's variance into biological, technical and batch sources, and the rest.",
        help=(
            "The variance of a feature is the sum of the variances of its model's random effects, of the residual,"
            " and of the fixed part over the samples, which is divided among its terms in proportion to what each"
            " would give alone; shares sum to one (Hoffman and Schadt 2016, variancePartition). A factor counts as"
            " a whole. Terms that are correlated over the samples share what they explain together, so a batch"
            " that is confounded with the condition takes part of its share. Shares are estimates: small groups of"
            " few levels (two batches) are known poorly."
        ),
        run=run,
        options={
            "roles": {
                "type": "object",
                "properties": {"biological": NAMES, "technical": NAMES, "batch": NAMES},
                "additionalProperties": NAMES,
                "description": "Terms or grouping factors by role: {biological: [subject], batch: [plate]}.",
            }
        },
        columns=COLUMNS,
    )
)
