"""The config of a study: `load(path)` -> `Study`, or everything that is wrong with it at once.

Nothing here reads data, the sheet, or another study's config; importing it imports neither jax nor pandas.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.study import schema, yamlfile
from mixflow.study.study import (
    FAMILY_KEYS,
    GAUSSIAN,
    Batch,
    Column,
    ContrastSpec,
    Data,
    Derived,
    Filters,
    ModelConfig,
    ObservedBy,
    Preprocess,
    Report,
    Role,
    Samples,
    Study,
    Summarise,
)

__all__ = [
    "FAMILY_KEYS",
    "GAUSSIAN",
    "Batch",
    "Column",
    "ContrastSpec",
    "Data",
    "Derived",
    "Filters",
    "ModelConfig",
    "ObservedBy",
    "Preprocess",
    "Report",
    "Role",
    "Samples",
    "Study",
    "Summarise",
    "attempt",
    "load",
]


BESIDE = ("sweep", "studies")
"""Keys that speak of many studies, and are no part of one (`mixflow.study.sweep`)."""


def load(path: str | os.PathLike[str]) -> Study:
    """The study that the YAML file at `path` describes.

    Raises MixflowError with every problem found: file, line of the key, dotted key, value and remedy.
    """
    study, found = attempt(path)
    if found or study is None:
        raise MixflowError(found)
    return study


def attempt(path: str | os.PathLike[str]) -> tuple[Study | None, list[Problem]]:
    """The study and every problem of its config; keys that break the schema are left out of the study.

    So that the rest can be checked too. None where a needed key is missing or the file is no YAML.
    """
    try:
        file = yamlfile.read(Path(path))
    except MixflowError as error:
        return None, list(error.problems)
    return attempt_file(file, Path(path))


def attempt_file(file: yamlfile.YamlFile, path: Path) -> tuple[Study | None, list[Problem]]:
    """The same of a config that was read from ``path``, and may have been changed since (`mixflow.study.sweep`)."""
    from mixflow.study import rules

    values = schema.convert(file)
    broken = schema.problems(values, file)
    found = [*rules.comment_traps(file), *(problem for _, problem in broken)]
    for depth in (0, 1):  # first the keys that are wrong, then those in which a needed key is missing
        for keys, _ in broken:
            schema.without(file.values, keys[: len(keys) - depth])
        values = schema.convert(file) if broken else values
        broken = schema.problems(values, file) if broken else []
    if broken:
        return None, found
    plain = {key: value for key, value in values.items() if key not in BESIDE}
    study = _study(plain, path, file)
    found += [p for p in rules.check(study) if not _follows(p, [str(problem.column) for problem in found])]
    return study, sorted(found, key=lambda problem: problem.row or 0)


def _follows(problem: Problem, told: list[str]) -> bool:
    """Whether a problem may only come of a key that was left out: at it, above it, or beside it."""
    column = problem.column or ""
    return any(
        key.startswith(column) or (key.count(".") > 1 and column.startswith(key.rpartition(".")[0]))
        for key in told
    )


def _study(raw: dict[str, Any], path: Path, file: yamlfile.YamlFile) -> Study:
    find = _Finder(path, raw["data"]["data_root"])
    columns = {name: _column(name, spec) for name, spec in raw["samples"]["columns"].items()}
    return Study(
        name=raw["study"],
        title=raw["title"] or raw["study"],
        path=path,
        data=_data(raw["data"], find),
        samples=_samples(raw["samples"], columns, find),
        preprocess=_preprocess(raw["preprocess"]),
        batch=_batch(raw["batch"]),
        models=tuple(_model(name, spec, columns, find) for name, spec in raw["models"].items()),
        few_levels=raw["few_levels"],
        report=Report(**{**raw["report"], "features": tuple(raw["report"]["features"])}),
        shards=None if raw["shards"] == "auto" else raw["shards"],
        seed=raw["seed"],
        raw=raw,
        lines=file.lines,
    )


class _Finder:
    """Relative paths: in data_root, in the config's folder, in the working folder; the first that exists."""

    def __init__(self, config: Path, data_root: str):
        root = Path(data_root).expanduser()
        inside, working = config.parent / root, root
        self.folders = (inside if inside.is_dir() or not working.is_dir() else working, config.parent, Path())

    def __call__(self, name: str) -> Path:
        candidates = [folder / Path(name).expanduser() for folder in self.folders]
        return _plain(next((path for path in candidates if path.exists()), candidates[0]))


def _plain(path: Path) -> Path:
    """`y2/../table.xlsx` as `table.xlsx`, unless y2 is a link that leads elsewhere."""
    short = Path(os.path.normpath(path))
    return short if short.resolve() == path.resolve() else path


def _data(raw: dict[str, Any], find: _Finder) -> Data:
    return Data(
        files=tuple(find(name) for name in _names(raw["files"])),
        format=raw["format"],
        scale=raw["scale"],
        unit=raw["unit"],
        options=raw["options"],
        features=find(raw["features"]) if raw["features"] else None,
        drop_contaminants=raw["contaminants"]["drop"],
        contaminant_patterns=tuple(raw["contaminants"]["patterns"]),
        unmatched=raw["unmatched"],
    )


def _names(value: str | list[str] | None) -> tuple[str, ...]:
    """One name or a list of names as a tuple."""
    return () if value is None else (value,) if isinstance(value, str) else tuple(value)


def _column(name: str, raw: dict[str, Any]) -> Column:
    levels, labels = raw.get("levels"), raw.get("labels")
    return Column(
        name=name,
        type=raw["type"],
        levels=tuple(levels) if levels else None,
        labels=tuple(labels) if labels else None,
        reference=raw["reference"],
        unit=raw["unit"],
        label=raw["label"],
    )


def _samples(raw: dict[str, Any], columns: dict[str, Column], find: _Finder) -> Samples:
    role, unit = raw["role"], raw["unit"]
    role = {"column": role} if isinstance(role, str) else role
    unit = {"column": unit, "allow_repeats": False} if isinstance(unit, str) else unit
    return Samples(
        file=find(raw["file"]) if raw["file"] else None,
        id=raw["id"],
        id_map=raw["id_map"],
        derive=tuple(Derived(name, spec["from"], spec["pattern"]) for name, spec in raw["derive"].items()),
        columns=columns,
        role=Role(role["column"], {k: _names(v) for k, v in role.items() if k != "column" and v})
        if role
        else None,
        unit=unit["column"] if unit else None,
        allow_repeats=bool(unit and unit["allow_repeats"]),
        sheet=raw["sheet"],
    )


def _preprocess(raw: dict[str, Any]) -> Preprocess:
    filters = dict(raw["filters"])
    by = filters.pop("min_observed_by")
    return Preprocess(
        transform=raw["transform"],
        normalise=raw["normalise"],
        pseudocount=raw["zero"]["pseudocount"],
        filters=Filters(**filters, min_observed_by=ObservedBy(**by) if by else None),
        summarise=Summarise(**raw["summarise"]) if raw["summarise"] else None,
        reference_within=raw["reference"]["within"] if raw["reference"] else None,
        level=raw["level"],
    )


def _batch(raw: dict[str, Any]) -> Batch:
    keep = None if raw["keep"] is None else _names(raw["keep"])
    return Batch(**{**raw, "factors": _names(raw["factors"]), "keep": keep})


def _model(name: str, raw: dict[str, Any], columns: dict[str, Column], find: _Finder) -> ModelConfig:
    return ModelConfig(
        name=name,
        formula=raw["formula"],
        title=raw["title"],
        reml=raw["family"] == GAUSSIAN if raw["reml"] is None else raw["reml"],
        contrasts={title: _contrast(spec, columns) for title, spec in raw["contrasts"].items()},
        adjust=raw["adjust"],
        min_values=raw["min_values"],
        include={column: _names(levels) for column, levels in raw["include"].items()},
        exclude={column: _names(levels) for column, levels in raw["exclude"].items()},
        compare_to=raw["compare_to"],
        df=(raw["df"] or "satterthwaite") if raw["family"] == GAUSSIAN else "z",
        residual=raw["residual"],
        dispersion=raw["dispersion"],
        weights=raw["weights"],
        variances=raw["variances"],
        relationship={group: find(file) for group, file in raw["relationship"].items()},
        analyses=_analyses(raw["analyses"]),
        **{key: raw[key] for key in FAMILY_KEYS},
    )


def _analyses(raw: dict[str, Any] | list[str]) -> dict[str, dict[str, Any]]:
    """A list of names means these analyses without options."""
    if isinstance(raw, list):
        return {name: {} for name in raw}
    return {name: options or {} for name, options in raw.items()}


def _contrast(raw: dict[str, Any], columns: dict[str, Column]) -> ContrastSpec:
    """The contrast as configured; levels are text, values of columns that are no declared factor numbers."""
    spec = {key: _value(value, columns.get(key)) for key, value in raw.items() if key != "at"}
    at = {name: _value(value, columns.get(name)) for name, value in raw["at"].items()}
    return {**spec, "at": at} if at else spec


def _value(value: Any, column: Column | None) -> Any:
    if isinstance(value, list):
        items = [_value(item, column) for item in value]
        return items if all(isinstance(item, float) for item in items) else value
    if not isinstance(value, str) or (column is not None and column.type != "number"):
        return value
    try:
        return float(value)
    except ValueError:
        return value
