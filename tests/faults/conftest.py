"""One finished study for all faults, and the ledger that is written when the suite ends."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import mixflow
from tests.faults import child, runs, study
from tests.faults.ledger import LEDGER, Ledger
from tests.faults.moments import SEED

REUSED = "MIXFLOW_FAULTS_FINISHED"
"""Environment variable: a folder that this fixture made before, to try one test while writing it."""
TABLE = "MIXFLOW_FAULTS_TABLE"
"""Environment variable: the folder into which the table is written (`make faults` gives docs)."""
BEGAN = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test may hang; one injects many faults, one after the other, and may do so on a busy machine."""
    for item in items:
        if item.get_closest_marker("faults"):
            item.add_marker(pytest.mark.timeout(900), append=False)


def pytest_report_header() -> str:
    return f"faults: seed {SEED}"


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    return LEDGER


@pytest.fixture(scope="session", autouse=True)
def ends_in_order() -> Iterator[None]:
    """SIGTERM ends the suite as Ctrl-C does: what it mounted and started is taken away again."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", autouse=True)
def everything_imported() -> None:
    """Children are forked: what they need is imported once, and JAX makes no device before the fork."""
    for module in pkgutil.walk_packages(mixflow.__path__, "mixflow."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in ("matplotlib.pyplot", "snakemake.cli"):
        importlib.import_module(name)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `mixflow run` did everything once, undisturbed; not to be changed."""
    if REUSED in os.environ:
        return Path(os.environ[REUSED])
    folder = tmp_path_factory.mktemp("undisturbed")
    study.write(folder)
    runs.finished(folder)
    return folder


@pytest.fixture(scope="session")
def truth(finished: Path) -> dict[str, dict[str, str]]:
    """What each rule's outputs hold after an undisturbed run."""
    outputs = {rule: list(study.job(rule).outputs.values()) for rule in study.RULES}
    return {rule: study.content(finished, paths) for rule, paths in outputs.items()}


@pytest.fixture(scope="session")
def probes(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[float, int]]:
    """Seconds and number of writes of each rule's job, undisturbed."""
    found = {}
    for rule in study.RULES:
        folder = study.copied(finished, tmp_path_factory.mktemp("probe") / rule)
        counted = child.AtWrite(folder, sys.maxsize, lambda: None)
        ended = child.run(folder, study.job(rule), counted)
        assert ended.code == 0, ended.text
        found[rule] = (ended.seconds, counted.count)
    return found


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the finished study to spoil."""
    yield study.copied(finished, tmp_path / "copy")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        LEDGER.skipped.append(str(report.longrepr[2]).removeprefix("Skipped: "))


def pytest_runtest_logfinish() -> None:
    """Write the table as far as it is: a suite that is interrupted has one too."""
    rows = LEDGER.rows(study.RULES)
    if rows and TABLE in os.environ:
        words = (Path(__file__).parent / "words.md").read_text(encoding="utf-8")
        LEDGER.write(Path(os.environ[TABLE]), study.RULES, words.replace("{told}", _told(rows)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = LEDGER.rows(study.RULES)
    if rows:
        terminalreporter.write_line(_told(rows))


def _told(rows: list[tuple[str, str, int, int, int, int]]) -> str:
    """The sums of the table in a sentence."""
    tried, wrong = sum(row[2] for row in rows), sum(row[5] for row in rows)
    minutes = (time.monotonic() - BEGAN) / 60
    told = f"{tried} faults injected in {len(rows)} cells (rule, fault), {wrong} lost or wrong"
    return f"{told}; seed {SEED}, {minutes:.0f} minutes on {os.cpu_count()} cores"
