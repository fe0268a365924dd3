"""Disks that are full, fail, or can only be read: the step says so, and goes on once they are well."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from tests.faults import after, child, disk, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
FAILING = {
    "disk that fails (EIO) from a random write on": (errno.EIO, "disk or its connection failed"),
    "quota used up at a random write": (errno.EDQUOT, "share of the disk is used up"),
}


@pytest.mark.parametrize("rule", study.RULES)
def test_full_disk(rule: str, finished: Path, tmp_path: Path, truth: dict, ledger: Ledger) -> None:
    random, made = moments("full", rule), study.job(rule)
    with disk.mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64m", "tmpfs") as place:
        folder = study.copied(finished, place / "copy")
        study.without_outputs(folder, made)
        need = disk.size([finished / path for path in made.outputs.values()])
        for _ in range(1 if rule in ("report", "batch", "fit") else 2):
            with ledger.trial(rule, "full disk (tmpfs, a random part of the room needed)") as trial:
                free = int(random.random() * 0.8 * need)
                disk.resize(place, free)
                while (ended := child.run(folder, made)).code == 0:  # there was room enough after all
                    free //= 2
                    disk.resize(place, free)
                after.told(ended, trial, "the disk is full", "No space left", "free some space", after.AGAIN)
                disk.resize(place, 64 << 20)
                after.goes_on(folder, made, truth[rule])


@pytest.mark.parametrize("fault", FAILING)
@pytest.mark.parametrize("rule", study.RULES)
def test_failing_disk(rule: str, fault: str, folder: Path, truth: dict, probes: dict, ledger: Ledger) -> None:
    random, made = moments(fault, rule), study.job(rule)
    number, words = FAILING[fault]
    for _ in range(1 if rule in ("report", "batch", "fit") else 2):
        with ledger.trial(rule, fault) as trial:
            n = random.randint(1, probes[rule][1])
            ended = child.run(folder, made, child.AtWrite(folder, n, child.failing(number)))
            after.told(ended, trial, words, os.strerror(number), after.AGAIN)
            after.goes_on(folder, made, truth[rule])


@pytest.mark.parametrize("rule", study.RULES)
def test_read_only_results(rule: str, folder: Path, truth: dict, ledger: Ledger) -> None:
    made = study.job(rule)
    with ledger.trial(rule, "results on a file system that can only be read") as trial:
        with disk.read_only(folder / "results"):
            ended = child.run(folder, made)
        after.told(ended, trial, "can only be read", "mounted for writing", after.AGAIN)
        after.goes_on(folder, made, truth[rule])


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's folder needs root to become another user")
@pytest.mark.parametrize("rule", study.RULES)
def test_folder_of_another_user(rule: str, finished: Path, truth: dict, ledger: Ledger) -> None:
    made = study.job(rule)
    with tempfile.TemporaryDirectory(prefix="mixflow-faults-") as name:
        os.chmod(name, 0o755)
        folder = study.copied(finished, Path(name) / "copy")
        os.chmod(folder, 0o755)
        with ledger.trial(rule, "folder of another user (no permission to write)") as trial:
            ended = child.run(folder, made, lambda: os.setgid(65534), lambda: os.setuid(65534))
            after.told(ended, trial, "no permission", "chmod, chown", after.AGAIN)
            after.goes_on(folder, made, truth[rule])
