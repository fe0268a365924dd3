"""Standard normal numbers that belong to a feature, wherever and beside whichever others it is computed.

Counter-based threefry (Salmon et al. 2011, SC11): the key is the seed, the feature's id and the number of the
replicate. Bits come from JAX, the normal quantiles from the host: a vectorised one would differ in its last
digit with the size of the block.
"""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
from scipy.special import ndtri

from mixflow.backend import jax

BLOCK = 256
"""Streams drawn at once; the last block is padded to it."""


def normals(seed: int, ids: np.ndarray, replicates: np.ndarray, size: int) -> np.ndarray:
    """Independent N(0, 1) numbers. ids (M,), replicates (M,) int -> (M, size)."""
    streams = words(ids, replicates)
    key = jax.random.key(seed, impl="threefry2x32")
    out = np.empty((len(streams), size))
    for first in range(0, len(streams), BLOCK):
        rows = np.minimum(np.arange(first, first + BLOCK), len(streams) - 1)
        part = np.asarray(_bits(key, streams[rows], size))[: len(streams) - first]
        out[first : first + BLOCK] = ndtri(((part >> np.uint64(11)) + 0.5) * 2.0**-53)
    return out


def words(ids: np.ndarray, replicates: np.ndarray) -> np.ndarray:
    """What the key of each stream is made of beside the seed: the id's hash, the replicate. (M, 3) uint32."""
    found = [(*_hash(str(i)), r) for i, r in zip(ids, replicates, strict=True)]
    return np.array(found, dtype=np.uint32).reshape(-1, 3)


def host_stream(seed: int, feature: str, replicate: int) -> np.random.Generator:
    """numpy's counter-based generator of a feature's replicate (Philox; Salmon et al. 2011), for counts."""
    first, second = _hash(feature)
    return stream_of(seed, first, second, replicate)


def stream_of(seed: int, first: int, second: int, replicate: int) -> np.random.Generator:
    """The same from the words of `words`."""
    return np.random.Generator(np.random.Philox(key=[(seed << 32) ^ replicate, (first << 32) | second]))


def _hash(feature: str) -> tuple[int, int]:
    """64 bits of the id's sha256: the same in every process, and without collisions in practice."""
    digest = hashlib.sha256(feature.encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


@partial(jax.jit, static_argnums=2)
def _bits(key: jax.Array, words: jax.Array, size: int) -> jax.Array:
    def stream(word: jax.Array) -> jax.Array:
        own = key
        for place in range(3):
            own = jax.random.fold_in(own, word[place])
        return jax.random.bits(own, (size,), "uint64")

    return jax.vmap(stream)(words)
