"""Which taxon of a level (genus, phylum, ... or any column of the annotation) each feature belongs to."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd

from mixflow.store.readers.lineage import RANKS

ORDER = ("domain", "kingdom", "phylum", "class", "order", "family", "genus", "species", "strain")
"""Ranks from the top; a lineage or a set of columns may have any of them."""
PLAIN = ("kingdom", "phylum", "class", "order", "family", "genus", "species", "strain")
"""What the parts of a lineage without prefixes mean, in order (SILVA, RDP)."""
LINEAGE = ("lineage", "taxonomy", "taxon", "taxa")
"""Names of the column that holds lineages."""
NAMELESS = re.compile(
    r"|na|n/a|nan|none|unknown|unidentified|unclassified|unassigned|uncultured( bacterium| organism)?"
    r"|ambiguous[_ ]taxa|metagenome|incertae[_ ]sedis"
)
"""Words that stand where a taxon has no name, in small letters."""
_PREFIX = re.compile(r"^([kdpcofgst])__(.*)$")
_SILVA = re.compile(r"^D_(\d)__(.*)$")


@dataclass(frozen=True)
class Taxa:
    """Taxa at a level.

    ``names``: unique, in order of first appearance; ``of``: for each feature the position of its taxon;
    ``known`` (taxon,): whether it has a name at the level; ``paths``: taxon x rank, '' where unnamed, the
    ranks from the top to the level (the column alone, where it is no rank).
    """

    names: tuple[str, ...]
    of: list[int]
    known: list[bool]
    paths: pd.DataFrame


def levels(annotation: pd.DataFrame) -> list[str]:
    """What `level` may be: columns of the annotation, and the ranks of its lineages."""
    columns = [str(c) for c in annotation.columns if str(c) != "name"]
    own = {c.casefold() for c in columns}
    return [*columns, *(rank for rank in _ranks(annotation).columns if rank not in own)]


def taxa_at(annotation: pd.DataFrame, level: str) -> Taxa:
    """The taxa of the features (rows of ``annotation``) at ``level``.

    Taxa are told apart by all their names from the top, so that two genera called alike in different
    families stay two. A feature without a name at the level belongs to ``<deepest known name> (unclassified
    <level>)``. KeyError where the annotation has no such level.
    """
    paths = _paths(annotation, level)
    keys = list(paths.itertuples(index=False, name=None))
    first = {key: i for i, key in reversed(list(enumerate(keys)))}
    distinct = sorted(first, key=first.__getitem__)
    place = {key: i for i, key in enumerate(distinct)}
    table = paths.iloc[[first[key] for key in distinct]].reset_index(drop=True)
    names = _unique([_name(key, table.columns, level) for key in distinct], distinct)
    return Taxa(tuple(names), [place[key] for key in keys], [bool(key[-1]) for key in distinct], table)


def _paths(annotation: pd.DataFrame, level: str) -> pd.DataFrame:
    columns = {str(c).casefold(): c for c in annotation.columns}
    folded = level.casefold()
    if folded in columns:
        above = [r for r in ORDER[: ORDER.index(folded)] if r in columns] if folded in ORDER else []
        chosen = annotation[[columns[name] for name in (*above, folded)]].fillna("").astype(str)
        return chosen.set_axis([*above, level], axis=1).map(_named)
    ranks = _ranks(annotation)
    if folded not in ranks.columns:
        raise KeyError(level)
    return ranks.loc[:, : ranks.columns[ranks.columns.get_loc(folded)]]


def _ranks(annotation: pd.DataFrame) -> pd.DataFrame:
    """Feature x rank from the column of lineages; no column where there is none."""
    column = next((c for c in annotation.columns if str(c).casefold() in LINEAGE), None)
    if column is None:
        return pd.DataFrame(index=annotation.index)
    rows = [_parts(str(text)) for text in annotation[column].fillna("")]
    found = pd.DataFrame([[row.get(r, "") for r in ORDER] for row in rows], annotation.index, list(ORDER))
    return found.loc[:, (found != "").any()]


def _parts(lineage: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for i, part in enumerate(part.strip() for part in re.split(r"[|;]", lineage)):
        prefix, silva = _PREFIX.match(part), _SILVA.match(part)
        if prefix:
            found[RANKS[prefix[1]]] = _named(prefix[2])
        elif silva and int(silva[1]) < len(PLAIN):
            found[PLAIN[int(silva[1])]] = _named(silva[2])
        elif i < len(PLAIN):
            found[PLAIN[i]] = _named(part)
    return found


def _named(text: str) -> str:
    """A name as shown; '' for what only says that there is none (`g__`, `uncultured`)."""
    prefix = _PREFIX.match(text.strip())
    name = (prefix[2] if prefix else text).replace("_", " ").strip()
    return "" if NAMELESS.fullmatch(name.casefold()) else name


def _name(key: tuple[str, ...], ranks: pd.Index, level: str) -> str:
    """The taxon's name; a species keeps its genus where the lineage splits the two."""
    own = dict(zip(ranks, key, strict=True))
    if not key[-1]:
        deepest = next((part for part in reversed(key) if part), "")
        return f"{deepest} (unclassified {level})" if deepest else f"unclassified {level}"
    genus = own.get("genus", "")
    return f"{genus} {key[-1]}" if level.casefold() == "species" and genus and " " not in key[-1] else key[-1]


def _unique(names: list[str], keys: list[tuple[str, ...]]) -> list[str]:
    """Names that stand twice with the name above them, then with all that stand above."""
    for above in (
        lambda key: next((p for p in reversed(key[:-1]) if p), ""),
        lambda key: "; ".join(key[:-1]),
    ):
        repeated = {name for name, n in pd.Series(names).value_counts().items() if n > 1}
        names = [f"{n} ({above(k)})" if n in repeated else n for n, k in zip(names, keys, strict=True)]
    return names
