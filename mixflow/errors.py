"""How bad input is told: a list of problems, each with its place, its value and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, as fields, so that tests and tools can read them.

    ``row`` is the 1-based line of the file as an editor shows it (header = line 1),
    ``column`` the column's name, or the dotted key of a config (``models.mixed.formula``).
    """

    message: str
    file: str | None = None
    row: int | None = None
    column: str | None = None
    value: Any = None
    remedy: str | None = None

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (
                self.file,
                f"row {self.row}" if self.row is not None else None,
                f"column '{self.column}'" if self.column is not None else None,
            )
            if part
        )
        found = f" (found: {self.value!r})" if self.value is not None else ""
        remedy = f"\n    -> {self.remedy}" if self.remedy else ""
        return f"{place + ': ' if place else ''}{self.message}{found}{remedy}"


class MixflowError(Exception):
    """Input that mixflow refuses; carries every problem found, not only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n".join(f"- {problem}" for problem in self.problems)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.problems,))


class Problems:
    """Collects problems so that a check says everything that is wrong at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, message: str, **fields: Any) -> None:
        self.found.append(Problem(message, **fields))

    def extend(self, error: MixflowError) -> None:
        self.found.extend(error.problems)

    def raise_if_any(self) -> None:
        if self.found:
            raise MixflowError(self.found)
