"""What a run of a config makes last: its report, the comparison of its sweep, or the reports of its studies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mixflow.pipeline.paths import Paths
from mixflow.study import sweep


class Outcome(NamedTuple):
    """The last pages that a run makes, and what they are called."""

    pages: list[Path]
    words: str

    @property
    def changed(self) -> int:
        """When the last of the pages was written; 0 where none is there."""
        return max((path.stat().st_mtime_ns for path in self.pages if path.is_file()), default=0)

    @property
    def place(self) -> str:
        """Where to look."""
        return str(self.pages[0]) if len(self.pages) == 1 else ", ".join(map(str, self.pages))


def of(config: Path, paths: Paths) -> Outcome:
    """The outcome of a run of ``config``; MixflowError where its sweep is wrong."""
    found = sweep.read(config)
    if found is None:
        return Outcome([paths.report], "Report")
    if found.kind == "sweep":
        return Outcome([paths.results / "comparison.html"], "Comparison")
    names = [combination.name for combination in found.combinations]
    return Outcome([Paths(name, paths.root).report for name in names], f"{len(names)} reports")
