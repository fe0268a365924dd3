"""All steps of a study in this process, in the working folder: what several test modules start from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from mixflow.pipeline import local
from mixflow.study import config
from mixflow.study.study import Study


def write(folder: Path, table: pd.DataFrame, sheet: pd.DataFrame, text: Mapping[str, Any]) -> Path:
    """Table (features in rows), sheet and config of a study in ``folder``; the config's path."""
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "table.tsv", sep="\t", index_label="feature")
    sheet.to_csv(folder / "samples.tsv", sep="\t", index=False)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(dict(text), sort_keys=False))
    return path


@contextmanager
def working_in(folder: Path) -> Iterator[Path]:
    """The folder as the working folder of a module's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


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
