"""The page docs/analyses.md, written from what the analyses say of themselves."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mixflow.derived import ANALYSES, Analysis

PAGE = Path("docs/analyses.md")
HEAD = """\
# Analyses

What a model of a study can be asked beside its contrasts (`models.<name>.analyses`, see config/README.md). Each gives a
table, `tables/<model>.<analysis>.tsv`, and a section of the report. This page is written by
`python -m mixflow.study.catalogue` from the analyses themselves: change them, not the page.
"""


def page() -> str:
    """The page as text."""
    parts = [HEAD, *("\n".join(_analysis(ANALYSES[name])) for name in sorted(ANALYSES))]
    return "\n".join(parts) + "\n"


def _analysis(analysis: Analysis) -> Iterator[str]:
    yield f"## {analysis.title} (`{analysis.name}`)\n"
    yield _wrapped(analysis.purpose)
    yield _wrapped(analysis.help)
    if analysis.own_rows:
        yield "Also of models that read the precursors of each protein (`preprocess.summarise.method: none`).\n"
    if "generalised" in analysis.models:
        only = "Of" if "gaussian" not in analysis.models else "Also of"
        yield f"{only} generalised models (`family` beside gaussian).\n"
    if analysis.options:
        yield "| option | values | meaning |\n|---|---|---|"
        yield from (_option(name, part, analysis) for name, part in analysis.options.items())
        yield ""
    if analysis.columns:
        yield "| column | meaning |\n|---|---|"
        yield from (f"| `{name}` | {_cell(meaning)} |" for name, meaning in analysis.columns.items())
        yield ""


def _option(name: str, part: Mapping[str, Any], analysis: Analysis) -> str:
    needed = ", needed" if name in analysis.required else ""
    default = f", default `{_flow(part['default'])}`" if part.get("default") is not None else ""
    return f"| `{name}` | {_values(part)}{default}{needed} | {_cell(str(part.get('description', '')))} |"


def _values(part: Mapping[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{_flow(value)}`" for value in part["enum"])
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_values(branch) for branch in part["anyOf"]))
    if part.get("format") == "column":
        return "a column of the sheet"
    kinds = part.get("type", "any")
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    return " or ".join(_KINDS.get(name, name) for name in names)


_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "`true`, `false`",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}


def _flow(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _wrapped(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
