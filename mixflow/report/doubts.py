"""What is to be doubted: few levels, confounding, singular fits, harmonised input, models that disagree."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.formula.known import quoted
from mixflow.report.drifting import followed
from mixflow.report.methods import plural
from mixflow.report.model import ModelView
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.story import comparison, unmodelled
from mixflow.report.view import View
from mixflow.status import FITTED, MEANING, Status
from mixflow.study.plan import FEW_LEVELS

FAR = 1.5  # standard deviations within groups at which a level's mean of a number is called different
FEW_FOR_Z = 20  # levels below which z tests of comparisons between them are doubted
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
    found = [*_harmonised(view), *_not_modelled(view), *_confounded(view, model), *_few_levels(view, model)]
    found += [*_drifting(view), *_few_observed_levels(view, model), *_singular(model), *_not_fitted(model)]
    found += [*_opposite(view), *_disagree(view), *_separated(model), *_normal_tests(view, model)]
    return sorted(found, key=lambda d: not d.serious)


def _beside(view: View, model: ModelView) -> str:
    """'19 features, 19 of them shared' for each contrast of a model beside the headline."""
    row = next(r for r in comparison(view) if r.model is model)
    counts = [(c, n) for c, n in zip(row.counts, (c.name for c in view.headline.contrasts), strict=True) if c]
    if len(counts) == 1:
        return f"{counts[0][0].hits} features, {counts[0][0].shared} of them shared with the headline"
    if not counts:
        return "no contrast in common with the headline"
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


def _few_observed_levels(view: View, model: ModelView) -> list[Doubt]:
    """Groups with levels enough in the sheet, of which some features were observed in few."""
    told = {entry["group"] for entry in model.attr("few_levels", [])}
    fitted = np.isin(model.status, [int(s) for s in FITTED])
    found = []
    for group in [g for g in model.groups if g not in told]:
        place = [str(g) for g in model.fit["group"].values].index(group)
        n = int((model.fit["n_levels"].values[fitted, place] < FEW_LEVELS).sum())
        title = f"{n:,} of {fitted.sum():,} features have fewer than {FEW_LEVELS} observed levels of "
        text = "Their values are missing in the other levels, so this variance is poorly known there."
        found += [Doubt(title + view.label(group), text)] if n else []
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
    between = _between(view, factor, sheet)
    for level, n in groups.value_counts().items():
        inside = groups == level
        told = _one_sided(view, model, sheet.drop(columns=between), inside) + _far_numbers(
            view, model, sheet, inside, groups
        )
        if told and not (view.share and n < SMALLEST_CELL):
            text = f"{level} has {n} samples: {', '.join(told)}."
            found.append((str(level), text, _without(view, inside)))
    if not found:
        return []
    names = [name for name, _, _ in found]
    who = f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
    text = " ".join(text + without for _, text, without in found)
    text += " What is due to them is hard to tell from that."
    if len(names) == 1:
        text = f"{found[0][1]} What is due to {names[0]} is hard to tell from that.{found[0][2]}"
    return [Doubt(f"{who} unlike the other levels of {view.label(factor)}", text, True)]


def _between(view: View, factor: str, sheet: pd.DataFrame) -> list[str]:
    """Columns that are constant within each level of a factor that is no batch: patients have one treatment.

    Such a comparison between levels is the design, and the variance between levels is in its standard error.
    """
    if factor in view.batch_factors:
        return []
    values = sheet.groupby(factor, observed=True).nunique()
    return [str(name) for name in values.columns if (values[name] <= 1).all()]


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
            found.append(f"{column.label} {_away(here, there, unit)}")
    return found


def _away(here: float, there: float, unit: str) -> str:
    """'30 years lower (mean 36 against 66)', with decimals enough for two digits of the difference."""
    gap = abs(here - there)
    digits = max(0, 1 - math.floor(math.log10(gap))) if gap else 2
    away = f"{gap:.{digits}f}{unit} {'lower' if here < there else 'higher'}"
    return f"{away} (mean {here:.{digits}f} against {there:.{digits}f})"


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
    return [Doubt(f"{n} of {total} fits are singular", MEANING[Status.SINGULAR].sentence)]


def _not_fitted(model: ModelView) -> list[Doubt]:
    n = len(model.feature_ids) - model.n_fitted
    text = "They have a status in place of numbers; see how the fits ended."
    return [Doubt(f"{n} of {len(model.feature_ids)} features have no result", text)] if n else []


def _separated(model: ModelView) -> list[Doubt]:
    n, total = model.status_counts().get(Status.SEPARATION, 0), len(model.feature_ids)
    if not n:
        return []
    text = (
        "All outcomes at some level are zero, or all are one: that coefficient has no finite estimate, and "
    )
    text += "comparisons with it are not tested. See how the fits ended."
    return [Doubt(f"{n:,} of {total:,} features are separated", text)]


def _normal_tests(view: View, model: ModelView) -> list[Doubt]:
    """z tests where few levels stand behind a comparison between them."""
    if model.scale.linear or not model.contrasts:
        return []
    found = []
    for group in model.groups:
        place = [str(g) for g in model.fit["group"].values].index(group)
        n = int(np.max(model.fit["n_levels"].values[:, place], initial=0))
        if 0 < n < FEW_FOR_Z:
            text = "Tests of generalised models are z tests, which take variances as known: p-values of comparisons "
            text += f"between levels of {view.label(group)} are too small with so few of them. Comparisons within "
            found.append(
                Doubt(f"z tests with {n} levels of {view.label(group)}", text + "levels suffer less.")
            )
    return found


def _harmonised(view: View) -> list[Doubt]:
    if view.batch is None or str(view.batch.attrs.get("fit_on", "raw")) != "harmonised":
        return []
    text = (
        "Batch effects were removed before the fit, and the model does not know what that cost: p-values "
        "tend to be too small. In a simulation with 3 unbalanced batches and ComBat, on data without any "
        "effect, the model without the batch rejected 10.7 % at the 5 % level, with the batch 6.2 % "
        "(docs/why-fit-raw.md). Fit the raw values with the batch in the model for a result to rely on."
    )
    return [Doubt("Fitted to batch-corrected values", text, True)]


def _not_modelled(view: View) -> list[Doubt]:
    absent = unmodelled(view)
    if not absent:
        return []
    verb = "is" if len(absent) == 1 else "are"
    text = (
        "Examined as a batch, but not in the headline's formula: what differs between its levels counts as "
    )
    text += "noise, or as an effect where they overlap with what is compared. Add to the formula "
    text += " and ".join(f"+ {name} or + (1 | {name})" for name in map(quoted, absent)) + "."
    return [Doubt(f"{' and '.join(map(view.label, absent))} {verb} not in the model", text, True)]


def _drifting(view: View) -> list[Doubt]:
    """Features drift along the order of injection, what is compared follows it, and the model does not know it."""
    n = int((view.drift["q_value"] < view.headline.alpha).sum())
    if not n or view.batch is None:
        return []
    order, batch = str(view.batch.attrs["drift_order"]), str(view.batch.attrs["drift_batch"])
    smooth = f"s(place, by = {quoted(batch)})" if batch else f"s({quoted(order)})"
    found = []
    for column, strength, p in followed(view):
        text = f"{plural(n, 'feature')} drift along {order}, and {view.label(column)} follows it within "
        text += f"{view.label(batch) if batch else 'the run'} (association {strength:.2f}, p = {p:.1g}): drift looks "
        text += f"like an effect. Add {smooth} to the formula"
        text += f", place being {order} counted from the start of each {view.label(batch)}." if batch else "."
        found.append(Doubt(f"{view.label(column)} follows the order of injection", text, True))
    return found


def _opposite(view: View) -> list[Doubt]:
    """Features that are hits in two models, higher in one and lower in the other."""
    found = []
    for row in comparison(view)[1:]:
        for count, contrast in zip(row.counts, view.headline.contrasts, strict=True):
            if count is not None and count.opposite:
                text = (
                    f"{plural(count.opposite, 'feature')} below the threshold in both models, but higher in "
                )
                text += "one and lower in the other."
                title = f"“{row.model.title}” finds the opposite direction in {contrast.name}"
                found.append(Doubt(title, text, True))
    return found


def _disagree(view: View) -> list[Doubt]:
    """Models of the same question that share less than half of the hits."""
    rows = comparison(view)
    found = []
    for row in rows[1:]:
        for base, other, contrast in zip(rows[0].counts, row.counts, view.headline.contrasts, strict=True):
            if base is None or other is None:
                continue
            union = base.hits + other.hits - other.shared - other.opposite
            if union >= 4 and other.shared < union / 2:
                text = f"{base.hits} features in the headline, {other.hits} here, "
                text += f"{other.shared} in both with the same direction."
                found.append(Doubt(f"“{row.model.title}” disagrees on {contrast.name}", text, True))
    return found
