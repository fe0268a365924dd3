"""Mixed models for every feature of a table, from raw files to an HTML report.

What is called from Python loads on first use, so that importing mixflow (and the command line) stays quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixflow.api import MetaResult, Opened, Result, compare_families, fit, meta_analysis, meta_counts
    from mixflow.api import open_store as open
    from mixflow.report.pictures.forest import forest_plot

__version__ = version("mixflow")
__all__ = [
    "MetaResult",
    "Opened",
    "Result",
    "__version__",
    "compare_families",
    "fit",
    "forest_plot",
    "meta_analysis",
    "meta_counts",
    "open",
]

_API = "mixflow.api"
_LAZY = {
    name: (_API, name)
    for name in ("MetaResult", "Opened", "Result", "compare_families", "fit", "meta_analysis", "meta_counts")
}
_LAZY |= {"open": (_API, "open_store"), "forest_plot": ("mixflow.report.pictures.forest", "forest_plot")}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module 'mixflow' has no attribute '{name}'")
