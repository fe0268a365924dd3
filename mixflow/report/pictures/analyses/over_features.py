"""Pictures of one interval a feature: random slopes, intraclass correlations, equivalence, quantities."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mixflow.report.pictures.analyses import parts
from mixflow.report.pictures.base import Panel, Picture
from mixflow.report.shown import Shown

MOST_PANELS = 8
CHOSEN = 15  # features of which all quantities are drawn


def slopes(shown: Shown) -> list[Picture]:
    """Standard deviation of a random slope and its correlation with the intercept, over features."""
    table = shown.table
    panels, told = [], []
    for quantity, rows in table.groupby("quantity", sort=False):
        rows = parts.finite(rows, "estimate")
        if rows.empty:
            continue
        words = _words_of_slope(shown, str(quantity))
        hit = (rows["q_value"] < shown.alpha).to_numpy()
        label = f"{words}, {100 * shown.level:.3g} % interval"
        alt = f"{words} of {len(rows):,} features: {parts.in_words(rows['estimate'])}; {hit.sum():,} are not zero."
        told.append(f"{words}: {hit.sum():,} of {len(rows):,}")
        panels.append(_panel(rows, label, hit, alt, "SD" if quantity == "std_dev" else "Correlation"))
    if not panels:
        return []
    caption = (
        f"Each row is a feature, by size. Blue diamonds: differs from zero at {100 * shown.alpha:.3g} % "
        f"false discovery rate ({'; '.join(told)}). Limits by profile likelihood; one at the end of the range "
        "cannot be ruled out."
    )
    return [Picture(parts.picture_name(shown), caption, tuple(panels), table)]


def _words_of_slope(shown: Shown, quantity: str) -> str:
    term, group = shown.options.get("term", "the slope"), shown.options.get("group", "groups")
    if quantity == "std_dev":
        return f"SD of the slope of {term} between levels of {group}"
    return f"correlation of intercept and slope of {term} over {group}"


def _panel(
    rows: pd.DataFrame,
    label: str,
    hit: np.ndarray | None,
    alt: str,
    title: str,
    lines: tuple[float, ...] = (0.0,),
    value: str = "estimate",
    sort: bool = True,
) -> Panel:
    def draw(ax: Axes) -> None:
        parts.intervals(ax, rows, label, hit, lines, value, sort)

    return Panel(draw, alt, title, parts.height(len(rows)))


def quantities(shown: Shown) -> list[Picture]:
    """Limits of every quantity, for the features that lead: a panel a quantity."""
    leaders = parts.leaders(shown, CHOSEN)
    chosen = pd.concat([shown.table[shown.table["feature"] == f] for f in leaders])
    known = parts.finite(chosen, "estimate")
    known = known[(known["quantity"] != "coefficient") | (known["term"] != "(Intercept)")]
    panels = []
    for key, rows in known.groupby(["quantity", "group", "term", "term_2"], sort=False):
        label = _quantity(*(str(part) for part in key))
        apart = ((rows["conf_low"] > 0) | (rows["conf_high"] < 0)).to_numpy()
        alt = f"{label} with limits, of {len(rows)} features: {parts.in_words(rows['estimate'])}."
        panels.append(_panel(rows, label, apart, alt, "", sort=False))
    if not panels:
        return []
    which = "The feature's" if len(leaders) == 1 else f"The {len(leaders)} leading features'"
    caption = (
        f"{which} estimates with {100 * shown.level:.3g} % limits; blue diamonds: the limits exclude zero. A limit "
        "beyond the picture ends at its edge; one that is not there is not drawn."
    )
    if len(panels) > MOST_PANELS:
        caption += f" Of {len(panels)} quantities the first {MOST_PANELS} are drawn."
    return [Picture(parts.picture_name(shown), caption, tuple(panels[:MOST_PANELS]), known)]


def _quantity(quantity: str, group: str, term: str, term_2: str) -> str:
    if quantity == "std_dev":
        within = "" if term in ("", "(Intercept)") else f", {term}"
        return f"SD: {'residual' if group == 'Residual' else group}{within}"
    if quantity == "correlation":
        return f"correlation: {group}, {term} and {term_2}"
    return term if not group else f"{quantity}: {group} {term}"


def icc(shown: Shown) -> list[Picture]:
    """Intraclass correlation with its limits, over features."""
    rows = parts.finite(shown.table, "icc")
    if rows.empty:
        return []
    told = parts.in_words(rows["icc"], 2)
    label = f"intraclass correlation, {100 * shown.level:.3g} % interval"
    alt = f"Intraclass correlation of {len(rows):,} features: {told}."
    good = (rows["conf_low"] > 0.75).to_numpy()
    caption = (
        f"Each row is a feature, by size ({told}). Blue diamonds: the lower limit lies above 0.75, often called "
        f"good agreement (Koo and Li 2016): {good.sum():,} of {len(rows):,}."
    )
    panel = _panel(rows, label, good, alt, "", (0.0, 0.75, 1.0), "icc")
    return [Picture(parts.picture_name(shown), caption, (panel,), rows)]


def equivalence(shown: Shown) -> list[Picture]:
    """The ratio's interval against the bounds, over features."""
    rows = parts.finite(shown.table, "ratio")
    if rows.empty:
        return []
    low, high = shown.options.get("bounds") or (0.8, 1.25)
    yes = (rows["equivalent"] == "yes").to_numpy()
    ratio = shown.options.get("scale", "log") != "identity"
    label = f"{'ratio' if ratio else 'difference'} {rows['comparison'].iloc[0]}, {100 * shown.level:.3g} % interval"
    alt = f"{yes.sum():,} of {len(rows):,} features have their interval within {low:g} and {high:g}."
    panel = _panel(rows, label, yes, alt, "", (low, 1.0 if ratio else 0.0, high), "ratio")
    caption = (
        f"Each row is a feature. Dashed: the bounds and no difference. Blue diamonds: shown equivalent. {alt}"
    )
    return [Picture(parts.picture_name(shown), caption, (panel,), rows)]
