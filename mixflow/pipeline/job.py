"""What every job of the workflow does first and last: threads, log file, errors without a traceback."""

from __future__ import annotations

import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from mixflow.errors import MixflowError
from mixflow.pipeline import refused, stopped
from mixflow.study import config as config_module
from mixflow.study.config import Study

COMMAND = "MIXFLOW_COMMAND"
"""Which command a step belongs to (see mixflow.store.provenance, which must not be imported here)."""
LOGGER = logging.getLogger("mixflow")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
"""NPROC is read by XLA; all must be set before numpy and jax are imported."""


USED = "used: %.1f s of processor, %.0f MB of memory at most"
"""Last line of a log. Snakemake's benchmark asks for memory now and then only, and can miss the peak."""


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # of this program alone: what started it is not counted
        (line,) = [each for each in status.read_text().splitlines() if each.startswith("VmHWM")]
        return int(line.split()[1]) * 1024 / 1e6
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024) / 1e6  # bytes there, kilobytes elsewhere


def pin_threads(count: int) -> None:
    """Let numerical libraries use ``count`` threads: a job must not take the cores of its neighbours."""
    os.environ.update({name: str(count) for name in THREAD_VARIABLES})


def of(snakemake: Any, step: str, gpu: bool = False) -> AbstractContextManager[Callable[[str], None]]:
    """`running` for the job of a rule, as its script is handed it by Snakemake."""
    attempt = int(snakemake.resources.get("attempt", 1))
    follows = refused.hash_of(snakemake.params.items())
    return running(snakemake.log[0], snakemake.threads, step, gpu, attempt, follows)


@contextmanager
def running(
    log: Path | str, threads: int, step: str, gpu: bool = False, attempt: int = 1, follows: str = ""
) -> Iterator[Callable[[str], None]]:
    """Run a step of the workflow: lines of the logger `mixflow` go to the file ``log``.

    Computes on an NVIDIA card with ``gpu`` (the job was given one, `resources: gpu`), else on the processor alone.

    Yields a function that takes the step's closing sentence, for the log and as one line for the terminal.
    A MixflowError ends the process with code 1 and its list of problems on the error stream and in the log; so does
    an ``attempt`` after one that refused the same input (``follows``, `mixflow.pipeline.refused`), before it begins.
    """
    pin_threads(threads)
    os.environ.setdefault("JAX_PLATFORMS", "cuda,cpu" if gpu else "cpu")
    os.environ[COMMAND] = f"{os.environ.get(COMMAND, 'snakemake')} (step {step})"
    began = time.perf_counter()

    def done(sentence: str) -> None:
        seconds = time.perf_counter() - began
        LOGGER.info("%s: %s (%.1f s)", step, sentence, seconds)
        LOGGER.info(USED, time.process_time(), peak_mb())
        print(f"mixflow  {step:<11} {sentence}  ({seconds:.1f} s)", file=sys.stderr, flush=True)

    with _logged_or_told(log, step):
        LOGGER.info("%s begins with %d thread(s)", step, threads)
        _end_as_before(step, refused.before(log, attempt, follows))
        try:
            with stopped.told(step):
                yield done
        except stopped.Ended as ended:
            LOGGER.error("stopped:\n%s", ended)
            print(f"mixflow  {step} stopped:\n- {ended}", file=sys.stderr, flush=True)
            sys.exit(128 + ended.number)
        except MixflowError as error:
            LOGGER.error("stopped:\n%s", error)
            refused.note(log, follows, error)
            print(f"mixflow  {step} stopped:\n{error}", file=sys.stderr, flush=True)
            sys.exit(1)
        except Exception:
            LOGGER.exception("failed; if the input is not to blame, this is a defect of mixflow: report it")
            raise


def _end_as_before(step: str, problems: str) -> None:
    """End where the attempt before this one refused the same input for these problems."""
    if problems:
        LOGGER.error("stopped:\n%s", problems)
        print(f"mixflow  {step} stopped, as in the attempt before:\n{problems}", file=sys.stderr, flush=True)
        sys.exit(1)


@contextmanager
def _logged_or_told(log: Path | str, step: str) -> Iterator[None]:
    """As `logged`; where not even the log can be written, the error stream says why."""
    try:
        with stopped.told(step), logged(log):
            yield
    except (MixflowError, stopped.Ended) as error:
        ended = isinstance(error, stopped.Ended)
        print(f"mixflow  {step} stopped:\n{'- ' if ended else ''}{error}", file=sys.stderr, flush=True)
        sys.exit(128 + error.number if isinstance(error, stopped.Ended) else 1)


def study(config: Path | str, wildcards: Any = None) -> Study:
    """The study whose config is ``config``; in a sweep the one that the job's ``wildcards`` name."""
    base = config_module.load(config)
    name = getattr(wildcards, "combination", "") or getattr(wildcards, "node", "")
    if not name:
        return base
    from mixflow.pipeline.sweeps import study_of

    return study_of(config, base.name, name)


class _Log(logging.FileHandler):
    """A log that says in a line, not a traceback, that it cannot be written (a full disk)."""

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exception()
        print(f"mixflow  the log cannot be written: {error}", file=sys.stderr, flush=True)


@contextmanager
def logged(log: Path | str) -> Iterator[None]:
    """Send the lines of the logger `mixflow`, from INFO upwards, to the file ``log``."""
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    handler = _Log(log, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))
    LOGGER.addHandler(handler)
    level = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOGGER.setLevel(level)
        LOGGER.removeHandler(handler)
        handler.close()
