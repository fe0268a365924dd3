"""A YAML file as plain values, with the line of every key and the text of every scalar.

YAML's own readers turn `no` into false, `2024-03-02` into a date, `12:30` into 750 and keep the last of two
equal keys. Here only true/false, null, decimal numbers and text exist (YAML 1.2's core schema), equal keys
are refused, and the text of every scalar is kept, so that `levels: [01, no]` can mean what stands there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mixflow.errors import MixflowError, Problem

Path_ = tuple[str, ...]
"""Keys from the root of the file to a value; items of a list count from 0 as text."""

MAX_VALUES = 200_000
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass
class YamlFile:
    """Values of a YAML file with, for each path of keys, its line and (scalars not in quotes) its text."""

    name: str
    values: Any
    lines: dict[Path_, int] = field(default_factory=dict)
    texts: dict[Path_, str] = field(default_factory=dict)
    source: list[str] = field(default_factory=list)


def read(path: Path) -> YamlFile:
    """Read a YAML file whose root is a mapping; raises MixflowError with line and remedy."""
    text = _decode(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise MixflowError(_syntax_problem(path, text, error)) from error
    if node is None:
        raise MixflowError(
            Problem("the file is empty", file=str(path), row=1, remedy="see config/README.md for an example")
        )
    file = _Builder(path).build(node)
    file.source = text.splitlines()
    return file


def _decode(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MixflowError(
            Problem(
                f"cannot be read: {error.strerror}", file=str(path), remedy="check the path of the config"
            )
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise MixflowError(
            Problem(
                "not UTF-8 text",
                file=str(path),
                row=row,
                value=data[error.start : error.start + 1],
                remedy="save the file as UTF-8",
            )
        ) from error


def _syntax_problem(path: Path, text: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    row = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    lines = text.splitlines()
    value = lines[row - 1].strip("\r\n") if row and row <= len(lines) else None
    return Problem(
        f"not valid YAML: {what}", file=str(path), row=row, value=value, remedy=_syntax_remedy(what)
    )


def _syntax_remedy(what: str) -> str:
    if "'\\t'" in what:
        return "indent with spaces, never with tabs"
    if "escape" in what:
        return "write regular expressions between single quotes: '\\d+'"
    if "special characters" in what:
        return "a control character stands in this line: remove it"
    if "found character" in what and "cannot start" in what:
        return "put the value between quotes"
    if "mapping values are not allowed" in what:
        return "put a value that holds a colon and a space between quotes, and check the indentation"
    if "another document" in what:
        return "keep one study in one file: remove the line ---"
    return "check indentation, quotes and brackets at and before this line"


class _Builder:
    """Walks yaml's nodes (which know their lines) and makes plain values of them."""

    def __init__(self, path: Path):
        self.out = YamlFile(str(path), None)
        self.count = 0
        self.problems: list[Problem] = []

    def build(self, node: yaml.Node) -> YamlFile:
        self.out.values = self._value(node, (), ())
        if not isinstance(node, yaml.MappingNode):
            self._refuse(
                node, (), "a config is a mapping of keys to values", "see config/README.md for an example"
            )
        if self.problems:
            raise MixflowError(self.problems)
        return self.out

    def _refuse(self, node: yaml.Node, path: Path_, message: str, remedy: str, value: Any = None) -> None:
        self.problems.append(
            Problem(message, self.out.name, node.start_mark.line + 1, dotted(path) or None, value, remedy)
        )

    def _value(self, node: yaml.Node, path: Path_, above: tuple[int, ...]) -> Any:
        self.out.lines.setdefault(path, node.start_mark.line + 1)
        self.count += 1
        if id(node) in above or self.count > MAX_VALUES:
            self._refuse(node, path, "an alias leads back to itself or too far", "write the values out")
            raise MixflowError(self.problems)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, (*above, id(node)))
        if isinstance(node, yaml.SequenceNode):
            return [
                self._value(item, (*path, str(i)), (*above, id(node))) for i, item in enumerate(node.value)
            ]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_, above: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[tuple[yaml.Node, tuple[int, ...]]] = []
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, path, "a key must be text", "put the key between quotes")
            elif key.tag == "tag:yaml.org,2002:merge":
                merged += [
                    (n, above) for n in (item.value if isinstance(item, yaml.SequenceNode) else [item])
                ]
            elif key.value in values:
                first = self.out.lines[(*path, key.value)]
                self._refuse(
                    key,
                    (*path, key.value),
                    f"the key stands twice (first in line {first})",
                    "keep one of the two",
                    key.value,
                )
            else:
                self.out.lines[(*path, key.value)] = key.start_mark.line + 1
                values[key.value] = self._value(item, (*path, key.value), above)
        for item, over in merged:
            self._merge(item, path, over, values)
        return values

    def _merge(self, node: yaml.Node, path: Path_, above: tuple[int, ...], values: dict[str, Any]) -> None:
        """`<<: *anchor`: keys of the anchor that do not stand here themselves."""
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, path, "<<: takes a mapping", "write <<: *name of an anchored mapping")
            return
        lines, texts = dict(self.out.lines), dict(self.out.texts)
        for key, item in self._mapping(node, path, (*above, id(node))).items():
            values.setdefault(key, item)
        self.out.lines.update(lines)
        self.out.texts.update(texts)

    def _scalar(self, node: yaml.Node, path: Path_) -> Any:
        text: str = node.value
        plain = isinstance(node, yaml.ScalarNode) and node.style is None
        if not plain or node.tag == "tag:yaml.org,2002:binary":
            return text
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith("tag:yaml.org,2002:python"):
            self._refuse(node, path, f"the tag {node.tag} is not allowed", "remove the tag", text)
            return text
        self.out.texts[path] = text
        return _plain_value(text)


def _plain_value(text: str) -> Any:
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def dotted(path: Path_) -> str:
    """`models.mixed.formula`; items of a list in brackets: `data.files[0]`."""
    out = ""
    for key in path:
        out += f"[{key}]" if key.isdigit() and out else f".{key}" if out else key
    return out
