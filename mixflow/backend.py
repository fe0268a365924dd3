"""JAX as every room of the engine needs it: float64, CPU threads as given, compiled kernels kept on disk.

Import ``jnp`` and ``jax`` from here and nowhere else, so that no computation can start in float32.
"""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from pathlib import Path
from typing import Any

# Reading a cached kernel logs a page of CPU feature names; set before the first import of jax.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
from platformdirs import user_cache_dir

jax.config.update("jax_enable_x64", True)


def _processor() -> str:
    """Short hash of what the processor can do: compiled kernels must not reach another kind of machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else [platform.processor()]
    abilities = sorted(
        {line for line in lines if line.startswith(("flags", "Features", "model name"))} or lines
    )
    return hashlib.sha256("\n".join([platform.machine(), *abilities]).encode()).hexdigest()[:12]


def _whole_entries() -> None:
    """Let entries of the cache appear whole or not at all, and a broken one be replaced.

    JAX writes an entry in place and never over another: a job killed while it writes leaves a piece that all later
    jobs fail to read, and jobs that share the folder read each other's pieces. (JAX bounds the size of a cache under
    a lock; that one is left as it is.)
    """
    try:
        from jax._src.lru_cache import LRUCache
    except ImportError:  # a JAX that keeps it elsewhere; what it cannot read it compiles again
        return
    bounded = LRUCache.put

    def put(self: Any, key: str, value: bytes) -> None:
        if self.eviction_enabled:
            return bounded(self, key, value)
        path = Path(str(self.path)) / f"{key}-cache"
        temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(value)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    LRUCache.put = put


_whole_entries()
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    cache = Path(user_cache_dir("mixflow")) / "jax" / _processor()
    jax.config.update("jax_compilation_cache_dir", str(cache))
# Kernels here are small: keep those that took a fifth of a second to compile, whatever their size.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

Array = Any
"""An array of a tuple that travels: numpy on the host, (blocks of) JAX arrays inside kernels."""

__all__ = ["Array", "jax", "jnp"]
