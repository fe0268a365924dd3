"""The table of jobs is printed after the tests, and written to build/slurm-jobs.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.slurm import usage

JOBS = pytest.StashKey[list[dict[str, str]]]()
TABLE = Path(__file__).parents[2] / "build" / "slurm-jobs.md"


@pytest.fixture(scope="session")
def job_rows(request: pytest.FixtureRequest) -> list[dict[str, str]]:
    """Rows of `usage.table` to be shown at the end; a test that ran jobs adds its own."""
    return request.config.stash.setdefault(JOBS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = terminalreporter.config.stash.get(JOBS, [])
    if rows:
        text = usage.markdown(rows)
        TABLE.parent.mkdir(exist_ok=True)
        TABLE.write_text(text, encoding="utf-8")
        terminalreporter.write_line(f"Jobs of Slurm (also in {TABLE.relative_to(TABLE.parents[1])}):\n{text}")
