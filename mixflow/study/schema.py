"""The JSON schema of a config: text where text is meant, defaults filled in, errors as problems."""

from __future__ import annotations

import copy
import difflib
import json
from functools import cache
from typing import Any

from mixflow import resources
from mixflow.errors import Problem
from mixflow.study.yamlfile import Path_, YamlFile, dotted

Schema = dict[str, Any]

_KIND = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping (key: value)",
    "null": "nothing",
}
_YES = {"yes": True, "on": True, "no": False, "off": False}


@cache
def schema() -> Schema:
    """The schema as it stands in workflows/schemas/config.schema.json."""
    path = resources.root() / "workflows" / "schemas" / "config.schema.json"
    return json.loads(path.read_text(encoding="utf-8"))


def resolve(part: Schema) -> Schema:
    """`part` with its $ref replaced by what it names (keys beside $ref win)."""
    if "$ref" not in part:
        return part
    named = schema()["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return {**resolve(named), **{key: value for key, value in part.items() if key != "$ref"}}


def branches(part: Schema) -> list[Schema]:
    """The alternatives of `part`; itself where it has none."""
    return [resolve(branch) for branch in part["anyOf"]] if "anyOf" in part else [part]


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    if value is None:
        return "null"
    for kind, types in (
        ("boolean", bool),
        ("integer", int),
        ("number", float),
        ("string", str),
        ("array", list),
    ):
        if isinstance(value, types):
            return kind
    return "object"


def branch_for(value: Any, part: Schema) -> Schema | None:
    """The alternative of `part` whose type is the value's; None where none is."""
    kind = kind_of(value)
    wanted = {kind, "number"} if kind == "integer" else {kind}
    return next((branch for branch in branches(part) if branch.get("type") in wanted), None)


def child(part: Schema, key: str) -> Schema:
    """The schema of a key of an object; empty where anything goes."""
    inner = part.get("properties", {}).get(key, part.get("additionalProperties", {}))
    return resolve(inner) if isinstance(inner, dict) else {}


def convert(file: YamlFile) -> Any:
    """The values with text where the schema says text (`[01, no]` -> ["01", "no"]) and defaults filled in."""
    return _convert(file.values, resolve(schema()), (), file.texts)


def _convert(value: Any, part: Schema, path: Path_, texts: dict[Path_, str]) -> Any:
    branch = branch_for(value, part)
    if branch is None:
        return _as_meant(value, part, texts.get(path))
    if isinstance(value, dict):
        return _convert_object(value, branch, path, texts)
    if isinstance(value, list):
        items = resolve(branch.get("items", {}))
        return [_convert(item, items, (*path, str(i)), texts) for i, item in enumerate(value)]
    return value


def _as_meant(value: Any, part: Schema, text: str | None) -> Any:
    """A plain scalar read as the type that the schema wants: true/false for yes/no, text for numbers."""
    kinds = {branch.get("type") for branch in branches(part)}
    if "boolean" in kinds and text is not None and text.lower() in _YES:
        return _YES[text.lower()]
    if "string" in kinds and text:
        return text
    return value


def _convert_object(
    value: dict[str, Any], part: Schema, path: Path_, texts: dict[Path_, str]
) -> dict[str, Any]:
    out = {key: _convert(item, child(part, key), (*path, key), texts) for key, item in value.items()}
    for key, inner in part.get("properties", {}).items():
        inner = resolve(inner)
        if out.get(key) is None and "default" in inner:  # a key left empty counts as not there
            out[key] = _convert(copy.deepcopy(inner["default"]), inner, (*path, key), {})
    return out


def problems(values: Any, file: YamlFile) -> list[tuple[Path_, Problem]]:
    """Everything in which `values` breaks the schema: path, and line, dotted key, value and remedy."""
    from jsonschema import Draft202012Validator

    found: list[tuple[Path_, Problem]] = []
    for error in Draft202012Validator(schema()).iter_errors(values):
        found += _Translator(file).translate(error, resolve(schema()))
    return sorted(found, key=lambda pair: pair[1].row or 0)


def part_problems(values: Any, part: Schema, file: YamlFile, keys: Path_) -> list[tuple[Path_, Problem]]:
    """As `problems`, for ``values`` that stand at ``keys`` of the file and a schema of their own."""
    from jsonschema import Draft202012Validator

    root, nested = part, values
    for key in reversed(keys):
        root, nested = {"type": "object", "properties": {key: root}}, {key: nested}
    errors = Draft202012Validator(root).iter_errors(nested)
    return [pair for error in errors for pair in _Translator(file).translate(error, root)]


def without(values: Any, path: Path_) -> None:
    """Remove what stands at `path` (a list item: the whole list), in place."""
    if not path:
        return
    for key in path[:-1]:
        if not isinstance(values.get(key), dict):
            values.pop(key, None)
            return
        values = values[key]
    values.pop(path[-1], None)


class _Translator:
    """jsonschema's errors in words."""

    def __init__(self, file: YamlFile):
        self.lines, self.name = file.lines, file.name

    def translate(self, error: Any, root: Schema) -> list[tuple[Path_, Problem]]:
        path = tuple(str(key) for key in error.absolute_path)
        part = part_at(root, error.absolute_path)
        if error.validator == "anyOf":
            return self._alternatives(error, part, path, root)
        if error.validator == "additionalProperties":
            known = list(part.get("properties", {}))
            return [self._unknown(key, known, path) for key in error.instance if key not in known]
        if error.validator == "required":
            missing = [key for key in error.validator_value if key not in error.instance]
            return [self._missing(key, part, path) for key in missing if f"'{key}'" in error.message]
        if error.validator == "propertyNames" or "propertyNames" in error.schema_path:
            message = "this name is not allowed"
            return [
                self._problem(message, (*path, error.instance), error.instance, _words(part, "propertyNames"))
            ]
        remedy = f"{_nearest(error)}{_words(part, error.validator) or ''}" or None
        return [self._problem(_message(error), path, error.instance, remedy)]

    def _alternatives(
        self, error: Any, part: Schema, path: Path_, root: Schema
    ) -> list[tuple[Path_, Problem]]:
        branch = branch_for(error.instance, part)
        if branch is not None:
            index = branches(part).index(branch)
            context = [inner for inner in error.context if inner.schema_path[0] == index]
            return [problem for inner in context for problem in self.translate(inner, root)]
        kinds = " or ".join(_KIND[str(b["type"])] for b in branches(part) if b["type"] != "null")
        return [self._problem(f"must be {kinds}", path, error.instance, _words(part, "type"))]

    def _unknown(self, key: str, known: list[str], path: Path_) -> tuple[Path_, Problem]:
        near = difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.5)
        remedy = f"did you mean `{near[0]}`? " if near else ""
        return self._problem("unknown key", (*path, key), key, f"{remedy}known here: {', '.join(known)}")

    def _missing(self, key: str, part: Schema, path: Path_) -> tuple[Path_, Problem]:
        remedy = f"add `{key}:`. {child(part, key).get('description', '')}".strip()
        return self._problem("this key is needed", (*path, key), None, remedy)

    def _problem(self, message: str, path: Path_, value: Any, remedy: str | None) -> tuple[Path_, Problem]:
        row = line_of(self.lines, path)
        return path, Problem(message, self.name, row, dotted(path) or None, value, remedy)


def part_at(root: Schema, path: Any) -> Schema:
    """The schema that governs the value at `path`, with the nearest description above where it has none."""
    part = root
    for key in path:
        kind = "array" if isinstance(key, int) else "object"
        branch = next((b for b in branches(part) if b.get("type") == kind), part)
        inner = resolve(branch.get("items", {})) if kind == "array" else child(branch, str(key))
        part = {"description": part.get("description", ""), **inner}
    return part


def line_of(lines: dict[Path_, int], path: Path_) -> int | None:
    """Line of the key, or of the nearest key above it that stands in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _message(error: Any) -> str:
    wanted = error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else wanted
        return f"must be {' or '.join(_KIND[kind] for kind in kinds if kind != 'null' or len(kinds) == 1)}"
    if error.validator == "enum":
        return "not one of the known values"
    if error.validator == "pattern":
        return "holds characters that are not allowed"
    if error.validator in ("minItems", "minProperties", "minLength"):
        return "is empty" if wanted == 1 else f"needs at least {wanted} items"
    if error.validator == "maxItems":
        return f"has more than {wanted} items"
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "above",
        "exclusiveMaximum": "below",
    }
    return f"must be {words[error.validator]} {wanted:g}" if error.validator in words else error.message


def _nearest(error: Any) -> str:
    """The allowed value that a wrong one is nearest to, whatever its capitals."""
    if error.validator != "enum" or not isinstance(error.instance, str):
        return ""
    folded = {str(value).lower(): str(value) for value in error.validator_value}
    near = difflib.get_close_matches(error.instance.lower(), list(folded), n=1, cutoff=0.5)
    return f"did you mean `{folded[near[0]]}`? " if near else ""


def _words(part: Schema, validator: str) -> str | None:
    """The remedy: the values allowed, if they are a list, and what the key means."""
    allowed = [str(value) for branch in branches(part) for value in branch.get("enum", ())]
    listed = f"use one of: {', '.join(allowed)}. " if allowed and validator in ("enum", "type") else ""
    return f"{listed}{part.get('description', '')}".strip() or None
