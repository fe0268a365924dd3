"""What of a machine can change the last digits of a result or the time it takes; nothing that names it."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")
FLAGS = ("XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "OPENBLAS_CORETYPE", "MKL_CBWR")
"""Environment variables that choose kernels."""
FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_vnni",
    "avx512_bf16", "amx_tile", "asimd", "asimddp", "sve", "sve2",
)  # fmt: skip
"""Instruction sets by which BLAS and XLA choose their kernels."""


def facts() -> dict[str, Any]:
    """System, CPU with its instruction sets, cores, threads, BLAS and accelerator of this process.

    The accelerator is asked of JAX only where the step has loaded it.
    """
    return {
        **_machine(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "flags": {name: os.environ[name] for name in FLAGS if name in os.environ},
        "accelerator": _accelerator(),
    }


@cache
def _machine() -> dict[str, Any]:
    info = _cpuinfo()
    flags = set(info.get("flags", info.get("Features", "")).split())
    libc = " ".join(platform.libc_ver()).strip()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()} {libc}".strip(),
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "cpu_features": [name for name in FEATURES if name in flags],
        "cores": os.cpu_count(),
        "blas": _blas(),
    }


def _cpuinfo() -> dict[str, str]:
    """The first processor of Linux's /proc/cpuinfo; {} on other systems."""
    place = Path("/proc/cpuinfo")
    text = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
    rows = [line.partition(":") for line in text.partition("\n\n")[0].splitlines()]
    return {key.strip(): value.strip() for key, _, value in rows}


def _blas() -> str:
    """Name and version of the BLAS that numpy was built with."""
    import numpy as np

    built: Any = np.show_config(mode="dicts")
    blas = (built or {}).get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', '')} {blas.get('version', '')}".strip()


def _accelerator() -> str:
    """`cpu`, or the GPU by its name; '' where the step did not use JAX."""
    jax = sys.modules.get("jax")
    if jax is None:
        return ""
    device = jax.devices()[0]
    return "cpu" if device.platform == "cpu" else f"{device.platform}: {device.device_kind}"
