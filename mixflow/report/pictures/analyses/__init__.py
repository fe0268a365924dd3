"""Pictures of analyses, by the analysis's name; an analysis without one is a table."""

from __future__ import annotations

from collections.abc import Callable

from mixflow.report.pictures.analyses import beside, checks, curves, groups, over_features, shares, shrinkage
from mixflow.report.pictures.base import Picture
from mixflow.report.shown import Shown

DRAWN: dict[str, Callable[[Shown], list[Picture]]] = {
    "averaged_tests": shrinkage.averaged,
    "benchmarking": groups.benchmarking,
    "design_effect": shares.design_effect,
    "equivalence": over_features.equivalence,
    "families": checks.families,
    "icc": over_features.icc,
    "intervals": over_features.quantities,
    "joint": beside.joint,
    "lrt": shares.p_values,
    "means": curves.means,
    "median_contrasts": beside.median_contrasts,
    "moderated": shrinkage.moderated,
    "moderated_components": shrinkage.components,
    "partition": shares.partition,
    "r2": shares.r2,
    "residual_checks": checks.residual_checks,
    "residual_quantiles": checks.residual_quantiles,
    "slopes": over_features.slopes,
    "slopes_by": curves.slopes_by,
    "smooth_edf": shares.smooth_edf,
    "smooths": curves.smooths,
    "terms": shares.p_values,
}


def pictures(shown: Shown) -> list[Picture]:
    """The pictures of an analysis; none where its table has no number to draw."""
    return DRAWN[shown.analysis](shown) if shown.analysis in DRAWN and len(shown.table) else []
