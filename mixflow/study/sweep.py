"""Sweeps: one config, many combinations of the values of some of its keys; and several studies of one table.

`sweep` names keys of the config by their dotted path, each with the values it shall take (every combination of
them is run), or a table whose columns are such keys and whose rows are the combinations. `studies` names such a
table too, whose column `study` names each row: a study of its own. Names of combinations are those of Snakemake's
Paramspace. Read while the Snakefile is parsed: no data, no sheet.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.study import config, schema, sweep_keys, yamlfile
from mixflow.study.study import Study
from mixflow.study.sweep_keys import Value
from mixflow.study.yamlfile import YamlFile, dotted

LONGEST = 180
"""Characters of a folder's name: file systems take 255, and Snakemake and stores add theirs."""
MOST = 10_000
"""Combinations: beyond, a config has very likely more values than was meant."""


@dataclass(frozen=True)
class Combination:
    """One set of values: ``values`` by dotted key; ``name`` names its folder."""

    name: str
    values: dict[str, Value]

    @property
    def labels(self) -> dict[str, str]:
        """What its values are called, by dotted key."""
        return {key: value.label for key, value in self.values.items()}

    def placed(self, problem: Problem) -> Problem:
        """A problem of one of its values, told where that value stands: in the sweep, or in its table."""
        for key, value in self.values.items():
            below = (problem.column or "").removeprefix(key)
            if not value.keep and below != problem.column and below[:1] in ("", ".", "["):
                return replace(problem, file=value.place["file"], row=value.place["row"])
        return problem


@dataclass(frozen=True)
class Sweep:
    """The combinations of a config; ``columns`` gives the short name of each dotted key.

    ``kind``: sweep (compared with each other) or studies (rows named by themselves).
    """

    kind: str
    path: Path
    file: YamlFile = field(repr=False)
    columns: dict[str, str]
    combinations: tuple[Combination, ...]

    @cached_property
    def by_name(self) -> dict[str, Combination]:
        """Combinations by the names of their folders."""
        return {combination.name: combination for combination in self.combinations}

    def attempt(self, name: str) -> tuple[Study | None, list[Problem]]:
        """The study of a combination, and every problem of its config (see `config.attempt`)."""
        combination = self.by_name[name]
        study, found = config.attempt_file(self._changed(combination), self.path)
        return study, [combination.placed(problem) for problem in found]

    def study(self, name: str) -> Study:
        """The study of a combination; MixflowError with every problem of its config."""
        study, found = self.attempt(name)
        if found or study is None:
            raise MixflowError(found)
        return study

    def _changed(self, combination: Combination) -> YamlFile:
        """The config as if the combination's values stood in it, with the lines where they stand."""
        base = self.file
        file = replace(
            base, values=copy.deepcopy(base.values), lines=dict(base.lines), texts=dict(base.texts)
        )
        for key in config.BESIDE:
            file.values.pop(key, None)
        for value in combination.values.values():
            sweep_keys.apply(file, value)
        if self.kind == "sweep" and "title" not in combination.values:
            title = file.values.get("title") or file.values.get("study")
            told = ", ".join(f"{self.columns[key]} = {label}" for key, label in combination.labels.items())
            file.values["title"] = f"{title} ({told})"
        return file


def kind_of(path: Path) -> str:
    """What a config asks for: sweep, studies, or '' where it is one study."""
    values = yamlfile.read(path).values
    return next((key for key in config.BESIDE if values.get(key)), "")


def read(path: Path) -> Sweep | None:
    """The sweep of the config at ``path``, None where it asks for none; MixflowError with what is wrong.

    Checked here are keys, labels and names; whether the schema takes a value: `attempt`.
    """
    file = yamlfile.read(path)
    asked = [key for key in config.BESIDE if file.values.get(key)]
    if not asked:
        return None
    if len(asked) > 1:
        remedy = "put the sweep into a config of its own"
        raise MixflowError(
            Problem("a config has either a sweep or studies", **_place(file, "studies"), remedy=remedy)
        )
    kind = asked[0]
    rows = list(_rows(kind, file, path))
    keys = [key for key in rows[0] if key != "study" or kind == "sweep"]
    problems = sweep_keys.unknown(file, rows[0])
    if problems:
        raise MixflowError(problems)
    columns = sweep_keys.short_names(keys)
    names = _study_names(rows) if kind == "studies" else _names(columns, rows)
    problems = _doubles(file, kind, names, rows)
    if kind == "studies":
        problems += _as_the_config(file, rows)
    if problems:
        raise MixflowError(problems)
    found = tuple(Combination(name, row) for name, row in zip(names, rows, strict=True))
    return Sweep(kind, path, file, columns, found)


def _rows(kind: str, file: YamlFile, path: Path) -> list[dict[str, Value]]:
    """The values of each combination, by dotted key."""
    asked = file.values[kind]
    if isinstance(asked, str):
        rows = list(sweep_keys.table(file, kind, _beside(path, asked)))
    elif kind == "sweep" and isinstance(asked, dict):
        lists = [sweep_keys.values(file, key) for key in asked]
        count = 1
        for values in lists:
            count *= len(values)
        if count > MOST:
            remedy = f"at most {MOST}: fewer values, or a table of the combinations that matter"
            raise MixflowError(
                Problem("too many combinations", **_place(file, kind), value=count, remedy=remedy)
            )
        rows = [{v.key: v for v in chosen} for chosen in itertools.product(*lists)]
    else:
        remedy = "keys of the config with lists of values, or the name of a table (tab or comma separated)"
        raise MixflowError(
            Problem(f"{kind} is not understood", **_place(file, kind), value=asked, remedy=remedy)
        )
    if kind == "studies" and "study" not in rows[0]:
        remedy, asked = "add a column `study` with the name of each study", str(asked)
        raise MixflowError(
            Problem("the table has no column `study`", file=str(_beside(path, asked)), remedy=remedy)
        )
    return rows


def _beside(path: Path, name: str) -> Path:
    """The table named in the config: beside it, else in the working folder."""
    inside = path.parent / name
    return inside if inside.is_file() or not Path(name).is_file() else Path(name)


def _names(columns: dict[str, str], rows: Sequence[dict[str, Value]]) -> list[str]:
    """`normalise=median,df=z`: made by Paramspace of labels, which are text (it hands on no numpy scalars)."""
    import pandas as pd
    from snakemake.utils import Paramspace

    frame = pd.DataFrame([{columns[key]: row[key].label for key in columns} for row in rows], dtype=object)
    space = Paramspace(frame, filename_params="*", param_sep="=", filename_sep=",")
    return [str(name) for name in space.instance_patterns]


def _study_names(rows: Sequence[dict[str, Value]]) -> list[str]:
    return [str(row["study"].value) for row in rows]


def _as_the_config(file: YamlFile, rows: Sequence[dict[str, Value]]) -> list[Problem]:
    """Studies that would have the folder of the config that names them (an empty cell takes its name, too)."""
    own, remedy = file.values.get("study"), "give the config, or this study, another name"
    values = [row["study"] for row in rows if row["study"].value == own]
    return [
        Problem("a study is called as the config", **v.place, value=str(v.value), remedy=remedy)
        for v in values
    ]


def _doubles(
    file: YamlFile, kind: str, names: Sequence[str], rows: Sequence[dict[str, Value]]
) -> list[Problem]:
    """Combinations whose folders would have the same name, and names that no folder can have."""
    seen: dict[str, dict[str, Value]] = {}
    found: list[Problem] = []
    for name, row in zip(names, rows, strict=True):
        if name in seen:
            found.append(_double(file, kind, name, seen[name], row))
        seen.setdefault(name, row)
    for name in [name for name in seen if len(name) > LONGEST][:1]:
        value = max(seen[name].values(), key=lambda value: len(value.label))
        remedy = "give the values of this key short names: {short name: value}"
        found.append(Problem("the folder's name is too long", **value.place, value=name, remedy=remedy))
    return _once(found)


def _double(file: YamlFile, kind: str, name: str, first: dict[str, Value], row: dict[str, Value]) -> Problem:
    differing = [value for key, value in row.items() if value.value != first[key].value]
    if not differing:
        value = row["study"] if kind == "studies" else next(iter(row.values()))
        remedy = "remove one of the two"
        return Problem("this combination stands twice", **value.place, value=name, remedy=remedy)
    value = differing[0]
    remedy = f"it is {first[value.key].value!r} and {value.value!r}; name them: {{one name: ..., another name: ...}}"
    message = f"two combinations would have the same folder {name}"
    return Problem(message, **value.place, value=value.value, remedy=remedy)


def _once(problems: Iterable[Problem]) -> list[Problem]:
    return list({str(problem): problem for problem in problems}.values())


def _place(file: YamlFile, *keys: str) -> dict[str, Any]:
    return {"file": file.name, "row": schema.line_of(file.lines, keys), "column": dotted(keys)}


def told_once(sweep: Sweep, found: Iterable[tuple[str, Problem]]) -> list[Problem]:
    """Problems of many combinations, each once; with the combinations where not all have it."""
    where: dict[str, tuple[Problem, list[str]]] = {}
    for name, problem in found:
        where.setdefault(str(problem), (problem, []))[1].append(name)
    return [_with_names(sweep, problem, names) for problem, names in where.values()]


def _with_names(sweep: Sweep, problem: Problem, names: list[str]) -> Problem:
    total = len(sweep.combinations)
    if len(names) == total:
        return problem
    what = "studies" if sweep.kind == "studies" else "combinations"
    told = (
        f"in {names[0]}" if len(names) == 1 else f"in {len(names)} of {total} {what}, the first: {names[0]}"
    )
    return replace(problem, message=f"{problem.message} ({told})")
