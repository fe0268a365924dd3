"""The folder of compiled kernels is shared by jobs: several that write at once, one killed while it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
KERNELS = """
import sys
from mixflow.backend import jax, jnp

jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

def kernel(k):
    return jax.jit(lambda x: jnp.sum(jnp.sin(x * k) ** k))(jnp.arange(5.0)).item()

print([kernel(k) for k in range(2, 5)])
"""


def started(cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(cache)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", KERNELS], env=environment, **pipes)


def finished(process: subprocess.Popen[str]) -> tuple[str, str]:
    said, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return said, errors


def test_processes_that_write_at_once_leave_whole_entries(tmp_path: Path) -> None:
    told = [finished(process) for process in [started(tmp_path) for _ in range(3)]]
    assert len({said for said, _ in told}) == 1
    assert not any("compilation cache" in errors for _, errors in told)
    entries = sorted(tmp_path.glob("*-cache"))
    assert len(entries) >= 3 and not list(tmp_path.glob(".*.tmp"))
    before = {path.name: path.read_bytes() for path in entries}

    entries[0].write_bytes(
        before[entries[0].name][:40]
    )  # as a job leaves it that is killed in JAX's own write
    said, _ = finished(started(tmp_path))
    assert said == told[0][0]
    healed = {path.name: path.read_bytes() for path in tmp_path.glob("*-cache")}
    assert set(healed) == set(before) and len(healed[entries[0].name]) > 40
