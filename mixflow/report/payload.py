"""What the page's JavaScript gets: every feature's results, and values by sample of the leading ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.report import analyses, onefeature
from mixflow.report.model import ModelView
from mixflow.report.pack import PRECISE, Pack
from mixflow.report.response import LOG
from mixflow.report.section import Section
from mixflow.report.share import SMALLEST_CELL
from mixflow.report.story import slugs
from mixflow.report.view import View
from mixflow.status import MEANING

MOST_TESTS = 450_000  # tests in the page; models after the headline join as long as they fit in
MOST_LEVELS = 60  # conditional modes are drawn for grouping factors of at most so many levels
MOST_CELLS = 120_000  # annotation cells in the page


def payload(view: View, sections: Sequence[Section] = ()) -> tuple[str, str]:
    """JSON of the facts, and base64 of the numbers; leading rows of the analyses among ``sections``."""
    pack = Pack()
    ids = view.headline.feature_ids
    models = _fitting(view)
    precise = sum(len(m.feature_ids) * len(m.contrasts) for m in models) <= PRECISE
    pack.text("features", _annotation(view, ids))
    facts: dict[str, Any] = {
        "unit": view.unit,
        "alpha": view.headline.alpha,
        "share": view.share,
        "study": view.study,
        "adjust": view.headline.adjust,
        "precise": precise,
        "statuses": {int(code): meaning.label for code, meaning in MEANING.items()},
        "models": [_model(pack, view, model, i, ids, precise) for i, model in enumerate(models)],
    }
    _shares(pack, view, facts)
    named = named_features(view)
    facts["axes"] = _axes(pack, view, named)
    facts["named"] = [view.headline.position[f] for f in named]
    facts["modes"] = _modes(pack, view, named)
    facts["analyses"] = analyses.embed(pack, list(sections))
    facts["arrays"] = pack.header
    return json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c"), pack.encoded()


def named_features(view: View) -> list[str]:
    """`report.features` (by id or name) and the leading features of each contrast, each once."""
    model = view.headline
    wanted = {str(f) for f in view.settings["features"]}
    chosen = [f for f in model.feature_ids if f in wanted or view.names[f] in wanted]
    for contrast in model.contrasts:
        frame = model.results(contrast.name)
        chosen += list(
            frame[np.isfinite(frame["log10_p"])].nsmallest(int(view.settings["top"]), "log10_p")["feature"]
        )
    if not model.contrasts and model.groups:  # a study of variances: where the groups explain most
        residual = model.shares.get("Residual", pd.Series(dtype=float)).dropna()
        chosen += list(residual.nsmallest(int(view.settings["top"])).index)
    return list(dict.fromkeys(chosen))


def _fitting(view: View) -> list[ModelView]:
    """The headline, and the others as far as they fit into the page."""
    chosen, tests = [], 0
    for model in view.models:
        size = len(model.feature_ids) * len(model.contrasts)
        if not chosen or tests + size <= MOST_TESTS:
            chosen.append(model)
            tests += size
    return chosen


def _annotation(view: View, ids: list[str]) -> dict[str, Any]:
    frame = view.features.loc[ids]
    found: dict[str, Any] = {"id": ids, "name": list(frame["name"])}
    texts = [c for c in frame.columns if c != "name" and frame[c].dtype.kind not in "fiub"]
    texts = texts[: max(0, MOST_CELLS // max(1, len(ids)))]
    found["extra"] = {str(c): [_short(v) for v in frame[c]] for c in texts}
    return found


def _short(value: Any) -> str:
    text = "" if value is None or value != value else str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _model(
    pack: Pack, view: View, model: ModelView, at: int, ids: list[str], precise: bool
) -> dict[str, Any]:
    names = slugs(model.contrasts)
    if model.feature_ids != ids:
        known = {f: i for i, f in enumerate(ids)}
        pack.floats(f"m{at}/index", np.array([known.get(f, -1) for f in model.feature_ids], float))
    pack.small(f"m{at}/n_obs", model.fit["n_obs"].values)
    for i, contrast in enumerate(model.contrasts):
        frame = model.results(contrast.name)
        write = pack.floats if precise else pack.logs
        for column in ("estimate", "std_error", "log10_p"):
            write(f"m{at}/c{i}/{column}", frame[column].to_numpy())
        if precise:
            pack.floats(f"m{at}/c{i}/df", frame["df"].to_numpy())
            pack.floats(f"m{at}/c{i}/q_value", frame["q_value"].to_numpy())
        else:
            pack.logs(f"m{at}/c{i}/df", frame["df"].to_numpy(), 0.002)
        pack.small(f"m{at}/c{i}/status", frame["status_code"].to_numpy() + 100 * frame["hit"].to_numpy())
    contrasts = [
        {
            "name": c.name,
            "text": c.text,
            "slug": names[c.name],
            "factor": c.factor,
            "levels": c.levels,
            "reference": c.reference,
        }
        for c in model.contrasts
    ]
    told: dict[str, Any] = {
        "name": model.name,
        "title": model.title,
        "role": model.role,
        "formula": model.formula,
    }
    told["scale"] = model.scale.facts(view.unit)
    return {**told, "indexed": model.feature_ids != ids, "contrasts": contrasts}


def _shares(pack: Pack, view: View, facts: dict[str, Any]) -> None:
    model = view.headline
    facts["components"] = list(model.shares.columns)
    facts["labels"] = {c: view.label(c) for c in facts["components"]}
    for i, component in enumerate(model.shares.columns):
        pack.logs(f"share/{i}", model.shares[component].to_numpy(), 0.002)


def _axes(pack: Pack, view: View, named: list[str]) -> list[dict[str, Any]]:
    """For each factor that a contrast compares: positions, groups, values, and fits of the named features."""
    model, found = view.headline, []
    for factor in onefeature.factors(view, model) if named else []:
        axis = onefeature.axis(view, model, factor)
        features = [onefeature.feature(view, model, axis, f) for f in named]
        at = len(found)
        found.append(_axis_facts(axis, at, view))
        fits = [
            f.fit[["mean", "low", "high"]].to_numpy().ravel() if f.fit is not None else None for f in features
        ]
        width = 3 * (len(axis.levels) or len(axis.grid))
        pack.floats(
            f"a{at}/fit", np.array([np.full(width, np.nan) if f is None else f for f in fits]).ravel()
        )
        pack.floats(f"a{at}/means", np.array([f.group_means for f in features]).ravel())
        if not view.share:
            pack.floats(f"a{at}/x", axis.x)
            if at == 0:
                pack.rows("values", _spread(axis, np.array([f.values for f in features])))
    return found


def _spread(axis: onefeature.Axis, values: np.ndarray) -> np.ndarray:
    """Values for 16 bits: by logarithms where the axis runs so, lest small counts beside large ones be lost."""
    return np.log1p(values) if axis.response.spread == LOG else values


def _axis_facts(axis: onefeature.Axis, at: int, view: View) -> dict[str, Any]:
    facts = {"factor": axis.factor, "levels": axis.levels, "grid": [float(f"{g:.5g}") for g in axis.grid]}
    column = view.columns[axis.factor]
    facts |= {"label": column.label, "unit": column.unit, "note": axis.note}
    facts |= {"value": axis.response.unit, "spread": axis.response.spread, "average": axis.average}
    if view.share:
        return facts
    levels = list(axis.colour_levels)
    facts |= {
        "colour": axis.colour_factor,
        "colours": levels,
        "of": [levels.index(c) for c in axis.colours],
        "paired": axis.unit_column,
    }
    if at == 0:
        facts["samples"] = axis.sample_ids
    if axis.unit_column:
        units = list(dict.fromkeys(axis.units))
        facts["units"] = [units.index(u) for u in axis.units]
    return facts


def _modes(pack: Pack, view: View, named: list[str]) -> list[dict[str, Any]]:
    """Conditional modes of the named features (in a copy to share only where each level has five samples)."""
    found = []
    model = view.headline
    rows = [model.position[f] for f in named]
    for group in model.groups:
        modes = model.modes(group, rows)
        if (
            modes is None
            or not rows
            or len(modes[0]) > MOST_LEVELS
            or (view.share and not _large_levels(view, model, group))
        ):
            continue
        labels, value, sd = modes
        at = len(found)
        pack.rows(f"u{at}/mode", value)
        pack.rows(f"u{at}/sd", sd)
        found.append({"group": group, "label": view.label(group), "labels": labels})
    return found


def _large_levels(view: View, model: ModelView, group: str) -> bool:
    if group not in view.samples:
        return False
    sizes = view.samples.loc[model.rows or view.sample_ids, group].astype(str).value_counts()
    return bool((sizes >= SMALLEST_CELL).all())
