"""What the machine did to a step, and how to go on: full disks, memory, limits and signals, in words."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mixflow.errors import MixflowError, Problem

AGAIN = "run again: mixflow run; what is done is not done again"
DISK = {
    errno.ENOSPC: ("the disk is full", "free some space there, then"),
    errno.EDQUOT: (
        "your share of the disk is used up",
        "free some space there or have the quota raised, then",
    ),
    errno.EFBIG: (
        "a file grew beyond the limit on file sizes",
        "raise the limit (ulimit -f unlimited), then",
    ),
    errno.EROFS: ("the file system can only be read", "have it mounted for writing, or move the study, then"),
    errno.EACCES: ("there is no permission to read or write here", "have it given (chmod, chown), then"),
    errno.EPERM: ("the system does not permit this", "have it permitted (owner, chattr, ACL), then"),
    errno.EIO: ("the disk or its connection failed", "have it looked at (dmesg), then"),
    errno.ESTALE: ("the file server forgot this file", "wait until it is back, then"),
    errno.EMFILE: ("too many files are open in this process", "raise the limit (ulimit -n 4096), then"),
    errno.ENFILE: ("too many files are open on this machine", "close some programs, then"),
}
"""What an operating system says of files -> message, and what to do first."""
MEMORY = (
    "with fewer jobs at once (--cores), or on a cluster with more memory (--set-resources {step}:mem_mb=8000)"
)
STARVED = re.compile(
    "RESOURCE_EXHAUSTED|can't start new thread|failed to map segment from shared object(?!: Operation)"
)
"""How XLA, Python's threads and the loader of libraries say that there is no memory."""
SIGNALS = {
    signal.SIGTERM: "a time limit, a cancelled job, or a machine that shuts down",
    signal.SIGXCPU: "the limit on processor time",
    signal.SIGHUP: "the terminal or the connection was closed",
}
"""Signals that ask a process to end, and who sends them."""


def problem(error: BaseException, step: str) -> Problem | None:
    """``error``, or what stands behind it, as a Problem where it is the machine's; else None."""
    for each in behind(error):
        if _starved(each):
            remedy = f"{AGAIN.partition(';')[0]} {MEMORY.format(step=step)}"
            return Problem(f"step {step} ran out of memory", value=_first_line(each), remedy=remedy)
        if isinstance(each, OSError) and each.errno in DISK:
            message, first = DISK[each.errno]
            return Problem(message, file=_place(each), value=each.strerror, remedy=f"{first} {AGAIN}")
    return None


def _starved(error: BaseException) -> bool:
    """Whether there was no memory; some libraries only say so in words."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return not isinstance(error, MixflowError) and STARVED.search(str(error)) is not None


@contextmanager
def told(step: str) -> Iterator[None]:
    """What the machine does to the block is raised as a MixflowError; a request to end says so and ends it."""
    before = {number: signal.signal(number, _ender(step)) for number in SIGNALS}
    try:
        yield
    except Exception as error:
        found = problem(error, step)  # also behind a MixflowError: a reader may have blamed the file
        if found is None:
            raise
        raise MixflowError(found) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Ended(BaseException):
    """The process was asked to end; temporaries are removed on the way out."""

    def __init__(self, number: int, problem: Problem):
        super().__init__(str(problem))
        self.number, self.problem = number, problem


def _ender(step: str) -> Callable[[int, FrameType | None], None]:
    def end(number: int, frame: FrameType | None) -> None:
        name, why = signal.Signals(number).name, SIGNALS[signal.Signals(number)]
        limit = f"{AGAIN}. If the time limit was too short: --set-resources {step}:runtime=MINUTES"
        raise Ended(number, Problem(f"step {step} was told to end ({name}: {why})", remedy=limit))

    return end


def behind(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised from."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [*getattr(each, "exceptions", ()), each.__cause__, each.__context__]


def _place(error: OSError) -> str:
    return str(error.filename or Path.cwd())


def _first_line(error: BaseException) -> str | None:
    return next(iter(str(error).splitlines()), "")[:200] or None
