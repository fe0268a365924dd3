"""What the report reads: a DataTree of a study as frames and plain Python values.

The only place that knows how the store spells things (groups, attrs, coordinate names).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import yaml

from mixflow.errors import MixflowError, Problem
from mixflow.report.absent import Absent, count
from mixflow.report.model import ModelView
from mixflow.slices import Sliced
from mixflow.store import lazy
from mixflow.store.names import decode


def parsed(value: Any, default: Any) -> Any:
    """An attr as Python: JSON text is parsed, lists and maps pass, absent gives ``default``."""
    if value is None or (isinstance(value, str) and value == ""):
        return default
    return json.loads(value) if isinstance(value, str) else value


def _columns(group: xr.Dataset | None) -> dict[str, np.ndarray]:
    """The columns of a table in the store under their own names."""
    return {} if group is None else {decode(str(k)): v.values for k, v in group.data_vars.items()}


@dataclass(frozen=True)
class Column:
    """What the store says about a column of the sample sheet."""

    name: str
    kind: str
    levels: tuple[str, ...]
    reference: str
    unit: str
    label: str

    @property
    def is_factor(self) -> bool:
        return self.kind in ("factor", "ordered")


@dataclass(frozen=True)
class View:
    """A study as the report sees it; `share` is set by `mixflow.report.share`."""

    tree: xr.DataTree
    share: bool = False
    features_wanted: tuple[str, ...] = ()

    def group(self, path: str) -> xr.Dataset | None:
        """The dataset of a group, None where the store has none."""
        try:
            return self.tree[path].to_dataset()
        except KeyError:
            return None

    @cached_property
    def data(self) -> xr.Dataset:
        data = self.group("data")
        if data is None or "raw" not in data:
            raise MixflowError(
                Problem("the store has no group `data` with `raw`", remedy="run `mixflow ingest` first")
            )
        return data

    @cached_property
    def provenance(self) -> dict[str, Any]:
        group = self.group("provenance")
        attrs = dict(group.attrs) if group is not None else {}
        attrs["steps"] = parsed(attrs.get("steps"), [])
        return attrs

    @cached_property
    def config(self) -> dict[str, Any]:
        return yaml.safe_load(self.provenance.get("config") or "") or {}

    @property
    def study(self) -> str:
        return str(self.provenance.get("study") or self.config.get("study") or "study")

    @property
    def title(self) -> str:
        return str(self.provenance.get("title") or self.config.get("title") or self.study)

    @property
    def settings(self) -> dict[str, Any]:
        told = {"features": [], "top": 50, "label": "name", **(self.config.get("report") or {})}
        return told | {"features": list(self.features_wanted or told["features"])}

    @property
    def unit(self) -> str:
        return str(self.data.attrs.get("unit") or "value")

    @cached_property
    def raw(self) -> Sliced:
        """Measurements as read, feature x sample."""
        return lazy.of(self.data["raw"])

    @cached_property
    def value(self) -> Sliced:
        """Values that are fitted, feature x sample (raw where the study has no preprocessing)."""
        return lazy.of(self.data["value"]) if "value" in self.data else self.raw

    @cached_property
    def absent(self) -> Absent:
        """What is not there, in samples of role `sample`: QC samples and blanks say nothing of what a group lacks."""
        is_sample = (self.roles == "sample").to_numpy()
        return count(self.raw, is_sample, str(self.data.attrs.get("scale", "free")))

    @cached_property
    def kept(self) -> np.ndarray:
        n = self.data.sizes["feature"]
        return self.data["kept"].values.astype(bool) if "kept" in self.data else np.ones(n, bool)

    @cached_property
    def features(self) -> pd.DataFrame:
        """Feature annotation, indexed by id; the column `name` is what is shown."""
        ids = [str(i) for i in self.data["feature"].values]
        group = self.group("data/features")
        variables = _columns(group)
        frame = pd.DataFrame(variables, index=pd.Index(ids, name="feature"))
        wanted = str(self.settings["label"])
        names = frame[wanted] if wanted in frame else pd.Series(ids, index=frame.index)
        names = names.where(names.notna() & (names.astype(str) != ""), pd.Series(ids, index=frame.index))
        frame["name"] = names.astype(str)
        return frame

    @cached_property
    def feature_row(self) -> dict[str, int]:
        """Row of each feature in `raw` and `value`."""
        return {feature: i for i, feature in enumerate(self.features.index)}

    @cached_property
    def sample_column(self) -> dict[str, int]:
        """Column of each sample in `raw` and `value`."""
        return {sample: i for i, sample in enumerate(self.sample_ids)}

    @cached_property
    def names(self) -> dict[str, str]:
        return dict(self.features["name"])

    @cached_property
    def sample_ids(self) -> list[str]:
        return [str(i) for i in self.data["sample"].values]

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The sample sheet, indexed by sample id, without `role`."""
        group = self.group("data/samples")
        variables = _columns(group)
        frame = pd.DataFrame(variables, index=pd.Index(self.sample_ids, name="sample"))
        return frame.drop(columns=["role"], errors="ignore")

    @cached_property
    def roles(self) -> pd.Series:
        """Role of each sample: sample, qc, blank or reference."""
        group = self.group("data/samples")
        if group is None or "role" not in group:
            return pd.Series("sample", index=self.samples.index)
        return pd.Series(group["role"].values.astype(str), index=self.samples.index)

    @cached_property
    def columns(self) -> dict[str, Column]:
        group = self.group("data/samples")
        if group is None:
            return {}
        attrs = {decode(str(k)): v.attrs for k, v in group.data_vars.items()}
        return {name: self._column(name, attrs[name]) for name in self.samples.columns}

    def _column(self, name: str, attrs: dict[str, Any]) -> Column:
        values = self.samples[name]
        kind = str(attrs.get("kind") or ("number" if values.dtype.kind in "fiu" else "factor"))
        levels = parsed(attrs.get("levels"), None)
        if levels is None:
            levels = [] if kind == "number" else sorted(v for v in values.dropna().astype(str).unique() if v)
        return Column(
            name=name,
            kind=kind,
            levels=tuple(str(level) for level in levels),
            reference=str(attrs.get("reference") or ""),
            unit=str(attrs.get("unit") or ""),
            label=str(attrs.get("label") or name),
        )

    @cached_property
    def one_group(self) -> pd.DataFrame:
        """Features seen in one group only; empty where the store has none."""
        group = self.group("data/one_group")
        if group is None or "feature_id" not in group:
            return pd.DataFrame(
                columns=["feature", "name", "factor", "level", "n_observed", "n_level", "n_other", "p_value"]
            )
        frame = pd.DataFrame({str(k): v.values for k, v in group.data_vars.items()})
        frame = frame.rename(columns={"feature_id": "feature"}).sort_values("p_value", kind="stable")
        frame.insert(1, "name", [self.names.get(str(f), str(f)) for f in frame["feature"]])
        return frame.reset_index(drop=True)

    @cached_property
    def batch(self) -> xr.Dataset | None:
        group = self.group("batch")
        return group if group is not None and (len(group.data_vars) or group.attrs) else None

    @cached_property
    def batch_factors(self) -> list[str]:
        if self.batch is None:
            return []
        return [str(f) for f in parsed(self.batch.attrs.get("factors"), [])]

    @cached_property
    def drift(self) -> pd.DataFrame:
        """Signal drift of each kept feature; empty where the study did not look for it, or could not."""
        names = {"share": "share", "edf": "edf", "p": "p_value", "q": "q_value", "n": "n_obs"}
        if self.batch is None or "drift_p" not in self.batch:
            return pd.DataFrame(columns=["feature", "name", *names.values(), "used"])
        ids = [str(f) for f in self.batch["feature"].values]
        columns = {told: self.batch[f"drift_{short}"].values for short, told in names.items()}
        named = {"feature": ids, "name": [self.names.get(f, f) for f in ids]}
        return pd.DataFrame(named | columns).assign(used=str(self.batch.attrs["drift_used"]))

    @cached_property
    def drift_curves(self) -> pd.DataFrame:
        """Curves of the features in which drift is clearest: feature_id, batch, order, estimate, std_error."""
        return pd.DataFrame(_columns(self.group("batch/drift_curves")))

    @cached_property
    def models(self) -> list[ModelView]:
        """The models: the headline, its companions, the others in the order of the config."""
        fits = self.tree.children.get("fits")
        found = [] if fits is None else [self._model(str(name)) for name in fits.children]
        order = {"headline": 0, "companion": 1}
        named = list(self.config.get("models") or {})

        def place(model: ModelView) -> tuple[int, int, str]:
            known = named.index(model.name) if model.name in named else len(named)
            return order.get(model.role, 2), known, model.name

        return sorted((m for m in found if m is not None), key=place)

    def _model(self, name: str) -> ModelView | None:
        fit, tests = self.group(f"fits/{name}"), self.group(f"tests/{name}")
        return None if fit is None else ModelView(name, fit, tests, self.names)

    @property
    def headline(self) -> ModelView:
        if not self.models:
            raise MixflowError(
                Problem("the store has no fitted model", remedy="run `mixflow fit` and `mixflow test`")
            )
        return self.models[0]

    @property
    def notes(self) -> list[str]:
        """Sentences of the pipeline about the data (left out of a copy to share: they may name samples)."""
        return [] if self.share else list(parsed(self.data.attrs.get("notes"), []))

    @property
    def batch_notes(self) -> list[str]:
        if self.share or self.batch is None:
            return []
        return list(parsed(self.batch.attrs.get("notes"), []))

    @property
    def dropped(self) -> dict[str, list[str]]:
        """What was dropped, ids by reason."""
        return {str(k): [str(i) for i in v] for k, v in parsed(self.data.attrs.get("dropped"), {}).items()}

    def label(self, name: str) -> str:
        """How the config calls a column (its name if it says nothing, or if this is no column)."""
        return self.columns[name].label if name in self.columns else name

    def factor_values(self, name: str, sample_ids: list[str] | None = None) -> pd.Series:
        """A factor as text in the order of its levels (a pandas Categorical), numbers as they are."""
        values = self.samples[name] if sample_ids is None else self.samples.loc[sample_ids, name]
        column = self.columns[name]
        if not column.is_factor:
            return values.astype(float)
        text = values.map(lambda v: None if v is None or v != v or v == "" else str(v))
        return pd.Series(pd.Categorical(text, categories=list(column.levels)), index=values.index)
