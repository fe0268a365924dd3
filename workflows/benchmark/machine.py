"""The machine: pin a measurement to some cores, and say on what it ran."""

from __future__ import annotations

import os
import platform
import resource
import sys
from pathlib import Path

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def pin(cores: int, first: int = 0, blas_threads: int = 1) -> None:
    """Keep to ``cores`` cores from the ``first``, children too; call it before numpy and jax are imported."""
    os.environ.update({name: str(blas_threads) for name in THREADS})
    os.environ["NPROC"] = str(cores)  # read by XLA
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[first : first + cores])


def peak_mb(who: int = resource.RUSAGE_SELF) -> float:
    """Peak resident memory in MB of this process, or of the largest of its children."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(who).ru_maxrss * unit / 1e6


def load() -> float:
    """Load average of the last minute: above the number of cores, others were at work too."""
    return os.getloadavg()[0]


def description() -> dict[str, str]:
    """Processor, cores, memory, system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _processor() -> str:
    """Its name as Linux gives it (cpuinfo), with family and model where the name says little."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    lines = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line]
    facts: dict[str, str] = {}
    for key, value in lines:
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
