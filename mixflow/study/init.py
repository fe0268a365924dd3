"""`mixflow init`: a commented config, and a sheet skeleton where there is none, beside the user's files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixflow.errors import MixflowError, Problem
from mixflow.study import guess, worksheets, write

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.store.readers import RawTable

CONFIG, SHEET, COLUMN = "config.yaml", "samples.tsv", "condition"
PRECURSORS = frozenset({"msstats", "pd-psms"})
"""Formats of which proteins are asked, not the precursors that they list."""


@dataclass(frozen=True)
class _Sheet:
    """The sheet of the config: its file, id column and what was guessed of it."""

    path: Path | None
    id: str | None
    guess: guess.Guess
    worksheet: str | None = None


def init(
    table: Path, sheet: Path | None, folder: Path, options: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write `config.yaml` (and `samples.tsv` where there is no sheet) into `folder`; the files written.

    ``options``: data.options of the reader, where the table cannot be read without. Never overwrites: raises
    MixflowError where a file is there already, or where table or sheet cannot be read.
    """
    planned = [folder / CONFIG]
    _refuse_existing(planned)
    data, used = _read(table, sheet, dict(options or {}))
    described = _described(sheet, data, table, used)
    if described.path is None and not described.guess.condition and not described.guess.batch:
        planned.append(folder / SHEET)
        _refuse_existing(planned)
        described = _Sheet(folder / SHEET, "sample", _skeleton_guess())
    values = _values(table, folder, data, described, used)
    texts = [
        _HEADER.format(format=data.format, n=len(data.sample_ids), p=len(data.feature_ids))
        + write.commented(values, _guessed(values, data), _remarks(values, data))
    ]
    if len(planned) > 1:
        texts.append("\n".join([f"sample\t{COLUMN}", *(f"{name}\t" for name in data.sample_ids)]) + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in zip(planned, texts, strict=True):
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
    return planned


_HEADER = """\
# A study for mixflow, written by `mixflow init` from a table of format {format}: {n} samples, {p} features.
# What was guessed is marked `# please check`. Then: mixflow validate config.yaml, and mixflow run config.yaml
# Levels are compared as text. An empty key means its default. Delete what you do not need.
"""


def _refuse_existing(paths: list[Path]) -> None:
    problems = [
        Problem(
            "the file is there already",
            file=str(path),
            value=path.name,
            remedy="move it away, or give another folder",
        )
        for path in paths
        if path.exists()
    ]
    if problems:
        raise MixflowError(problems)


def _read(table: Path, sheet: Path | None, options: dict[str, Any]) -> tuple[RawTable, dict[str, Any]]:
    """The data, and the options that the config needs to read them in the same way."""
    from mixflow.store import readers

    known: dict[str, Any] = {}
    if sheet is not None:
        texts = worksheets.tables(sheet, table, options.get("sheet")).values()
        cells = {cell.strip() for text in texts for name in text.columns for cell in text[name]}
        known["sample_ids"] = sorted(cells - {""})
    data = _read_by_id(table, known, options)
    if data.format != "wide":
        return data, options
    cells = _cells(table, options)
    in_columns = set(data.sample_ids) <= set(map(str, cells.columns))
    options.setdefault("orientation", "samples_in_columns" if in_columns else "samples_in_rows")
    if in_columns or {"sample_columns", "features"} & set(options):
        return data, options
    options["sample_columns"] = guess.sample_columns(cells, list(map(str, data.samples.columns)))
    return readers.read([table], "auto", {**known, **options}), options


def _cells(table: Path, options: Mapping[str, Any]) -> pd.DataFrame:
    """The columns of a wide table beside its ids, as text, read as the reader does."""
    from mixflow.store import readers

    how = {key: options[key] for key in ("sheet", "delimiter") if key in options}
    frame = readers.read_table(table, **how).frame
    ids = options.get("id") or str(frame.columns[0])
    return frame.drop(columns=[ids] if isinstance(ids, str) else list(ids))


def _remarks(values: dict[str, Any], data: RawTable) -> dict[str, str]:
    """Said beside what was guessed: at which columns the measurements begin, what else counts could be."""
    said = {}
    if "family" in values["models"]["main"]:
        said["models.main.family"] = (
            "counts; for a linear model of log-ratios instead: gaussian, without the offset, and "
            "preprocess.transform: clr"
        )
    if "sample_columns" in values["data"]["options"]:
        first = ", ".join(f"`{' '.join(name.split())}`" for name in data.feature_ids[:3])
        said["data.options.sample_columns"] = f"measurements begin at {first}"
    return said


def _read_by_id(table: Path, known: Mapping[str, Any], options: dict[str, Any]) -> RawTable:
    """The data; where the first column will not do as feature ids, by the first column that will.

    That column is then set in ``options``, so that it stands in the config.
    """
    from mixflow.store import readers
    from mixflow.store.readers.ids import unique_columns

    try:
        return readers.read([table], "auto", {**known, **options})
    except MixflowError as error:
        about_ids = any("data.options.id" in (problem.remedy or "") for problem in error.problems)
        others = unique_columns(readers.read_table(table)) if about_ids and "id" not in options else []
        if not others:
            raise
        options["id"] = others[0]
        return readers.read([table], "auto", {**known, **options})


def _described(sheet: Path | None, data: RawTable, table: Path, options: dict[str, Any]) -> _Sheet:
    """The given sheet (of a workbook the best worksheet), or the sample columns in the data file."""
    if sheet is None:
        return _Sheet(None, None, guess.model(data.samples.fillna("").astype(str)))
    texts = worksheets.tables(sheet, table, options.get("sheet"))
    worksheet = worksheets.best(texts, data.sample_ids)
    name, _ = guess.shared_ids(texts[worksheet], data.sample_ids)
    return _Sheet(sheet, name, guess.model(texts[worksheet].drop(columns=name)), worksheet)


def _skeleton_guess() -> guess.Guess:
    return guess.Guess(
        {COLUMN: {"type": "factor"}}, guess.formula([COLUMN], []), {COLUMN: {COLUMN: "all pairs"}}
    )


def _values(
    table: Path, folder: Path, data: RawTable, described: _Sheet, options: dict[str, Any]
) -> dict[str, Any]:
    found = described.guess
    scale = data.scale or guess.scale(data.values)
    transform, normalise = guess.TRANSFORM.get(scale, ("none", "none"))
    study = re.sub(r"[^A-Za-z0-9._-]+", "-", table.name.split(".")[0]).strip("-._") or "study"
    return {
        "study": study,
        "title": table.name.split(".")[0].replace("_", " "),
        "data": {
            "files": _relative(table, folder),
            "format": data.format,
            "scale": scale,
            "options": options,
        },
        "samples": {
            "file": _relative(described.path, folder) if described.path else None,
            "sheet": described.worksheet,
            "id": described.id,
            "columns": found.columns,
            "unit": found.unit,
            "role": found.role,
        },
        "preprocess": {"transform": transform, "normalise": normalise, **_summarised(data)},
        "batch": {"factors": found.batch},
        "models": {"main": _model(found, scale)},
    }


def _model(found: guess.Guess, scale: str) -> dict[str, Any]:
    model: dict[str, Any] = {"formula": found.formula, "contrasts": found.contrasts}
    return model | guess.counted(found.formula) if scale == "count" else model


def _summarised(data: RawTable) -> dict[str, Any]:
    """Formats that list precursors with their proteins are summarised to proteins."""
    if data.format not in PRECURSORS or not {"protein", "proteins"} & set(data.features.columns):
        return {}
    return {"summarise": {"to": "protein", "method": "median-polish", "shared": "drop"}}


def _relative(path: Path, folder: Path) -> str:
    """As seen from the folder of the config, where both lie on one drive."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return path.absolute().as_posix()


def _guessed(values: dict[str, Any], data: RawTable) -> set[str]:
    keys = {
        "data.format",
        "data.options",
        "data.options.sample_columns",
        "samples.role",
        "preprocess.transform",
        "preprocess.normalise",
        *(["preprocess.summarise"] if "summarise" in values["preprocess"] else []),
        "models.main.formula",
        "models.main.contrasts",
        "batch.factors",
        "samples.unit",
        "samples.id",
        *(["models.main.family"] if "family" in values["models"]["main"] else []),
        *(["samples.sheet"] if values["samples"]["sheet"] else []),
    }
    keys |= {f"samples.columns.{name}" for name in values["samples"]["columns"]}
    return keys if data.scale else keys | {"data.scale"}
