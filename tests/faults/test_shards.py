"""Shards that are missing, doubled, swapped or of another run: gather never joins what does not belong together."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mixflow.store import atomic
from tests.faults import after, child, study
from tests.faults.ledger import Ledger

pytestmark = pytest.mark.faults
FIRST, SECOND = study.shards()


def _missing(folder: Path) -> None:
    atomic.remove(folder / FIRST)


def _empty(folder: Path) -> None:
    atomic.remove(folder / SECOND)
    (folder / SECOND).mkdir()


def _doubled(folder: Path) -> None:
    atomic.remove(folder / SECOND)
    shutil.copytree(folder / FIRST, folder / SECOND)


def _swapped(folder: Path) -> None:
    (folder / FIRST).rename(folder / "aside")
    (folder / SECOND).rename(folder / FIRST)
    (folder / "aside").rename(folder / SECOND)


def _of_other_settings(folder: Path) -> None:
    _fitted_elsewhere(folder, formula=("~ group + age", "~ group"))


def _of_other_values(folder: Path) -> None:
    _fitted_elsewhere(folder, values=True)


def _fitted_elsewhere(folder: Path, formula: tuple[str, str] = ("", ""), values: bool = False) -> None:
    """The second shard as another config, or another table, would have it."""
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    config = other / "config.yaml"
    config.write_text(config.read_text().replace(*formula))
    if values:
        table = other / "table.tsv"
        table.write_text(table.read_text().replace("\t2", "\t1", 1))
        for rule in ("ingest", "preprocess"):
            assert child.run(other, study.job(rule)).code == 0
    made = study.job("fit")
    second = study.Job("fit", made.inputs, {"store": SECOND}, {**made.wildcards, "shard": "2-of-2"})
    ended = child.run(other, second)
    assert ended.code == 0, ended.text
    atomic.remove(folder / SECOND)
    shutil.copytree(other / SECOND, folder / SECOND)


FAULTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "shard missing": (_missing, ("no such folder", "1-of-2", "run the study|run again")),
    "shard empty": (_empty, ("no zarr.json", "2-of-2", "run the study|run again")),
    "shard doubled in the place of another": (_doubled, ("shards do not hold the features", "run again")),
    "shards swapped": (_swapped, ("doubled or out of order", "run again")),
    "shard of another formula": (_of_other_settings, ("not fitted as the config now asks", "mixflow run")),
    "shard of other values": (_of_other_values, ("other values", "mixflow run")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_shards_that_do_not_belong_together(
    fault: str, finished: Path, folder: Path, truth: dict, ledger: Ledger
) -> None:
    spoil, words = FAULTS[fault]
    made = study.job("gather")
    with ledger.trial("gather", fault) as trial:
        spoil(folder)
        after.told(child.run(folder, made), trial, *words)
        for shard in study.shards():
            atomic.remove(folder / shard)
            shutil.copytree(finished / shard, folder / shard)
        after.goes_on(folder, made, truth["gather"])
