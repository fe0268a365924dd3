"""SIGKILL in each rule, at random moments and at writes: nothing half stands in the place of a whole."""

from __future__ import annotations

import random as random_module
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import after, child, study
from tests.faults.child import Ended
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
Random = random_module.Random
Probe = tuple[float, int]
"""Seconds and writes of the undisturbed job."""
LAST = "SIGKILL at the last write"
"""The last writes put what is done into its place: where all-or-nothing is decided."""
TIMES = {"report": 1, "batch": 3, "fit": 4, "gather": 4, "assemble": 3}
MANY = 6
"""Kills of a rule that takes less than a second."""


def _at_moment(folder: Path, made: study.Job, probe: Probe, random: Random) -> Ended:
    return child.interrupted(folder, made, random.random() * probe[0])


def _at_write(folder: Path, made: study.Job, probe: Probe, random: Random) -> Ended:
    return _at(random.randint(1, probe[1]), folder, made)


def _at_last_write(folder: Path, made: study.Job, probe: Probe, random: Random) -> Ended:
    return _at(probe[1], folder, made)


def _at(n: int, folder: Path, made: study.Job) -> Ended:
    """Killed at the ``n``-th write, or at the last where it writes less (nothing is in its way)."""
    ended = child.run(folder, made, child.AtWrite(folder, n, child.killed))
    return ended if ended.code else _at(n - 1, folder, made)


KILLS: dict[str, Callable[[Path, study.Job, Probe, Random], Ended]] = {
    "SIGKILL at a random moment": _at_moment,
    "SIGKILL at a random write": _at_write,
    LAST: _at_last_write,
}


@pytest.mark.parametrize("rule", study.RULES)
@pytest.mark.parametrize("fault", KILLS)
def test_sigkill(fault: str, rule: str, folder: Path, truth: dict, probes: dict, ledger: Ledger) -> None:
    random, made = moments(fault, rule), study.job(rule)
    for _ in range(1 if fault == LAST else TIMES.get(rule, MANY)):
        with ledger.trial(rule, fault) as trial:
            if random.random() < 0.5:  # else the job finds the outputs of an earlier run
                study.without_outputs(folder, made)
            ended = KILLS[fault](folder, made, probes[rule], random)
            assert ended.code == -signal.SIGKILL, ended.text
            after.goes_on(folder, made, truth[rule])
            trial.equal()
