"""Analyses of a fitted model: each a function of fit, design and values that gives one tidy table."""

from mixflow.derived import icc, intervals, lrt, moderated, moderated_components, r2, slopes, smooths, terms
from mixflow.derived.analysis import ANALYSES, Analysis, Subject, register

__all__ = ["ANALYSES", "Analysis", "Subject", "icc", "intervals", "lrt", "moderated", "moderated_components", "r2", "register", "slopes", "smooths", "terms"]
