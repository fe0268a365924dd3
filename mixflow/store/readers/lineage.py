"""Taxonomic lineages ('k__Bacteria;p__Firmicutes;...'): the short name that is shown."""

from __future__ import annotations

import re

RANKS = {
    "k": "kingdom", "d": "domain", "p": "phylum", "c": "class", "o": "order",
    "f": "family", "g": "genus", "s": "species", "t": "strain",
}  # fmt: skip
_PART = re.compile(r"^([kdpcofgst])__(.*)$")


def parent(lineage: str) -> str:
    """The lineage above the deepest named part, as a short name ('' where there is none)."""
    named = _named(lineage)
    return short_name("|".join(named[:-1])) if len(named) > 1 else ""


def _named(lineage: str) -> list[str]:
    parts = [part.strip() for part in re.split(r"[|;]", lineage) if part.strip()]
    return [part for part in parts if part.strip("_") and not re.fullmatch(r"[kdpcofgst]?__", part)]


def is_lineage(text: str) -> bool:
    """Whether ``text`` is a lineage: parts by '|' or ';', the first with a rank prefix."""
    return bool(_PART.match(text)) and ("|" in text or ";" in text)


def rank_of(lineage: str) -> str | None:
    """Letter of the rank of a clade's last part ('k__Bacteria|p__X' -> 'p'), or None."""
    match = _PART.match(re.split(r"[|;]", lineage)[-1].strip())
    return match.group(1) if match else None


def short_name(lineage: str) -> str:
    """The deepest named part; with its rank where that is above genus ('f__Lachnospiraceae').

    Species keep their genus where the lineage splits the two ('g__Bacteroides;s__ovatus').
    """
    named = _named(lineage)
    if not named:
        return lineage
    match = _PART.match(named[-1])
    if match is None:
        return named[-1]
    rank, name = match.groups()
    if rank == "s" and len(named) > 1 and named[-2].startswith("g__") and "_" not in name:
        name = f"{named[-2][3:]} {name}"
    return name.replace("_", " ").strip() if rank in "gst" else f"{rank}__{name}"
