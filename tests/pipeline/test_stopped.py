"""What the machine does to a step is told in words, with the way on."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mixflow.errors import MixflowError
from mixflow.pipeline import job, stopped


@pytest.mark.parametrize("number", list(stopped.DISK))
def test_a_fault_of_the_disk_names_file_and_remedy(number: int, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit), job.running(tmp_path / "log", 1, "fit"):
        try:
            raise OSError(number, os.strerror(number), "results/x")
        except OSError as error:
            raise RuntimeError("of a library") from error
    said = capsys.readouterr().err
    assert "fit stopped" in said and "results/x" in said and os.strerror(number) in said
    assert "then run again: mixflow run" in said
    assert said.splitlines()[-1] in (tmp_path / "log").read_text()


def test_memory_that_ran_out_asks_for_more(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit), job.running(tmp_path / "log", 1, "gather"):
        raise MemoryError("Unable to allocate 8 GiB")
    assert "--set-resources gather:mem_mb=" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("can't start new thread"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes"),
        ImportError("lib.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)
def test_memory_that_ran_out_is_not_blamed_on_the_file(error: Exception, tmp_path: Path, capsys) -> None:
    """So a step that only met the limit is tried again with more, and nobody deletes a store that is whole."""
    with pytest.raises(SystemExit), job.running(tmp_path / "log", 1, "batch"):
        try:
            raise error
        except Exception as behind:
            raise MixflowError(stopped.Problem("a chunk cannot be read", remedy="delete it")) from behind
    said = capsys.readouterr().err
    assert "batch ran out of memory" in said and "--set-resources batch:mem_mb=" in said
    assert "delete" not in said


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), job.running(tmp_path / "log", 1, "fit"):
        Path(tmp_path / "absent").read_text()
    with pytest.raises(MixflowError, match="as it is"), stopped.told("fit"):
        raise MixflowError(stopped.Problem("as it is"))


@pytest.mark.parametrize("number", list(stopped.SIGNALS))
def test_a_job_that_is_told_to_end_says_so_and_leaves_nothing_half(number: int, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom mixflow.pipeline import job\nfrom mixflow.store import atomic\n"
        "with job.running('log', 1, 'fit'), atomic.replaced('x.zarr') as place:\n"
        "    place.mkdir()\n    os.kill(os.getpid(), int(sys.argv[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(int(number))], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 128 + number
    assert number.name in done.stderr and "run again: mixflow run" in done.stderr
    assert number.name in (tmp_path / "log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_signals_have_their_old_meaning_afterwards(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with job.running(tmp_path / "log", 1, "fit"):
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert errno.ENOSPC in stopped.DISK
