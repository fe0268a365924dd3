"""On which scale a model's estimates stand, and what a reader calls them: told by the family and its link."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from mixflow.family import Family

LINEAR = "gaussian"
RATIO = ("ratio", "ratio_low", "ratio_high")
"""Columns of a results table beside an estimate whose exp means something."""


@dataclass(frozen=True)
class Scale:
    """``name``, ``link`` as the store has them; ``components``: predictors beside mu, ``family`` for own parameters."""

    name: str
    link: str
    components: tuple[str, ...] = ()

    @property
    def linear(self) -> bool:
        """Whether the model is a linear (mixed) one, whose estimates are differences of means."""
        return self.name == LINEAR

    @cached_property
    def family(self) -> Family:
        """The family that was fitted."""
        from mixflow.family.registry import stored

        return stored(self.name, self.link, self.components)

    @property
    def ratio(self) -> str:
        """What exp(estimate) is; empty where it is nothing."""
        return "" if self.linear else self.family.ratio

    @property
    def link_words(self) -> str:
        return "identity" if self.linear else self.family.predictors[0].link.words

    @property
    def estimate(self) -> str:
        """What stands above a column of estimates."""
        if self.ratio:
            return f"Log {self.ratio}"
        return "Difference" if self.link == "identity" else f"Difference ({self.link_words} scale)"

    def axis(self, unit: str) -> str:
        """What stands below a volcano plot."""
        if self.ratio:
            return f"log {self.ratio}"
        return f"difference ({unit if self.link == 'identity' else self.link_words + ' scale'})"

    def facts(self, unit: str) -> dict[str, Any]:
        """For the page's script."""
        return {"estimate": self.estimate, "axis": self.axis(unit), "ratio": capital(self.ratio)}


def capital(text: str) -> str:
    """'Rate ratio' of 'rate ratio'."""
    return text[:1].upper() + text[1:]


def with_ratio(frame: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Results with exp of the estimate and of its limits beside it, where that means something."""
    if not scale.ratio:
        return frame
    place = list(frame.columns).index("std_error")
    with np.errstate(over="ignore"):
        for i, (name, source) in enumerate(zip(RATIO, ("estimate", "conf_low", "conf_high"), strict=True)):
            frame.insert(place + i, name, np.exp(frame[source].to_numpy(dtype=float)))
    return frame
