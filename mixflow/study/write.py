"""A config as commented YAML: every key of the schema with its explanation, its value or its default."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from mixflow.study.schema import Schema, branches, child, resolve, schema

CHECK = "# please check"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


Marks = Mapping[str, str]
"""Dotted key -> what is said at the end of its line."""


def commented(
    values: dict[str, Any], guessed: Collection[str] = (), remarks: Mapping[str, str] | None = None
) -> str:
    """The config `values` as YAML. Dotted keys in `guessed` are marked `# please check`, and their remark."""
    said = remarks or {}
    marks = {key: f"  {CHECK}{f': {said[key]}' if key in said else ''}" for key in guessed}
    return "\n".join(_object(values, resolve(schema()), "", (), marks)) + "\n"


def _object(
    values: dict[str, Any], part: Schema, indent: str, path: tuple[str, ...], marks: Marks
) -> Iterator[str]:
    properties = part.get("properties", {})
    for key in [*properties, *(key for key in values if key not in properties)]:
        inner = child(part, key)
        if key not in values and "default" not in inner and inner.get("type") != "object":
            continue
        if key in properties:
            yield from _comment(inner, indent, blank=not path)
        value = values.get(key, inner.get("default", {}))
        yield from _entry(key, value, inner, indent, (*path, key), marks)


def _comment(part: Schema, indent: str, blank: bool) -> Iterator[str]:
    allowed = [str(value) for branch in branches(part) for value in branch.get("enum", ())]
    choice = f" One of: {', '.join(allowed)}." if len(allowed) > 1 else ""
    if blank:
        yield ""
    for line in textwrap.wrap(part.get("description", "") + choice, 100 - len(indent)):
        yield f"{indent}# {line}"


def _entry(
    key: str, value: Any, part: Schema, indent: str, path: tuple[str, ...], marks: Marks
) -> Iterator[str]:
    mark = marks.get(".".join(path), "")
    options = path == ("data", "options") and value  # one line each, so that each can be marked
    nested = isinstance(value, dict) and (options or part.get("properties") or _has_objects(value))
    leaf = path[:1] == ("samples",) and len(path) > 2  # a column or a derived column: one line each
    if nested and not leaf:
        yield f"{indent}{text(key)}:{mark}"
        yield from _object(value, part, indent + "  ", path, marks)
    else:
        yield f"{indent}{text(key)}: {flow(value)}{mark}"


def _has_objects(value: dict[str, Any]) -> bool:
    return any(isinstance(item, dict) for item in value.values())


def flow(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return text(value) if isinstance(value, str) else json.dumps(value)


def text(value: str) -> str:
    """Text as YAML reads it back: quoted unless it is plain words."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)
