"""Everything that is wrong with a sweep, or with several studies, at once."""

from __future__ import annotations

import json
from pathlib import Path

from mixflow.errors import MixflowError, Problem
from mixflow.study import config, sweep
from mixflow.study.study import Study

SHOWN = ("title", "report", "seed", "shards")
"""Keys that a check of files, sheet, formulas and data does not read."""


def problems(path: Path, data: bool) -> list[Problem] | None:
    """All problems of all combinations, each once; None where the config at ``path`` is one study.

    ``data``: also read the data files and match their sample ids with the sheet.
    """
    try:
        found = sweep.read(path)
    except MixflowError as error:
        return _of_base(path) or list(error.problems)
    return None if found is None else _of_base(path) or _of_combinations(found, data)


def _of_base(path: Path) -> list[Problem]:
    """The config alone must be a study too: it is what the values are put into."""
    return config.attempt(path)[1]


def _of_combinations(found: sweep.Sweep, data: bool) -> list[Problem]:
    """Each distinct study is looked at once, however many combinations differ only in what is shown."""
    from mixflow.study.validate import validate_read

    seen: dict[str, list[Problem]] = {}
    told: list[tuple[str, Problem]] = []
    compared = found.kind == "studies"
    for combination in found.combinations:
        study, wrong = found.attempt(combination.name)
        compared = compared or study is None or _has_comparison(study)
        key = combination.name if study is None or wrong else _key(study)
        if key not in seen:
            seen[key] = validate_read(study, wrong, data=data)
        told += [(combination.name, combination.placed(problem)) for problem in seen[key]]
    return sweep.told_once(found, told) + ([] if compared else [_nothing_to_compare(found)])


def _has_comparison(study: Study) -> bool:
    """Whether a model tests a contrast with an estimate: a test of several degrees of freedom has none."""
    asked = [spec for model in study.models for spec in model.contrasts.values()]
    return any(what != "omnibus" for spec in asked for key, what in spec.items() if key != "at")


def _nothing_to_compare(found: sweep.Sweep) -> Problem:
    remedy = "give a model contrasts: {case vs control: {group: [case, control]}}"
    message = "a sweep compares contrasts, and no model has one"
    return Problem(
        message, file=found.file.name, row=found.file.lines.get(("sweep",)), column="models", remedy=remedy
    )


def _key(study: Study) -> str:
    return json.dumps({key: value for key, value in study.raw.items() if key not in SHOWN}, default=str)
