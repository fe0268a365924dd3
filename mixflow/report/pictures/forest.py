"""The forest plot of a meta-analysis."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from mixflow.api.meta import MetaResult
from mixflow.report.pictures.base import DOWN, GREY, INK, MM, STYLE, UP, Panel, Picture, light_grid

LINE_MM = 4.2
SMALLEST, LARGEST = 8.0, 70.0
"""Area of a study's square in points squared, from no weight to the largest."""
FARTHEST = 3.0
"""Limits farther from the others than this many times their spread are cut, and say so by an arrow."""


def forest(found: MetaResult, title: str = "") -> Picture:
    """Studies with their limits, squares by weight; the pooled estimate as a diamond, prediction interval below.

    Ratios stand on a logarithmic axis. Told apart by shape and place, not by colour alone.
    """
    rows, told = found.studies, found.heterogeneity
    height = (len(rows) + 3.5) * LINE_MM / 100
    summary = _numbers(found, found.pooled.iloc[0]) if len(found.pooled) else "with moderators"
    alt = f"Forest plot of {len(rows)} studies, {found.measure}: pooled {summary}."
    caption = (
        f"{_axis(found)} of each study with its 95 % limits; squares by weight. Diamond: pooled estimate, limits "
        f"({found.method}); bar below: where the true effect of another study is expected (prediction interval)."
    )
    if found.counts:
        caption += " A study with an empty cell is drawn with 1/2 added to its cells; the model adds nothing."
    caption += f" tau\u00b2 = {told['tau2']:.3g}, I\u00b2 = {told['I2']:.0f} %." if "I2" in told else ""
    data = pd.concat([rows, found.pooled.assign(study="pooled")], ignore_index=True)
    return Picture("forest", caption, (Panel(lambda ax: _draw(ax, found), alt, title, height),), data)


def forest_plot(found: MetaResult, path: str | Path, title: str = "", width_mm: float = 183.0) -> Path:
    """Write the forest plot as a vector file (SVG or PDF, by the name); the path written."""
    picture, where = forest(found, title), Path(path)
    told = {"Date": None} if where.suffix == ".svg" else {"CreationDate": None}
    with mpl.rc_context({**STYLE, "svg.hashsalt": "forest"}):
        figure = picture.figure(width_mm)
        figure.set_size_inches(width_mm * MM, (len(found.studies) + 6) * LINE_MM * MM)
        figure.savefig(where, metadata=told, facecolor="white")
    return where


def _axis(found: MetaResult) -> str:
    """The measure as the axis has it: the ratio, not its logarithm."""
    name = found.measure.removeprefix("log ") if found.on_log else found.measure
    return name[:1].upper() + name[1:]


def _numbers(found: MetaResult, row: pd.Series) -> str:
    turned = np.exp if found.on_log else (lambda value: value)
    return "{:.2f} [{:.2f}, {:.2f}]".format(*(turned(row[c]) for c in ("estimate", "conf_low", "conf_high")))


def _draw(ax: Axes, found: MetaResult) -> None:
    rows = found.studies
    places = np.arange(len(rows), dtype=float)
    low, high = _span(rows)
    for place, row in zip(places, rows.to_dict("records"), strict=True):
        _limits(ax, place, row, low, high)
    share = rows["weight"] / rows["weight"].max()
    ax.scatter(
        rows["estimate"], places, s=SMALLEST + (LARGEST - SMALLEST) * share, marker="s", c=DOWN, zorder=3
    )
    labels = [_label(ax, found, row) for row in rows.to_dict("records")]
    numbers = [f"{_numbers(found, row)}  {row['weight']:4.1f} %" for _, row in rows.iterrows()]
    if len(found.pooled):
        where = _summary(ax, found.pooled.iloc[0], len(rows) + 0.6)
        places, labels = np.append(places, where), [*labels, "Pooled", "Prediction interval"]
        numbers += [_numbers(found, found.pooled.iloc[0]), _prediction(found)]
    _axes(ax, found, places, labels, numbers, (low, high))


def _span(rows: pd.DataFrame) -> tuple[float, float]:
    """The axis: all limits, but those that lie far outside the others."""
    ends = rows[["conf_low", "conf_high"]].to_numpy()
    middle, spread = np.median(ends), np.median(np.abs(ends - np.median(ends))) * FARTHEST * 2
    low, high = max(ends.min(), middle - spread), min(ends.max(), middle + spread)
    margin = 0.03 * (high - low)
    return min(low, rows["estimate"].min()) - margin, max(high, rows["estimate"].max()) + margin


def _limits(ax: Axes, place: float, row: dict, low: float, high: float) -> None:
    ends = max(row["conf_low"], low), min(row["conf_high"], high)
    ax.plot(ends, [place, place], color=INK, linewidth=0.9, solid_capstyle="butt")
    for at, cut, marker in ((low, row["conf_low"] < low, "<"), (high, row["conf_high"] > high, ">")):
        if cut:
            ax.plot([at], [place], marker=marker, color=INK, markersize=3, clip_on=False)


def _summary(ax: Axes, pooled: pd.Series, at: float) -> list[float]:
    """Diamond and prediction interval; their places."""
    corners = [pooled["conf_low"], pooled["estimate"], pooled["conf_high"], pooled["estimate"]]
    ax.fill(corners, [at, at - 0.35, at, at + 0.35], color=UP, linewidth=0, zorder=3)
    ax.axvline(pooled["estimate"], color=UP, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    ends = [pooled["pred_low"], pooled["pred_high"]]
    ax.plot(ends, [at + 1, at + 1], color=UP, linewidth=2.2, solid_capstyle="butt")
    return [at, at + 1]


def _prediction(found: MetaResult) -> str:
    turned = np.exp if found.on_log else (lambda value: value)
    row = found.pooled.iloc[0]
    return f"[{turned(row['pred_low']):.2f}, {turned(row['pred_high']):.2f}]"


def _label(ax: Axes, found: MetaResult, row: dict) -> str:
    """The study, with its counts where there is room."""
    figure = ax.get_figure()
    if not found.counts or figure is None or figure.bbox.width / figure.dpi < 150 * MM:
        return str(row["study"])
    told = [f"{row[found.counts[i]]:g}/{row[found.counts[i + 1]]:g}" for i in range(0, len(found.counts), 2)]
    return f"{row['study']}   {'  v  '.join(told)}"


def _axes(
    ax: Axes,
    found: MetaResult,
    places: np.ndarray,
    labels: list[str],
    numbers: list[str],
    span: tuple[float, float],
) -> None:
    bottom = places[-1] + 0.8
    ax.set_ylim(bottom, -0.9)
    wide = found.pooled[["pred_low", "pred_high"]].to_numpy().ravel()
    ax.set_xlim(min([span[0], *wide]), max([span[1], *wide]))
    ax.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_yticks(places, labels)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    light_grid(ax, "x")
    ax.set_xlabel(_axis(found))
    if found.on_log:
        _ratios(ax)
    right = ax.twinx()
    right.set_ylim(bottom, -0.9)
    right.set_yticks(places, numbers)
    right.tick_params(axis="y", length=0)
    right.spines[:].set_visible(False)


def _ratios(ax: Axes) -> None:
    """Ticks at round ratios of an axis in logarithms."""
    low, high = ax.get_xlim()
    if high - low < np.log(4):
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.exp(value):.2f}"))
        return
    steps = np.array([1, 2, 5]) if high - low < np.log(100) else np.array([1.0])
    ticks = (10.0 ** np.arange(-8, 9)[:, None] * steps).ravel()
    ticks = ticks[(np.log(ticks) > low) & (np.log(ticks) < high)]
    ax.set_xticks(np.log(ticks), [f"{tick:g}" for tick in ticks])
