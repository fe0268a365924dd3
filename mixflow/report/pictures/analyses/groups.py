"""Pictures of groups compared after adjustment: a caterpillar and a funnel for each leading feature."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import COLOURS, GREY, INK, Panel, Picture, light_grid, points
from mixflow.report.pictures.volcano import short
from mixflow.report.shown import Shown

FEATURES = 2
NAMED_OUTSIDE = 8


def benchmarking(shown: Shown) -> list[Picture]:
    """Shrunken effects with limits, and raw means within the funnel."""
    known = parts.finite(shown.table, "raw", "shrunken")
    chosen = [f for f in parts.leaders(shown, 20) if f in set(known["feature"])][:FEATURES]
    if not chosen:
        return []
    panels = [panel for f in chosen for panel in _both(shown, known[known["feature"] == f])]
    like = _like(shown)
    what, raw = ("standardised ratio", "ratio") if like else ("effect", "mean")
    which = "" if shown.n_features == 1 else f" of the {len(chosen)} features with the level farthest out"
    caption = (
        f"Levels{which}. Left: shrunken {what}s with {100 * shown.level:.3g} % limits (blue: the limits exclude "
        f"{'one' if like else 'zero'}), crosses: raw {raw}s. Right: raw {raw}s by size; lines: 95 % (dashed) and "
        "99.8 % of levels that are all alike lie within; named: outside 99.8 %."
    )
    return [Picture(parts.picture_name(shown), caption, tuple(panels), known[known["feature"].isin(chosen)])]


def _both(shown: Shown, rows: pd.DataFrame) -> tuple[Panel, Panel]:
    name = str(rows["name"].iloc[0])
    top = rows.nsmallest(3, "rank")["level"].astype(str)
    alt = f"{name}: {len(rows)} levels; highest {', '.join(top)}."
    like = _like(shown)
    apart = ((rows["conf_low"] > like) | (rows["conf_high"] < like)).to_numpy()
    outside = _outside(rows)
    told = f"{int(outside.sum())} of {len(rows)} levels lie outside 99.8 % funnel limits"
    names = ", ".join(rows.loc[outside, "level"].astype(str).head(NAMED_OUTSIDE))
    own = rows.assign(name=rows["level"].astype(str))
    return (
        Panel(lambda ax: _caterpillar(ax, own, apart, shown), alt, short(name, 40), parts.height(len(rows))),
        Panel(
            lambda ax: _funnel(ax, own, outside, shown),
            f"{name}: {told}{': ' + names if names else ''}.",
            f"{short(name, 30)}: funnel",
            parts.height(len(rows)) if len(rows) <= parts.NAMED else 0.85,
        ),
    )


def _like(shown: Shown) -> float:
    """A level like all others: ratio 1 of counts and yes/no outcomes, else difference 0."""
    return 1.0 if "expected" in shown.table else 0.0


def _outside(rows: pd.DataFrame) -> np.ndarray:
    return ((rows["raw"] < rows["funnel_low_998"]) | (rows["raw"] > rows["funnel_high_998"])).to_numpy()


def _caterpillar(ax: Axes, rows: pd.DataFrame, apart: np.ndarray, shown: Shown) -> None:
    like = _like(shown)
    label = "standardised ratio" if like else f"effect ({shown.unit})"
    parts.intervals(ax, rows, label, apart, (like,), "shrunken")
    order = rows.sort_values("shrunken", kind="stable")
    y = np.arange(len(order))
    points(ax, order["raw"], y, INK, "x", 9, alpha=0.6, linewidths=0.7)
    low, high = ax.get_xlim()
    seen = order["raw"]
    ax.set_xlim(min(low, seen.min()), max(high, seen.max()))
    if len(rows) > parts.NAMED:
        ax.set_ylabel(f"{len(rows):,} levels, by effect")


def _funnel(ax: Axes, rows: pd.DataFrame, outside: np.ndarray, shown: Shown) -> None:
    rows = rows.assign(_outside=outside).sort_values("n", kind="stable")
    n = rows["n"].to_numpy(float)
    for name, style in (("95", (0, (4, 3))), ("998", "-")):
        for end in ("low", "high"):
            ax.plot(n, rows[f"funnel_{end}_{name}"], color=GREY, lw=0.8, ls=style)
    far = rows["_outside"].to_numpy(bool)
    points(ax, n[~far], rows["raw"][~far], COLOURS[0], size=9)
    points(ax, n[far], rows["raw"][far], COLOURS[5], "^", 16, alpha=1.0)
    for row in rows[far].head(NAMED_OUTSIDE).itertuples():
        ax.annotate(
            short(str(row.name), 16), (row.n, row.raw), (3, 3), textcoords="offset points", fontsize=6
        )
    like = _like(shown)
    ax.axhline(like, color=INK, lw=0.6)
    ax.set_xlabel("values of the level")
    ax.set_ylabel("raw ratio, observed / expected" if like else f"raw mean ({shown.unit})")
    light_grid(ax)
