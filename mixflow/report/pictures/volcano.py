"""Volcano and p-value histogram of a contrast."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from mixflow.report.pictures.base import DENSE, DOWN, GREY, INK, UP, Panel, Picture, light_grid, points

LABELS = 14


def volcano(results: pd.DataFrame, name: str, contrast: str, text: str, axis: str, alpha: float) -> Picture:
    """Estimate (``axis``: what it is) against -log10 p, hits coloured and shaped by direction, leaders named."""
    shown = results[np.isfinite(results["log10_p"]) & np.isfinite(results["estimate"])]
    hits, threshold = int(shown["hit"].sum()), f"{100 * alpha:.3g}%"
    alt = (
        f"Volcano plot of {contrast}: {hits} of {len(shown)} tested features are below {threshold} FDR. "
        + _leaders_in_words(shown)
    )
    panel = Panel(lambda ax: _draw(ax, shown, axis), alt, aspect=0.82)
    caption = (
        f"Volcano plot for {text}. Triangles up and down: features below {threshold} false discovery rate "
        f"({hits:,} of {len(shown):,}), higher and lower."
    )
    columns = ["feature", "name", "estimate", "log10_p", "q_value", "hit"]
    return Picture(f"volcano_{name}", caption, (panel,), shown[columns])


def _leaders_in_words(shown: pd.DataFrame) -> str:
    top = shown[shown["hit"]].nsmallest(5, "log10_p")
    return (
        "Leading: "
        + ", ".join(
            f"{r.name_} {r.estimate:+.2f}" for r in top.rename(columns={"name": "name_"}).itertuples()
        )
        + "."
        if len(top)
        else ""
    )


def short(name: str, most: int = 28) -> str:
    """A name that fits beside a point."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _draw(ax: Axes, shown: pd.DataFrame, axis: str) -> None:
    x, y, hit = shown["estimate"].to_numpy(), -shown["log10_p"].to_numpy(), shown["hit"].to_numpy(bool)
    dense = len(x) > DENSE
    points(ax, x[~hit], y[~hit], GREY, alpha=0.45, size=5, rasterized=dense)
    for wanted, colour, marker, label in ((x > 0, UP, "^", "higher"), (x <= 0, DOWN, "v", "lower")):
        chosen = hit & wanted
        if chosen.any():
            points(
                ax,
                x[chosen],
                y[chosen],
                colour,
                marker,
                11,
                f"{label} ({chosen.sum()})",
                alpha=0.9,
                rasterized=dense,
            )
    if hit.any():
        ax.axhline(y[hit].min(), color=GREY, lw=0.6, ls=(0, (4, 3)))
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.1), ncols=2, borderpad=0)
    ax.axvline(0, color=GREY, lw=0.6)
    if len(x):
        ax.set_xlim(-1.15 * np.abs(x).max(), 1.15 * np.abs(x).max())
        ax.set_ylim(-0.02 * y.max(), max(1.12 * y.max(), 1))
    ax.set_xlabel(axis)
    ax.set_ylabel("−log10 p")
    _label(ax, shown[hit].sort_values("log10_p", kind="stable"))


def _label(ax: Axes, hits: pd.DataFrame) -> None:
    """Names of the leading ``hits`` beside their points; one that would cover another is left out."""
    figure = ax.figure
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    at = ax.transData.transform(np.column_stack([hits["estimate"], -hits["log10_p"]])) if len(hits) else []
    taken = [Bbox.from_bounds(px - 3, py - 3, 6, 6) for px, py in at]
    for row, own in zip(hits.head(LABELS).itertuples(index=False), range(LABELS), strict=False):
        for dx, dy, ha in (
            (4, 0, "left"),
            (-4, 0, "right"),
            (3, 5, "left"),
            (-3, 5, "right"),
            (3, -6, "left"),
            (-3, -6, "right"),
        ):
            text = ax.annotate(
                short(row.name), (row.estimate, -row.log10_p), (dx, dy), textcoords="offset points",
                ha=ha, va="center", fontsize=6, color=INK, annotation_clip=False,
            )  # fmt: skip
            box = text.get_window_extent(renderer)
            inside = ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1 + 4 and box.y1 <= ax.bbox.y1 + 8
            others = [b for i, b in enumerate(taken) if i != own]
            if inside and not any(box.overlaps(other) for other in others):
                taken.append(box)
                break
            text.remove()


def p_histogram(results: pd.DataFrame, name: str, contrast: str) -> Picture:
    """p-values in twenty bins with the line of no effect anywhere."""
    p = results["p_value"].to_numpy()
    p = p[np.isfinite(p)]
    counts, edges = np.histogram(p, bins=20, range=(0, 1))
    expected = len(p) / 20

    def draw(ax: Axes) -> None:
        ax.bar(edges[:-1], counts, 0.046, align="edge", color=DOWN)
        ax.axhline(expected, color=INK, lw=0.8, ls=(0, (4, 3)))
        ax.set_xlabel("p-value")
        ax.set_ylabel("features")
        light_grid(ax)

    alt = f"Histogram of {len(p)} p-values of {contrast}: {counts[0]} lie below 0.05, "
    alt += f"{expected:.0f} would if nothing differed."
    caption = (
        f"p-values of {contrast}; the dashed line is what a study without any effect would show. "
        "A peak at the left is signal; a peak at the right, or a slope upwards, says that the model "
        "does not fit."
    )
    data = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "features": counts})
    return Picture(f"p_values_{name}", caption, (Panel(draw, alt, aspect=0.5),), data)
