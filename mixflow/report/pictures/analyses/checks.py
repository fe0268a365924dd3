"""Pictures of what a generalised model misses: p of residual checks, quantiles of residuals, families by AIC."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import COLOURS, GREY, INK, MARKERS, Panel, Picture, light_grid
from mixflow.report.pictures.batch import box
from mixflow.report.pictures.volcano import short
from mixflow.report.shown import Shown

FEATURES = 3
ALPHA = 0.05
NEAR = 2.0
"""AIC above the best within which families are hardly told apart."""


def residual_checks(shown: Shown) -> list[Picture]:
    """p over features against the uniform distribution, and the share of features flagged by each check."""
    known = parts.finite(shown.table, "p_value", "statistic")
    if known.empty:
        return []
    groups = {str(name): rows for name, rows in known.groupby("check", sort=False)}
    flagged = {name: float((rows["p_value"] < ALPHA).mean()) for name, rows in groups.items()}
    told = "; ".join(f"{name} {100 * share:.3g}\u00a0%" for name, share in flagged.items())
    caption = (
        f"Checks of residuals, {known['feature'].nunique():,} features. Left: sorted p beside those of a model that "
        f"holds (diagonal); below it, more small p than chance gives. Right: features with p below {ALPHA:g} "
        f"(dashed: {100 * ALPHA:.3g}\u00a0%, what a model that holds would show): {told}."
    )
    panels = (
        Panel(
            lambda ax: _qq(ax, groups),
            f"Sorted p of {len(groups)} checks against uniform quantiles.",
            "p over features",
        ),
        Panel(
            lambda ax: _flagged(ax, flagged),
            f"Share of features with p below {ALPHA:g}: {told}.",
            "Features flagged",
        ),
    )
    return [Picture(parts.picture_name(shown), caption, panels, known)]


def _qq(ax: Axes, groups: dict[str, pd.DataFrame]) -> None:
    ax.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (4, 3)))
    for i, (name, rows) in enumerate(groups.items()):
        p = np.sort(rows["p_value"].to_numpy(float))
        place = (np.arange(len(p)) + 0.5) / len(p)
        marks = max(1, len(p) // 8)
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        ax.plot(
            place, p, color=colour, marker=marker, ms=3, markevery=marks, label=name, rasterized=len(p) > 2000
        )
    ax.set_xlabel("p that a model which holds would show")
    ax.set_ylabel("p")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.legend()


def _flagged(ax: Axes, flagged: dict[str, float]) -> None:
    y = np.arange(len(flagged))[::-1]
    ax.barh(y, [100 * share for share in flagged.values()], 0.6, color=COLOURS[0])
    ax.axvline(100 * ALPHA, color=INK, lw=0.8, ls=(0, (4, 3)))
    ax.set_yticks(y, list(flagged))
    ax.set_xlabel(f"features with p < {ALPHA:g} (%)")
    ax.set_xlim(0, 100)
    light_grid(ax, "x")


def residual_quantiles(shown: Shown) -> list[Picture]:
    """Quantiles of residuals beside the uniform ones: all features, and those that lie farthest off."""
    known = parts.finite(shown.table, "residual", "expected")
    if known.empty:
        return []
    off = (known["residual"] - known["expected"]).abs().groupby(known["feature"].to_numpy()).max()
    chosen = [str(f) for f in off.sort_values(ascending=False, kind="stable").index[:FEATURES]]
    panels = [_one_feature(known[known["feature"] == feature]) for feature in chosen]
    if len(off) > 1:
        panels.insert(0, _all_features(known, len(off)))
    which = "the feature" if len(off) == 1 else f"all {len(off):,} features (line: median, band: middle 90 %)"
    rest = "" if len(off) == 1 else f", and of the {len(chosen)} farthest off"
    caption = (
        f"Quantiles of residuals of {which}{rest}, beside those the model expects (diagonal). Dashed: 95 % of data "
        "sets simulated from the model."
    )
    return [Picture(parts.picture_name(shown), caption, tuple(panels), known)]


def _all_features(known: pd.DataFrame, count: int) -> Panel:
    by = known.groupby("expected")["residual"]
    low, middle, high = (by.quantile(q) for q in (0.05, 0.5, 0.95))
    worst = float((middle - middle.index).abs().max())

    def draw(ax: Axes) -> None:
        ax.fill_between(low.index, low, high, color=COLOURS[0], alpha=0.25, lw=0)
        ax.plot(middle.index, middle, color=COLOURS[0], marker="o", ms=2.5)
        _diagonal(ax)

    return Panel(
        draw, f"{count:,} features: the median lies at most {worst:.2g} off the diagonal.", "All features"
    )


def _one_feature(rows: pd.DataFrame) -> Panel:
    name = str(rows["name"].iloc[0])
    rows = rows.sort_values("expected", kind="stable")
    worst = float((rows["residual"] - rows["expected"]).abs().max())

    def draw(ax: Axes) -> None:
        for end in ("low", "high"):
            ax.plot(rows["expected"], rows[end], color=GREY, lw=0.8, ls=(0, (4, 3)))
        ax.plot(rows["expected"], rows["residual"], color=COLOURS[5], marker="o", ms=2.5, lw=0)
        _diagonal(ax)

    return Panel(draw, f"{name}: residuals lie at most {worst:.2g} off the diagonal.", short(name, 40))


def _diagonal(ax: Axes) -> None:
    ax.plot([0, 1], [0, 1], color=INK, lw=0.6)
    ax.set_xlabel("expected quantile")
    ax.set_ylabel("quantile of residuals")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)


def families(shown: Shown) -> list[Picture]:
    """For how many features each family is best or nearly so, and how far it is from the best elsewhere."""
    known = parts.finite(shown.table, "delta")
    if known.empty:
        return []
    names = list(dict.fromkeys(shown.table["family"].astype(str)))
    total = shown.n_features
    counts = {name: _shares(known[known["family"] == name], total) for name in names}
    told = "; ".join(f"{name} {own[0]:,}" for name, own in counts.items())
    caption = (
        f"Families by AIC, {total:,} features. Left: features for which each is best, within {NEAR:g} of the best, "
        f"worse, or not fitted (best for: {told}). Right: AIC above the best of the feature. Bar: middle half, "
        "line: middle 90 %, tick: median."
    )
    far = {name: known.loc[known["family"] == name, "delta"].to_numpy(float) for name in names}
    height = min(1.3, 0.3 + 0.13 * len(names))
    panels = (
        Panel(lambda ax: _stacked(ax, counts), f"Best for: {told}.", "Features by family", height),
        Panel(
            lambda ax: _far(ax, far),
            "Median AIC above the best: "
            + "; ".join(f"{n} {np.median(v):.3g}" for n, v in far.items() if len(v))
            + ".",
            "AIC above the best",
            height,
        ),
    )
    return [Picture(parts.picture_name(shown), caption, panels, known)]


def _shares(rows: pd.DataFrame, total: int) -> tuple[int, int, int, int]:
    """Features for which a family is best, near it, worse, not fitted."""
    best = int((rows["best"].astype(str) == "yes").sum())
    near = int((rows["delta"] <= NEAR).sum()) - best
    return best, max(near, 0), len(rows) - best - max(near, 0), total - len(rows)


def _stacked(ax: Axes, counts: dict[str, tuple[int, int, int, int]]) -> None:
    y, left = np.arange(len(counts))[::-1], np.zeros(len(counts))
    words = ("best", f"within {NEAR:g}", "worse", "not fitted")
    styles = ((COLOURS[0], ""), (COLOURS[4], "///"), (GREY, ""), ("none", "..."))
    for k, (word, (colour, hatch)) in enumerate(zip(words, styles, strict=True)):
        width = np.array([own[k] for own in counts.values()], dtype=float)
        ax.barh(y, width, 0.6, left=left, color=colour, hatch=hatch, edgecolor=INK, lw=0.4, label=word)
        left += width
    ax.set_yticks(y, [short(name, 30) for name in counts])
    ax.set_xlabel("features")
    ax.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.45, -0.35), columnspacing=1.0)


def _far(ax: Axes, far: dict[str, np.ndarray]) -> None:
    for i, values in enumerate(far.values()):
        if len(values):
            box(ax, values, len(far) - i, COLOURS[i % len(COLOURS)], seed=i)
    ax.set_yticks(range(len(far), 0, -1), [short(name, 30) for name in far])
    ax.set_xlabel("AIC above the best family")
    ax.set_xscale("symlog", linthresh=NEAR)
    most = max((float(v.max()) for v in far.values() if len(v)), default=NEAR)
    ticks = [0, NEAR, 10, 100, 1000, 10_000]
    ax.set_xticks(
        [t for t in ticks if t <= max(most, NEAR)], [f"{t:g}" for t in ticks if t <= max(most, NEAR)]
    )
    ax.minorticks_off()
    ax.axvline(NEAR, color=INK, lw=0.6, ls=(0, (4, 3)))
    light_grid(ax, "x")
