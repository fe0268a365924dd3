"""Mixed models for every feature of a table, from raw files to an HTML report."""

from __future__ import annotations

from importlib.metadata import version

__version__ = version("mixflow")
