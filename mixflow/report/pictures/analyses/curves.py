"""Pictures of effects along a variable: smooths, and slopes by a moderator, of the leading features."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.analyses.parts import LINES
from mixflow.report.pictures.base import COLOURS, DOWN, GREY, INK, Panel, Picture, light_grid
from mixflow.report.pictures.volcano import short
from mixflow.report.shown import Shown

FEATURES = 6


def smooths(shown: Shown) -> list[Picture]:
    """The curves of the leading features with their bands; a picture a smooth."""
    table = parts.finite(shown.table, "x", "estimate")
    table = table[table["feature"].isin(parts.leaders(shown, FEATURES))]
    made = []
    for i, (smooth, rows) in enumerate(table.groupby("smooth", sort=False)):
        order = [f for f in parts.leaders(shown, FEATURES) if f in set(rows["feature"])]
        panels = tuple(_curve_panel(shown, rows[rows["feature"] == f], str(smooth)) for f in order)
        which = "the feature" if shown.n_features == 1 else f"the {len(order)} features where it is clearest"
        caption = (
            f"{smooth}: effect on {which}, mean zero over the samples, with {100 * shown.level:.3g} % "
            "pointwise limits."
        )
        made.append(Picture(parts.picture_name(shown, f"{i + 1}"), caption, panels, rows))
    return made


def _curve_panel(shown: Shown, rows: pd.DataFrame, smooth: str) -> Panel:
    levels = [str(level) for level in dict.fromkeys(rows["level"])]

    def draw(ax: Axes) -> None:
        for i, level in enumerate(levels):
            part = rows[rows["level"] == level].sort_values("x")
            colour = COLOURS[i % len(COLOURS)]
            ax.fill_between(part["x"], part["conf_low"], part["conf_high"], color=colour, alpha=0.15, lw=0)
            ax.plot(part["x"], part["estimate"], color=colour, lw=1.3, ls=LINES[i % 4], label=level)
        ax.axhline(0, color=GREY, lw=0.6)
        ax.set_xlabel(re.split(r"[(),]", f"{smooth}(")[1] or smooth)
        ax.set_ylabel(f"effect ({shown.unit})")
        if len(levels) > 1:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=4, columnspacing=1.0)
        light_grid(ax)

    name = str(rows["name"].iloc[0])
    alt = (
        f"{name}: {smooth} goes "
        + "; ".join(_goes(rows[rows["level"] == level], level) for level in levels)
        + "."
    )
    return Panel(draw, alt, short(name, 40), 0.75)


def _goes(rows: pd.DataFrame, level: str) -> str:
    known = rows.sort_values("x")
    first, last = known.iloc[0], known.iloc[-1]
    of = f"{level}: " if level else ""
    return (
        f"{of}from {first['estimate']:.2g} at {first['x']:.3g} to {last['estimate']:.2g} at {last['x']:.3g}"
    )


def slopes_by(shown: Shown) -> list[Picture]:
    """The slope at each value of the moderator, of the features where it is clearest."""
    known = parts.finite(shown.table, "estimate")
    chosen = [f for f in parts.leaders(shown, 10 * FEATURES) if f in set(known["feature"])][:FEATURES]
    if not chosen:
        return []
    slope, by = shown.options.get("slope", "slope"), shown.options.get("by", "moderator")
    panels = tuple(_slope_panel(known[known["feature"] == f], str(slope), str(by)) for f in chosen)
    which = (
        "the feature" if shown.n_features == 1 else f"the {len(chosen)} features where a slope is clearest"
    )
    caption = f"Slope of {slope} at values of {by}, of {which}, with {100 * shown.level:.3g} % limits."
    return [Picture(parts.picture_name(shown), caption, panels, known[known["feature"].isin(chosen)])]


def _slope_panel(rows: pd.DataFrame, slope: str, by: str) -> Panel:
    labels = [str(at) for at in rows["at"]]

    def draw(ax: Axes) -> None:
        estimate = rows["estimate"].to_numpy(float)
        half = np.abs(rows[["conf_low", "conf_high"]].to_numpy(float).T - estimate)
        x = np.arange(len(rows))
        ax.errorbar(
            x,
            estimate,
            np.where(np.isfinite(half), half, 0.0),
            color=DOWN,
            marker="o",
            ms=4,
            lw=1.2,
            ls="none",
        )
        ax.axhline(0, color=INK, lw=0.6, ls=(0, (4, 3)))
        ax.set_xticks(x, [label.replace(" (", "\n(") for label in labels])
        ax.set_xlim(-0.5, len(rows) - 0.5)
        ax.set_xlabel(by)
        ax.set_ylabel(f"slope of {slope}")
        light_grid(ax)

    name = str(rows["name"].iloc[0])
    told = "; ".join(f"{at} {e:.3g}" for at, e in zip(labels, rows["estimate"], strict=True))
    return Panel(draw, f"{name}: slope of {slope} by {by}: {told}.", short(name, 40), 0.75)


def means(shown: Shown) -> list[Picture]:
    """Means (or contrasts of them) of the leading features, with limits."""
    known = parts.finite(shown.table, "estimate")
    chosen = [f for f in parts.leaders(shown, 10 * FEATURES) if f in set(known["feature"])][:FEATURES]
    if not chosen:
        return []
    panels = tuple(_mean_panel(shown, known[known["feature"] == f]) for f in chosen)
    which = "the feature" if shown.n_features == 1 else f"the {len(chosen)} leading features"
    what = "Contrasts of means" if shown.options.get("contrast") else "Estimated marginal means"
    caption = f"{what} of {which}, with {100 * shown.level:.3g} % limits."
    return [Picture(parts.picture_name(shown), caption, panels, known[known["feature"].isin(chosen)])]


def _mean_panel(shown: Shown, rows: pd.DataFrame) -> Panel:
    name, lines = str(rows["name"].iloc[0]), (0.0,) if shown.options.get("contrast") else ()
    own, label = rows.assign(name=rows["of"].astype(str)), shown.unit
    if "response" in own and np.isfinite(own["response"]).any():  # of counts and yes/no: not the link's scale
        own = own.assign(
            estimate=own["response"], conf_low=own["response_low"], conf_high=own["response_high"]
        )
        lines, label = tuple(line + 1.0 for line in lines), str(own["scale"].iloc[0])

    def draw(ax: Axes) -> None:
        parts.intervals(ax, own, label, None, lines, sort=False)

    told = "; ".join(f"{at} {e:.3g}" for at, e in zip(own["name"], own["estimate"], strict=True))
    return Panel(draw, f"{name}: {told}.", short(name, 40), parts.height(len(rows)))
