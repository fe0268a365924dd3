"""Formula language: text -> `Terms`. Knows no data; formulaic is imported when first needed."""

from mixflow.formula.parse import parse
from mixflow.formula.terms import RandomTerm, Terms

__all__ = ["RandomTerm", "Terms", "parse"]
