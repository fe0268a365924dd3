"""Estimated marginal means as Python sees them: a table, and contrasts of them in emmeans' words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from mixflow.design import Design
from mixflow.inference.mean_tests import tested_contrasts, tested_means
from mixflow.inference.means import means
from mixflow.model import Fit


@dataclass(frozen=True, eq=False)
class MarginalMeans:
    """Means of one factor, or of the combinations of several; nothing is fitted again."""

    model: Fit
    design: Design
    factors: str | Sequence[str]
    at: dict[str, Any]
    df: str

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each feature and level (or combination of levels)."""
        name = self.factors if isinstance(self.factors, str) else ":".join(self.factors)
        cells = means(self.design, self.factors, self.at)
        return tested_means(self.model, self.design, cells, self.df).rename(columns={"name": name})

    def pairs(self, adjust: str = "none") -> pd.DataFrame:
        """Every later level minus every earlier one."""
        return self.contrast("revpairwise", adjust)

    def contrast(self, method: str | Sequence[str], adjust: str = "none") -> pd.DataFrame:
        """Contrasts by emmeans' words, e.g. ``"trt.vs.ctrl"``, ``"poly"``; ``("pairwise", "poly")`` for
        interaction contrasts of two factors. ``adjust``: p within a feature (tukey, holm, sidak, bonferroni).
        """
        found = tested_contrasts(
            self.model, self.design, self.factors, method, at=self.at, adjust=adjust, df=self.df
        )
        return found.rename(columns={"name": "contrast"})

    def __repr__(self) -> str:
        return repr(self.table)
