"""What `mixflow diff` prints: tables for a reader, rows of tab-separated text for a program."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from mixflow.cli.console import OUT, tell
from mixflow.runs.diff import Difference
from mixflow.runs.results import ContrastChange, ModelChange

NAMED = 12


def show(found: Difference) -> None:
    """Everything that differs, sections in the order of cause and effect."""
    tell(f"before: {found.before}\nafter:  {found.after}")
    for section in dict.fromkeys(change.section for change in found.changes):
        table = _table(section, "what", "before", "after")
        for change in (c for c in found.changes if c.section == section):
            table.add_row(*(Text(str(cell)) for cell in (change.item, change.before, change.after)))
        OUT.print(table)
    for model in found.models:
        _model(model)
    tell("The results are the same, to the last bit." if found.same_results else "The results differ.")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _model(model: ModelChange) -> None:
    if model.same:
        tell(f"model {model.model}: the same, to the last bit")
        return
    tell(f"model {model.model}: {_what_differs(model)}")
    if model.formula[0] != model.formula[1]:
        tell(f"  formula: {model.formula[0]}  ->  {model.formula[1]}")
    if model.features[0] != model.features[1]:
        tell(f"  features: {model.features[0]} -> {model.features[1]}")
    for change, count in model.statuses.items():
        tell(f"  {count} feature(s): {change}")
    for contrast in model.contrasts:
        _contrast(contrast)


def _what_differs(model: ModelChange) -> str:
    """In a word or two; what is the same in all its numbers can still be called at another rate."""
    parts = (("fits", model.equal_fits), ("tests", model.equal_tests))
    differ = [name for name, equal in parts if not equal]
    return (
        f"{' and '.join(differ)} differ" if differ else "the same numbers, another formula or rate of calls"
    )


def _contrast(contrast: ContrastChange) -> None:
    if contrast.equal:
        tell(f"  {contrast.contrast}: the same, to the last bit")
        return
    hits = f"{contrast.hits[0]} -> {contrast.hits[1]} hits"
    tell(f"  {contrast.contrast}: {hits}; rank correlation of p {contrast.rank_correlation:.6g}")
    for word, names in (("gained", contrast.gained), ("lost", contrast.lost)):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            tell(f"    {word} {len(names)}: {', '.join(names[:NAMED])}{more}")
    if contrast.largest:
        OUT.print(_largest(contrast))


def _largest(contrast: ContrastChange) -> Table:
    table = _table("    moved most", "    feature", "by (SE)", "estimate", "q")
    for row in contrast.largest:
        cells = [
            f"{row[f'{what}_before']:.4g} -> {row[f'{what}_after']:.4g}" for what in ("estimate", "q_value")
        ]
        table.add_row(Text(f"    {row['name']}"), f"{row['moved_by_se']:.2g}", *cells)
    return table


def tsv(found: Difference) -> Iterator[str]:
    """Lines `section, item, before, after`, with a header."""
    rows = [(c.section, c.item, c.before, c.after) for c in found.changes]
    for model in found.models:
        rows += _rows(model)
    yield "section\titem\tbefore\tafter"
    for row in rows:
        yield "\t".join(" ".join(str(cell).split()) for cell in row)


def _rows(model: ModelChange) -> Iterator[tuple]:
    section = f"model {model.model}"
    if not model.same:
        yield section, "results", "", _what_differs(model)
    if model.features[0] != model.features[1]:
        yield section, "features", *model.features
    if model.formula[0] != model.formula[1]:
        yield section, "formula", *model.formula
    for change, count in model.statuses.items():
        yield section, f"status of {count} feature(s)", *change.split(" -> ")
    for contrast in model.contrasts:
        if not contrast.equal:
            yield f"{section}, {contrast.contrast}", "hits", *contrast.hits
            yield from ((f"{section}, {contrast.contrast}", name, "", "hit") for name in contrast.gained)
            yield from ((f"{section}, {contrast.contrast}", name, "hit", "") for name in contrast.lost)
            for row in contrast.largest:
                values = (row["estimate_before"], row["estimate_after"])
                yield f"{section}, {contrast.contrast}", f"estimate of {row['name']}", *values
