"""Pictures of a comparison. Read without colour: every mark has its place, its shape or its word."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.comparison.cube import Cube, Space
from mixflow.report.comparison.shares import OUTCOMES, TOGETHER
from mixflow.report.pictures.base import COLOURS, GREY, INK, Panel, Picture, light_grid, points

SHOWN = 30
"""Features in a picture."""
HATCHES = {"estimate": "", "evidence": "////", "hit": "...."}


def importance(cube: Cube, found: pd.DataFrame, name: str) -> Picture | None:
    """A bar for each key and outcome: its share of the variance over combinations."""
    if found.empty:
        return None
    outcomes = [outcome for outcome in OUTCOMES if (found["outcome"] == outcome).any()]
    mean = (
        found[found["key"] != TOGETHER]
        .groupby("key", sort=False)["share"]
        .mean()
        .sort_values(ascending=False)
    )
    keys = [*mean.index, TOGETHER]
    height = 0.8 / len(outcomes)

    def draw(ax: Axes) -> None:
        for i, outcome in enumerate(outcomes):
            own = found[found["outcome"] == outcome].set_index("key")["share"].reindex(keys)
            at = np.arange(len(keys)) + (i - (len(outcomes) - 1) / 2) * height
            ax.barh(
                at, 100 * own, 0.85 * height, color=COLOURS[i], hatch=HATCHES[outcome], edgecolor=INK,
                linewidth=0.4, label=OUTCOMES[outcome],
            )  # fmt: skip
        ax.set_yticks(range(len(keys)), keys)
        ax.invert_yaxis()
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the variance over combinations (%)")
        ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.62 / (len(keys) + 1)), ncols=1)
        light_grid(ax, "x")

    first = found.loc[found[found["key"] != TOGETHER]["share"].idxmax()]
    alt = (
        f"Share of the variance over combinations that each choice explains, {cube.title}; the largest is "
        f"{first['key']} with {first['share']:.0%} of the variance of {OUTCOMES[str(first['outcome'])]}."
    )
    caption = f"{alt} Together: what no choice explains alone."
    panel = Panel(draw, alt, "", min(1.2, 0.45 + 0.13 * len(keys)))
    return Picture(name, caption, (panel,), found)


def stability(cube: Cube, name: str) -> Picture | None:
    """A bar for each feature that is called anywhere: in how many combinations it is."""
    chosen = cube.ever[:SHOWN]
    if not len(chosen):
        return None
    share = 100 * cube.share[chosen]

    def draw(ax: Axes) -> None:
        at = np.arange(len(chosen))
        own = cube.hit[cube.reference, chosen]
        ax.barh(at, share, 0.62, color=COLOURS[0], edgecolor=INK, linewidth=0.4)
        ax.plot(share[own] + 2.5, at[own], "*", color=INK, markersize=4, label="called in the reference")
        ax.set_yticks(at, cube.names[chosen])
        ax.set_ylim(len(chosen) - 0.4, -0.6)
        ax.set_xlim(0, 106)
        ax.set_xticks([0, 25, 50, 75, 100])
        ax.set_xlabel(f"called in % of the {int(cube.there.sum())} combinations")
        if own.any():
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -2.2 / (len(chosen) + 4)))
        light_grid(ax, "x")

    rest = f" The first {SHOWN} of {len(cube.ever)}." if len(cube.ever) > SHOWN else ""
    count = len(cube.ever)
    alt = f"{cube.always} of {count} features that are called in any combination are called in all, {cube.title}."
    data = pd.DataFrame({"feature": cube.features, "name": cube.names, "share": cube.share}).iloc[cube.ever]
    aspect = 0.25 + 0.04 * len(chosen)
    return Picture(
        name,
        f"In how many combinations a feature is called. {alt}{rest}",
        (Panel(draw, alt, "", aspect),),
        data,
    )


def side_by_side(cube: Cube, name: str) -> Picture | None:
    """Estimates of all combinations beside that of the reference with its 95 % interval, feature by feature."""
    chosen = cube.ever[:SHOWN]
    if not len(chosen):
        chosen = np.argsort(-cube.strength, kind="stable")[:SHOWN]
    low, lower, middle, upper, high = cube.estimates()[:, chosen]
    own, error = cube.estimate[cube.reference, chosen], 1.96 * cube.std_error[cube.reference, chosen]

    def draw(ax: Axes) -> None:
        at = np.arange(len(chosen))
        ax.axvline(0, color=GREY, linewidth=0.8)
        ax.hlines(at - 0.17, low, high, color=COLOURS[0], linewidth=1, label="all combinations")
        ax.hlines(at - 0.17, lower, upper, color=COLOURS[0], linewidth=3.4, label="their middle half")
        ax.plot(middle, at - 0.17, "|", color=INK, markersize=6, label="their median")
        ax.errorbar(
            own, at + 0.2, xerr=error, fmt="D", color=COLOURS[5], markersize=2.6, linewidth=0.8, capsize=1.5,
            label="reference, with 95 % interval",
        )  # fmt: skip
        ax.set_yticks(at, cube.names[chosen])
        ax.set_ylim(len(chosen) - 0.4, -0.6)
        ax.set_xlabel("estimate")
        ax.legend(loc="upper center", bbox_to_anchor=(0.4, -2.2 / (len(chosen) + 4)), ncols=2)
        light_grid(ax, "x")

    turned = int(cube.turned.sum())
    alt = (
        f"Estimates of {len(chosen)} features over all combinations, beside the reference with its 95 % interval, "
        f"{cube.title}. {turned or 'No'} feature{'s are' if turned > 1 else ' is'} called in both directions."
    )
    columns = ("low", "lower_quartile", "median", "upper_quartile", "high", "reference", "half_interval")
    numbers = dict(zip(columns, (low, lower, middle, upper, high, own, error), strict=True))
    data = pd.DataFrame({"feature": cube.features[chosen], "name": cube.names[chosen], **numbers})
    return Picture(name, alt, (Panel(draw, alt, "", 0.3 + 0.042 * len(chosen)),), data)


def agreement(cube: Cube, space: Space, key: str | None, name: str) -> Picture | None:
    """Each combination by rank correlation and overlap with the reference; values of the key that matters most."""
    known = np.isfinite(cube.jaccard) & np.isfinite(cube.correlation)
    if known.sum() < 2:
        return None
    levels = space.levels(key) if key else []
    shapes = ["o", "s", "^", "D", "v", "P", "X", "<", ">", "p"]

    def draw(ax: Axes) -> None:
        if not key or len(levels) > len(shapes):
            points(ax, cube.correlation[known], cube.jaccard[known], COLOURS[0], size=12)
        else:
            labels = space.labels[key].to_numpy()
            for i, level in enumerate(levels):
                own = known & (labels == level)
                points(
                    ax, cube.correlation[own], cube.jaccard[own], COLOURS[i % len(COLOURS)], shapes[i], 14,
                    f"{key} = {level}", edgecolors=INK, linewidths=0.3,
                )  # fmt: skip
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        ax.set_xlabel("rank correlation of the evidence with the reference")
        ax.set_ylabel("overlap of what is called (Jaccard)")
        ax.set_ylim(-0.03, 1.05)
        light_grid(ax)

    alt = (
        f"Rank correlation and overlap with the reference of {int(known.sum())} combinations, {cube.title}: overlap "
        f"{np.nanmin(cube.jaccard):.2f} to {np.nanmax(cube.jaccard):.2f}, rank correlation "
        f"{np.nanmin(cube.correlation):.2f} to {np.nanmax(cube.correlation):.2f}."
    )
    data = space.labels.assign(rank_correlation=cube.correlation, jaccard=cube.jaccard, hits=cube.hits)
    return Picture(name, alt, (Panel(draw, alt, "", 0.8),), data)


def curve(cube: Cube, space: Space, name: str) -> Picture | None:
    """Combinations in the order of their number of calls, and below the values that each has."""
    order = np.flatnonzero(cube.there)
    order = order[np.argsort(cube.hits[order], kind="stable")]
    rows = [(key, level) for key in space.keys for level in space.levels(key)]
    if len(order) < 3 or len(rows) > 40:
        return None
    place = int(np.flatnonzero(order == space.reference)[0]) if cube.there[space.reference] else None

    def upper(ax: Axes) -> None:
        ax.step(np.arange(len(order)), cube.hits[order], where="mid", color=COLOURS[0])
        if place is not None:
            ax.plot(place, cube.hits[order][place], "D", color=COLOURS[5], markersize=4, label="reference")
            ax.legend(loc="upper left")
        ax.set_ylabel("features called")
        ax.set_xlabel("combinations, those that call fewest first")
        ax.set_xlim(-1, len(order))
        ax.set_ylim(0, max(1, 1.15 * cube.hits.max()))
        light_grid(ax)

    def lower(ax: Axes) -> None:
        for row, (key, level) in enumerate(rows):
            own = np.flatnonzero(space.labels[key].to_numpy()[order] == level)
            ax.vlines(own, row - 0.33, row + 0.33, color=INK, linewidth=max(0.4, min(2, 120 / len(order))))
        for row in range(1, len(rows)):
            if rows[row][0] != rows[row - 1][0]:
                ax.axhline(row - 0.5, color=GREY, linewidth=0.6)
        ax.set_yticks(range(len(rows)), [f"{key} = {level}" for key, level in rows])
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_xlim(-1, len(order))
        ax.set_xlabel("the same combinations")

    alt = (
        f"Number of features called by {len(order)} combinations, from {cube.hits[order].min()} to "
        f"{cube.hits[order].max()}, {cube.title}; below, the values that each combination has."
    )
    data = space.labels.iloc[order].assign(hits=cube.hits[order])
    return Picture(
        name, alt, (Panel(upper, alt, "", 0.5), Panel(lower, alt, "", 0.2 + 0.04 * len(rows))), data
    )
