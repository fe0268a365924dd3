"""Formula language: text -> `Terms`. Knows no data; formulaic is imported when first needed."""

from mixflow.formula.parse import parse
from mixflow.formula.terms import RandomTerm, Smooth, Terms
from mixflow.formula.words import words

__all__ = ["RandomTerm", "Smooth", "Terms", "parse", "words"]
