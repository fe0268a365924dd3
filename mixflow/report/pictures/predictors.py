"""Generalised models over features: random effects on the scale of the link, dispersion, excess zeros."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.model import ModelView
from mixflow.report.pictures.base import COLOURS, Panel, Picture, light_grid
from mixflow.report.pictures.batch import box

SPREAD = 30.0
"""Largest over median beyond which an axis of positive numbers runs by powers of ten."""


def deviations(model: ModelView, table: pd.DataFrame) -> Picture | None:
    """A box a random term: its standard deviations over features. ``table``: columns name, term, std_dev."""
    known = table[np.isfinite(table["std_dev"])]
    if known.empty:
        return None
    terms = list(dict.fromkeys(known["term"]))
    values = [known.loc[known["term"] == term, "std_dev"].to_numpy() for term in terms]
    label = f"standard deviation on the {model.scale.link_words} scale"
    medians = "; ".join(f"{t} {np.median(v):.2f}" for t, v in zip(terms, values, strict=True))
    caption = (
        f"Standard deviations of the random effects over {known['feature'].nunique():,} features, model {model.title}: "
        f"bar = middle half, line = middle 90 %, tick = median ({medians})."
    )
    panel = Panel(
        lambda ax: _boxes(ax, terms, values, label), caption, "", min(1.3, 0.22 + 0.14 * len(terms))
    )
    return Picture("random_effects", caption, (panel,), known)


def _boxes(ax: Axes, names: list[str], values: list[np.ndarray], label: str, positive: bool = True) -> None:
    for i, own in enumerate(values):
        box(ax, own, len(names) - i, COLOURS[i % len(COLOURS)], seed=i)
    ax.set_yticks(range(len(names), 0, -1), names)
    ax.set_ylim(0.5, len(names) + 0.7)
    ax.set_xlabel(label)
    if positive:
        ax.set_xlim(0, None)
    light_grid(ax, "x")


def parameters(table: pd.DataFrame) -> Picture | None:
    """A panel for each parameter beside mu: its values over features, on the scale that a reader knows.

    ``table``: columns title (of the panel), label (of the axis), feature, value.
    """
    known = table[np.isfinite(table["value"])]
    if known.empty:
        return None
    panels = tuple(_parameter(str(title), own) for title, own in known.groupby("title", sort=False))
    caption = "Estimates over features that have a finite one: bar = middle half, line = middle 90 %, tick = median."
    return Picture("dispersion_and_zeros", caption, panels, known)


def _parameter(title: str, own: pd.DataFrame) -> Panel:
    values, label = own["value"].to_numpy(), str(own["label"].iloc[0])
    wide = bool(values.min() > 0 and values.max() > SPREAD * np.median(values))

    def draw(ax: Axes) -> None:
        if wide:
            ax.set_xscale("log")
        _boxes(ax, [""], [values], label, positive=False)
        ax.set_yticks([])

    low, middle, high = np.percentile(values, [25, 50, 75])
    alt = f"{title}: median {middle:.3g}, middle half {low:.3g} to {high:.3g} over {len(values)} features."
    return Panel(draw, alt, title, aspect=0.36)
