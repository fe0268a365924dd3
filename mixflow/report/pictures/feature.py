"""One feature: its values by group (or against a number), paired lines, and the model's means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.onefeature import FeatureView
from mixflow.report.pictures.base import COLOURS, GREY, INK, Panel, Picture, group_style, light_grid, points


def leaders(features: list[FeatureView], contrast: str, slug: str) -> Picture | None:
    """A panel for each of ``features``."""
    if not features:
        return None
    panels = tuple(_panel(feature) for feature in features)
    first = features[0]
    what = "Group means with 95 % limits" if first.values is None else "Values"
    caption = f"{what} of features named in the config and of the leaders of {contrast}"
    if any(f.fit is not None for f in features):
        caption += "; black: the model's means with 95 % limits, at the average of all else"
    caption += ". " + first.axis.note if first.axis.note else "."
    if first.paired and first.values is not None:
        caption += " Lines join samples of the same " + first.paired + "."
    data = pd.concat([f.frame() for f in features], ignore_index=True)
    return Picture(f"features_{slug}", caption, panels, data)


def _panel(feature: FeatureView) -> Panel:
    draw = _by_group if feature.levels else _against_number
    told = "; ".join(
        f"{label} {mean:.2f}"
        for label, mean in zip(feature.levels or [], feature.group_means, strict=False)
        if np.isfinite(mean)
    )
    alt = (
        f"{feature.name} by {feature.factor}: observed means {told}."
        if told
        else f"{feature.name} against {feature.factor}."
    )
    return Panel(lambda ax: draw(ax, feature), alt, feature.name, aspect=0.78)


def _by_group(ax: Axes, feature: FeatureView) -> None:
    levels = feature.levels
    styles = group_style(list(feature.colour_levels))
    if feature.values is not None:
        x = feature.jittered()
        for line in feature.lines():
            ax.plot(x[line], feature.values[line], color=GREY, lw=0.5, alpha=0.45, zorder=1)
        for level, (colour, marker) in styles.items():
            chosen = (feature.colours == level) & np.isfinite(x)
            points(ax, x[chosen], feature.values[chosen], colour, marker, 8, level, alpha=0.6)
    else:
        ax.plot(range(len(levels)), feature.group_means, ls="none", marker="D", color=COLOURS[0], ms=4)
    if feature.fit is not None:
        at = np.arange(len(levels)) + (0.32 if feature.values is not None else 0)
        half = np.vstack(
            [feature.fit["mean"] - feature.fit["low"], feature.fit["high"] - feature.fit["mean"]]
        )
        ax.errorbar(at, feature.fit["mean"], half, ls="none", marker="_", ms=7, color=INK, lw=1.2, zorder=4)
    ax.set_xticks(range(len(levels)), levels)
    ax.set_xlim(-0.5, len(levels) - 0.4)
    ax.set_ylabel(feature.unit)
    light_grid(ax)
    if 1 < len(styles) <= 6 and feature.values is not None:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, columnspacing=1.0)


def _against_number(ax: Axes, feature: FeatureView) -> None:
    styles = group_style(list(feature.colour_levels))
    if feature.values is not None:
        for level, (colour, marker) in styles.items():
            chosen = feature.colours == level
            points(ax, feature.x[chosen], feature.values[chosen], colour, marker, 8, level, alpha=0.6)
    if feature.fit is not None:
        ax.plot(feature.grid, feature.fit["mean"], color=INK, lw=1.2)
        ax.fill_between(feature.grid, feature.fit["low"], feature.fit["high"], color=INK, alpha=0.15, lw=0)
    ax.set_xlabel(feature.factor)
    ax.set_ylabel(feature.unit)
    light_grid(ax)
