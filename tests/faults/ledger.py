"""What was injected and how it ended, as the table of docs/faults.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HEAD = ("rule", "fault", "times tried", "ended equal", "stopped with a message", "lost or wrong")
EQUAL, STOPPED = "equal", "stopped"
"""How a trial ended: the counts of `Cell` that are not a loss."""


@dataclass
class Cell:
    """Counts of one (rule, fault)."""

    equal: int = 0
    stopped: int = 0
    wrong: int = 0

    @property
    def tried(self) -> int:
        return self.equal + self.stopped + self.wrong


@dataclass
class Trial:
    """One injected fault; the test says how it ended."""

    ended: str = ""

    def equal(self) -> None:
        """The run ended (if it was killed: when run again) with the bytes of an undisturbed run."""
        self.ended = EQUAL

    def stopped(self, said: str, *words: str) -> None:
        """It stopped, and ``said`` what is wrong and how to go on: every pattern of ``words`` is in it.

        To be called before the advice is followed; the test then shows that this ends with the same bytes.
        """
        for word in words:
            assert re.search(word, said, re.IGNORECASE | re.DOTALL), f"not told: {word!r} in\n{said}"
        assert len(words) >= 2, "a message names what is wrong and how to go on"
        self.ended = STOPPED


@dataclass
class Ledger:
    """All cells, in the order of their first trial."""

    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    ended: list[tuple[Cell, str]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def trial(self, rule: str, fault: str) -> Iterator[Trial]:
        """Counts one trial; what fails inside is counted as lost or wrong."""
        cell, trial = self.cells.setdefault((rule, fault), Cell()), Trial()
        try:
            yield trial
            assert trial.ended, "the test did not say how the trial ended"
        except BaseException:
            cell.wrong += 1
            raise
        setattr(cell, trial.ended, getattr(cell, trial.ended) + 1)
        self.ended.append((cell, trial.ended))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Trials of this block have one end in common: where the block fails, each of them was lost or wrong."""
        began = len(self.ended)
        try:
            yield
        except BaseException:
            for cell, ended in self.ended[began:]:
                setattr(cell, ended, getattr(cell, ended) - 1)
                cell.wrong += 1
            del self.ended[began:]
            raise

    def rows(self, order: Sequence[str]) -> list[tuple[str, str, int, int, int, int]]:
        """The table, by rule."""
        place = {rule: i for i, rule in enumerate(order)}
        keys = sorted(self.cells, key=lambda key: place.get(key[0], len(place)))
        cells = [(key, self.cells[key]) for key in keys]
        return [(*key, c.tried, c.equal, c.stopped, c.wrong) for key, c in cells]

    def write(self, folder: Path, order: Sequence[str], words: str) -> None:
        """docs/faults.md and docs/faults.tsv."""
        rows = self.rows(order)
        lines = ["\t".join(HEAD), *("\t".join(map(str, row)) for row in rows)]
        (folder / "faults.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        table = ["| " + " | ".join(HEAD) + " |", "|---|---|---:|---:|---:|---:|"]
        table += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        total = [sum(numbers) for numbers in zip(*(row[2:] for row in rows), strict=True)]
        table.append("| **all** | " + " | ".join(map(str, [f"{len(rows)} cells", *total])) + " |")
        left = [f"- not run here: {reason}" for reason in self.skipped]
        (folder / "faults.md").write_text("\n".join([words, *table, "", *left]).rstrip() + "\n", "utf-8")


LEDGER = Ledger()
"""The one of this run of the suite."""
