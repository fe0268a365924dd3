"""Conditional densities of y: one file a family."""

from mixflow.family.base import Family
from mixflow.family.gaussian import Gaussian

__all__ = ["Family", "Gaussian"]
