"""Config, code or inputs changed between two runs, and clocks that lie: exactly the right rules run again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults import dry, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
MIXED: dict[str, Any] = study.MODELS["mixed"]
FROM_PREPROCESS = {"preprocess", "batch", "fit", "gather", "analyse", "assemble", "report"}
FROM_INGEST = {"ingest", *FROM_PREPROCESS}
FROM_FIT = {"fit", "gather", "analyse", "assemble", "report"}
FROM_GATHER = FROM_FIT - {"fit"}
LAST = {"assemble", "report"}


def _models(**changes: Any) -> dict[str, Any]:
    return {"models": {"mixed": {**MIXED, **changes}}}


CHANGES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "config changed: unit of the data": (
        "ingest",
        {"data": {"files": "table.tsv", "format": "wide", "scale": "log2", "unit": "log2 intensity"}},
        {"check", *FROM_INGEST},
    ),
    "config changed: normalisation": (
        "preprocess",
        {"preprocess": {"normalise": "median"}},
        {"check", *FROM_PREPROCESS},
    ),
    "config changed: method of harmonising": (
        "batch",
        {"batch": {"factors": "site", "method": "none"}},
        {"check", "batch", *LAST},
    ),
    "config changed: formula": (
        "fit",
        _models(formula="~ group + (1 | site)"),
        {"check", "batch", *FROM_FIT},
    ),
    "config changed: REML": ("fit", _models(reml=False), {"check", *FROM_FIT}),
    "config changed: contrast": (
        "gather",
        _models(contrasts={"case vs control": {"group": ["case", "control"]}, "ten years": {"age": 10}}),
        {"check", *FROM_GATHER},
    ),
    "config changed: analysis": (
        "analyse",
        _models(analyses={"r2": None, "again": {"analysis": "r2"}}),
        {"check", "analyse", *LAST},
    ),
    "config changed: seed": ("assemble", {"seed": 7}, {"analyse", *LAST}),
    "config changed: title": ("report", {"title": "Another title"}, LAST),
    "config changed: features shown": ("report", {"report": {"top": 7}}, LAST),
}


@pytest.mark.parametrize("fault", CHANGES)
def test_changed_config(fault: str, folder: Path, ledger: Ledger) -> None:
    rule, changes, expected = CHANGES[fault]
    with ledger.trial(rule, fault) as trial:
        config = study.write(folder.parent / "other", **changes)
        shutil.copy(config, folder / "config.yaml")
        assert dry.rules(folder) == expected
        shutil.copy(study.write(folder.parent / "other"), folder / "config.yaml")
        assert dry.rules(folder) == set(), "back to what it was, all is up to date"
        trial.equal()


EDITS: dict[str, tuple[str, set[str]]] = {
    "check": ("pipeline/check.py", {"check", "report"}),
    "ingest": ("pipeline/ingest.py", FROM_INGEST),
    "preprocess": ("pipeline/preprocess.py", FROM_PREPROCESS),
    "batch": ("pipeline/batch.py", {"batch", *LAST}),
    "fit": ("pipeline/fit.py", FROM_FIT),
    "gather": ("pipeline/gather.py", FROM_GATHER),
    "analyse": ("pipeline/analyse.py", {"analyse", *LAST}),
    "assemble": ("pipeline/assemble.py", LAST),
    "report": ("report/build.py", {"report"}),
}
"""By rule, a module of its own, and what an edit of it runs again."""


@pytest.mark.parametrize("rule", EDITS)
def test_changed_code(rule: str, folder: Path, ledger: Ledger) -> None:
    module, expected = EDITS[rule]
    package = folder.parent / "mixflow"
    shutil.copytree(study.ROOT / "mixflow", package, ignore=shutil.ignore_patterns("__pycache__"))
    with ledger.trial(rule, "code of the package changed between two runs") as trial:
        assert dry.rules(folder, dry.edited(package, module)) == expected
        trial.equal()


def _shift(path: Path, seconds: float) -> None:
    status = os.lstat(path)
    times = (status.st_atime_ns + int(seconds * 1e9), status.st_mtime_ns + int(seconds * 1e9))
    os.utime(path, ns=times, follow_symlinks=False)


def _shift_all(folder: Path, seconds: float) -> None:
    for path in [folder, *folder.rglob("*")]:
        _shift(path, seconds)


def _edit_table(folder: Path) -> None:
    table = folder / "table.tsv"
    table.write_text(table.read_text().replace("\t2", "\t1", 1))


def _older_table(folder: Path) -> None:
    _edit_table(folder)
    _shift(folder / "table.tsv", -90 * 24 * 3600)


def _table_in_a_slow_clock(folder: Path) -> None:
    _shift_all(folder / "results", 3600)
    _edit_table(folder)


def _older_sheet(folder: Path) -> None:
    sheet = folder / "samples.tsv"
    sheet.write_text(sheet.read_text().replace("\t60\t", "\t61\t", 1))
    _shift(sheet, -90 * 24 * 3600)


def _inputs_of_tomorrow(folder: Path) -> None:
    for name in ("table.tsv", "samples.tsv"):
        _shift(folder / name, 24 * 3600)


def _all_of_tomorrow(folder: Path) -> None:
    _shift_all(folder, 24 * 3600)


CLOCKS: dict[str, tuple[str, Callable[[Path], None], set[str]]] = {
    "clock skew: table changed, with a time before the results": (
        "ingest",
        _older_table,
        {"check", *FROM_INGEST},
    ),
    "clock skew: sheet changed, with a time before the results": (
        "check",
        _older_sheet,
        {"check", *FROM_INGEST},
    ),
    "clock skew: results an hour ahead, then the table changed": (
        "preprocess",
        _table_in_a_slow_clock,
        {"check", *FROM_INGEST},
    ),
    "clock skew: inputs of tomorrow, as they were": ("ingest", _inputs_of_tomorrow, set()),
    "clock skew: everything of tomorrow": ("report", _all_of_tomorrow, set()),
}


@pytest.mark.parametrize("fault", CLOCKS)
def test_lying_clocks(fault: str, folder: Path, ledger: Ledger) -> None:
    rule, lie, expected = CLOCKS[fault]
    with ledger.trial(rule, fault) as trial:
        lie(folder)
        assert dry.rules(folder) == expected
        trial.equal()


def test_results_of_a_clock_that_is_ahead_stop_the_next_run(folder: Path, ledger: Ledger) -> None:
    """Snakemake refuses an output older than its input; once the times are right, all that changed runs again."""
    with ledger.trial("preprocess", "clock skew: inputs of the rule an hour ahead of its output") as trial:
        _shift_all(folder / "results", 3600)
        config = study.write(folder.parent / "other", preprocess={"normalise": "median"})
        shutil.copy(config, folder / "config.yaml")
        ended = dry.snakemake(folder, "--until", "preprocess")
        assert ended.code == 1, ended.text
        trial.stopped(
            ended.text, "data.zarr has older modification time", "clock skew", "should therefore be fixed"
        )
        _shift_all(folder / "results", -3600)
        assert dry.rules(folder) == {"check", *FROM_PREPROCESS}


DISORDER = {"fit": FROM_FIT, "gather": FROM_GATHER, "assemble": LAST}


@pytest.mark.parametrize("rule", DISORDER)
def test_outputs_older_than_inputs(rule: str, folder: Path, ledger: Ledger) -> None:
    """A node's clock is late: its store seems older than what it was made from, and is made again."""
    late = moments("late", rule).uniform(3600, 7200)
    with ledger.trial(rule, "clock skew: store of a node whose clock is late") as trial:
        for path in study.job(rule).outputs.values():
            for stamp in [folder / path, *(folder / path).glob(".snakemake_timestamp")]:
                _shift(stamp, -late)
        assert dry.rules(folder) == DISORDER[rule]
        trial.equal()
