"""Pictures of what features learn from each other: variances and tests, moderated and alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import COLOURS, DENSE, GREY, INK, Panel, Picture, light_grid, points
from mixflow.report.shown import Shown

MOST_PANELS = 4


def moderated(shown: Shown) -> list[Picture]:
    """Residual variances before and after, and p of each contrast alone and moderated."""
    once = shown.table.drop_duplicates("feature")
    once = parts.finite(once, "s2", "s2_post")
    once = once[(once["s2"] > 0) & (once["s2_post"] > 0)]
    pictures = []
    if len(once):
        pictures.append(_variances(shown, once))
    return pictures + tests(shown, "moderated")


def _variances(shown: Shown, once: pd.DataFrame) -> Picture:
    worth, own = float(once["df_prior"].median()), float(once["rdf"].median())
    told = "endless" if np.isinf(worth) else f"{worth:.3g}"

    def draw(ax: Axes) -> None:
        x, y = once["s2"].to_numpy(float), once["s2_post"].to_numpy(float)
        ax.set_xscale("log")
        ax.set_yscale("log")
        parts.against(ax, x, y)
        prior = once.sort_values("s2")["s2_prior"]
        if prior.nunique() == 1:
            ax.axhline(prior.iloc[0], color=COLOURS[0], lw=1)
            ax.annotate("prior", (0.99, prior.iloc[0]), (0, 2), xycoords=("axes fraction", "data"),
                        textcoords="offset points", ha="right", color=INK, fontsize=6.5)  # fmt: skip
        else:
            points(ax, once["s2"], once["s2_prior"], COLOURS[0], "_", 12, "prior", alpha=0.6)
            ax.legend(loc="upper left")
        ax.set_xlabel(f"residual variance of the feature alone ({shown.unit}²)")
        ax.set_ylabel("moderated")

    alt = (
        f"Residual variances of {len(once):,} features, alone and moderated. What the features have in common is "
        f"worth {told} degrees of freedom, beside {own:.3g} of a feature itself (medians)."
    )
    caption = f"{alt} The flatter the points lie, the more was borrowed; dashed: no change."
    columns = ["feature", "name", "s2", "rdf", "s2_prior", "df_prior", "s2_post"]
    panels = (Panel(draw, alt, "Residual variance", 0.82),)
    return Picture(parts.picture_name(shown, "variances"), caption, panels, once[columns])


def averaged(shown: Shown) -> list[Picture]:
    """p of each contrast alone and averaged over the variance ratios."""
    return tests(shown, "averaged")


def tests(shown: Shown, word: str) -> list[Picture]:
    """p alone against p with what all features say, a panel a contrast."""
    known = parts.finite(shown.table, "p_value", "plain_p_value")
    known = known[(known["p_value"] > 0) & (known["plain_p_value"] > 0)]
    groups = [(str(name), rows) for name, rows in known.groupby("contrast", sort=False)][:MOST_PANELS]
    if not groups:
        return []
    panels = tuple(_test_panel(name, rows, shown.alpha, word) for name, rows in groups)
    told = "; ".join(f"{name} {_hits(rows, shown.alpha)}" for name, rows in groups)
    caption = (
        f"Each point is a feature: evidence alone and {word}. Hits at {100 * shown.alpha:.3g} % false discovery "
        f"rate, alone and {word}: {told}."
    )
    columns = ["feature", "name", "contrast", "plain_p_value", "p_value", "plain_q_value", "q_value"]
    return [Picture(parts.picture_name(shown, "tests"), caption, panels, known[columns])]


def _hits(rows: pd.DataFrame, alpha: float) -> str:
    return f"{(rows['plain_q_value'] < alpha).sum():,} and {(rows['q_value'] < alpha).sum():,}"


def _test_panel(name: str, rows: pd.DataFrame, alpha: float, word: str) -> Panel:
    changed = ((rows["plain_q_value"] < alpha) != (rows["q_value"] < alpha)).to_numpy()

    def draw(ax: Axes) -> None:
        x, y = (-np.log10(rows[c].to_numpy(float)) for c in ("plain_p_value", "p_value"))
        parts.against(ax, x, y, changed, f"a hit in one only ({changed.sum():,})")
        ax.set_xlabel("−log10 p alone")
        ax.set_ylabel(f"−log10 p {word}")

    alt = f"{name}: hits alone and {word} {_hits(rows, alpha)}; {changed.sum():,} features change sides."
    return Panel(draw, alt, name, 0.82)


def components(shown: Shown) -> list[Picture]:
    """Standard deviations of each random effect, alone and moderated."""
    known = parts.finite(shown.table, "variance", "plain_variance")
    groups = [(key, rows) for key, rows in known.groupby(["group", "term"], sort=False)][:MOST_PANELS]
    if not groups:
        return []
    panels = tuple(_component_panel(str(key[0]), str(key[1]), rows) for key, rows in groups)
    zeros = int((known.loc[known["group"] != "Residual", "plain_variance"] == 0).sum())
    caption = (
        "Standard deviation of each feature's random effects, alone and moderated; dashed: no change."
        f" {zeros:,} were estimated as zero alone."
    )
    return [Picture(parts.picture_name(shown), caption, panels, known)]


def _component_panel(group: str, term: str, rows: pd.DataFrame) -> Panel:
    title = "Residual" if group == "Residual" else group + ("" if term == "(Intercept)" else f": {term}")

    def draw(ax: Axes) -> None:
        x, y = (np.sqrt(rows[c].to_numpy(float)) for c in ("plain_variance", "variance"))
        dense = len(x) > DENSE
        points(ax, x, y, GREY, size=6, alpha=0.55, rasterized=dense)
        most = max(x.max(), y.max(), 1e-12) * 1.04
        ax.plot([0, most], [0, most], color=INK, lw=0.6, ls=(0, (4, 3)), zorder=0.9)
        ax.set_xlim(-0.02 * most, most)
        ax.set_ylim(-0.02 * most, most)
        ax.set_xlabel("SD of the feature alone")
        ax.set_ylabel("moderated")
        light_grid(ax)

    alone, shared = (np.sqrt(rows[c]).median() for c in ("plain_variance", "variance"))
    alt = f"{title}: standard deviations of {len(rows):,} features, median alone {alone:.3g}, moderated {shared:.3g}."
    return Panel(draw, alt, title, 0.82)
