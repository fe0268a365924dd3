"""Pictures of distributions over features: shares of variance, R2, design effects, edf, p-values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import COLOURS, GREY, Panel, Picture, light_grid
from mixflow.report.pictures.batch import box
from mixflow.report.pictures.volcano import p_histogram, short
from mixflow.report.shown import Shown

MOST_PANELS = 6
SMALLEST = 20  # p-values of a histogram
READ = "Bar: middle half, line: middle 90 %, tick: median."


def partition(shown: Shown) -> list[Picture]:
    """Share of every source, over features."""
    known = parts.finite(shown.table, "share")
    if known.empty:
        return []
    rows = {}
    for source, part in known.groupby("source", sort=False):
        role = str(part["role"].iloc[0]) if "role" in part else ""
        name = "residual" if source == "Residual" else str(source)
        rows[name + (f" ({role})" if role not in ("", name) else "")] = 100 * part["share"]
    told = "; ".join(f"{name} {values.median():.3g}\u00a0%" for name, values in rows.items())
    caption = f"Share of each source in a feature's variance, {shown.n_features:,} features. {READ} Medians: {told}."
    panel = Panel(
        lambda ax: _boxes(ax, rows, "share of the variance (%)", (0, 100)), caption, "", _height(rows)
    )
    return [Picture(parts.picture_name(shown), caption, (panel,), known)]


def _boxes(ax: Axes, rows: dict[str, pd.Series], label: str, ends: tuple[float, float] | None = None) -> None:
    for i, (name, values) in enumerate(rows.items()):
        colour = GREY if name.startswith("residual") else COLOURS[i % len(COLOURS)]
        box(ax, values.to_numpy(float), len(rows) - i, colour, seed=i)
    ax.set_yticks(range(len(rows), 0, -1), [short(name, 30) for name in rows])
    ax.set_xlabel(label)
    if ends:
        ax.set_xlim(*ends)
    light_grid(ax, "x")


def _height(rows: dict[str, pd.Series]) -> float:
    return min(1.3, 0.2 + 0.13 * len(rows))


def r2(shown: Shown) -> list[Picture]:
    """Marginal and conditional R2, over features."""
    known = parts.finite(shown.table, "r2_marginal", "r2_conditional")
    if known.empty:
        return []
    rows = {
        "fixed effects\n(marginal)": 100 * known["r2_marginal"],
        "fixed and random\n(conditional)": 100 * known["r2_conditional"],
    }
    told = [f"{values.median():.3g} %" for values in rows.values()]
    caption = (
        f"Variance explained in {len(known):,} features, median {told[0]} by the fixed effects and {told[1]} by "
        f"fixed and random effects together. {READ}"
    )
    panel = Panel(lambda ax: _boxes(ax, rows, "variance explained (%)", (0, 100)), caption, "", 0.46)
    columns = ["feature", "name", "r2_marginal", "r2_conditional"]
    return [Picture(parts.picture_name(shown), caption, (panel,), known[columns])]


def design_effect(shown: Shown) -> list[Picture]:
    """What the grouped values are worth, over features."""
    known = parts.finite(shown.table, "design_effect", "effective_n")
    if known.empty:
        return []
    worth = 100 * known["effective_n"] / known["n_obs"]
    panels = (
        Panel(
            lambda ax: _boxes(ax, {"design effect": known["design_effect"]}, "times more values needed"),
            f"Design effect of {len(known):,} features: {parts.in_words(known['design_effect'])}.",
            "Design effect",
            0.36,
        ),
        Panel(
            lambda ax: _boxes(ax, {"effective size": worth}, "values are worth, % of their number", (0, 100)),
            f"Effective sample size in per cent of the values: {parts.in_words(worth)}.",
            "Effective sample size",
            0.36,
        ),
    )
    caption = f"{panels[0].alt} {panels[1].alt} For comparisons of whole groups. {READ}"
    return [Picture(parts.picture_name(shown), caption, panels, known)]


def smooth_edf(shown: Shown) -> list[Picture]:
    """How curved each smooth is, over features."""
    known = parts.finite(shown.table, "edf")
    if known.empty:
        return []
    rows = {
        " ".join(str(part) for part in key if part): values["edf"]
        for key, values in known.groupby(["smooth", "level"], sort=False)
    }
    told = "; ".join(f"{name} {parts.in_words(values)}" for name, values in rows.items())
    curved = known[known["q_curved"] < shown.alpha]["feature"].nunique()
    caption = (
        f"Effective degrees of freedom of {known['feature'].nunique():,} features: 1 is a straight line ({told}). "
        f"{curved:,} features bend at {100 * shown.alpha:.3g} % false discovery rate. {READ}"
    )
    panel = Panel(lambda ax: _boxes(ax, rows, "effective degrees of freedom"), caption, "", _height(rows))
    return [Picture(parts.picture_name(shown), caption, (panel,), known)]


def p_values(shown: Shown) -> list[Picture]:
    """Histograms of p: a panel a term, or one of all."""
    groups = shown.table.groupby("term", sort=False) if "term" in shown.table else [("", shown.table)]
    known = [(str(name), rows) for name, rows in groups if np.isfinite(rows["p_value"]).sum() >= SMALLEST]
    made = [(name, p_histogram(rows, "p", name or shown.title)) for name, rows in known[:MOST_PANELS]]
    if not made:
        return []
    panels = tuple(Panel(m.panels[0].draw, m.panels[0].alt, name, 0.55) for name, m in made)
    caption = "p-values over features; dashed: what a study without any effect would show."
    data = pd.concat([m.data.assign(of=name) for name, m in made], ignore_index=True)
    return [Picture(parts.picture_name(shown), caption, panels, data)]
