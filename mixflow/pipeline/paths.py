"""Where the files of a study lie, below the working folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """Paths of the study called ``study``; relative to ``root``, the working folder."""

    study: str
    root: Path = Path()

    @property
    def results(self) -> Path:
        """All outputs."""
        return self.root / "results" / self.study

    @property
    def logs(self) -> Path:
        """One log for each job."""
        return self.root / "logs" / self.study

    @property
    def benchmarks(self) -> Path:
        """Time and memory of each job."""
        return self.root / "benchmarks" / self.study

    @property
    def work(self) -> Path:
        """What steps hand to each other."""
        return self.results / "work"

    @property
    def checked(self) -> Path:
        """What the check of the inputs found in order."""
        return self.work / "checked.txt"

    @property
    def raw(self) -> Path:
        """Measurements as read."""
        return self.work / "raw.zarr"

    @property
    def data(self) -> Path:
        """Measurements as fitted."""
        return self.work / "data.zarr"

    @property
    def batch(self) -> Path:
        """Diagnosis of the batch factors."""
        return self.work / "batch.zarr"

    @property
    def by_command(self) -> Path:
        """Which rules' outputs single commands wrote since the last run of the workflow."""
        return self.work / "by-command.json"

    def shard(self, model: str, index: int | str, count: int | str) -> Path:
        """Fits of one piece of the features; ``index`` from 1 to ``count``."""
        return self.work / "shards" / model / f"{index}-of-{count}.zarr"

    def model(self, model: str) -> Path:
        """Fits and tests of a model, all features."""
        return self.work / "models" / f"{model}.zarr"

    def analyses(self, model: str) -> Path:
        """Tables of the analyses of a model."""
        return self.work / "analyses" / f"{model}.zarr"

    @property
    def store(self) -> Path:
        """The one store of the study; the report reads nothing else."""
        return self.results / "study.zarr"

    @property
    def report(self) -> Path:
        """The report."""
        return self.results / "report.html"
