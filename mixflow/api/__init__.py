"""The engine as Python sees it: one outcome of a table, or every feature of a store, by one call."""

from mixflow.api.answers import compare_families
from mixflow.api.fitting import fit, fit_values
from mixflow.api.meta import MetaResult, meta_analysis
from mixflow.api.meta_counts import meta_counts
from mixflow.api.opened import Opened, open_store
from mixflow.api.result import Result

__all__ = [
    "MetaResult",
    "Opened",
    "Result",
    "compare_families",
    "fit",
    "fit_values",
    "meta_analysis",
    "meta_counts",
    "open_store",
]
