"""Keys and values of a sweep: which there are, what they are called, and how they are put into a config."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mixflow.errors import MixflowError, Problem
from mixflow.study import schema, yamlfile
from mixflow.study.rules import near
from mixflow.study.yamlfile import Path_, YamlFile, dotted

LONGEST_LABEL = 40


@dataclass(frozen=True)
class Value:
    """A value of a key: its ``label`` in names of folders, and where it stands (fields of a Problem)."""

    key: str
    value: Any
    label: str
    place: dict[str, Any] = field(compare=False)
    texts: dict[Path_, str] = field(compare=False, default_factory=dict)
    """Text of the scalars in it, as `yamlfile` keeps it, by the path below the value."""
    keep: bool = False
    """Leave the config's own value: an empty cell of a table."""

    @property
    def keys(self) -> Path_:
        """The path of the key."""
        return tuple(self.key.split("."))


def values(file: YamlFile, key: str) -> list[Value]:
    """The values of ``key`` below `sweep`: a list, or a mapping of names to values."""
    asked, path = file.values["sweep"][key], ("sweep", key)
    if not isinstance(asked, (list, dict)) or not asked:
        remedy = f"a list of values, `{key}: [first, second]`, or names with values, `{{name: value}}`"
        place = _place(file, path, key)
        raise MixflowError(Problem("a key of a sweep needs values", **place, value=asked, remedy=remedy))
    items = asked.items() if isinstance(asked, dict) else ((str(i), item) for i, item in enumerate(asked))
    named = isinstance(asked, dict)
    return [_value(file, key, (*path, str(at)), item, str(at) if named else None) for at, item in items]


def _value(file: YamlFile, key: str, path: Path_, item: Any, name: str | None) -> Value:
    texts = {p[len(path) :]: text for p, text in file.texts.items() if p[: len(path)] == path}
    text = texts.get((), item) if not isinstance(item, (list, dict)) else item
    return Value(key, item, label(text if name is None else name), _place(file, path, key), texts)


def table(file: YamlFile, kind: str, path: Path) -> Iterator[dict[str, Value]]:
    """The rows of a table of combinations: a header of dotted keys, a row for each combination.

    Cells are read as YAML reads a value: `[a, b]` is a list. An empty cell is the config's own value.
    """
    if not path.is_file():
        remedy = "correct the name; it is looked up beside the config, then in the working folder"
        place = _place(file, (kind,), kind)
        raise MixflowError(Problem("there is no such table", **place, value=str(path), remedy=remedy))
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    separator = "\t" if lines and "\t" in lines[0] else ","
    header, *below = list(csv.reader(lines, delimiter=separator)) or [[]]
    rows = {line: row for line, row in enumerate(below, start=2) if any(cell.strip() for cell in row)}
    problems = list(_shape(path, header, rows))
    if problems:
        raise MixflowError(problems)
    for line, row in rows.items():
        yield {key: _cell(file, path, line, key, cell.strip()) for key, cell in zip(header, row, strict=True)}


def _shape(path: Path, header: list[str], rows: dict[int, list[str]]) -> Iterator[Problem]:
    for key in sorted({key for key in header if header.count(key) > 1 or not key}):
        yield Problem(
            "a column needs a name of its own", file=str(path), row=1, column=key, remedy="rename it"
        )
    for line, row in rows.items():
        if len(row) != len(header):
            remedy = "put a cell with a separator in it between quotes"
            message = f"{len(row)} cells where the header has {len(header)}"
            yield Problem(message, file=str(path), row=line, remedy=remedy)
    if not rows:
        remedy = "a header of keys of the config, and below it a row for each combination"
        yield Problem("the table has no rows", file=str(path), remedy=remedy)


def _cell(file: YamlFile, path: Path, number: int, key: str, cell: str) -> Value:
    place = {"file": str(path), "row": number, "column": key}
    if cell == "":
        own = at(file.values, tuple(key.split(".")))
        return Value(key, own, label(own), place, keep=True)
    if not cell.startswith(("[", "{")):
        return Value(key, yamlfile._plain_value(cell), label(cell), place, {(): cell})
    try:
        item = yaml.safe_load(cell)
    except yaml.YAMLError as error:
        remedy = "write a list as [a, b], a mapping as {key: value}"
        raise MixflowError(Problem("not a YAML value", **place, value=cell, remedy=remedy)) from error
    return Value(key, item, label(item), place)


def label(value: Any) -> str:
    """A value as part of a folder's name; long ones are cut, with a hash that tells them apart."""
    if isinstance(value, bool) or value is None:
        text = {True: "true", False: "false", None: "none"}[value]
    elif isinstance(value, list) and all(not isinstance(item, (list, dict)) for item in value):
        text = "+".join(str(item) for item in value) or "empty"
    elif isinstance(value, (list, dict)):
        text = json.dumps(value, default=str) if value else "empty"
    else:
        text = str(value)
    plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", re.sub(r"\s*([-+*:~|])\s*", r"\1", text)).strip("-") or "none"
    if len(plain) <= LONGEST_LABEL:
        return plain
    return f"{plain[: LONGEST_LABEL - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """For each dotted key its last part, with as many parts before it as tell it from the others."""
    keys = list(keys)
    for parts in range(1, 20):
        names = {key: re.sub(r"\W", "_", "_".join(key.split(".")[-parts:])) for key in keys}
        if len(set(names.values())) == len(keys):
            return names
    return {key: f"key_{i}" for i, key in enumerate(keys, start=1)}


def unknown(file: YamlFile, row: dict[str, Value]) -> list[Problem]:
    """Keys of a sweep that a config cannot have."""
    found = (_unknown(file, value) for value in row.values())
    return [problem for problem in found if problem is not None]


def _unknown(file: YamlFile, value: Value) -> Problem | None:
    part, base = schema.resolve(schema.schema()), file.values
    for depth, key in enumerate(value.keys):
        known = list(part.get("properties", {}))
        free = isinstance(part.get("additionalProperties", True), dict) or "properties" not in part
        named = [*known, *(base if isinstance(base, dict) and free else ())]
        last = depth == len(value.keys) - 1
        if (key not in named and not (free and last and depth > 1)) or key in ("sweep", "studies"):
            remedy = near(key, [name for name in named if name not in ("sweep", "studies")])
            message = f"the config has no key {dotted(value.keys[: depth + 1])}"
            return Problem(message, **{**value.place, "column": value.key}, value=key, remedy=remedy)
        inner = schema.child(part, key)
        part = next((b for b in schema.branches(inner) if b.get("type") == "object"), inner) if inner else {}
        base = base.get(key) if isinstance(base, dict) else None
    return None


def at(tree: Any, keys: Path_) -> Any:
    """What stands at a path of keys; None where nothing does."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def apply(file: YamlFile, value: Value) -> None:
    """Put a value into a config, in place, with its text and the line where it stands."""
    if value.keep:
        return
    *above, last = value.keys
    tree = file.values
    for key in above:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[last] = value.value
    row, depth = schema.line_of(file.lines, value.keys) or 1, len(value.keys)
    for known in (file.texts, file.lines):
        for path in [path for path in known if path[:depth] == value.keys]:
            del known[path]
    file.texts |= {(*value.keys, *path): text for path, text in value.texts.items()}
    file.lines |= {(*value.keys, *path): row for path in [(), *value.texts]}


def _place(file: YamlFile, path: Path_, key: str) -> dict[str, Any]:
    return {"file": file.name, "row": schema.line_of(file.lines, path), "column": key}
