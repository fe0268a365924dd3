"""Conditional densities of y: one file a family or close pair, ``named`` finds them."""

from mixflow.family.base import Family, Predictor
from mixflow.family.cumulative import Cumulative
from mixflow.family.gaussian import Gaussian
from mixflow.family.registry import FAMILIES, named
from mixflow.family.zeros import Hurdle, ZeroInflated, with_zeros

__all__ = [
    "FAMILIES",
    "Cumulative",
    "Family",
    "Gaussian",
    "Hurdle",
    "Predictor",
    "ZeroInflated",
    "named",
    "with_zeros",
]
