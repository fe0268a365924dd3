"""Variance partition: the share of each grouping factor and of the residual, over features."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.model import ModelView
from mixflow.report.pictures.base import COLOURS, GREY, Panel, Picture, light_grid
from mixflow.report.pictures.batch import box


def partition(model: ModelView) -> Picture | None:
    """A box a component with a point a feature, shares given the fixed effects."""
    shares = model.shares.dropna(how="all")
    if shares.empty or not model.groups:
        return None
    components = list(shares.columns)

    def draw(ax: Axes) -> None:
        for i, name in enumerate(components):
            colour = GREY if name == "Residual" else COLOURS[i % len(COLOURS)]
            box(ax, 100 * shares[name].dropna().to_numpy(), len(components) - i, colour, seed=i)
        ax.set_yticks(range(len(components), 0, -1), [c.replace("Residual", "residual") for c in components])
        ax.set_xlabel("share of the variance given the fixed effects (%)")
        ax.set_xlim(0, 100)
        light_grid(ax, "x")

    medians = "; ".join(f"{c} {shares[c].median():.1%}" for c in components)
    caption = (
        f"Variance partition of {len(shares):,} features, model {model.title}: bar = middle half, "
        f"line = middle 90 %, tick = median ({medians})."
    )
    data = (
        model.shares.rename_axis("feature")
        .reset_index()
        .melt("feature", var_name="component", value_name="share")
    )
    data.insert(1, "name", [model.names.get(f, f) for f in data["feature"]])
    aspect = min(1.3, 0.22 + 0.14 * len(components))
    return Picture("variance_partition", caption, (Panel(draw, caption, "", aspect),), pd.DataFrame(data))
