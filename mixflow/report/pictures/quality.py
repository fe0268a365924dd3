"""Data quality: what is missing, where, and how the values are distributed before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.base import (
    COLOURS,
    DENSE,
    DOWN,
    GREY,
    INK,
    Panel,
    Picture,
    group_style,
    light_grid,
    points,
)
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.view import View

QUANTILES = (5, 25, 50, 75, 95)
STAGES = {"before": "Before preprocessing", "after": "After preprocessing", "values": "Values"}
LOGGED = ("intensity", "count")


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


def missingness(view: View) -> Picture:
    """Missing share by sample (or by group in a copy to share) and by feature."""
    missing = ~np.isfinite(view.raw)
    by_sample = pd.Series(missing.mean(axis=0), index=view.samples.index)
    factor, groups = grouping(view)
    by_feature = missing.mean(axis=1)
    data = pd.DataFrame({"feature": view.features.index, "missing": by_feature, "what": "feature"})
    first = (
        _missing_by_group(by_sample, groups, factor)
        if view.share
        else _missing_by_sample(by_sample, groups, factor)
    )
    if not view.share:
        rows = pd.DataFrame({"feature": by_sample.index, "missing": by_sample.to_numpy(), "what": "sample"})
        data = pd.concat([rows, data]).rename(columns={"feature": "id"})
    second = Panel(
        lambda ax: _share_histogram(ax, by_feature),
        f"Missing share of {len(by_feature)} features; half miss at most {np.median(by_feature):.0%}.",
        "Missing by feature",
    )
    caption = f"Missing values: {missing.mean():.1%} of {missing.size:,} in all."
    return Picture("missingness", caption, (first, second), data)


def _missing_by_sample(share: pd.Series, groups: pd.Series, factor: str) -> Panel:
    order = share.sort_values(kind="stable")
    styles = group_style(list(groups.cat.categories))

    def draw(ax: Axes) -> None:
        for level, (colour, marker) in styles.items():
            at = np.flatnonzero((groups[order.index] == level).to_numpy())
            points(ax, at + 1, 100 * order.to_numpy()[at], colour, marker, 9, level)
        ax.set_xlabel("samples, fewest missing first")
        ax.set_ylabel("missing (%)")
        ax.set_ylim(bottom=0)
        light_grid(ax)
        if len(styles) > 1:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, columnspacing=1.0)

    worst = order.index[-1]
    ends = f"from {order.iloc[0]:.0%} to {order.iloc[-1]:.0%} ({worst})"
    alt = f"Missing share of each of {len(share)} samples, {ends}."
    return Panel(draw, alt, "Missing by sample")


def _missing_by_group(share: pd.Series, groups: pd.Series, factor: str) -> Panel:
    sizes = groups.value_counts()
    means = share.groupby(groups, observed=True).mean()[lambda s: sizes[s.index] >= SMALLEST_CELL]

    def draw(ax: Axes) -> None:
        ax.barh(list(means.index), 100 * means.to_numpy(), color=DOWN, height=0.6)
        ax.set_xlabel("missing (%), mean of the group")
        light_grid(ax, "x")

    told = ", ".join(f"{k} {v:.0%}" for k, v in means.items())
    alt = f"Mean missing share by {factor or 'group'}: {told}"
    return Panel(draw, alt, "Missing by group")


def _share_histogram(ax: Axes, share: np.ndarray) -> None:
    ax.hist(100 * share, bins=list(np.linspace(0, 100, 21)), color=DOWN, rwidth=0.9)
    ax.set_xlabel("missing (%)")
    ax.set_ylabel("features")
    light_grid(ax)


def intensity(view: View) -> Picture:
    """Mean of the observed values of each feature against its missing share."""
    values = _logged(view, view.raw)
    seen = np.isfinite(values)
    n = seen.sum(axis=1)
    mean = np.where(n > 0, np.where(seen, values, 0).sum(axis=1) / np.maximum(n, 1), np.nan)
    missing = 1 - n / values.shape[1]
    used = np.isfinite(mean)
    both = (
        np.corrcoef(pd.Series(mean[used]).rank(), pd.Series(missing[used]).rank())[0, 1]
        if missing[used].std() > 0
        else 0.0
    )

    def draw(ax: Axes) -> None:
        points(ax, mean[used], 100 * missing[used], DOWN, size=6, alpha=0.3 if used.sum() > DENSE else 0.6)
        ax.set_xlabel(f"mean of the observed values ({_axis(view)})")
        ax.set_ylabel("missing (%)")
        light_grid(ax)

    alt = f"Mean value against missing share of {used.sum()} features; rank correlation {both:.2f}."
    caption = (
        f"Intensity against missingness (rank correlation {both:.2f}). When low values are missing more "
        "often, they are not missing at random, and groups with lower levels lose more of them; "
        "nothing is imputed."
    )
    data = pd.DataFrame({"feature": view.features.index, "mean": mean, "missing": missing})
    return Picture(
        "intensity_against_missingness", caption, (Panel(draw, alt, "Intensity against missingness"),), data
    )


def distributions(view: View) -> Picture:
    """Quantiles of each sample before and after preprocessing (by group in a copy to share)."""
    unchanged = {str(view.data.attrs.get(key) or "none") for key in ("transform", "normalise")} == {"none"}
    stages = [("values" if unchanged else "before", _logged(view, view.raw))]
    if not unchanged:
        stages.append(("after", view.value))
    factor, groups = grouping(view)
    unit = {"before": _axis(view), "values": _axis(view), "after": view.unit}
    panels, frames = [], []
    for stage, values in stages:
        quantiles = _quantiles(values, view.samples.index, groups, view.share)
        frames.append(quantiles.assign(stage=stage))
        panels.append(_quantile_panel(quantiles, groups, factor, stage, unit[stage], view.share))
    caption = f"Values of each {'group' if view.share else 'sample'}: median, middle half and middle 90 %."
    if unchanged:
        caption += " No transform or normalisation was asked for, so these are the values that are fitted."
    return Picture("distributions", caption, tuple(panels), pd.concat(frames, ignore_index=True))


def _quantiles(values: np.ndarray, ids: pd.Index, groups: pd.Series, share: bool) -> pd.DataFrame:
    if share:
        names = [g for g in groups.cat.categories if (groups == g).sum() >= SMALLEST_CELL]
        columns = {str(g): values[:, (groups == g).to_numpy()].ravel() for g in names}
    else:
        order = groups.reset_index(drop=True).sort_values(kind="stable").index
        columns = {str(ids[i]): values[:, i] for i in order}
    rows = []
    for name, column in columns.items():
        seen = column[np.isfinite(column)]
        found = np.percentile(seen, QUANTILES) if len(seen) else [np.nan] * len(QUANTILES)
        rows.append([name, *found])
    return pd.DataFrame(rows, columns=["sample", *(f"q{q}" for q in QUANTILES)])


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


def _logged(view: View, values: np.ndarray) -> np.ndarray:
    """Intensities and counts on a log2 scale, for looking at; zeros are left out."""
    if str(view.data.attrs.get("scale", "free")) not in LOGGED:
        return values
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log2(np.where(values > 0, values, np.nan)), np.nan)


def _axis(view: View) -> str:
    scale = str(view.data.attrs.get("scale", "free"))
    return f"log2 {scale}" if scale in LOGGED else view.unit
