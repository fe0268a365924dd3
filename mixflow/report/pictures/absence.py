"""What is not there: by sample, by feature, and against the level of the feature.

Missing values; or zeros, where counts and proportions miss no value but are zero for the same reason.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.absent import Absent
from mixflow.report.pictures.base import DENSE, DOWN, Panel, Picture, group_style, light_grid, points
from mixflow.report.pictures.quality import grouping, raw_axis
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.view import View


def absence(view: View) -> tuple[Absent, str]:
    """What is not there, in samples of role `sample`, and the word for it."""
    return view.absent, view.absent.word


def _is_sample(view: View) -> np.ndarray:
    """Which columns are of role `sample`: QC samples and blanks say nothing of what a group lacks."""
    return (view.roles == "sample").to_numpy()


def missingness(view: View) -> Picture:
    """Absent share by sample (or by group in a copy to share) and by feature."""
    absent, word = absence(view)
    n_features, n_samples = absent.shape
    ids = view.samples.index[_is_sample(view)]
    by_sample = pd.Series(absent.by_sample / max(n_features, 1), index=ids)
    by_feature = absent.by_feature / max(n_samples, 1)
    factor, groups = grouping(view)
    groups = groups[by_sample.index].cat.remove_unused_categories()
    data = pd.DataFrame({"id": view.features.index, word: by_feature, "what": "feature"})
    if not view.share:
        rows = pd.DataFrame({"id": by_sample.index, word: by_sample.to_numpy(), "what": "sample"})
        data = pd.concat([rows, data])
    by = _by_group if view.share else _by_sample
    half = f"for half of them at most {np.median(by_feature):.0%}"
    alt = f"Share of {word} values of {len(by_feature)} features; {half}."
    second = Panel(lambda ax: _histogram(ax, by_feature, word), alt, f"{word.capitalize()} by feature")
    caption = f"Values that are {word}: {absent.mean():.1%} of {absent.size:,} in all."
    return Picture("missingness", caption, (by(by_sample, groups, factor, word), second), data)


def _by_sample(share: pd.Series, groups: pd.Series, factor: str, word: str) -> Panel:
    order = share.sort_values(kind="stable")
    styles = group_style(list(groups.cat.categories))

    def draw(ax: Axes) -> None:
        for level, (colour, marker) in styles.items():
            at = np.flatnonzero((groups[order.index] == level).to_numpy())
            points(ax, at + 1, 100 * order.to_numpy()[at], colour, marker, 9, level)
        ax.set_xlabel(f"samples, fewest {word} first")
        ax.set_ylabel(f"{word} (%)")
        ax.set_ylim(bottom=0)
        light_grid(ax)
        if len(styles) > 1:
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4, columnspacing=1.0)

    ends = f"from {order.iloc[0]:.0%} to {order.iloc[-1]:.0%} ({order.index[-1]})"
    return Panel(
        draw,
        f"Share of {word} values in each of {len(share)} samples, {ends}.",
        f"{word.capitalize()} by sample",
    )


def _by_group(share: pd.Series, groups: pd.Series, factor: str, word: str) -> Panel:
    sizes = groups.value_counts()
    means = share.groupby(groups, observed=True).mean()[lambda s: sizes[s.index] >= SMALLEST_CELL]

    def draw(ax: Axes) -> None:
        ax.barh(list(means.index), 100 * means.to_numpy(), color=DOWN, height=0.6)
        ax.set_xlabel(f"{word} (%), mean of the group")
        light_grid(ax, "x")

    told = ", ".join(f"{k} {v:.0%}" for k, v in means.items())
    return Panel(
        draw, f"Mean share of {word} values by {factor or 'group'}: {told}", f"{word.capitalize()} by group"
    )


def _histogram(ax: Axes, share: np.ndarray, word: str) -> None:
    ax.hist(100 * share, bins=list(np.linspace(0, 100, 21)), color=DOWN, rwidth=0.9)
    ax.set_xlabel(f"{word} (%)")
    ax.set_ylabel("features")
    light_grid(ax)


def intensity(view: View) -> Picture | None:
    """Mean of the values that are there against the absent share; None where nothing is absent."""
    absent, word = absence(view)
    if not absent.sum():
        return None
    share, mean = absent.by_feature / max(absent.shape[1], 1), absent.level
    used = np.isfinite(mean)
    ranks = pd.DataFrame({"mean": mean[used], "share": share[used]}).rank()
    both = ranks["mean"].corr(ranks["share"]) if ranks.nunique().min() > 1 else 0.0

    def draw(ax: Axes) -> None:
        points(ax, mean[used], 100 * share[used], DOWN, size=6, alpha=0.3 if used.sum() > DENSE else 0.6)
        ax.set_xlabel(f"mean of the observed values ({raw_axis(view)})")
        ax.set_ylabel(f"{word} (%)")
        light_grid(ax)

    alt = f"Mean value against share of {word} values, {used.sum()} features; rank correlation {both:.2f}."
    caption = f"Intensity against missingness (rank correlation {both:.2f}). "
    if word == "missing":
        caption += (
            "When low values are missing more often, they are not missing at random, and groups with lower "
            "levels lose more of them; nothing is imputed."
        )
    data = pd.DataFrame({"feature": view.features.index, "mean": mean, word: share})
    panel = Panel(draw, alt, f"Intensity against {'missingness' if word == 'missing' else 'zeros'}")
    return Picture("intensity_against_missingness", caption, (panel,), data)
