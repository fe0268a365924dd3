"""Where the time goes: wall time by step, by watching which functions of mixflow are entered and left.

A moment belongs to the innermost function on the stack that is named in STEPS; a function that was renamed
only lets its time fall to its caller's step (and tests/benchmark says so).
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STEPS = {
    ("store/zarr_io.py", "load"): "read Zarr",
    ("design/observed.py", "observe"): "observe, rank",
    ("optimise/screen.py", "screen"): "screen",
    ("design/gram.py", "build"): "cross-products",
    ("optimise/mapped.py", "minimise"): "Newton (kernel)",
    ("optimise/boundary.py", "settle"): "boundary",
    ("optimise/estimates.py", "estimates"): "estimates",
    ("optimise/mapped.py", "summaries"): "summaries (kernel)",
    ("optimise/fitting.py", "fit_features"): "assemble",
    ("inference/tests.py", "test"): "tests",
    ("store/fits.py", "to_dataset"): "label",
    ("pipeline/gather.py", "to_dataset"): "label",
    ("store/zarr_io.py", "write"): "write Zarr",
}
"""(file below mixflow/, function) -> name of the step, in the order of the work."""

OTHER = "other"


class Watch:
    """Seconds by step of the main thread, which waits in a kernel's step while threads run the kernel."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.clock = clock
        self.seconds: dict[str, float] = defaultdict(float)
        self.stack = [OTHER]
        self.since = clock()

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Called by the interpreter at each entry into, and return from, a Python function."""
        if event not in ("call", "return"):
            return
        step = _step(frame)
        if step is None:
            return
        self.book()
        if event == "call":
            self.stack.append(step)
        elif len(self.stack) > 1:
            self.stack.pop()

    def book(self) -> None:
        """Give the time since the last change to the step at hand."""
        now = self.clock()
        self.seconds[self.stack[-1]] += now - self.since
        self.since = now


def _step(frame: FrameType) -> str | None:
    place = frame.f_code.co_filename.rpartition("/mixflow/")[2]
    return STEPS.get((place, frame.f_code.co_name))


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Seconds by step, filled while the block runs."""
    watch = Watch()
    sys.setprofile(watch)
    try:
        yield watch.seconds
    finally:
        sys.setprofile(None)
        watch.book()
