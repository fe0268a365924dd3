"""Batch diagnosis: what each factor explains and where the samples lie, before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.base import COLOURS, GREY, INK, Panel, Picture, group_style, light_grid, points
from mixflow.report.view import View

SMALLEST_GROUP = 5


def shares(view: View) -> Picture | None:
    """Share of variance of each declared factor over features, before and after."""
    assert view.batch is not None
    if "share" not in view.batch:
        return None
    factors = [str(f) for f in view.batch["factor"].values]
    stages = {
        s: view.batch[k].values for s, k in (("before", "share"), ("after", "share_after")) if k in view.batch
    }
    rows = [
        pd.DataFrame(
            {"feature": view.batch["feature"].values, "factor": f, "stage": s, "share": values[:, i]}
        )
        for i, f in enumerate(factors)
        for s, values in stages.items()
    ]
    data = pd.concat(rows, ignore_index=True).dropna(subset=["share"])
    medians = data.groupby(["factor", "stage"], sort=False)["share"].median()
    told = "; ".join(f"{f} {s} {v:.1%}" for (f, s), v in medians.items())

    def draw(ax: Axes) -> None:
        boxes = [
            (f, s, data.loc[(data["factor"] == f) & (data["stage"] == s), "share"])
            for f in factors
            for s in stages
        ]
        for i, (_, stage, values) in enumerate(boxes):
            colour = GREY if stage == "before" else COLOURS[0]
            box(ax, 100 * values.to_numpy(), len(boxes) - i, colour)
        labels = [f"{f}\n{s}" for f, s, _ in boxes]
        ax.set_yticks(range(len(boxes), 0, -1), labels)
        ax.set_xlabel("share of the variance of a feature (%)")
        ax.set_xlim(0, 100)
        light_grid(ax, "x")

    aspect = min(1.4, 0.22 + 0.1 * len(factors) * len(stages))
    caption = f"Share of a feature's variance that each factor explains, over features; median: {told}."
    return Picture("batch_share", caption, (Panel(draw, caption, "Share explained", aspect),), data)


def box(ax: Axes, values: np.ndarray, y: float, colour: str, seed: int = 0) -> None:
    """A horizontal box with its points above it: middle half, median, middle 90 %."""
    if not len(values):
        return
    low, first, median, third, high = np.percentile(values, [5, 25, 50, 75, 95])
    jitter = np.random.default_rng(seed).uniform(0.12, 0.36, len(values))
    points(ax, values, y + jitter, colour, size=3, alpha=0.35)
    ax.plot([low, high], [y, y], color=colour, lw=0.8, solid_capstyle="butt")
    ax.plot([first, third], [y, y], color=colour, lw=5, solid_capstyle="butt")
    ax.plot([median, median], [y - 0.14, y + 0.14], color=INK, lw=1.3)


def components(view: View, factor: str) -> Picture | None:
    """Samples on the first two principal components before and after, coloured and shaped by ``factor``."""
    batch = view.batch
    assert batch is not None
    if "pc_before" not in batch or batch.sizes.get("pc", 0) < 2:
        return None
    ids = [str(s) for s in batch["sample"].values]
    known = view.samples[factor].astype(str)
    qc = view.roles == "qc"
    order = list(view.columns[factor].levels)
    groups = known.where(known != "", "not given").where(~qc, "QC")[ids].to_numpy()
    panels, frames = [], []
    for stage in ("before", "after"):
        if f"pc_{stage}" not in batch:
            continue
        scores = batch[f"pc_{stage}"].values[:, :2]
        explained = batch[f"pc_{stage}_share"].values[:2]
        frame = pd.DataFrame(
            {"sample": ids, "group": groups, "pc1": scores[:, 0], "pc2": scores[:, 1], "stage": stage}
        )
        frames.append(_centres(frame) if view.share else frame)
        panels.append(_component_panel(frames[-1], factor, stage, explained, view.share, order))
    caption = f"Samples on the first two principal components, coloured and shaped by {factor}."
    if view.share:
        caption = f"Centres of the groups of {factor} on the first two principal components; bars: one SD."
    return Picture(
        f"components_{_slug(factor)}", caption, tuple(panels), pd.concat(frames, ignore_index=True)
    )


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def _centres(frame: pd.DataFrame) -> pd.DataFrame:
    """Group means and standard deviations; groups under five samples are left out."""
    by = frame.groupby(["group", "stage"], sort=True)[["pc1", "pc2"]]
    wide = by.mean().join(by.std().add_suffix("_sd"))
    return wide[by.size() >= SMALLEST_GROUP].reset_index()


def _component_panel(
    frame: pd.DataFrame, factor: str, stage: str, explained: np.ndarray, share: bool, order: list[str]
) -> Panel:
    levels = sorted(frame["group"].unique(), key=lambda g: (order.index(g) if g in order else len(order), g))
    styles = group_style([g for g in levels if g != "QC"]) | {"QC": (INK, "*")}

    def draw(ax: Axes) -> None:
        for level in levels:
            colour, marker = styles[level]
            part = frame[frame["group"] == level]
            if share:
                ax.errorbar(
                    part["pc1"],
                    part["pc2"],
                    part["pc2_sd"],
                    part["pc1_sd"],
                    color=colour,
                    marker=marker,
                    lw=1,
                    label=level,
                )
            else:
                points(ax, part["pc1"], part["pc2"], colour, marker, 26 if level == "QC" else 13, level)
        ax.set_xlabel(f"component 1 ({explained[0]:.0%} of the variance)")
        ax.set_ylabel(f"component 2 ({explained[1]:.0%})")
        if len(levels) <= 12:
            ax.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=min(4, len(levels)), columnspacing=1.0
            )

    centres = frame.groupby("group")[["pc1", "pc2"]].mean()
    where = (
        "; ".join(f"{g} at {r.pc1:.1f}, {r.pc2:.1f}" for g, r in centres.iterrows())
        if len(centres) <= 8
        else ""
    )
    alt = f"Samples on principal components 1 and 2 {stage} harmonisation by {factor}. Centres: {where}."
    title = {"before": "Before", "after": "After"}[stage] + " harmonisation"
    return Panel(draw, alt, title, aspect=0.92)
