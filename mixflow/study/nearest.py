"""The names nearest to one that is not there: told in remedies without listing thousands."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

MOST = 5
"""Names that a remedy lists."""


def nearest(name: str, known: Sequence[str], most: int = MOST) -> str:
    """``did you mean `a`, `b`?`` of names that are alike; else the first few of `known` and their number."""
    folded = name.casefold()
    same = [other for other in known if other.casefold().strip() == folded.strip()]
    inside = [other for other in known if len(folded) > 2 and folded in other.casefold()]
    alike = [] if same else difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    found = list(dict.fromkeys([*same, *alike, *inside]))[:3]
    if found:
        return f"did you mean {', '.join(f'`{other}`' for other in found)}?"
    return f"there are: {few(known, most)}"


def few(names: Sequence[str], most: int = MOST) -> str:
    """The first names and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
