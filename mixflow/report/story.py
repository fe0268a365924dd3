"""The first page: what was found, whether it holds under other models, what explains the variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mixflow.formula import parse
from mixflow.report.model import Contrast, ModelView
from mixflow.report.view import View


@dataclass(frozen=True)
class Count:
    """Hits of a contrast in one model, and how many of them the headline model also has.

    `shared` are those of the same direction, `opposite` those that are higher in one and lower in the other.
    """

    hits: int
    shared: int
    tested: int
    opposite: int = 0


@dataclass(frozen=True)
class ContrastRow:
    """A contrast of the headline model in figures."""

    contrast: Contrast
    slug: str
    tested: int
    hits: int
    higher: int
    lower: int


@dataclass(frozen=True)
class ModelRow:
    """A model beside the headline: its hits in each contrast that both have."""

    model: ModelView
    counts: list[Count | None]
    headline: bool


@dataclass(frozen=True)
class Explained:
    """What one grouping factor explains over features, and the feature where it explains most."""

    group: str
    median: float
    top_share: float
    top_id: str
    top_name: str


def slug(text: str) -> str:
    """A contrast's name as part of file names and anchors."""
    plain = "".join(c if c.isalnum() else "-" for c in text)
    return "-".join(part for part in plain.split("-") if part) or "contrast"


def slugs(contrasts: list[Contrast]) -> dict[str, str]:
    """Unique slugs, equal ones numbered."""
    found: dict[str, str] = {}
    for contrast in contrasts:
        base, n = slug(contrast.name), 2
        name = base
        while name.lower() in {v.lower() for v in found.values()}:
            name, n = f"{base}-{n}", n + 1
        found[contrast.name] = name
    return found


def contrast_rows(model: ModelView) -> list[ContrastRow]:
    """Each contrast of ``model`` with its hits by direction."""
    names = slugs(model.contrasts)
    rows = []
    for contrast in model.contrasts:
        frame = model.results(contrast.name)
        hit = frame["hit"].to_numpy(bool)
        up = int((hit & (frame["estimate"] > 0)).sum())
        tested = int(np.isfinite(frame["p_value"]).sum())
        rows.append(
            ContrastRow(contrast, names[contrast.name], tested, int(hit.sum()), up, int(hit.sum()) - up)
        )
    return rows


def comparison(view: View) -> list[ModelRow]:
    """Every model, the headline first, with its hits in the headline's contrasts."""
    headline = view.headline
    return [
        ModelRow(model, [_count(headline, model, c) for c in headline.contrasts], model is headline)
        for model in view.models
    ]


def _count(headline: ModelView, model: ModelView, contrast: Contrast) -> Count | None:
    own = next((c for c in model.contrasts if c.name == contrast.name), None)
    if own is None or not _same_question(headline, contrast, model, own):
        return None
    first, second = _directions(headline, contrast.name), _directions(model, contrast.name)
    both = [first[feature] == second[feature] for feature in first.keys() & second.keys()]
    tested = int(np.isfinite(model.results(contrast.name)["p_value"]).sum())
    return Count(len(second), sum(both), tested, len(both) - sum(both))


def _directions(model: ModelView, contrast: str) -> dict[str, bool]:
    """The hits of a contrast: whether each is higher."""
    frame = model.results(contrast)
    hits = frame[frame["hit"]]
    return dict(zip(hits["feature"], hits["estimate"] > 0, strict=True))


def _same_question(headline: ModelView, contrast: Contrast, model: ModelView, other: Contrast) -> bool:
    """Whether two contrasts of one name compare the same: by their weights, else by what they say."""
    weights = [_weights(m, contrast.name) for m in (headline, model)]
    return weights[0] == weights[1] or _compared(contrast) == _compared(other)


def _weights(model: ModelView, contrast: str) -> dict[str, float]:
    """Weights other than zero, by the coefficient's name."""
    assert model.tests is not None, f"model {model.name} has no tests"
    row = model.tests["matrix"].sel(contrast=contrast)
    weights = zip(row["coef"].values, np.round(row.values, 8), strict=True)
    return {str(coef): float(weight) for coef, weight in weights if weight}


def _compared(contrast: Contrast) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Factor, levels (or the number's step) and where `at:` fixes others; not what a model adjusts for."""
    step, *rest = contrast.text.split(", ")
    fixed = tuple(part for part in rest if part.startswith("at ") and not part.startswith("at mean "))
    return contrast.factor, contrast.levels or (step,), fixed


def unmodelled(view: View) -> list[str]:
    """Batch factors that were examined, but that the headline's formula does not have."""
    variables = parse(view.headline.formula).variables if view.batch_factors else frozenset()
    return [factor for factor in view.batch_factors if factor not in variables]


def leaders(model: ModelView, contrast: str, n: int = 8) -> pd.DataFrame:
    """The hits with the smallest p, strongest first."""
    frame = model.results(contrast)
    return frame[frame["hit"]].nsmallest(n, "log10_p").reset_index(drop=True)


def explained(view: View, model: ModelView) -> list[Explained]:
    """The share of variance of each grouping factor, the largest median first."""
    found = []
    for group in model.groups:
        share = model.shares[group].dropna() if group in model.shares else pd.Series(dtype=float)
        if len(share):
            top = str(share.idxmax())
            found.append(
                Explained(group, float(share.median()), float(share.max()), top, view.names.get(top, top))
            )
    return sorted(found, key=lambda e: -e.median)


def headline_sentence(row: ContrastRow) -> str:
    """What follows "19 of 100 features" on the first page."""
    contrast = row.contrast
    if len(contrast.levels) == 2:
        first, second = contrast.levels
        if first in contrast.name and second in contrast.name:
            return f"differ between {first} and {second}"
        return f"differ by {contrast.name} ({first} against {second})"
    return (
        f"change with {contrast.factor} ({contrast.name})"
        if contrast.factor
        else f"differ in {contrast.name}"
    )
