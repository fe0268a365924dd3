"""Pictures of analyses, by the analysis's name; an analysis without one is a table."""

from __future__ import annotations

from collections.abc import Callable

from mixflow.report.pictures.base import Picture
from mixflow.report.shown import Shown

Draw = Callable[[Shown], list[Picture]]
DRAWN: dict[str, Draw] = {}


def pictures(shown: Shown) -> list[Picture]:
    """The pictures of an analysis; none where its table has no number to draw."""
    return DRAWN[shown.analysis](shown) if shown.analysis in DRAWN and len(shown.table) else []
