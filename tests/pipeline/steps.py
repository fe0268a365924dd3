"""All steps of a study in this process, in the working folder: what several test modules start from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mixflow.pipeline import local
from mixflow.study import config
from mixflow.study.study import Study


def run(path: Path, *, analyse: bool = True, say: Callable[[str], object] = lambda _: None) -> Study:
    """Read the config and take every step; without ``analyse`` up to the tests."""
    study = config.load(path)
    local.ingest(study, say)
    local.batch(study, say)
    local.fit(study, [], say)
    local.test(study, [], say)
    if analyse:
        local.analyse(study, [], say)
    return study
