"""Pictures of a contrast beside another: against the median feature, and in two models."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import COLOURS, DENSE, DOWN, GREY, INK, Panel, Picture, light_grid, points
from mixflow.report.pictures.volcano import short
from mixflow.report.shown import Shown

MOST_PANELS = 4
SMALLEST_P = 1e-30


def median_contrasts(shown: Shown) -> list[Picture]:
    """Estimates and the p against the median, with the lines of zero and of the median."""
    known = parts.finite(shown.table, "estimate", "p_value")
    if known.empty:
        return []
    panels, told = [], []
    for contrast, rows in list(known.groupby("contrast", sort=False))[:MOST_PANELS]:
        hit = (rows["q_value"] < shown.alpha).to_numpy()
        median = float(rows["median"].iloc[0])
        zero = int((rows["p_zero"] < 0.05).sum())
        words = f"{contrast}: median {median:.3g}; {int(hit.sum())} of {len(rows)} features differ from it"
        told.append(
            f"{words} (p against zero below 0.05: {zero}; against the median: {int((rows['p_value'] < 0.05).sum())})"
        )
        panels.append(_median_panel(rows, hit, median, str(contrast), words, shown.unit))
    caption = (
        f"Each feature's contrast and its p against the median feature; dashed: zero, line: the median. Diamonds: q "
        f"below {shown.alpha:g}. {'; '.join(told)}."
    )
    return [Picture(parts.picture_name(shown), caption, tuple(panels), known)]


def _median_panel(
    rows: pd.DataFrame, hit: np.ndarray, median: float, contrast: str, alt: str, unit: str
) -> Panel:
    def draw(ax: Axes) -> None:
        x = rows["estimate"].to_numpy(float)
        y = -np.log10(np.maximum(rows["p_value"].to_numpy(float), SMALLEST_P))
        _two_kinds(ax, x, y, hit)
        ax.axvline(0.0, color=INK, lw=0.6, ls=(0, (4, 3)))
        ax.axvline(median, color=DOWN, lw=0.9)
        ax.set_xlabel(f"contrast ({unit})" if unit else "contrast")
        ax.set_ylabel("-log10 p against the median")
        light_grid(ax)

    return Panel(draw, alt, short(contrast, 40))


def joint(shown: Shown) -> list[Picture]:
    """Estimates of both models; what the joint p calls, by the model that leads."""
    known = parts.finite(shown.table, "estimate_own", "estimate_other", "p_value")
    if known.empty:
        return []
    other = str(shown.options.get("with", "the other model"))
    panels, told = [], []
    for contrast, rows in list(known.groupby("contrast", sort=False))[:MOST_PANELS]:
        hit = (rows["q_value"] < shown.alpha).to_numpy()
        here = (rows["leading"] == "this model").to_numpy()
        words = (
            f"{contrast}: {int(hit.sum())} of {len(rows)} features called, {int((hit & here).sum())} led here, "
            f"{int((hit & ~here).sum())} by {other}"
        )
        told.append(words)
        panels.append(_joint_panel(rows, hit, here, str(contrast), words, (shown.unit, other)))
    caption = (
        f"The contrast in this model and in {other}. Called by the joint q below {shown.alpha:g}: triangles where this "
        f"model leads, squares where {other} does. {'; '.join(told)}."
    )
    return [Picture(parts.picture_name(shown), caption, tuple(panels), known)]


def _joint_panel(
    rows: pd.DataFrame, hit: np.ndarray, here: np.ndarray, contrast: str, alt: str, named: tuple[str, str]
) -> Panel:
    def draw(ax: Axes) -> None:
        x, y = rows["estimate_own"].to_numpy(float), rows["estimate_other"].to_numpy(float)
        unit, other = named
        dense = len(x) > DENSE
        points(ax, x[~hit], y[~hit], GREY, size=6, alpha=0.55, rasterized=dense)
        kinds = ((here, COLOURS[0], "^", "led by this model"), (~here, COLOURS[5], "s", f"led by {other}"))
        for mask, colour, marker, label in kinds:
            chosen = hit & mask
            if chosen.any():
                points(
                    ax,
                    x[chosen],
                    y[chosen],
                    colour,
                    marker,
                    14,
                    short(label, 30),
                    alpha=0.95,
                    rasterized=dense,
                )
        ax.axhline(0.0, color=INK, lw=0.6, ls=(0, (4, 3)))
        ax.axvline(0.0, color=INK, lw=0.6, ls=(0, (4, 3)))
        ax.set_xlabel(f"this model ({unit})" if unit else "this model")
        ax.set_ylabel(f"{short(other, 30)} (its scale)")
        if hit.any():
            ax.legend(loc="upper left")
        light_grid(ax)

    return Panel(draw, alt, short(contrast, 40))


def _two_kinds(ax: Axes, x: np.ndarray, y: np.ndarray, hit: np.ndarray) -> None:
    dense = len(x) > DENSE
    points(ax, x[~hit], y[~hit], GREY, size=6, alpha=0.55, rasterized=dense)
    if hit.any():
        points(ax, x[hit], y[hit], COLOURS[5], "D", 14, alpha=0.95, rasterized=dense)
