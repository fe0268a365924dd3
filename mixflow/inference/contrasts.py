"""Contrasts in the user's words -> weights on the coefficients.

A contrast is a difference of means over the reference grid (`mixflow.inference.means`), so the coding of the
factors does not matter to it. Whether a feature's own rows can estimate it is for the test to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixflow.design.design import Design
from mixflow.design.grid import Variable, level_number
from mixflow.errors import MixflowError, Problem, Problems
from mixflow.inference import phrases
from mixflow.inference.means import a_factor, means

ALL_PAIRS, VERSUS_REFERENCE, OMNIBUS = "all pairs", "versus reference", "omnibus"
Labels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class Contrast:
    """A hypothesis L beta = 0: ``L`` (r, p); ``kind`` 't' (r = 1) or 'F'.

    ``text`` says it in words. ``factor`` and ``levels`` are those compared (None and () for coefficients);
    ``level_rows`` (n,) marks the design's rows in these levels, for the rule of least values.
    """

    name: str
    L: np.ndarray
    kind: str
    text: str
    factor: str | None
    levels: tuple[str, ...]
    level_rows: np.ndarray


def build(
    spec: Mapping[str, Mapping[str, Any]], design: Design, labels: Labels | None = None
) -> list[Contrast]:
    """Contrasts of a config's ``models.*.contrasts``: {name: {factor or number: what, at: {...}}}.

    What: ``[first, second]`` (first minus second), ``all pairs``, ``versus reference``, ``omnibus`` (an F),
    or for a number its difference. ``at`` fixes other variables. Coefficients as keys are weights on them.
    ``labels``: {factor: {level as in the sheet: level as in the design}}. Raises all problems at once.
    """
    problems = Problems()
    found: list[Contrast] = []
    for name, entry in spec.items():
        try:
            found += _entry(str(name), entry, design, labels or {})
        except MixflowError as error:
            told = (replace(p, message=f"Contrast '{name}': {p.message}") for p in error.problems)
            problems.extend(MixflowError(told))
    for name in sorted({c.name for c in found if [d.name for d in found].count(c.name) > 1}):
        problems.add("Two contrasts have this name", value=name, remedy="Rename one of them.")
    problems.raise_if_any()
    return found


def build_coefficients(design: Design) -> list[Contrast]:
    """One contrast for each coefficient."""
    return from_weights({name: {name: 1.0} for name in design.coef_names}, design)


def from_weights(weights: Mapping[str, Mapping[str, float]], design: Design) -> list[Contrast]:
    """Contrasts given as weights on exact coefficient names: ``{"Days": {"Days": 1}}``."""
    return [_weighted(str(name), entry, design) for name, entry in weights.items()]


def _weighted(name: str, entry: Mapping[str, float], design: Design) -> Contrast:
    row = np.zeros((1, len(design.coef_names)))
    for coefficient, weight in entry.items():
        if coefficient not in design.coef_names:
            known = f"Coefficients: {', '.join(design.coef_names)}."
            raise MixflowError(Problem("There is no such coefficient", value=coefficient, remedy=known))
        row[0, design.coef_names.index(coefficient)] = _number(coefficient, weight)
    if not row.any():
        raise MixflowError(Problem("All weights are zero", value=dict(entry), remedy="Give a weight."))
    return Contrast(name, row, "t", phrases.weights(entry), None, (), np.ones(len(design.X), bool))


def _entry(name: str, entry: Any, design: Design, labels: Labels) -> list[Contrast]:
    if not isinstance(entry, Mapping):
        raise MixflowError(Problem("A contrast is a mapping", value=entry, remedy="Write {factor: [A, B]}."))
    at = {key: _level(key, value, labels) for key, value in (entry.get("at") or {}).items()}
    asked = {str(key): value for key, value in entry.items() if key != "at"}
    known = {variable.name for variable in design.variables}
    if asked and not known & set(asked) and set(asked) <= set(design.coef_names):
        return [_weighted(name, asked, design)]
    if len(asked) != 1:
        remedy = "Name one factor or number; fix the others by `at:`."
        raise MixflowError(Problem("A contrast compares one variable", value=list(asked), remedy=remedy))
    [(variable, what)] = asked.items()
    if variable in at:
        raise MixflowError(
            Problem("`at` cannot fix what is compared", column=variable, remedy="Remove it there.")
        )
    if design.variable(variable).kind == "number":
        return [_difference(name, design.variable(variable), what, at, design)]
    return _levels(name, variable, _level(variable, what, labels), at, design)


def _level(factor: str, level: Any, labels: Labels) -> Any:
    """The design's name of a level that may be written as the sheet has it."""
    if isinstance(level, list | tuple):
        return [_level(factor, item, labels) for item in level]
    return labels.get(factor, {}).get(str(level), level)


def _levels(name: str, factor: str, what: Any, at: dict[str, Any], design: Design) -> list[Contrast]:
    known = a_factor(design, factor)
    cells = means(design, factor, at)
    rest = phrases.rest(design, factor, at)
    if what == OMNIBUS:
        text = f"any difference between the levels of {factor} ({', '.join(known.levels)}){rest}"
        rows = _rows_of(design, known, known.levels, at)
        return [Contrast(name, cells.L[1:] - cells.L[:1], "F", text, factor, known.levels, rows)]
    many = what in (ALL_PAIRS, VERSUS_REFERENCE)
    found = []
    for first, second in _compared(known, what):
        row = (cells.L[first] - cells.L[second])[None, :]
        two = (known.levels[first], known.levels[second])
        text = f"{two[0]} minus {two[1]} ({factor}; reference level {known.levels[0]}){rest}"
        title = f"{name}: {two[0]} vs {two[1]}" if many else name
        found.append(Contrast(title, row, "t", text, factor, two, _rows_of(design, known, two, at)))
    return found


def _compared(factor: Variable, what: Any) -> list[tuple[int, int]]:
    """Places of the levels compared: (first, second), the first minus the second."""
    count = len(factor.levels)
    if what == ALL_PAIRS:
        return [(j, i) for i in range(count) for j in range(i + 1, count)]
    if what == VERSUS_REFERENCE:
        return [(j, 0) for j in range(1, count)]
    if not isinstance(what, list) or len(what) != 2:
        ways = f"[first, second], {ALL_PAIRS}, {VERSUS_REFERENCE} or {OMNIBUS}"
        raise MixflowError(
            Problem(f"Compare levels by {ways}", column=factor.name, value=what, remedy=_known(factor))
        )
    first, second = (level_number(factor, level) for level in what)
    if first == second:
        raise MixflowError(
            Problem("A level is compared with itself", column=factor.name, value=what, remedy=_known(factor))
        )
    return [(first, second)]


def _known(factor: Variable) -> str:
    return f"Known levels: {', '.join(factor.levels)}."


def _difference(name: str, number: Variable, what: Any, at: dict[str, Any], design: Design) -> Contrast:
    """Over how much of a number: {age: 10} from its mean upwards, {age: [70, 60]} between two values."""
    if isinstance(what, list | tuple) and len(what) == 2:
        high, low = (_number(number.name, value) for value in what)
    else:
        low = number.mean
        high = low + _number(number.name, what)
    if high == low:
        raise MixflowError(
            Problem("The difference is zero", column=number.name, value=what, remedy="Give a number.")
        )
    row = _step(design, number.name, low, high, at)
    elsewhere = _step(design, number.name, high, high + (high - low), at)
    linear = np.allclose(row, elsewhere, rtol=1e-8, atol=1e-8 * max(1.0, float(np.abs(row).max())))
    text = phrases.step(number.name, low, high, linear) + phrases.rest(design, number.name, at)
    return Contrast(name, row, "t", text, number.name, (), _at_rows(design, at))


def _step(design: Design, name: str, low: float, high: float, at: dict[str, Any]) -> np.ndarray:
    return means(design, (), {**at, name: high}).L - means(design, (), {**at, name: low}).L


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
        remedy = (
            "Declare the column as type: factor to compare levels; numbers: {age: 10} or {age: [70, 60]}."
        )
        raise MixflowError(Problem("A number is needed here", column=name, value=value, remedy=remedy))
    return float(value)


def _rows_of(design: Design, factor: Variable, levels: tuple[str, ...], at: dict[str, Any]) -> np.ndarray:
    wanted = [factor.values[factor.levels.index(level)] for level in levels]
    return design.frame[factor.name].isin(wanted).to_numpy() & _at_rows(design, at)


def _at_rows(design: Design, at: dict[str, Any]) -> np.ndarray:
    """Rows in the levels that ``at`` names; numbers do not restrict."""
    rows = np.ones(len(design.X), dtype=bool)
    for name, level in at.items():
        variable = design.variable(name)
        if variable.kind == "factor":
            rows &= (design.frame[name] == variable.values[level_number(variable, level)]).to_numpy()
    return rows
