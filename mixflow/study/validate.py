"""Everything that is wrong with a study, at once: config, files, sheet, formulas, contrasts, data."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mixflow.errors import Problem
from mixflow.store.manifest import is_store
from mixflow.study import config, level, library, outcomes, sheet, shown, sweep_check, values
from mixflow.study.columns import terms_of
from mixflow.study.config import ModelConfig, Study
from mixflow.study.models import check_sheet, collect
from mixflow.study.reading import beside, reader_options
from mixflow.study.rules import near
from mixflow.study.sheet import Sheet

if TYPE_CHECKING:
    from mixflow.store.readers import RawTable


def validate(path: str | os.PathLike[str], data: bool = False) -> list[Problem]:
    """All problems of the study whose config is at `path`; empty if it can run.

    ``data``: also read the data files and match their sample ids with the sheet.
    """
    own = sweep_check.problems(Path(path), data)
    return validate_read(*config.attempt(path), data=data) if own is None else own


def validate_read(study: Study | None, problems: list[Problem], data: bool = False) -> list[Problem]:
    """The same of a config that was read (`config.attempt`), with the problems found in it."""
    if study is None:
        return problems
    annotation, unread = _annotation(study)
    problems += [*_files(study), *unread]
    read, wrong = _own_sheet(study)
    table = (
        collect(problems, lambda: _read_data(study, read)) if data and not _absent(study.data.files) else None
    )
    problems += [*_scale(study, table), *_summarised(study, table, annotation)]
    if table is not None:
        described = level.described(table, annotation)
        problems += [*level.problems(study, described), *shown.problems(study, table, annotation, described)]
    if study.samples.file is None and table is not None:
        read, wrong = sheet.attempt(study, beside(study, table))
    problems += wrong
    if read is None:
        problems += [p for model in study.models for p in _formula_alone(study, model)]
        return _unique(problems)
    read, unmet = library.check(study, read, table, study.data.scale or (table.scale if table else None))
    problems += [*unmet, *check_sheet(study, read, {problem.column for problem in wrong})]
    if table is not None and not problems:
        described, scale = level.described(table, annotation), study.data.scale or table.scale
        problems += values.problems(study, read, table, scale, described)
        problems += outcomes.problems(study, read, table, scale, described)
    if table is not None and _ids_are_sound(read):  # else each bad id would be told as unmatched too
        collect(problems, lambda: sheet.join(read, table.sample_ids, study))
    return _unique(problems)


def _ids_are_sound(read: Sheet) -> bool:
    return read.frame.index.is_unique and "" not in read.frame.index


def _own_sheet(study: Study) -> tuple[Sheet | None, list[Problem]]:
    if study.samples.file is None or _absent((study.samples.file,)):
        return None, []
    return sheet.attempt(study)


def _unique(problems: list[Problem]) -> list[Problem]:
    seen = {(p.message, p.file, p.row, p.column, str(p.value)): p for p in problems}
    return sorted(seen.values(), key=lambda p: (p.file or "", p.row or 0))


def _absent(paths: Collection[Path]) -> list[Path]:
    return [path for path in paths if not (path.is_file() or is_store(path))]


def _files(study: Study) -> Iterator[Problem]:
    named = [
        (("data", "files"), study.data.files),
        (("samples", "file"), (study.samples.file,)),
        (("data", "features"), (study.data.features,)),
    ]
    for model in study.models:
        named += [(("models", model.name, "relationship", g), (p,)) for g, p in model.relationship.items()]
    for keys, paths in named:
        for path in paths:
            if path is not None and not (path.is_file() or (keys[-1] == "files" and is_store(path))):
                yield Problem(
                    "there is no such file",
                    **study.place(*keys),
                    value=str(path),
                    remedy="correct the name, or data.data_root; relative paths start at data_root, then at "
                    "the config's folder",
                )


def _annotation(study: Study) -> tuple[pd.DataFrame | None, list[Problem]]:
    """The table of `data.features`, if there is one that can be read, and what is wrong with it."""
    from mixflow.store.readers.table import read_table

    path, label = study.data.features, study.report.label
    if path is None or not path.is_file():
        return None, []
    problems: list[Problem] = []
    table = collect(problems, lambda: read_table(path))
    if table is not None and study.preprocess.level is None and label not in table.frame.columns:
        remedy = f"correct report.label; {near(label, list(table.frame.columns))}"
        problems.append(
            Problem(
                "the annotation has no such column",
                file=str(path),
                row=1,
                column=label,
                value=label,
                remedy=remedy,
            )
        )
    return None if table is None else table.frame, problems


def _read_data(study: Study, read: Sheet | None) -> RawTable:
    from mixflow.store import readers

    return readers.read(study.data.files, study.data.format, reader_options(study, read))


def _scale(study: Study, table: RawTable | None) -> list[Problem]:
    """The scale is known, and transform and normalisation fit it."""
    from mixflow.preprocess.prepare import check

    scale = study.data.scale or (table.scale if table else None)
    problems: list[Problem] = []
    if scale is not None:
        collect(problems, lambda: check(scale, study.raw["preprocess"]))
    elif table is not None:
        remedy = "set data.scale: intensity (raw), log2 (already logarithms), count, proportion or free"
        problems.append(
            Problem(
                f"format {table.format} does not say on which scale its values are",
                column="data.scale",
                remedy=remedy,
            )
        )
    return [replace(p, **study.place(*(p.column or "preprocess").split("."))) for p in problems]


def _summarised(study: Study, table: RawTable | None, annotation: pd.DataFrame | None) -> list[Problem]:
    """The data, or their annotation, say which protein a feature is of, where proteins are asked for."""
    from mixflow.preprocess.rollup import protein_column

    if table is None or study.preprocess.summarise is None:
        return []
    beside = [] if annotation is None else annotation.columns[1:]
    columns = list(dict.fromkeys([*map(str, table.features.columns), *map(str, beside)]))
    problems: list[Problem] = []
    collect(problems, lambda: protein_column(columns, study.raw["preprocess"]["summarise"]))
    return [replace(p, **study.place("preprocess", "summarise", "column")) for p in problems]


def _formula_alone(study: Study, model: ModelConfig) -> list[Problem]:
    problems: list[Problem] = []
    collect(problems, lambda: terms_of(study, model))
    return problems
