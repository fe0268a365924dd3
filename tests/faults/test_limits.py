"""Limits of time and memory: a step that meets one says so, or is as if killed; with more it ends equal."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from tests.faults import after, child, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
SLOW = ("batch", "fit", "gather", "assemble", "report")
BUSY = ("batch", "fit", "report")
"""Rules that take more than a second of processor time."""
GAVE_UP = (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGKILL, 127)
"""How a process ends in which a library (127: the loader of libraries) found no memory."""


@pytest.mark.parametrize("rule", study.RULES)
def test_time_limit(rule: str, folder: Path, truth: dict, probes: dict, ledger: Ledger) -> None:
    random, made = moments("time", rule), study.job(rule)
    for _ in range(1 if rule in SLOW else 3):
        with ledger.trial(rule, "time limit (SIGTERM at a random moment)") as trial:
            moment = random.random() * probes[rule][0]
            ended = child.interrupted(folder, made, moment, send=signal.SIGTERM)
            if ended.code == -signal.SIGTERM:  # before the step began: as if killed
                after.goes_on(folder, made, truth[rule])
                trial.equal()
            else:
                assert ended.code == 128 + signal.SIGTERM, ended.text
                after.told(ended, trial, "SIGTERM: a time limit", f"{rule}:runtime=", after.AGAIN)
                after.goes_on(folder, made, truth[rule])


@pytest.mark.parametrize("rule", BUSY)
def test_limit_on_processor_time(rule: str, folder: Path, truth: dict, ledger: Ledger) -> None:
    made = study.job(rule)
    with ledger.trial(rule, "limit on processor time (ulimit -t)") as trial:
        ended = child.run(folder, made, lambda: resource.setrlimit(resource.RLIMIT_CPU, (1, 60)))
        after.told(ended, trial, "SIGXCPU", f"{rule}:runtime=", after.AGAIN)
        after.goes_on(folder, made, truth[rule])


@pytest.mark.parametrize("rule", study.RULES)
def test_memory_limit(rule: str, folder: Path, truth: dict, ledger: Ledger) -> None:
    random, made = moments("memory", rule), study.job(rule)
    with ledger.trial(rule, "memory limit (ulimit -v), then more") as trial:
        for megabytes in (random.uniform(8, 24), random.uniform(1, 4), 0.2):
            ended = child.run(folder, made, lambda more=megabytes: _limit(more))
            if ended.code:
                break
        if ended.code in GAVE_UP:  # a library could not even say so to Python: as if killed
            after.goes_on(folder, made, truth[rule])
            trial.equal()
        else:
            after.told(ended, trial, "ran out of memory", f"{rule}:mem_mb=|fewer jobs", "run again")
            after.goes_on(folder, made, truth[rule])


def _limit(megabytes: float) -> None:
    """Let this process take only so much more address space than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(megabytes * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
