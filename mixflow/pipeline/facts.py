"""What a reader of the store is told about a model: attributes of the group `fits/<model>`."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from mixflow.formula import Terms
from mixflow.formula.words import structure_words, words
from mixflow.pipeline.fit import Task
from mixflow.study.columns import terms_of
from mixflow.study.config import Study
from mixflow.study.plan import FEW_LEVELS, ModelPlan
from mixflow.study.structure import design_of, residual_side

PRESENCE = "presence"
"""Unit of a response that is 1 where a feature is there."""


def attributes(study: Study, task: Task) -> dict[str, Any]:
    """Attributes of the group `fits/<model>` (docs/ARCHITECTURE.md)."""
    plan, terms = task.plan, terms_of(study, task.plan)
    design = design_of(study, plan, task.frame)
    used = task.frame.iloc[design.rows]
    seen = set(used.index)
    samples = [str(i) for i in task.sheet.frame.index if i in seen]
    labels = {name: column.label for name, column in task.sheet.columns.items()}
    references = {v.name: v.levels[0] for v in design.variables if v.kind == "factor"}
    return {
        "words": "; ".join(part for part in (words(terms, labels), _beside(study, plan, labels)) if part),
        "title": plan.title,
        "unit": PRESENCE if plan.response == "presence" else task.unit,
        "role": role_of(plan),
        "compare_to": plan.compare_to or "",
        "note": plan.note,
        "residual": plan.residual or "",
        "dispersion": plan.dispersion or "",
        "zi": plan.zi or "",
        "response": plan.response,
        "trials": plan.trials or "",
        "limit": plan.limit or "",
        "prior": json.dumps(plan.prior),
        "weights": plan.weights or "",
        "variances": plan.variances or "",
        "relationship": json.dumps(sorted(plan.relationship)),
        "fit_on": study.batch.fit_on,
        "n_samples": len(samples),
        "rows": json.dumps(samples),
        "rows_fitted": task.feature_of_row is not None,
        "dropped_rows": json.dumps(dropped_rows(task, used)),
        "few_levels": json.dumps(few_levels(used, terms)),
        "references": json.dumps(references),
    }


def _beside(study: Study, plan: ModelPlan, labels: dict[str, str]) -> str:
    """What residual, dispersion, relationship, weights and variances add to the formula, in words."""
    side = residual_side(study, plan)
    related = sorted(plan.relationship)
    given = (side.get("residual"), side.get("dispersion"), related, plan.weights, plan.variances)
    return structure_words(*given, labels)


def role_of(plan: ModelPlan) -> str:
    """headline, companion (the fixed-effect answer beside few levels) or sensitivity (any other model)."""
    if plan.origin == "few-levels":
        return "companion"
    return "sensitivity" if plan.compare_to else "headline"


def dropped_rows(task: Task, used: pd.DataFrame) -> dict[str, list[str]]:
    """Samples that the model does not use, by reason."""
    roles = task.sheet.role
    fitted, kept = set(task.frame.index), set(used.index)
    reasons = {
        "not of role sample": [i for i in roles.index if roles[i] != "sample"],
        "left out by include or exclude": [
            i for i in roles.index if roles[i] == "sample" and i not in fitted
        ],
        "missing value in a column of the formula": [
            i for i in dict.fromkeys(task.frame.index) if i not in kept
        ],
    }
    return {reason: [str(i) for i in ids] for reason, ids in reasons.items() if ids}


def few_levels(used: pd.DataFrame, terms: Terms) -> list[dict[str, Any]]:
    """Grouping factors with fewer than 5 levels among the rows used."""
    counts = {":".join(term.group): len(used[list(term.group)].drop_duplicates()) for term in terms.random}
    return [{"group": name, "levels": count} for name, count in counts.items() if count < FEW_LEVELS]
