"""Jobs of a cluster: killed for memory and submitted again with more, nodes lost, time limits."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.faults import runs, study
from tests.faults.ledger import Ledger
from tests.slurm.node import PARTITION, UP, Node, missing, running, wait_until

pytestmark = pytest.mark.faults
QUICK = ["--latency-wait", "10", "--seconds-between-status-checks", "2"]
WATCHED = """
import os, subprocess, sys, time
from pathlib import Path
import psutil
rule, asked, script = sys.argv[1:]
first = Path("killed", rule)
with open("asked", "a") as told:
    told.write(f"{rule} {asked}\\n")
if os.fork():
    sys.exit(print(os.getpid()))
os.setsid()
sink = open("job.out", "a")
job = psutil.Process(subprocess.Popen(["sh", script], stdout=sink, stderr=sink, stdin=subprocess.DEVNULL).pid)
while job.is_running() and job.status() != psutil.STATUS_ZOMBIE and not first.exists():
    for each in job.children(recursive=True):
        try:
            if ".snakemake/scripts/" in " ".join(each.cmdline()) and each.memory_info().rss > 60e6:
                first.write_text("")
                each.kill()
        except psutil.Error:
            continue
    time.sleep(0.02)
"""
"""A scheduler that kills the first job of each rule for memory: it starts a script and looks at what it takes."""


def test_killed_for_memory_and_submitted_again_with_more(
    tmp_path: Path, finished: Path, ledger: Ledger
) -> None:
    """The first job of each rule is killed; each comes back with twice the memory, and the run ends equal."""
    fault = "out-of-memory kill by a scheduler, then submitted again with more"
    study.write(tmp_path)
    (tmp_path / "killed").mkdir()
    (tmp_path / "submit.py").write_text(WATCHED)
    submit = f"{sys.executable} submit.py {{rule}} {{resources.mem_mb}}"
    words = ["--executor", "cluster-generic", "--cluster-generic-submit-cmd", submit]
    with ledger.together():
        runs.finished(tmp_path, *words, "--jobs", "2", "--retries", "2", *QUICK, seconds=800)
        asked: dict[str, list[int]] = {}
        for line in (tmp_path / "asked").read_text().splitlines():
            asked.setdefault(line.split()[0], []).append(int(line.split()[1]))
        for rule in study.RULES:
            with ledger.trial(rule, fault) as trial:
                assert (tmp_path / "killed" / rule).exists(), asked
                assert max(asked[rule]) >= 1.9 * min(asked[rule])
                trial.equal()
        assert study.results(tmp_path) == study.results(finished)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    if missing():
        pytest.skip(missing())
    with running(tmp_path_factory.mktemp("slurm")) as started:
        yield started


def _submitted(folder: Path, node: Node, first: str, *words: str) -> AbstractContextManager[runs.Run]:
    """A run of what comes from the rule ``first`` up to the gather, through Slurm."""
    study.from_rule(folder, first)
    more = [
        "--profile",
        "slurm",
        *QUICK,
        "--slurm-init-seconds-before-status-checks",
        "2",
        "--until",
        "gather",
    ]
    more += ["--default-resources", f"slurm_partition={PARTITION}"]
    return runs.started(folder, *more, *words, environment=node.environment())


def _ends_equal(run: runs.Run, truth: dict) -> None:
    ended = run.end(600)
    assert ended.code == 0, ended.text
    for rule in ("fit", "gather"):
        assert study.content(run.folder, list(study.job(rule).outputs.values())) == truth[rule]


@pytest.mark.parametrize("power", [True, False], ids=["jobs-lost", "jobs-live"])
def test_lost_node(power: bool, node: Node, folder: Path, truth: dict, ledger: Ledger) -> None:
    """slurmd is killed in the fit and again in the gather, with or without the jobs on the node, and comes back."""
    fault = f"node of Slurm lost with its jobs {'ended' if power else 'living on'}, then started again"
    with ledger.together(), _submitted(folder, node, "fit") as run:
        for rule in ("fit", "gather"):
            with ledger.trial(rule, fault) as trial:
                run.begun(rule)
                node.kill_slurmd()
                if power:
                    node.kill_jobs()
                    wait_until(lambda: node.state() not in UP, 90, "the node counts as lost")
                time.sleep(2)
                node.start_slurmd()
                trial.equal()
        _ends_equal(run, truth)


def test_time_limit_of_slurm(node: Node, folder: Path, truth: dict, ledger: Ledger) -> None:
    """A job that hangs is ended by Slurm after its minute, and submitted again."""
    with ledger.trial("gather", "time limit of Slurm, then submitted again") as trial:
        with _submitted(folder, node, "gather", "--set-resources", "gather:runtime=1") as run:
            run.begun("gather").suspend()
            _ends_equal(run, truth)
        states = {job["JobState"] for job in node.jobs()}
        assert "TIMEOUT" in states, states
        trial.equal()
