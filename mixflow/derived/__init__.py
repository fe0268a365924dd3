"""Analyses of a fitted model: each a function of fit, design and values that gives one tidy table."""

from mixflow.derived import (
    benchmarking,
    design_effect,
    equivalence,
    icc,
    intervals,
    lrt,
    means,
    moderated,
    moderated_components,
    partition,
    r2,
    slopes,
    slopes_by,
    smooths,
    terms,
)
from mixflow.derived.analysis import ANALYSES, Analysis, Subject, register

__all__ = [
    "ANALYSES",
    "Analysis",
    "Subject",
    "benchmarking",
    "design_effect",
    "equivalence",
    "icc",
    "intervals",
    "lrt",
    "means",
    "moderated",
    "moderated_components",
    "partition",
    "r2",
    "register",
    "slopes",
    "slopes_by",
    "smooths",
    "terms",
]
