"""What is to be doubted: few levels, confounding, singular fits, harmonised input, models that disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.report.model import ModelView
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.story import comparison
from mixflow.report.view import View
from mixflow.status import Status

FAR = 1.5  # standard deviations within groups at which a level's mean of a number is called different
STRONG = 0.3  # association (Cramer's V, eta, |r|) that is worth a sentence


@dataclass(frozen=True)
class Doubt:
    """A heading of a few words and what stands behind it."""

    title: str
    text: str
    serious: bool = False


def doubts(view: View) -> list[Doubt]:
    """All doubts about the headline result, the gravest first."""
    model = view.headline
    found = [*_harmonised(view), *_confounded(view, model), *_few_levels(view, model), *_singular(model)]
    found += [*_not_fitted(model), *_disagree(view)]
    return sorted(found, key=lambda d: not d.serious)


def _beside(view: View, model: ModelView) -> str:
    """'19 features, 19 of them shared' for each contrast of a model beside the headline."""
    row = next(r for r in comparison(view) if r.model is model)
    counts = [(c, n) for c, n in zip(row.counts, (c.name for c in view.headline.contrasts), strict=True) if c]
    if len(counts) == 1:
        return f"{counts[0][0].hits} features, {counts[0][0].shared} of them shared with the headline"
    if len(counts) > 3:
        hits, shared = sum(c.hits for c, _ in counts), sum(c.shared for c, _ in counts)
        return f"{hits:,} hits over {len(counts)} contrasts, {shared:,} of them shared with the headline"
    return "; ".join(f"{name}: {c.hits} features, {c.shared} shared" for c, name in counts)


def _few_levels(view: View, model: ModelView) -> list[Doubt]:
    companions = [m for m in view.models if m.role == "companion"]
    found = []
    for entry in model.attr("few_levels", []):
        group, n = view.label(entry["group"]), entry["levels"]
        text = f"The variance between levels of {group} is estimated from {n} of them and is poorly known."
        for companion in companions:
            text += f" Beside it, {companion.title}: {_beside(view, companion)}."
        found.append(Doubt(f"Only {n} levels of {group}", text))
    return found


def _confounded(view: View, model: ModelView) -> list[Doubt]:
    rows = model.rows or view.sample_ids
    factors = [f for f in (view.batch_factors or model.groups) if f in view.columns]
    return [d for factor in factors for d in _confounded_by(view, model, factor, view.samples.loc[rows])]


def _confounded_by(view: View, model: ModelView, factor: str, sheet: pd.DataFrame) -> list[Doubt]:
    found = []
    groups = sheet[factor].astype(str)
    if groups.nunique() < 2 or groups.nunique() > 30:
        return []
    for level, n in groups.value_counts().items():
        inside = groups == level
        told = _one_sided(view, model, sheet, inside) + _far_numbers(view, model, sheet, inside, groups)
        if told and not (view.share and n < SMALLEST_CELL):
            text = f"{level} has {n} samples: {', '.join(told)}."
            found.append((str(level), text + _without(view, inside)))
    if not found:
        return []
    names = [name for name, _ in found]
    who = f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
    text = " ".join(text for _, text in found) + " What is due to them is hard to tell from that."
    if len(names) == 1:
        text = found[0][1].replace(".", f". What is due to {names[0]} is hard to tell from that.", 1)
    return [Doubt(f"{who} unlike the other levels of {view.label(factor)}", text, True)]


def _one_sided(view: View, model: ModelView, sheet: pd.DataFrame, inside: pd.Series) -> list[str]:
    """Contrast factors that take one level only among these samples."""
    found = []
    for factor in dict.fromkeys(c.factor for c in model.contrasts if c.levels):
        if factor not in sheet:
            continue
        here, elsewhere = sheet.loc[inside, factor].astype(str), sheet.loc[~inside, factor].astype(str)
        if here.nunique() == 1 and elsewhere.nunique() > 1:
            found.append(f"all {view.label(factor)} = {here.iloc[0]}")
    return found


def _far_numbers(
    view: View, model: ModelView, sheet: pd.DataFrame, inside: pd.Series, groups: pd.Series
) -> list[str]:
    """Numbers of the model whose mean among these samples lies far from that of the others."""
    found = []
    for name in model.coefs:
        column = view.columns.get(name)
        if column is None or column.is_factor:
            continue
        values = sheet[name].astype(float)
        if set(values.dropna().unique()) <= {0.0, 1.0}:
            continue
        spread = np.sqrt(values.groupby(groups).var().mean())
        here, there = values[inside].mean(), values[~inside].mean()
        usual = (
            values[~inside].groupby(groups[~inside]).mean().median()
        )  # of the other levels, one odd one aside
        if spread > 0 and abs(here - usual) > FAR * spread:
            unit = f" {column.unit}" if column.unit else ""
            found.append(f"{column.label} {_away(here, there, unit)} (mean {here:.0f} against {there:.0f})")
    return found


def _away(here: float, there: float, unit: str) -> str:
    """'30 years lower'."""
    return f"{abs(here - there):.0f}{unit} {'lower' if here < there else 'higher'}"


def _without(view: View, inside: pd.Series) -> str:
    """The result of a model that leaves exactly these samples out."""
    excluded = set(inside.index[inside])
    for model in view.models[1:]:
        if model.rows and excluded and set(inside.index) - set(model.rows) == excluded:
            return f" Without it: {_beside(view, model)}."
    return ""


def _singular(model: ModelView) -> list[Doubt]:
    n, total = model.status_counts().get(Status.SINGULAR, 0), len(model.feature_ids)
    if not n:
        return []
    text = "A variance was estimated as zero there. The estimates are valid; "
    text += "that variance adds nothing to the degrees of freedom."
    return [Doubt(f"{n} of {total} fits are singular", text)]


def _not_fitted(model: ModelView) -> list[Doubt]:
    n = len(model.feature_ids) - model.n_fitted
    text = "They have a status in place of numbers; see how the fits ended."
    return [Doubt(f"{n} of {len(model.feature_ids)} features have no result", text)] if n else []


def _harmonised(view: View) -> list[Doubt]:
    if view.batch is None or str(view.batch.attrs.get("fit_on", "raw")) != "harmonised":
        return []
    text = (
        "Batch effects were removed before the fit, which makes p-values too small: on data without any "
        "effect, 11.4 % of tests fell below 5 %. Fit the raw values with the batch in the model for a result "
        "to rely on."
    )
    return [Doubt("Fitted to batch-corrected values", text, True)]


def _disagree(view: View) -> list[Doubt]:
    """Models of the same question that share less than half of the hits."""
    rows = comparison(view)
    found = []
    for row in rows[1:]:
        for base, other, contrast in zip(rows[0].counts, row.counts, view.headline.contrasts, strict=True):
            if base is None or other is None:
                continue
            union = base.hits + other.hits - other.shared
            if union >= 4 and other.shared < union / 2:
                text = f"{base.hits} features in the headline, {other.hits} here, "
                text += f"{other.shared} in both."
                found.append(Doubt(f"“{row.model.title}” disagrees on {contrast.name}", text, True))
    return found
