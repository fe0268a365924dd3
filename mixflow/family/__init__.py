"""Conditional densities of y: one file a family."""

from mixflow.family.base import Family, Predictor
from mixflow.family.binomial import Binomial
from mixflow.family.gaussian import Gaussian
from mixflow.family.nbinom import NegativeBinomial1, NegativeBinomial2
from mixflow.family.poisson import Poisson
from mixflow.family.registry import FAMILIES, named

__all__ = [
    "FAMILIES",
    "Binomial",
    "Family",
    "Gaussian",
    "NegativeBinomial1",
    "NegativeBinomial2",
    "Poisson",
    "Predictor",
    "named",
]
