"""Whole runs by `mixflow run`: jobs killed, Snakemake killed, both killed, two at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults import after, dry, runs, study
from tests.faults.child import Ended
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def wanted(finished: Path) -> dict[str, str]:
    return study.results(finished)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    study.write(tmp_path / "run")
    return tmp_path / "run"


def _to_be_made(folder: Path, rule: str) -> None:
    """A rule whose job was quick enough to end beside the one that was killed is to run again."""
    made = study.job(rule)
    if all((folder / path).exists() for path in made.outputs.values()):
        study.without_outputs(folder, made)


def _stays_whole(folder: Path) -> None:
    for rule in study.RULES:
        assert study.half_written(folder, study.job(rule)) == []


def test_everything_killed_in_each_rule(empty: Path, wanted: dict, ledger: Ledger) -> None:
    """The machine loses power in each rule in turn; each run goes on where the one before ended."""
    fault = "SIGKILL of Snakemake and its jobs (power cut)"
    with ledger.together():
        for rule in study.RULES:
            _to_be_made(empty, rule)
            with ledger.trial(rule, fault) as trial, runs.started(empty) as run:
                run.begun(rule)
                time.sleep(moments(fault, rule).random() * 1.5)
                assert run.process.poll() is None, run.end().text
                run.power_cut()
                _stays_whole(empty)
                trial.equal()
        runs.finished(empty)
        assert study.results(empty) == wanted
        assert study.leftovers(empty) == []


def test_jobs_killed_in_each_rule(empty: Path, wanted: dict, ledger: Ledger) -> None:
    """The memory killer ends each rule's job in turn; Snakemake stops, and the run goes on when asked to."""
    fault = "SIGKILL of the job alone (memory killer)"
    with ledger.together():
        for rule in study.RULES:
            _to_be_made(empty, rule)
            with ledger.trial(rule, fault) as trial:
                ended = _killed_job(empty, rule, moments(fault, rule).random())
                assert ended.code == 1, ended.text
                trial.stopped(ended.text, "was ended from outside", "memory", "run again")
                _stays_whole(empty)
        runs.finished(empty)
        assert study.results(empty) == wanted


def _killed_job(folder: Path, rule: str, after: float) -> Ended:
    with runs.started(folder) as run:
        job = run.begun(rule)
        time.sleep(after)
        runs.kill(job)
        return run.end()


@pytest.mark.parametrize("rule", study.RULES)
def test_snakemake_killed_while_the_job_lives(rule: str, folder: Path, truth: dict, ledger: Ledger) -> None:
    """The next run waits for the job that was left alone, and does not mix with it."""
    with ledger.trial(rule, "SIGKILL of Snakemake alone, its job goes on") as trial:
        study.from_rule(folder, rule)
        with runs.started(folder, "--until", rule) as run:
            job = run.begun(rule)
            run.lose_snakemake(job)
            assert job.is_running(), "the job did not live on"
            assert "had left a lock" in runs.finished(folder, "--until", rule).text
        after.is_equal(folder, study.job(rule), truth[rule])
        trial.equal()


@pytest.mark.parametrize("rule", ["check", "gather"])
def test_two_runs_on_one_folder(rule: str, folder: Path, wanted: dict, ledger: Ledger) -> None:
    """Started at once (check), or while the first is at work: one does everything, the other says that it may not."""
    with ledger.trial(rule, "two runs started on the same folder") as trial:
        study.from_rule(folder, rule)
        with runs.started(folder) as first:
            if rule != "check":
                first.begun(rule)
            with runs.started(folder) as second:
                said = [run.end() for run in (first, second)]
        codes = sorted(each.code for each in said)
        assert codes in ([0, 1], [0, 0]), said
        assert study.results(folder) == wanted
        if codes == [0, 0]:  # the second found nothing to do any more
            trial.equal()
        else:
            (refused,) = [each.text for each in said if each.code == 1]
            trial.stopped(refused, "locked", "wait for that run|another", "mixflow run")
    assert dry.rules(folder) == set()
