"""Mixed models for every feature of a table, from raw files to an HTML report.

``fit`` and ``open`` load on first use, so that importing mixflow (and the command line) stays quick.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixflow.api import Opened, Result, fit
    from mixflow.api import open_store as open

__version__ = version("mixflow")
__all__ = ["Opened", "Result", "__version__", "fit", "open"]

_LAZY = {"fit": "fit", "open": "open_store", "Result": "Result", "Opened": "Opened"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from mixflow import api

        return getattr(api, _LAZY[name])
    raise AttributeError(f"module 'mixflow' has no attribute '{name}'")
