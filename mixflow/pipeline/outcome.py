"""What a run of a config makes last: its report, the comparison of its sweep, or the reports of its studies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mixflow.pipeline import sweeps
from mixflow.pipeline.paths import Paths
from mixflow.pipeline.setup import Workflow
from mixflow.study import sweep
from mixflow.study.study import Study


class Outcome(NamedTuple):
    """The last pages that a run makes, what they are called, and where its steps write their logs."""

    pages: list[Path]
    words: str
    logs: list[Path]

    @property
    def changed(self) -> int:
        """When the last of the pages was written; 0 where none is there."""
        return max((path.stat().st_mtime_ns for path in self.pages if path.is_file()), default=0)

    @property
    def place(self) -> str:
        """Where to look."""
        return str(self.pages[0]) if len(self.pages) == 1 else ", ".join(map(str, self.pages))


def of(study: Study) -> Outcome:
    """The outcome of a run of the config of ``study``; MixflowError with every problem of its combinations.

    They are told here because Snakemake, asked to be quiet, does not say why it cannot read its Snakefile.
    """
    kind, paths = sweep.kind_of(study.path), Paths(study.name)
    if not kind:
        return Outcome([paths.report], "Report", [paths.logs])
    found = sweeps.load(Workflow(study))
    pages = [Path(path) for path in found.target()] if found else []
    if kind == "sweep" or not found:  # combinations log below the sweep
        return Outcome(pages, "Comparison", [paths.logs])
    logs = [paths.logs, *(found.paths(name).logs for name in found.names)]
    return Outcome(pages, f"{len(pages)} reports", logs)
