"""Data quality: how the values are distributed before and after, and how QC samples agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.absent import LOGGED, logged
from mixflow.report.pictures.base import (
    COLOURS,
    GREY,
    INK,
    Panel,
    Picture,
    group_style,
    light_grid,
)
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.view import View
from mixflow.slices import BLOCK_BYTES, Sliced, blocks

QUANTILES = (5, 25, 50, 75, 95)
STAGES = {"before": "Before preprocessing", "after": "After preprocessing", "values": "Values"}


def grouping(view: View) -> tuple[str, pd.Series]:
    """The factor that colours pictures of samples (first batch factor, else first factor) and its values.

    The values are a Categorical: levels in the sheet's order, then what is no level (QC samples).
    """
    factors = [c for c in view.batch_factors if c in view.columns]
    factors += [c.name for c in view.columns.values() if c.is_factor and len(c.levels) <= 12]
    if not factors:
        return "", pd.Series("all samples", index=view.samples.index, dtype="category")
    text = view.samples[factors[0]].astype(str)
    text = text.where((text != "") & (text != "nan"), "not given")
    text = text.where(view.roles == "sample", "QC" if (view.roles == "qc").any() else "other")
    known = [level for level in view.columns[factors[0]].levels if (text == level).any()]
    levels = [*known, *sorted(set(text) - set(known))]
    return factors[0], pd.Series(pd.Categorical(text, categories=levels), index=text.index)


def distributions(view: View) -> Picture:
    """Quantiles of each sample before and after preprocessing (by group in a copy to share)."""
    unchanged = {str(view.data.attrs.get(key) or "none") for key in ("transform", "normalise")} == {"none"}
    scale = str(view.data.attrs.get("scale", "free"))
    stages = [("values" if unchanged else "before", view.raw, scale)]
    if not unchanged:
        stages.append(("after", view.value, "free"))
    factor, groups = grouping(view)
    unit = {"before": raw_axis(view), "values": raw_axis(view), "after": view.unit}
    panels, frames = [], []
    for stage, values, on in stages:
        quantiles = _quantiles(values, on, view.samples.index, groups, view.share)
        frames.append(quantiles.assign(stage=stage))
        panels.append(_quantile_panel(quantiles, groups, factor, stage, unit[stage], view.share))
    caption = f"Values of each {'group' if view.share else 'sample'}: median, middle half and middle 90 %."
    if unchanged:
        caption += " No transform or normalisation was asked for, so these are the values that are fitted."
    return Picture("distributions", caption, tuple(panels), pd.concat(frames, ignore_index=True))


def _quantiles(values: Sliced, scale: str, ids: pd.Index, groups: pd.Series, share: bool) -> pd.DataFrame:
    """Quantiles of each sample, read a few samples at a time; in a copy to share of each group, whole."""
    if share:
        names = [g for g in groups.cat.categories if (groups == g).sum() >= SMALLEST_CELL]
        wanted = {str(g): np.flatnonzero((groups == g).to_numpy()) for g in names}
    else:
        order = groups.reset_index(drop=True).sort_values(kind="stable").index
        wanted = {str(ids[i]): np.array([i]) for i in order}
    rows = []
    for name, column in _columns(values, wanted):
        column = logged(column, scale)
        seen = column[np.isfinite(column)]
        found = np.percentile(seen, QUANTILES) if len(seen) else [np.nan] * len(QUANTILES)
        rows.append([name, *found])
    return pd.DataFrame(rows, columns=["sample", *(f"q{q}" for q in QUANTILES)])


def _columns(values: Sliced, wanted: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Values of the samples wanted by each name, as many names together as a block holds."""
    few, together = max(1, BLOCK_BYTES // (8 * max(1, len(values)))), []
    for at, (name, columns) in enumerate(wanted.items(), 1):
        together.append((name, columns))
        if sum(len(own) for _, own in together) >= few or at == len(wanted):
            taken = values.columns(np.concatenate([own for _, own in together]))
            read = np.concatenate([taken[part] for part in blocks(*values.shape)])
            ends = np.cumsum([0, *(len(own) for _, own in together)])
            yield from (
                (n, read[:, a:b].ravel()) for (n, _), a, b in zip(together, ends, ends[1:], strict=False)
            )
            together = []


def _quantile_panel(
    quantiles: pd.DataFrame, groups: pd.Series, factor: str, stage: str, unit: str, share: bool
) -> Panel:
    names = list(quantiles["sample"])
    level_of = pd.Series(names, index=names) if share else groups
    levels = names if share else list(groups.cat.categories)
    styles = group_style(list(groups.cat.categories))
    width = max(0.4, min(6.0, 150 / max(len(names), 1)))

    def draw(ax: Axes) -> None:
        for level in levels:
            at = np.flatnonzero((level_of[names] == level).to_numpy())
            part = quantiles.iloc[at]
            colour = styles[level][0]
            ax.vlines(at + 1, part["q5"], part["q95"], color=colour, lw=width * 0.3, alpha=0.6)
            ax.vlines(at + 1, part["q25"], part["q75"], color=colour, lw=width, alpha=0.85)
            if len(levels) <= 8:
                above = {"transform": ax.get_xaxis_transform(), "ha": "center", "va": "bottom", "fontsize": 6}
                ax.text(at.mean() + 1, 1.0, level, **above)
        marks = {"ls": "none", "marker": "_", "ms": max(1.5, width), "mec": INK, "mew": 0.7}
        ax.plot(np.arange(len(names)) + 1, quantiles["q50"], **marks)
        ax.set_xticks([])
        ax.set_xlabel(("groups" if share else "samples") + (f" by {factor}" if factor else ""))
        ax.set_ylabel(unit)

    medians = quantiles["q50"]
    what = "groups" if share else "samples"
    alt = f"Medians of {len(names)} {what} range from {medians.min():.2f} to {medians.max():.2f} {unit}."
    return Panel(draw, alt, STAGES[stage] + "\n")


def qc_cv(view: View) -> Picture | None:
    """Coefficient of variation of the QC samples, before and after."""
    if view.batch is None or "cv_before" not in view.batch:
        return None
    stages = {k: view.batch[f"cv_{k}"].values for k in ("before", "after") if f"cv_{k}" in view.batch}
    found = {k: v[np.isfinite(v)] for k, v in stages.items()}
    if not any(len(v) for v in found.values()):
        return None
    top = max(np.percentile(v, 98) for v in found.values() if len(v))

    def draw(ax: Axes) -> None:
        for (stage, values), colour, fill in zip(
            found.items(), (GREY, COLOURS[0]), (True, False), strict=False
        ):
            kind = "stepfilled" if fill else "step"
            ax.hist(100 * values, bins=np.linspace(0, 100 * top, 31), histtype=kind, color=colour, lw=1.2,
                    label=f"{stage} (median {np.median(values):.1%})", alpha=0.6 if fill else 1)  # fmt: skip
        ax.set_xlabel("CV of the QC samples (%)")
        ax.set_ylabel("features")
        ax.legend()
        light_grid(ax)

    told = ", ".join(f"{k} {np.median(v):.1%}" for k, v in found.items())
    data = pd.DataFrame(
        {"feature": view.batch["feature"].values, **{f"cv_{k}": v for k, v in stages.items()}}
    )
    caption = f"Coefficient of variation of the QC samples over features: median {told}."
    return Picture("qc_cv", caption, (Panel(draw, caption, "QC samples"),), data)


def raw_axis(view: View) -> str:
    """Label of an axis of measurements as read."""
    scale = str(view.data.attrs.get("scale", "free"))
    if scale in LOGGED:
        return f"log2 {scale}"
    return scale if scale == "proportion" else view.unit
