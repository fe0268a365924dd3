"""Is a tree what `mixflow.store.schema` declares: every variable known, with its dims and dtype?"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.store.schema import SCHEMA_VERSION, VARIABLES, Variable

_BY_MODEL = ("fits", "tests", "analyses")


def check(tree: xr.DataTree, file: str | None = None) -> None:
    """Raise MixflowError with every departure of ``tree`` from the declared variables.

    ``file`` is named in the problems. Empty groups and the groups `/` and `provenance` hold attributes only.
    """
    problems = [
        problem
        for node in tree.subtree
        for problem in _group_problems(node.path.strip("/"), node.to_dataset(inherit=False), file)
    ]
    version = tree.attrs.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        problems.append(
            Problem(
                f"the store has schema version {version}, this mixflow reads {SCHEMA_VERSION}",
                file=file,
                remedy="run the study again with this mixflow, or read the store with the one that wrote it",
            )
        )
    if problems:
        raise MixflowError(problems)


def rank(path: str, name: str) -> int:
    """Place of a variable among those that the schema declares for the group ``path``."""
    declared = declared_in(path)
    found = _declaration(name, declared)
    return declared.index(found[0]) if found else len(declared)


def declared_in(path: str) -> list[Variable]:
    """The variables that the schema declares for a group; `fits/<model>` stands for any model."""
    head, _, model = path.strip("/").partition("/")
    group = head if head in _BY_MODEL and model else path.strip("/")
    return [variable for variable in VARIABLES if variable.group == group]


def _group_problems(path: str, dataset: xr.Dataset, file: str | None) -> list[Problem]:
    if not dataset.variables:
        return []
    declared = declared_in(path)
    if not declared:
        return [_problem("group is not part of a mixflow store", file, path)]
    found = [
        problem
        for name, array in dataset.data_vars.items()
        for problem in _variable_problems(path, str(name), array, declared, file)
    ]
    return found + _missing(path, dataset, declared, file) + _duplicates(path, dataset, file)


def _variable_problems(
    path: str, name: str, array: xr.DataArray, declared: list[Variable], file: str | None
) -> list[Problem]:
    match = _declaration(name, declared)
    if match is None:
        return [_problem("variable is not declared in the schema", file, f"{path}/{name}")]
    variable, dims = match
    problems = []
    if array.dims != dims:
        problems.append(_problem(f"dims should be {dims}", file, f"{path}/{name}", array.dims))
    if not _has_dtype(array.dtype, variable.dtype):
        problems.append(
            _problem(f"dtype should be {variable.dtype}", file, f"{path}/{name}", str(array.dtype))
        )
    return problems


def _declaration(name: str, declared: list[Variable]) -> tuple[Variable, tuple[str, ...]] | None:
    """The declaration of ``name`` and its dims; exact names win over templates (``mode {group}``, ``*``)."""
    for variable in sorted(declared, key=lambda v: ("*" in v.name, "{" in v.name)):
        pattern = re.escape(variable.name).replace(r"\{group\}", "(?P<group>.+)").replace(r"\*", ".+")
        match = re.fullmatch(pattern, name)
        if match:
            return variable, tuple(dim.format(**match.groupdict()) for dim in variable.dims)
    return None


def _has_dtype(dtype: np.dtype, declared: str) -> bool:
    text = dtype.kind in "OTU" or dtype == np.dtypes.StringDType()
    if declared == "str":
        return text
    if declared == "any":
        return text or dtype.kind in "biuf"
    return dtype == np.dtype(declared)


def _missing(path: str, dataset: xr.Dataset, declared: list[Variable], file: str | None) -> list[Problem]:
    required = [v.name for v in declared if not v.optional and "*" not in v.name and "{" not in v.name]
    return [
        _problem("variable is missing", file, f"{path}/{name}")
        for name in required
        if name not in dataset.data_vars
    ]


def _duplicates(path: str, dataset: xr.Dataset, file: str | None) -> list[Problem]:
    problems = []
    for dim, index in dataset.indexes.items():
        if not index.is_unique:
            twice = sorted(set(index[index.duplicated()].astype(str)))[:5]
            problems.append(_problem(f"labels of dim {dim!r} occur twice", file, f"{path}/{dim}", twice))
    return problems


def _problem(message: str, file: str | None, column: str, value: object = None) -> Problem:
    remedy = "the store was not written by this version of mixflow: run the step that makes it again"
    return Problem(message, file=file, column=column, value=value, remedy=remedy)
