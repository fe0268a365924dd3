"""One job in a process of its own, forked from the tests so that it starts at once, with a fault inside it.

The job's own script in workflows/scripts runs as under Snakemake, with an object that says what Snakemake would.
"""

from __future__ import annotations

import faulthandler
import mmap
import os
import runpy
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.faults.study import ROOT, Job

Fault = Callable[[], object]
"""Called in the child before the script: sets a limit, or lays a trap (`AtWrite`)."""
LIMIT = 240
"""Seconds after which a child counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit code (minus the signal that killed it) and all that it said."""

    code: int
    text: str
    seconds: float


class _Named(list):
    """Inputs, outputs or params as Snakemake gives them to a script: by place and by name."""

    def __init__(self, named: dict[str, Any]):
        super().__init__(named.values())
        self.__dict__.update(named)

    def get(self, name: str, default: Any = None) -> Any:
        return self.__dict__.get(name, default)

    def items(self) -> Iterable[tuple[str, Any]]:
        return self.__dict__.items()


class AtWrite:
    """Calls ``act`` at the ``n``-th time (from 1) that Python opens a file for writing, renames or makes a folder.

    Only below ``folder``. ``act`` is called at each later one too: a disk that is full stays full.
    """

    def __init__(self, folder: Path, n: int, act: Fault):
        self.folder, self.n, self.act = str(folder.resolve()), n, act
        self._counted = mmap.mmap(-1, 8)  # shared with the child

    @property
    def count(self) -> int:
        """How often the child has written."""
        return int.from_bytes(self._counted[:8], "little")

    def __call__(self) -> None:
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.rename", "os.mkdir") or (event == "open" and _writes(arguments)):
            place = os.fspath(arguments[0]) if not isinstance(arguments[0], int) else ""
            if isinstance(place, str) and os.path.abspath(place).startswith(self.folder):
                count = self.count + 1
                self._counted[:8] = count.to_bytes(8, "little")
                if count >= self.n:
                    self.act()


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> Fault:
    """Every write from now on fails with this errno."""

    def act() -> None:
        raise OSError(number, os.strerror(number))

    return act


def start(folder: Path, work: Callable[[], object], faults: Iterable[Fault] = ()) -> tuple[int, Path]:
    """Fork a process that works in ``folder``; it, and the file in which it says what it has to say."""
    handle, name = tempfile.mkstemp(prefix="mixflow-said-")
    sys.stdout.flush()
    sys.stderr.flush()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()  # pytest's own, and its handler of SIGTERM, are not the job's
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os._exit(_worked(folder, work, faults))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.close(handle)
    return pid, Path(name)


def _worked(folder: Path, work: Callable[[], object], faults: Iterable[Fault]) -> int:
    """Exit code of the work, as Python itself would give it."""
    code = 0
    try:
        sys.stdout, sys.stderr = (os.fdopen(i, "w", closefd=False) for i in (1, 2))
        os.chdir(folder)
        for fault in faults:
            fault()
        work()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _script(made: Job) -> None:
    """The rule's own script."""
    script = str(ROOT / "workflows" / "scripts" / f"{made.rule}.py")
    runpy.run_path(script, init_globals={"snakemake": _told(made)})


def _told(made: Job) -> SimpleNamespace:
    log = Path("logs", "tiny", f"{made.rule}.log")
    return SimpleNamespace(
        log=[str(log)],
        threads=1,
        resources={},
        params=_Named({"config": "config.yaml"}),
        input=_Named(made.inputs),
        output=_Named(made.outputs),
        wildcards=SimpleNamespace(**made.wildcards),
    )


def wait(pid: int, said: Path, began: float) -> Ended:
    """Wait for a child; one that hangs, or whose test is interrupted, is killed."""
    try:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            assert time.monotonic() - began < LIMIT, f"the job hung:\n{said.read_text()}"
            time.sleep(0.005)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(pid, 0)
        text = said.read_text(errors="replace")
        said.unlink()
    return Ended(os.waitstatus_to_exitcode(status), text, time.monotonic() - began)


def run(folder: Path, made: Job, *faults: Fault, after: float | None = None, send: int = 9) -> Ended:
    """Run a job to its end, or send it a signal ``after`` seconds."""
    began = time.monotonic()
    pid, said = start(folder, lambda: _script(made), faults)
    if after is not None:
        while time.monotonic() - began < after:
            done = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if done is not None:
                break
            time.sleep(0.002)
        os.kill(pid, send)
    return wait(pid, said, began)


def interrupted(folder: Path, made: Job, after: float, *faults: Fault, send: int = 9) -> Ended:
    """A job that got the signal before it ended: sooner where it was quicker than measured."""
    ended = run(folder, made, *faults, after=after, send=send)
    while ended.code == 0:
        after *= 0.7
        ended = run(folder, made, *faults, after=after, send=send)
    return ended
