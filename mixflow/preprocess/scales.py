"""The scales that measurements can have, and how an offending value is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHOWN = 5
"""Offending values listed one by one; beyond it only their number is told."""


@dataclass(frozen=True)
class Scale:
    """What a scale means: ``unit`` for axes; ``zero_is_missing`` where 0 says `not measured`."""

    name: str
    unit: str
    meaning: str
    zero_is_missing: bool = False


SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        Scale("intensity", "intensity", "a non-negative signal on a ratio scale; 0 is missing", True),
        Scale("log2", "log2 intensity", "values that are logarithms to base 2 already"),
        Scale("count", "count", "reads or events; 0 is a count"),
        Scale("proportion", "proportion", "parts of a whole, from 0 to 1"),
        Scale("free", "value", "any real number; the unit may differ by feature"),
        Scale("log1p", "log(1 + x)", "result of transform log1p"),
        Scale("logit", "logit", "result of transform logit"),
        Scale("asin_sqrt", "arcsine square root", "result of transform asin_sqrt"),
        Scale("clr", "centred log-ratio", "result of transform clr"),
    )
}


@dataclass(frozen=True)
class Labels:
    """Ids of features and samples, so that a message can name the place of a value."""

    features: Sequence[str] | None = None
    samples: Sequence[str] | None = None

    def feature(self, index: int) -> str:
        """Id of a feature, or its number from 1 where ids are not given."""
        return f"#{index + 1}" if self.features is None else str(self.features[index])

    def sample(self, index: int) -> str:
        """Id of a sample, or its number from 1 where ids are not given."""
        return f"#{index + 1}" if self.samples is None else str(self.samples[index])


UNLABELLED = Labels()


def scale_of(name: str) -> Scale:
    """The scale called ``name``; an unknown name is refused with the known ones."""
    if name not in SCALES:
        raise MixflowError(
            Problem(
                "Unknown scale of the values.",
                column="data.scale",
                value=name,
                remedy=f"Use one of {', '.join(SCALES)}.",
            )
        )
    return SCALES[name]


def refuse_values(
    values: Values, bad: Mask, labels: Labels, message: str, *, column: str, remedy: str, value: Any = None
) -> None:
    """Raise for the values (feature, sample) where ``bad``, naming feature, sample and value of the first."""
    if not bad.any():
        return
    places = np.argwhere(bad)
    more = f" ({len(places)} such values in all)" if len(places) > SHOWN else ""
    raise MixflowError(
        Problem(
            f"{message} Feature {labels.feature(f)}, sample {labels.sample(s)}{more}.",
            column=column,
            value=float(values[f, s]) if value is None else value,
            remedy=remedy,
        )
        for f, s in places[:SHOWN].tolist()
    )
