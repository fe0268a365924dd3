"""Analyses small enough for tests of what carries them; registered for the time of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

from mixflow.derived import ANALYSES, Analysis, Subject
from mixflow.errors import MixflowError, Problem


def spread(subject: Subject, group: str, scale: float = 1.0, seed: int = 0) -> pd.DataFrame:
    """The standard deviation of a group, in whole units of ``scale``."""
    names = [name for name, _, _ in subject.fit.components]
    if group not in names:
        raise MixflowError(Problem("no random effect of this name", column="group", value=group))
    sd = np.sqrt(subject.fit.variance[:, names.index(group)])
    return pd.DataFrame(
        {
            "feature": subject.fit.feature_ids,
            "group": pd.Categorical([group] * len(sd)),
            "row": np.arange(len(sd)),
            "std_dev": sd / scale,
            "zero": sd == 0,
            "seed": seed,
        }
    )


SPREAD = Analysis(
    name="spread",
    title="Spread of groups",
    purpose="How far the groups lie apart.",
    help="Standard deviation of the random intercepts.",
    run=spread,
    options={
        "group": {"type": "string", "format": "column", "description": "Grouping factor."},
        "scale": {"type": "number", "exclusiveMinimum": 0, "description": "Unit."},
        "seed": {"type": "integer", "description": "Seed."},
    },
    required=("group",),
    columns={"std_dev": "standard deviation (value)"},
)
COUNTED = Analysis(
    name="counted",
    title="Observed values",
    purpose="How many values were observed.",
    help="Counts.",
    run=lambda subject: pd.DataFrame(
        {"feature": subject.fit.feature_ids, "observed": (~np.isnan(subject.values)).sum(axis=1)}
    ),
)


@contextmanager
def registered() -> Iterator[None]:
    """The two analyses among those that a config can name."""
    with pytest.MonkeyPatch.context() as patch:
        for each in (SPREAD, COUNTED):
            patch.setitem(ANALYSES, each.name, each)
        yield
