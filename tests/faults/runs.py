"""Whole runs by `mixflow run`, which a test looks into, kills and starts again; none outlives its test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from mixflow.pipeline import launch
from tests.faults import study
from tests.faults.child import Ended

LIMIT = 300
"""Seconds for one run on a busy machine."""


class Run:
    """A run that has been started in ``folder``, in a session of its own.

    It speaks into a file: a pipe would stay open, and be waited for, as long as any of its jobs lives.
    """

    def __init__(self, folder: Path, said: IO[bytes], words: tuple[str, ...], environment: Mapping[str, str]):
        self.folder, self._said, self.began = folder, said, time.monotonic()
        command = [sys.executable, "-m", "mixflow.cli", "run", "--cores", "2", *words]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(study.ROOT)},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )

    def jobs(self, rule: str) -> list[psutil.Process]:
        """Processes of the rule's script that work in the folder."""
        found = []
        for pid, is_job in launch._processes_in(self.folder):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                words = " ".join(process.cmdline())
                if is_job and f".{rule}.py" in words and ".snakemake/scripts" in words:
                    found.append(process)
        return found

    def begun(self, rule: str) -> psutil.Process:
        """The process of a rule's job, once its script has begun."""
        while self.process.poll() is None and time.monotonic() - self.began < LIMIT:
            for process in self.jobs(rule):
                return process
            time.sleep(0.05)
        raise AssertionError(f"{rule} did not begin:\n{self._text()}")

    def power_cut(self) -> None:
        """Kill the run and all of its jobs on this machine at once."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while left := launch._processes_in(self.folder):
            for pid, _ in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def lose_snakemake(self, job: psutil.Process) -> None:
        """Kill everything of the run but one of its jobs, all in the same moment."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        for process in psutil.Process(self.process.pid).children(recursive=True):
            if process.pid != job.pid:
                process.kill()
        self.process.kill()
        self.process.wait()
        job.resume()

    def end(self, seconds: float = LIMIT) -> Ended:
        """Wait for the end; AssertionError with all that it said where it hangs."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the run hung:\n{self._text()}") from None
        return Ended(code, self._text(), time.monotonic() - self.began)

    def _text(self) -> str:
        whole = os.pread(self._said.fileno(), os.fstat(self._said.fileno()).st_size, 0)
        return whole.decode(errors="replace")


@contextmanager
def started(folder: Path, *words: str, environment: Mapping[str, str] = os.environ) -> Iterator[Run]:
    """A `Run`; whatever happens in the block, nothing of it lives after."""
    with tempfile.TemporaryFile() as said:
        run = Run(folder, said, words, environment)
        try:
            yield run
        finally:
            run.power_cut()


def finished(folder: Path, *words: str, seconds: float = LIMIT) -> Ended:
    """A run to its end, which must be a good one."""
    with started(folder, *words) as run:
        ended = run.end(seconds)
    assert ended.code == 0, ended.text
    return ended


def kill(job: psutil.Process) -> None:
    """SIGKILL; AssertionError where the job had ended before."""
    try:
        job.kill()
    except psutil.NoSuchProcess:
        raise AssertionError("it ended before the fault") from None
