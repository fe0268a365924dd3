"""Whole runs by `mixflow run`: jobs killed, Snakemake killed, both killed, two at once."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mixflow.pipeline import launch
from tests.faults import dry, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
LIMIT = 400
"""Seconds for one run on a busy machine."""


@pytest.fixture(scope="module")
def wanted(finished: Path) -> dict[str, str]:
    return study.results(finished)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    study.write(tmp_path / "run")
    return tmp_path / "run"


def _start(folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        dry.command(),
        cwd=folder,
        env=dry.environment(),
        start_new_session=True,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def _jobs(folder: Path, rule: str) -> Iterator[psutil.Process]:
    """Processes of a rule's script that work in ``folder``."""
    for pid, is_job in launch._processes_in(folder):
        try:
            process = psutil.Process(pid)
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if is_job and f".{rule}.py" in words and ".snakemake/scripts" in words:
            yield process


def _begun(folder: Path, rule: str, run: subprocess.Popen[str]) -> psutil.Process:
    """The process of a rule's job, once its script has begun."""
    until = time.monotonic() + LIMIT
    while run.poll() is None and time.monotonic() < until:
        for process in _jobs(folder, rule):
            return process
        time.sleep(0.05)
    raise AssertionError(f"{rule} did not begin: {run.communicate()}")


def _kill(pid: int, group: bool = False) -> None:
    try:
        os.killpg(pid, signal.SIGKILL) if group else os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        raise AssertionError("it ended before the fault") from None


def _from(folder: Path, rule: str) -> None:
    """Everything from this rule on is to be made again."""
    for each in study.RULES[study.RULES.index(rule) :] if rule != "check" else ("check", "report"):
        study.without_outputs(folder, study.job(each))


def _stays_whole(folder: Path) -> None:
    for rule in study.RULES:
        assert study.half_written(folder, study.job(rule)) == []


def test_everything_killed_in_each_rule(empty: Path, wanted: dict, ledger: Ledger) -> None:
    """The machine loses power in each rule in turn; each run goes on where the one before ended."""
    fault = "SIGKILL of Snakemake and its jobs (power cut)"
    killed: list[str] = []
    for rule in study.RULES:
        with ledger.trial(rule, fault) as trial:
            run = _start(empty)
            _begun(empty, rule, run)
            time.sleep(moments(fault, rule).random() * 1.5)
            _kill(run.pid, group=True)
            run.communicate()
            _stays_whole(empty)
            trial.equal()
            killed.append(rule)
    done = dry.run(empty)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert study.results(empty) == wanted
        assert study.leftovers(empty) == []
    except BaseException:
        ledger.spoiled([(rule, fault) for rule in killed])
        raise


def test_jobs_killed_in_each_rule(empty: Path, wanted: dict, ledger: Ledger) -> None:
    """The memory killer ends each rule's job in turn; Snakemake stops, and the run goes on when asked to."""
    fault = "SIGKILL of the job alone (memory killer)"
    killed: list[str] = []
    for rule in study.RULES:
        with ledger.trial(rule, fault) as trial:
            run = _start(empty)
            job = _begun(empty, rule, run)
            time.sleep(moments(fault, rule).random())
            _kill(job.pid)
            out, err = run.communicate(timeout=LIMIT)
            assert run.returncode == 1, out + err
            trial.stopped(out + err, "was ended from outside", "memory", "run again")
            _stays_whole(empty)
            killed.append(rule)
    done = dry.run(empty)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert study.results(empty) == wanted
    except BaseException:
        ledger.spoiled([(rule, fault) for rule in killed])
        raise


@pytest.mark.parametrize("rule", ["fit", "report"])
def test_snakemake_killed_while_the_job_lives(rule: str, folder: Path, wanted: dict, ledger: Ledger) -> None:
    """The next run waits for the job that was left alone, and does not mix with it."""
    with ledger.trial(rule, "SIGKILL of Snakemake alone, its job goes on") as trial:
        _from(folder, rule)
        run = _start(folder)
        job = _begun(folder, rule, run)
        os.killpg(run.pid, signal.SIGSTOP)
        for process in psutil.Process(run.pid).children(recursive=True):
            if process.pid != job.pid:
                process.kill()
        _kill(run.pid)
        os.kill(job.pid, signal.SIGCONT)
        run.communicate()
        done = dry.run(folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert study.results(folder) == wanted
        trial.equal()


@pytest.mark.parametrize("rule", ["check", "gather"])
def test_two_runs_on_one_folder(rule: str, folder: Path, wanted: dict, ledger: Ledger) -> None:
    """Started at once (check), or while the first is at work: one does everything, the other says that it may not."""
    with ledger.trial(rule, "two runs started on the same folder") as trial:
        _from(folder, rule)
        first = _start(folder)
        if rule != "check":
            _begun(folder, rule, first)
        second = _start(folder)
        said = [(*run.communicate(timeout=LIMIT), run.returncode) for run in (first, second)]
        codes = sorted(code for _, _, code in said)
        assert codes in ([0, 1], [0, 0]), said
        assert study.results(folder) == wanted
        if codes == [0, 0]:  # the second found nothing to do any more
            trial.equal()
        else:
            (refused,) = [out + err for out, err, code in said if code == 1]
            trial.stopped(refused, "locked", "wait for that run|another", "mixflow run")
    assert dry.rules(folder) == set()
