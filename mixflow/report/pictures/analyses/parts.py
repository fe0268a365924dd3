"""What pictures of analyses share: intervals over features, pairs of estimates, numbers in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.leading import in_order
from mixflow.report.pictures.base import COLOURS, DENSE, DOWN, GREY, INK, light_grid, points
from mixflow.report.pictures.volcano import short
from mixflow.report.shown import Shown

NAMED = 30  # rows that are named; above, rows are ranks
LINES = ["-", "--", ":", "-."]


def picture_name(shown: Shown, what: str = "") -> str:
    """File name of a picture: model, analysis, what it shows."""
    parts = [shown.model.name, shown.name, what]
    return "_".join("".join(c if c.isalnum() or c in "-_" else "-" for c in p) for p in parts if p)


def leaders(shown: Shown, n: int) -> list[str]:
    """Ids of the features whose rows come first."""
    return list(in_order(shown)["feature"].drop_duplicates().head(n))


def finite(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows that have a finite number in each of ``columns``."""
    return table[np.isfinite(table[list(columns)].to_numpy(float)).all(axis=1)]


def in_words(values: pd.Series, digits: int = 3) -> str:
    """Median, least and largest of numbers."""
    if len(values) == 1:
        return f"{values.iloc[0]:.{digits}g}"
    low, median, high = values.min(), values.median(), values.max()
    return f"median {median:.{digits}g}, from {low:.{digits}g} to {high:.{digits}g}"


def height(n: int) -> float:
    """Height over width of a picture of ``n`` intervals."""
    return 0.24 + 0.045 * max(n, 2) if n <= NAMED else 0.85


def intervals(
    ax: Axes,
    rows: pd.DataFrame,
    label: str,
    hit: np.ndarray | None = None,
    lines: Sequence[float] = (0.0,),
    value: str = "estimate",
    sort: bool = True,
) -> None:
    """A row a feature: point and limits, by size; rows that are ``hit`` in colour, the others grey.

    A limit that is missing or endless ends at the picture's edge or the point.
    """
    rows = rows.assign(_hit=np.zeros(len(rows), bool) if hit is None else hit)
    rows = finite(rows, value)
    rows = rows.sort_values(value, kind="stable") if sort else rows[::-1]
    x, low, high = (rows[c].to_numpy(float) for c in (value, "conf_low", "conf_high"))
    low, high = np.where(np.isnan(low), x, low), np.where(np.isnan(high), x, high)
    ends = _ends(x, low, high, [at for at in lines if np.isfinite(at)])
    y, dense = np.arange(len(rows)), len(rows) > DENSE
    chosen = rows["_hit"].to_numpy(bool)
    for mask, colour, marker in ((~chosen, GREY, "o"), (chosen, DOWN, "D")):
        width = 1.3 if len(rows) <= NAMED else 0.6
        seen = [np.clip(v[mask], *ends) for v in (low, high)]
        ax.hlines(y[mask], *seen, colors=colour, lw=width, alpha=0.9 if width > 1 else 0.4, rasterized=dense)
        points(ax, x[mask], y[mask], colour, marker, 14 if width > 1 else 3, alpha=1.0, rasterized=dense)
    for at in lines:
        ax.axvline(at, color=INK, lw=0.6, ls=(0, (4, 3)))
    ax.set_xlim(*ends)
    ax.set_ylim(-0.7, max(len(rows) - 0.3, 0.7))
    ax.set_xlabel(label)
    _named(ax, rows)


def _named(ax: Axes, rows: pd.DataFrame) -> None:
    if len(rows) <= NAMED:
        ax.set_yticks(range(len(rows)), [short(str(n), 22) for n in rows["name"]])
    else:
        ax.set_ylabel(f"{len(rows):,} features, by estimate")
        ax.set_yticks([])
    light_grid(ax, "x")


def _ends(x: np.ndarray, low: np.ndarray, high: np.ndarray, lines: Sequence[float]) -> tuple[float, float]:
    """Range of the axis: all points and most limits, so that one endless limit does not hide the others."""
    if not len(x):
        return -1.0, 1.0
    wanted = [*x, *lines]
    for limits in (low, high):
        known = limits[np.isfinite(limits)]
        wanted += list(np.percentile(known, [8, 92]) if len(known) > 8 else known)
    least, most = min(wanted), max(wanted)
    room = 0.04 * (most - least or abs(most) or 1.0)
    return least - room, most + room


def against(
    ax: Axes, x: np.ndarray, y: np.ndarray, chosen: np.ndarray | None = None, label: str | None = None
) -> None:
    """Pairs with the line of equality; ``chosen`` in colour and as triangles."""
    chosen = np.zeros(len(x), bool) if chosen is None else chosen
    dense = len(x) > DENSE
    points(ax, x[~chosen], y[~chosen], GREY, size=6, alpha=0.55, rasterized=dense)
    if chosen.any():
        points(ax, x[chosen], y[chosen], COLOURS[5], "^", 12, label, alpha=0.9, rasterized=dense)
        ax.legend(loc="upper left")
    both = np.concatenate([x, y])
    ends = [both.min(), both.max()]
    ax.plot(ends, ends, color=INK, lw=0.6, ls=(0, (4, 3)), zorder=0.9)
    light_grid(ax)
