"""One fitted model and its tests, as frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.report.scale import LINEAR, Scale
from mixflow.status import FITTED, MEANING, Status

NUMBERS = ["estimate", "std_error", "df", "statistic", "p_value", "q_value", "conf_low", "conf_high"]
BESIDE = ("residual", "dispersion", "zi", "trials", "thresholds", "weights", "variances")
"""Keys of a model's config that a reader is told beside its formula."""


@dataclass(frozen=True)
class Contrast:
    """A contrast in words: `levels` is (first, second) of first minus second, empty for a numeric column."""

    name: str
    text: str
    factor: str
    levels: tuple[str, ...]
    reference: str


@dataclass(frozen=True)
class ModelView:
    """A model of the store; `names` gives what is shown for a feature id."""

    name: str
    fit: xr.Dataset
    tests: xr.Dataset | None
    names: dict[str, str]

    def attr(self, key: str, default: Any) -> Any:
        """An attr of the fit; JSON text of a list or a map is parsed."""
        value = self.fit.attrs.get(key, default)
        looks_json = isinstance(value, str) and isinstance(default, (list, dict))
        return (json.loads(value) if value else default) if looks_json else value

    @property
    def role(self) -> str:
        return str(self.attr("role", "sensitivity"))

    @property
    def title(self) -> str:
        return str(self.attr("title", "") or self.name)

    @property
    def formula(self) -> str:
        return str(self.attr("formula", ""))

    @property
    def beside(self) -> dict[str, str]:
        """What the config gives the model beside its formula, by the key: family, residual, weights ..."""
        found = {} if self.scale.linear else {"family": self.scale.name, "link": self.scale.link}
        found |= {key: str(self.attr(key, "")) for key in BESIDE}
        found["response"] = (
            "" if self.attr("response", "values") == "values" else str(self.attr("response", ""))
        )
        found["quadrature points"] = str(self.attr("nodes", 1)) if self.attr("nodes", 1) != 1 else ""
        found["relationship"] = ", ".join(self.attr("relationship", []))
        return {key: text for key, text in found.items() if text}

    @cached_property
    def scale(self) -> Scale:
        """On which scale its estimates stand."""
        components = (
            [str(c) for c in self.fit["more_component"].values] if "more_component" in self.fit else []
        )
        return Scale(str(self.attr("family", LINEAR)), str(self.attr("link", "identity")), tuple(components))

    @property
    def kind(self) -> str:
        """'a mixed model', 'a generalised linear mixed model (negative binomial)'."""
        if self.scale.linear:
            return "a mixed model" if self.is_mixed else "a linear model"
        mixed = "mixed model" if self.is_mixed else "model"
        return f"a generalised linear {mixed} ({self.scale.family.title})"

    @property
    def words(self) -> str:
        return str(self.attr("words", ""))

    @property
    def method(self) -> str:
        return "REML" if bool(self.attr("reml", True)) else "maximum likelihood"

    @property
    def is_mixed(self) -> bool:
        return bool(self.groups)

    @cached_property
    def rows(self) -> list[str]:
        return [str(i) for i in self.attr("rows", [])]

    @property
    def n_samples(self) -> int:
        return int(self.attr("n_samples", len(self.rows)))

    @cached_property
    def feature_ids(self) -> list[str]:
        return [str(i) for i in self.fit["feature"].values]

    @cached_property
    def position(self) -> dict[str, int]:
        return {feature: i for i, feature in enumerate(self.feature_ids)}

    @cached_property
    def status(self) -> np.ndarray:
        return self.fit["status"].values.astype(int)

    @cached_property
    def coefs(self) -> list[str]:
        return [str(c) for c in self.fit["coef"].values]

    @cached_property
    def predictors(self) -> dict[str, list[str]]:
        """Coefficients of each predictor by its name, ``mu`` first."""
        found = {"mu": self.coefs}
        if self.scale.linear or "more_component" not in self.fit:
            return found
        pairs = list(zip(self.fit["more_component"].values, self.fit["more_term"].values, strict=True))
        for predictor in self.scale.family.predictors[1:]:
            found[predictor.name] = [str(term) for component, term in pairs if component == predictor.name]
        return found

    @cached_property
    def groups(self) -> list[str]:
        """Grouping factors, as the variance components name them; a smooth is none."""
        if "component_group" not in self.fit.coords:
            return []
        pairs = zip(*(self.fit[f"component_{part}"].values for part in ("group", "term")), strict=True)
        names = [str(group) for group, term in pairs if str(term) != "smooth"]
        return [g for g in dict.fromkeys(names) if g and g != "Residual"]

    @cached_property
    def contrasts(self) -> list[Contrast]:
        if self.tests is None:
            return []
        told = self.tests.attrs.get("contrasts", "[]")
        known = {c["name"]: c for c in (json.loads(told) if isinstance(told, str) else told)}
        return [self._contrast(str(n), known.get(str(n), {})) for n in self.tests["contrast"].values]

    @staticmethod
    def _contrast(name: str, facts: dict[str, Any]) -> Contrast:
        return Contrast(
            name,
            str(facts.get("text") or name),
            str(facts.get("factor") or ""),
            tuple(str(level) for level in facts.get("levels") or ()),
            str(facts.get("reference") or ""),
        )

    @property
    def alpha(self) -> float:
        return float(self.tests.attrs.get("alpha", 0.05)) if self.tests is not None else 0.05

    @property
    def df_method(self) -> str:
        return str(self.tests.attrs.get("df_method", "")) if self.tests is not None else ""

    @property
    def adjust(self) -> str:
        return str(self.tests.attrs.get("adjust", "within")) if self.tests is not None else "within"

    @cached_property
    def _made(self) -> dict[str, pd.DataFrame]:
        return {}

    def results(self, contrast: str) -> pd.DataFrame:
        """One row a feature in the store's order; columns after broom, plus `log10_p` and the status code."""
        if contrast not in self._made:
            self._made[contrast] = self._results(contrast)
        return self._made[contrast].copy()

    def _results(self, contrast: str) -> pd.DataFrame:
        assert self.tests is not None, f"model {self.name} has no tests"
        one = self.tests.sel(contrast=contrast)
        frame = pd.DataFrame({"feature": [str(i) for i in one["feature"].values]})
        frame["name"] = [self.names.get(f, f) for f in frame["feature"]]
        for column in NUMBERS:
            frame[column] = one[column].values.astype(float)
        frame["log10_p"] = one["log10_p"].values.astype(float)
        frame["status_code"] = one["status"].values.astype(int)
        frame["status"] = [MEANING[Status(code)].label for code in frame["status_code"]]
        frame["n_obs"] = self.fit["n_obs"].values.astype(int)
        frame["hit"] = frame["q_value"].to_numpy() < self.alpha
        return frame

    def hits(self, contrast: str) -> set[str]:
        """Ids of the features below the FDR threshold."""
        frame = self.results(contrast)
        return set(frame.loc[frame["hit"], "feature"])

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Share of variance of each grouping factor and the residual, feature x group (terms summed)."""
        if "share" not in self.fit:
            return pd.DataFrame(index=self.feature_ids)
        groups = [str(g) for g in self.fit["component_group"].values]
        share = pd.DataFrame(self.fit["share"].values, index=self.feature_ids)
        return pd.DataFrame(
            {
                g: share.loc[:, [h == g for h in groups]].sum(axis=1, min_count=1)
                for g in dict.fromkeys(groups)
            }
        )

    def status_counts(self) -> dict[Status, int]:
        """Number of features that ended in each status of the fit."""
        codes, counts = np.unique(self.status, return_counts=True)
        return {Status(int(c)): int(n) for c, n in zip(codes, counts, strict=True)}

    @property
    def n_fitted(self) -> int:
        return int(np.isin(self.status, [int(s) for s in FITTED]).sum())

    def modes(self, group: str, rows: list[int]) -> tuple[list[str], np.ndarray, np.ndarray] | None:
        """Labels, conditional modes and their sd (feature x label) of some features, if stored."""
        if f"mode {group}" not in self.fit:
            return None
        labels = [str(v) for v in self.fit[f"effect {group}"].values]
        own = [self.fit[f"{kind} {group}"].isel(feature=rows).values for kind in ("mode", "mode_sd")]
        return labels, own[0], own[1]
