"""One feature: its values by group (or against a number), paired lines, and the model's means."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.onefeature import FeatureView
from mixflow.report.pictures.base import COLOURS, GREY, INK, Panel, Picture, group_style, light_grid, points
from mixflow.report.response import LOG, YES_NO

MEANS = COLOURS[5]


def leaders(features: list[FeatureView], contrast: str, slug: str) -> Picture | None:
    """A panel for each of ``features``."""
    if not features:
        return None
    panels = tuple(_panel(feature) for feature in features)
    first = features[0]
    what = "Group means with 95 % limits" if first.values is None else "Values"
    caption = f"{what} of features named in the config and of the leaders of {contrast}"
    if any(f.fit is not None for f in features):
        caption += f"; black: the model's means with 95 % limits, {first.average}"
    caption += ". " + first.axis.note if first.axis.note else "."
    if first.spread == YES_NO and first.values is not None:
        caption += " Diamonds: shares of the samples."
    elif first.paired and first.values is not None:
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
        x, y = feature.jittered(), feature.heights()
        for line in feature.lines() if feature.spread != YES_NO else []:
            ax.plot(x[line], y[line], color=GREY, lw=0.5, alpha=0.45, zorder=1)
        for level, (colour, marker) in styles.items():
            chosen = (feature.colours == level) & np.isfinite(x)
            points(ax, x[chosen], y[chosen], colour, marker, 8, level, alpha=0.6)
    if feature.values is None or feature.spread == YES_NO:
        ax.plot(range(len(levels)), feature.group_means, ls="none", marker="D", color=MEANS, ms=4, zorder=3)
    if feature.fit is not None:
        at = np.arange(len(levels)) + (0.32 if feature.values is not None else 0)
        half = np.vstack(
            [feature.fit["mean"] - feature.fit["low"], feature.fit["high"] - feature.fit["mean"]]
        )
        ax.errorbar(at, feature.fit["mean"], half, ls="none", marker="_", ms=7, color=INK, lw=1.2, zorder=4)
    ax.set_xticks(range(len(levels)), levels)
    ax.set_xlim(-0.5, len(levels) - 0.4)
    _vertical(ax, feature)
    light_grid(ax)
    if 1 < len(styles) <= 6 and feature.values is not None:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, columnspacing=1.0)


def _against_number(ax: Axes, feature: FeatureView) -> None:
    styles = group_style(list(feature.colour_levels))
    if feature.values is not None:
        for level, (colour, marker) in styles.items():
            chosen = feature.colours == level
            points(ax, feature.x[chosen], feature.heights()[chosen], colour, marker, 8, level, alpha=0.6)
    if feature.fit is not None:
        ax.plot(feature.grid, feature.fit["mean"], color=INK, lw=1.2)
        ax.fill_between(feature.grid, feature.fit["low"], feature.fit["high"], color=INK, alpha=0.15, lw=0)
    ax.set_xlabel(feature.factor)
    _vertical(ax, feature)
    light_grid(ax)


def _vertical(ax: Axes, feature: FeatureView) -> None:
    """Label of the vertical axis; for counts and amounts it runs by log(1 + value / least value above 0)."""
    ax.set_ylabel(feature.unit)
    least = feature.least
    if feature.spread != LOG or not np.isfinite(least):
        return
    ax.set_yscale("function", functions=(lambda v: np.log1p(v / least), lambda v: least * np.expm1(v)))
    top = feature.most
    powers = 10.0 ** np.arange(np.floor(np.log10(least)), np.ceil(np.log10(top)) + 1)
    ticks = [0.0, *powers[(powers >= least) & (powers <= top)]]
    ax.set_yticks(ticks, [f"{tick:,.15g}" for tick in ticks])
    ax.set_ylim(-0.05 * least, None)
