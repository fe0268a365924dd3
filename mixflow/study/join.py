"""Samples of the data and of the sheet matched by exact ids; what does not match is named."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mixflow.errors import MixflowError, Problem
from mixflow.study.config import Study

if TYPE_CHECKING:
    from mixflow.study.sheet import Sheet

NAMED = 20
"""Unmatched ids that a message lists; the problem's value holds the first few and a count."""
SHORT = 5
"""Ids in the value of a problem."""


@dataclass(frozen=True)
class Joined:
    """Samples in both.

    ``ids``: ids of the sheet, in the order of the data; ``positions`` (int64): where each stands in the data;
    ``only_data`` and ``only_sheet``: ids that were dropped because the config says `unmatched: drop`.
    """

    ids: tuple[str, ...]
    positions: np.ndarray
    only_data: tuple[str, ...]
    only_sheet: tuple[str, ...]
    notes: tuple[str, ...]


def join(sheet: Sheet, data_ids: Sequence[str], study: Study) -> Joined:
    """Match the samples of the data (renamed by `samples.id_map`) with the rows of the sheet.

    Raises MixflowError naming every sample that has no partner, unless `data.unmatched` is drop; and always
    where ids of the data become equal or nothing matches.
    """
    names = rename(list(map(str, data_ids)), study)
    known = set(sheet.frame.index)
    positions = np.array([i for i, name in enumerate(names) if name in known], dtype=np.int64)
    only_data = tuple(name for name in names if name not in known)
    only_sheet = tuple(name for name in sheet.frame.index if name not in set(names))
    if not len(positions) or study.data.unmatched == "error":
        problems = [*_data_problem(only_data, sheet, study), *_sheet_problem(only_sheet, names, sheet, study)]
        if problems:
            raise MixflowError(problems)
    notes = [
        f"{len(ids)} sample(s) dropped because they stand only in the {where}: {_listed(ids)}."
        for ids, where in ((only_data, "data"), (only_sheet, "sheet"))
        if ids
    ]
    return Joined(tuple(names[i] for i in positions), positions, only_data, only_sheet, tuple(notes))


def rename(data_ids: list[str], study: Study) -> list[str]:
    """Ids of the data after `samples.id_map`; raises where two become the same or the map names no sample."""
    mapping = study.samples.id_map
    if set(mapping) == {"pattern", "replace"}:
        names = [re.sub(mapping["pattern"], _backreferences(mapping["replace"]), name) for name in data_ids]
    else:
        names = [mapping.get(name, name) for name in data_ids]
        _check_map(mapping, data_ids, study)
    for i, name in enumerate(names):
        if name in names[:i]:
            was = data_ids[names.index(name)]
            message = f"two samples of the data get the same id: '{was}' and '{data_ids[i]}'"
            remedy = "make ids of the data unique, or correct samples.id_map"
            raise MixflowError(
                Problem(message, **study.place("samples", "id_map"), value=name, remedy=remedy)
            )
    return names


def _backreferences(replace: str) -> str:
    """`$1` (as in R and sed's users' habit) means the same as Python's group 1."""
    return re.sub(r"\$(\d+)", r"\\g<\1>", replace)


def _check_map(mapping: dict[str, str], data_ids: list[str], study: Study) -> None:
    unknown = [name for name in mapping if name not in data_ids]
    if unknown:
        remedy = (
            f"the map goes from id in the data to id in the sheet; ids in the data: {_listed(data_ids, 5)}"
        )
        raise MixflowError(
            Problem(
                f"id_map renames what the data do not have: {_listed(unknown)}",
                **study.place("samples", "id_map", unknown[0]),
                value=unknown[0],
                remedy=remedy,
            )
        )


def _data_problem(ids: tuple[str, ...], sheet: Sheet, study: Study) -> list[Problem]:
    if not ids:
        return []
    nearest = difflib.get_close_matches(ids[0], list(sheet.frame.index), n=1, cutoff=0.4)
    hint = f" (the sheet has '{nearest[0]}': see samples.id_map)" if nearest else ""
    file = str(study.data.files[0])
    return [
        Problem(
            f"{len(ids)} sample(s) of the data are not in the sheet: {_listed(ids)}",
            file=file,
            value=_first(ids),
            column=study.samples.id or "sample",
            remedy=f"add them to the sheet, rename them by samples.id_map{hint}, or set data.unmatched: drop"
            f"{sheet.choice}",
        )
    ]


def _sheet_problem(ids: tuple[str, ...], names: list[str], sheet: Sheet, study: Study) -> list[Problem]:
    if not ids:
        return []
    from mixflow.study.sheet import lines

    nearest = difflib.get_close_matches(ids[0], names, n=1, cutoff=0.4)
    hint = f" (the data have '{nearest[0]}': see samples.id_map)" if nearest else ""
    return [
        Problem(
            f"{len(ids)} sample(s) of the sheet are not in the data: {_listed(ids)}",
            file=sheet.file,
            row=lines(sheet, ids[:1])[0],
            column=study.samples.id or "sample",
            value=_first(ids),
            remedy=f"remove them from the sheet, correct their ids{hint}, or set data.unmatched: drop"
            f"{sheet.choice}",
        )
    ]


def _first(ids: Sequence[str]) -> list[str]:
    return [*ids[:SHORT], *([f"and {len(ids) - SHORT} more"] if len(ids) > SHORT else [])]


def _listed(ids: Sequence[str], most: int = NAMED) -> str:
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return ", ".join(ids[:most]) + more
