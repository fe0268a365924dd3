"""Signal drift within batches: how much of the variance it explains over features, and the clearest curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.base import COLOURS, GREY, Panel, Picture, group_style, light_grid, points
from mixflow.report.pictures.volcano import short
from mixflow.report.view import View

MOST_NAMED = 8  # batches in a legend and in the words of a picture
MOST_OVERLAID = 4  # batches on one axis that keep their limits and samples
MANY_POINTS = 300  # above which the samples of a panel are drawn as pixels
MEASURED = ("sample", "qc")
BINS = 26


@dataclass(frozen=True)
class Axis:
    """The order of injection: its column, the batch factor ('' for one batch), and where each batch starts.

    ``runs_on``: the numbers run on from batch to batch, so the batches stand side by side.
    """

    order: str
    batch: str
    starts: pd.Series
    runs_on: bool

    @property
    def label(self) -> str:
        """Of the horizontal axis."""
        within = f" from the start of the {self.batch}" if self.batch and not self.runs_on else ""
        return self.order + ("" if self.runs_on or not within else within)

    def at(self, batch: str, place: np.ndarray) -> np.ndarray:
        """Where a place in a batch lies on the axis."""
        return place + float(self.starts[batch]) if self.runs_on else place


def share(table: pd.DataFrame, batch: str, alpha: float) -> Picture:
    """Share of the variance that drift explains, over features; those below the false discovery rate marked."""
    known = table.dropna(subset=["share", "q_value"])
    drifts = (known["q_value"] < alpha).to_numpy()
    values = 100 * known["share"].to_numpy()
    bins = np.linspace(0, max(10.0, 1.02 * float(values.max(initial=0))), BINS)
    labels = [
        f"drift, false discovery rate {alpha:.2g} ({drifts.sum():,})",
        f"the others ({(~drifts).sum():,})",
    ]

    def draw(ax: Axes) -> None:
        parts = [values[drifts], values[~drifts]]
        ax.hist(parts, bins=list(bins), stacked=True, color=[COLOURS[0], GREY], label=labels, alpha=0.85)
        ax.set_xlabel("share of the variance explained by drift (%)")
        ax.set_ylabel("features")
        ax.legend()
        light_grid(ax)

    within = f" within {batch}" if batch else ""
    caption = (
        f"Share of a feature's variance{within} that drift explains, over {len(known):,} features; median "
    )
    caption += (
        f"{_median(known['share'])}, of the {drifts.sum():,} that drift {_median(known['share'][drifts])}."
    )
    return Picture("drift_share", caption, (Panel(draw, caption, "Share explained by drift"),), known)


def _median(values: pd.Series) -> str:
    return f"{values.median():.1%}" if len(values) else "none"


def curves(view: View, features: list[str]) -> Picture | None:
    """The curves of ``features`` by batch with pointwise limits, and the samples that they were fitted to."""
    lines, axis = view.drift_curves, axis_of(view)
    lines = lines[lines["feature_id"].isin(features)]
    if lines.empty:
        return None
    bare = lines["batch"].nunique() > MOST_OVERLAID and not axis.runs_on
    told = lines.assign(x=np.concatenate([axis.at(b, rows) for b, rows in _by_batch(lines)]))
    styles = group_style([str(b) for b in axis.starts.index if b in set(lines["batch"])])
    panels, frames = [], []
    for feature in features:
        own = told[told["feature_id"] == feature]
        seen = pd.DataFrame() if view.share or bare else samples(view, axis, feature, own)
        panels.append(_panel(view, axis, own, seen, styles, bare))
        frames += [own.assign(kind="curve"), seen.assign(feature_id=feature, kind="sample")]
    data = pd.concat([frame for frame in frames if len(frame)], ignore_index=True)
    which = "the feature" if len(features) == 1 else f"the {len(features)} features"
    caption = f"Drift of {which} in which it is clearest, one curve a {axis.batch or 'run'}"
    caption += "" if bare else ", with pointwise 95 % limits"
    caption += (
        "" if view.share or bare else "; points: the samples it was fitted to, without the batch's level"
    )
    return Picture("drift_curves", f"{caption}.", tuple(panels), data)


def _by_batch(lines: pd.DataFrame) -> list[tuple[str, np.ndarray]]:
    """Runs of rows of one batch, in the order of the table."""
    runs = (lines["batch"] != lines["batch"].shift()).cumsum()
    return [(str(rows["batch"].iloc[0]), rows["order"].to_numpy(float)) for _, rows in lines.groupby(runs)]


def axis_of(view: View) -> Axis:
    """Where the batches begin on the axis of the order."""
    assert view.batch is not None
    order, batch = (str(view.batch.attrs[key]) for key in ("drift_order", "drift_batch"))
    frame = measured(view, order, batch)
    ends = frame.groupby("batch")["order"].agg(["min", "max"]).sort_values("min", kind="stable")
    runs_on = bool((ends["min"].to_numpy()[1:] > ends["max"].to_numpy()[:-1]).all())
    return Axis(order, batch, ends["min"], runs_on)


def measured(view: View, order: str, batch: str) -> pd.DataFrame:
    """Order and batch of the samples that were measured (no blanks), those that have both."""
    label = view.samples[batch].astype(object) if batch else pd.Series(ONE, index=view.samples.index)
    frame = pd.DataFrame({"order": view.samples[order].astype(float), "batch": label})
    known = frame["batch"].notna() & (frame["batch"] != "")
    return frame[view.roles.isin(MEASURED) & known].dropna().astype({"batch": str})


ONE = "one"  # the name of the batch where there is one only, as mixflow.harmonise.drift has it


def samples(view: View, axis: Axis, feature: str, lines: pd.DataFrame) -> pd.DataFrame:
    """Place and value of the samples used, each batch moved so that its mean lies on its curve."""
    assert view.batch is not None
    frame = measured(view, axis.order, axis.batch)
    if view.batch.attrs["drift_used"] == "QC samples":
        frame = frame[view.roles[frame.index] == "qc"]
    columns = [view.sample_column[str(sample)] for sample in frame.index]
    frame = frame.assign(value=view.value[view.feature_row[feature], columns]).dropna()
    made = []
    for batch, curve in lines.groupby("batch", sort=False):
        own = frame[frame["batch"] == batch]
        place = own["order"] - axis.starts[batch]
        level = (own["value"] - np.interp(place, curve["order"], curve["estimate"])).mean()
        x = axis.at(str(batch), place.to_numpy(float))
        made.append(pd.DataFrame({"batch": batch, "order": place, "x": x, "estimate": own["value"] - level}))
    return pd.concat(made)


def _panel(
    view: View,
    axis: Axis,
    lines: pd.DataFrame,
    seen: pd.DataFrame,
    styles: dict[str, tuple[str, str]],
    bare: bool,
) -> Panel:
    """Curves of one feature; ``bare``: lines alone, of one colour where they are too many for a legend."""
    named = 1 < len(styles) <= MOST_NAMED

    def draw(ax: Axes) -> None:
        for batch, style in styles.items():
            curve = lines[lines["batch"] == batch]
            colour = style[0] if named or not bare else COLOURS[0]
            if len(seen):
                dense = {"rasterized": len(seen) > MANY_POINTS, "alpha": 0.6}
                own = seen[seen["batch"] == batch]
                points(ax, own["x"], own["estimate"], colour, style[1], 12, **dense)
            if not bare:
                low, high = (curve["estimate"] + side * 1.96 * curve["std_error"] for side in (-1, 1))
                ax.fill_between(curve["x"], low, high, color=colour, alpha=0.15, lw=0)
            ax.plot(curve["x"], curve["estimate"], color=colour, lw=0.9 if bare else 1.4, label=batch)
        ax.axhline(0, color=GREY, lw=0.6, zorder=0.9)
        ax.set_xlabel(axis.label)
        ax.set_ylabel(f"drift ({view.unit})")
        if named:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, columnspacing=1.0)
        light_grid(ax)

    name = view.names[str(lines["feature_id"].iloc[0])]
    return Panel(draw, f"{name}: drift along {axis.order}{_goes(lines)}.", short(name, 40), 0.75)


def _goes(lines: pd.DataFrame) -> str:
    """Where each curve begins and ends, in words."""
    told = []
    for batch, rows in lines.groupby("batch", sort=False):
        first, last = rows["estimate"].iloc[0], rows["estimate"].iloc[-1]
        named = f" in {batch}" if lines["batch"].nunique() > 1 else ""
        told.append(f"{named} from {first:.2g} to {last:.2g}")
    more = f" and {len(told) - MOST_NAMED} more batches" if len(told) > MOST_NAMED else ""
    return ",".join(told[:MOST_NAMED]) + more
