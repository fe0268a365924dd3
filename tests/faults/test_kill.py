"""SIGKILL in each rule, at random moments and at random writes: nothing half stands in the place of a whole."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults import after, child, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
TIMES = {"report": 1, "batch": 3, "fit": 4, "gather": 4, "assemble": 3}
MANY = 6
"""Kills of a rule that takes less than a second."""


@pytest.mark.parametrize("rule", study.RULES)
def test_sigkill_at_a_random_moment(
    rule: str, folder: Path, truth: dict, probes: dict, ledger: Ledger
) -> None:
    random, made = moments("moment", rule), study.job(rule)
    for _ in range(TIMES.get(rule, MANY)):
        with ledger.trial(rule, "SIGKILL at a random moment") as trial:
            _leave_out_sometimes(random.random() < 0.5, folder, made)
            ended = child.interrupted(folder, made, random.random() * probes[rule][0])
            assert ended.code == -signal.SIGKILL, ended.text
            after.goes_on(folder, made, truth[rule])
            trial.equal()


@pytest.mark.parametrize("rule", study.RULES)
def test_sigkill_at_a_random_write(
    rule: str, folder: Path, truth: dict, probes: dict, ledger: Ledger
) -> None:
    random, made = moments("write", rule), study.job(rule)
    for _ in range(TIMES.get(rule, MANY)):
        with ledger.trial(rule, "SIGKILL at a random write") as trial:
            _leave_out_sometimes(random.random() < 0.5, folder, made)
            n = random.randint(1, probes[rule][1])
            ended = child.run(folder, made, child.AtWrite(folder, n, child.killed))
            assert ended.code == -signal.SIGKILL, ended.text
            after.goes_on(folder, made, truth[rule])
            trial.equal()


@pytest.mark.parametrize("rule", study.RULES)
def test_sigkill_before_the_last_write(
    rule: str, folder: Path, truth: dict, probes: dict, ledger: Ledger
) -> None:
    """The last writes put what is done into its place: where all-or-nothing is decided."""
    made = study.job(rule)
    with ledger.trial(rule, "SIGKILL at the last write") as trial:
        ended = child.run(folder, made, child.AtWrite(folder, probes[rule][1], child.killed))
        assert ended.code == -signal.SIGKILL, ended.text
        after.goes_on(folder, made, truth[rule])
        trial.equal()


def _leave_out_sometimes(absent: bool, folder: Path, made: study.Job) -> None:
    """Half of the jobs find the outputs of an earlier run, half do not."""
    if absent:
        study.without_outputs(folder, made)
