"""Everything the report shows of one feature, for one contrast's factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixflow.report import adjusted, response
from mixflow.report.model import ModelView
from mixflow.report.pictures.quality import grouping
from mixflow.report.response import YES_NO, Response
from mixflow.report.view import View

SMALLEST_GROUP = 5
MOST_LEVELS = 30  # of a grouping factor that serves as an axis
NO_FIT = "The model has an offset, which differs between samples, so its means are not drawn."
AVERAGE = "at the average of all else"
TYPICAL = f"{AVERAGE}, random effects at zero"
LINE_AT_MOST = 12  # a unit with more samples than this is a site, not a pair


@dataclass(frozen=True)
class Axis:
    """What stands on the horizontal axis of a feature's picture, shared by all features of a contrast."""

    factor: str
    levels: tuple[str, ...]
    x: np.ndarray  # position of each sample: level code (NaN outside) or number
    grid: np.ndarray  # numbers at which the fitted line is drawn
    rows: (
        dict[str, np.ndarray] | None
    )  # design rows of the levels or of the grid; None: the fit cannot be drawn
    response: Response
    sample_ids: list[str]
    colour_factor: str
    colours: np.ndarray
    colour_levels: tuple[str, ...]
    unit_column: str
    units: np.ndarray
    share: bool
    average: str = AVERAGE  # where the model's means stand
    note: str = ""  # why no fit is drawn, where a reader would miss it


@dataclass(frozen=True)
class FeatureView:
    """One feature on an axis; `values` is None in a copy to share."""

    id: str
    name: str
    unit: str
    axis: Axis
    values: np.ndarray | None
    group_means: np.ndarray
    fit: pd.DataFrame | None

    @property
    def factor(self) -> str:
        return self.axis.factor

    @property
    def levels(self) -> tuple[str, ...]:
        return self.axis.levels

    @property
    def x(self) -> np.ndarray:
        return self.axis.x

    @property
    def grid(self) -> np.ndarray:
        return self.axis.grid

    @property
    def colours(self) -> np.ndarray:
        return self.axis.colours

    @property
    def colour_levels(self) -> list[str]:
        return list(self.axis.colour_levels)

    @property
    def spread(self) -> str:
        """How the vertical axis runs (`mixflow.report.response`)."""
        return self.axis.response.spread

    @property
    def paired(self) -> str:
        return self.axis.unit_column

    @property
    def average(self) -> str:
        """Where the model's means stand."""
        return self.axis.average

    def heights(self) -> np.ndarray:
        """Values as drawn: 0 and 1 are spread a little, so that samples do not hide each other."""
        assert self.values is not None, "a copy to share has no values"
        if self.spread != YES_NO:
            return self.values
        return self.values + np.random.default_rng(1).uniform(-0.04, 0.04, len(self.values))

    def _shown(self) -> np.ndarray:
        parts = [self.group_means if self.values is None else self.values]
        parts += [] if self.fit is None else [self.fit.to_numpy().ravel()]
        found = np.concatenate(parts)
        return found[np.isfinite(found)]

    @property
    def least(self) -> float:
        """The least number above zero in the picture; NaN where there is none."""
        found = self._shown()
        return float(found[found > 0].min()) if (found > 0).any() else float("nan")

    @property
    def most(self) -> float:
        """The largest number in the picture."""
        return float(self._shown().max())

    def jittered(self) -> np.ndarray:
        """Positions spread a little so that points do not hide each other (none where lines join pairs)."""
        width = 0.04 if self.paired else 0.2
        return self.x + np.random.default_rng(0).uniform(-width, width, len(self.x))

    def lines(self) -> list[np.ndarray]:
        """Positions of the samples of each unit that has values at two levels or more, in order."""
        if not self.paired or self.values is None:
            return []
        seen = np.isfinite(self.values) & np.isfinite(self.x)
        found = []
        for unit in pd.unique(self.axis.units[seen]):
            members = np.flatnonzero(seen & (self.axis.units == unit))
            if unit and len(np.unique(self.x[members])) > 1:
                found.append(members[np.argsort(self.x[members], kind="stable")])
        return found

    def frame(self) -> pd.DataFrame:
        """The numbers of the picture: values by sample, or group means in a copy to share."""
        if self.values is None:
            labels = list(self.levels) or []
            return pd.DataFrame(
                {"feature": self.id, "group": labels, "mean": self.group_means[: len(labels)]}
            )
        x = [self.levels[int(c)] if c == c else "" for c in self.x] if self.levels else self.x
        columns = {"feature": self.id, "name": self.name, "sample": self.axis.sample_ids, self.factor: x}
        return pd.DataFrame({**columns, "value": self.values})


def factors(view: View, model: ModelView) -> list[str]:
    """Columns to draw features against: those that contrasts compare, else the grouping factors."""
    compared = [c.factor for c in model.contrasts if c.factor in view.columns]
    grouping_factors = [
        g for g in model.groups if g in view.columns and len(view.columns[g].levels) <= MOST_LEVELS
    ]
    return list(dict.fromkeys(compared or grouping_factors))


def axis(view: View, model: ModelView, factor: str) -> Axis:
    """The axis for a column of the sheet; of a factor the levels that the model's samples hold."""
    ids = model.rows or [s for s in view.sample_ids if view.roles[s] == "sample"]
    column = view.columns[factor]
    values = view.factor_values(factor, ids)
    if column.is_factor:
        values = values.cat.remove_unused_categories()
        x = np.where(values.cat.codes < 0, np.nan, values.cat.codes.to_numpy(float))
        grid, levels = np.array([]), tuple(values.cat.categories)
        places = list(levels) if model.contrasts else []
    else:
        x, levels = values.to_numpy(float), ()
        grid = np.linspace(np.nanmin(x), np.nanmax(x), 25)
        places = list(grid)
    colour_factor, colours = grouping(view)
    unit = unit_column(view, model, factor, ids) if levels else ""
    units = view.samples.loc[ids, unit].astype(str).to_numpy() if unit else np.array([""] * len(ids))
    shown = colours[ids].astype(str).to_numpy()
    read = response.response(view, model, ids)
    rows = adjusted.weights(view, model, factor, places) if places and read.offset is not None else None
    return Axis(
        factor=factor,
        levels=tuple(levels),
        x=x,
        grid=grid,
        rows=rows,
        response=read,
        average=AVERAGE if model.scale.linear else TYPICAL,
        sample_ids=ids,
        colour_factor=colour_factor,
        colours=shown,
        colour_levels=tuple(level for level in colours.cat.categories if level in set(shown)),
        unit_column=unit,
        units=units,
        share=view.share,
        note=NO_FIT if read.offset is None else "",
    )


def unit_column(view: View, model: ModelView, factor: str, ids: list[str]) -> str:
    """Whose samples are joined by lines: the declared unit, else a grouping factor of few samples a level."""
    declared: Any = (view.config.get("samples") or {}).get("unit")
    name = declared.get("column") if isinstance(declared, dict) else declared
    for candidate in [name, *model.groups]:
        if candidate not in view.columns or candidate == factor:
            continue
        units = view.samples.loc[ids, candidate].astype(str)
        sizes = units.value_counts()
        repeated = pd.crosstab(units, view.samples.loc[ids, factor].astype(str)).gt(0).sum(axis=1).gt(1)
        if sizes.median() <= LINE_AT_MOST and repeated.any():
            return str(candidate)
    return ""


def fitted_values(view: View, model: ModelView, feature_id: str) -> np.ndarray:
    """A feature's values (sample,) as the model read them: harmonised ones where those were fitted."""
    if model.attr("fit_on", "raw") != "harmonised" or view.batch is None:
        return view.value[view.feature_row[feature_id]]
    return view.batch["harmonised"].sel(feature=feature_id, sample=view.sample_ids).values


def feature(view: View, model: ModelView, on: Axis, feature_id: str) -> FeatureView:
    """One feature's values and fit on an axis."""
    values = on.response.values(view, feature_id, on.sample_ids, fitted_values(view, model, feature_id))
    counts = [(on.x == k) & np.isfinite(values) for k in range(len(on.levels))]
    smallest = SMALLEST_GROUP if view.share else 1
    group_means = np.array([values[c].mean() if c.sum() >= smallest else np.nan for c in counts])
    known = feature_id in model.position and on.rows is not None
    offset = on.response.offset or 0.0
    fit = adjusted.means(model, feature_id, on.rows, offset) if known and on.rows is not None else None
    if fit is not None and not np.isfinite(fit["mean"]).any():
        fit = None
    return FeatureView(
        feature_id,
        view.names[feature_id],
        on.response.unit,
        on,
        None if view.share else values,
        group_means,
        fit,
    )
