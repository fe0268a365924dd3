"""An analysis of a model as the report shows it: its table beside the words and the model it stands on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from mixflow.report.model import ModelView


@dataclass(frozen=True, eq=False)
class Shown:
    """``name`` is the config's, ``analysis`` that of the registry (the same, unless one is asked for twice).

    ``table`` has the column ``name`` (what is shown for a feature) after ``feature``.
    """

    model: ModelView
    name: str
    table: pd.DataFrame
    attrs: dict[str, Any]
    unit: str = ""

    @property
    def analysis(self) -> str:
        return str(self.attrs.get("analysis") or self.name)

    @property
    def key(self) -> str:
        """Name of its table; of its section and pictures with '-' for '.'."""
        return f"{self.model.name}.{self.name}"

    @property
    def title(self) -> str:
        return str(self.attrs.get("title") or self.name)

    @cached_property
    def options(self) -> dict[str, Any]:
        return json.loads(str(self.attrs.get("options") or "{}"))

    @cached_property
    def meanings(self) -> dict[str, str]:
        """What each column is, with its unit."""
        return json.loads(str(self.attrs.get("columns") or "{}")) | {"name": "name of the feature"}

    @property
    def alpha(self) -> float:
        return self.model.alpha

    @property
    def level(self) -> float:
        """Confidence level of the intervals in the table."""
        if self.analysis == "equivalence":
            return 1 - 2 * self.alpha
        return float(self.options.get("level") or 1 - self.alpha)

    @property
    def n_features(self) -> int:
        return int(self.table["feature"].nunique()) if "feature" in self.table else 0
