"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# A busy machine is not a defect: pytest-timeout bounds each test as a whole.
settings.register_profile("mixflow", deadline=None)
settings.load_profile("mixflow")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real tables beside the project; tests that need it skip where it is absent."""
    folder = (ROOT / "../shared/data").resolve()
    if not folder.is_dir():
        pytest.skip(
            "../shared/data is not here: this test reads real tables that are not part of the project"
        )
    return folder


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of values computed by R (scripts and versions stand beside them)."""
    return ROOT / "tests" / "reference"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why tests were skipped, once for each reason."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count} skipped: {reason}")


def _reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


MOST_MAPS = 20_000
"""Memory maps beyond which compiled kernels are let go: each takes some, Linux allows 65,530 a process, and
the compiler ends with a segmentation fault at that limit."""


@pytest.fixture(autouse=True)
def few_memory_maps() -> Iterator[None]:
    """Lets go of compiled kernels before a process that tests hundreds of models runs out of memory maps."""
    yield
    maps = Path("/proc/self/maps")
    if "jax" in sys.modules and maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        import jax

        from mixflow.optimise import mapped

        mapped._compiled.cache_clear()
        jax.clear_caches()
        gc.collect()
