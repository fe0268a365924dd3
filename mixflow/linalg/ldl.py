"""LDL' of small dense symmetric matrices, and triangular solves, by columns: no LAPACK under vmap.

A = L D L' with L unit lower triangular. Square-root free, so that forward derivatives stay cheap, and
the last pivot of an augmented cross-product matrix is the penalised residual sum of squares itself.
"""

from __future__ import annotations

from mixflow.backend import jax, jnp

UNROLL = 8
"""Up to this size the columns are unrolled; above, a loop keeps compile time bounded."""

PANEL = 32
"""Above this size blocks of so many columns: the rest is updated by one matrix product a block."""


def ldl(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Factor a symmetric positive definite matrix. (m, m) -> unit lower L (m, m), pivots (m,)."""
    m = a.shape[0]
    if m <= UNROLL:
        return _unrolled(a)
    return _looped(a) if m <= PANEL else _blocked(a)


def _blocked(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Right-looking by blocks of columns (Golub and Van Loan 2013, section 4.2.6)."""
    m, done = a.shape[0], 0
    lower, pivots = [], []
    while done < m:
        k = min(PANEL, m - done)
        own, d = ldl(a[:k, :k])
        raw = solve_unit_lower(own, a[:k, k:])
        below = (raw / d[:, None]).T
        lower.append(jnp.concatenate([jnp.zeros((done, k)), own, below]))
        pivots.append(d)
        a = a[k:, k:] - below @ raw
        done += k
    return jnp.concatenate(lower, axis=1), jnp.concatenate(pivots)


def _unrolled(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    m = a.shape[0]
    pivots, columns, rest = [], [], a
    for j in range(m):
        pivot = rest[0, 0]
        column = rest[1:, 0] / pivot
        pivots.append(pivot)
        columns.append(jnp.concatenate([jnp.zeros(j), jnp.ones(1), column]))
        rest = rest[1:, 1:] - column[:, None] * rest[0, 1:][None, :]
    return jnp.stack(columns, axis=1), jnp.stack(pivots)


def _looped(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    m = a.shape[0]
    row = jnp.arange(m)

    def eliminate(j: jax.Array, state: tuple[jax.Array, jax.Array, jax.Array]):
        rest, lower, pivots = state
        pivot = rest[j, j]
        raw = jnp.where(row > j, rest[:, j], 0.0)
        column = raw / pivot
        rest = rest - column[:, None] * raw[None, :]
        return rest, lower.at[:, j].add(column), pivots.at[j].set(pivot)

    start = (a, jnp.eye(m, dtype=a.dtype), jnp.zeros(m, dtype=a.dtype))
    _, lower, pivots = jax.lax.fori_loop(0, m, eliminate, start)
    return lower, pivots


def solve_unit_lower(lower: jax.Array, b: jax.Array) -> jax.Array:
    """Solve L x = b for unit lower triangular L. (m, m), (m, r) -> (m, r)."""
    m = lower.shape[0]
    if m > UNROLL:
        step = lambda j, x: x - jnp.where(jnp.arange(m) > j, lower[:, j], 0.0)[:, None] * x[j][None, :]  # noqa: E731
        return jax.lax.fori_loop(0, m, step, b)
    rows: list[jax.Array] = []
    rest = b
    for j in range(m):
        rows.append(rest[0])
        rest = rest[1:] - lower[j + 1 :, j][:, None] * rest[0][None, :]
    return jnp.stack(rows) if rows else b


def solve_unit_upper(lower: jax.Array, b: jax.Array) -> jax.Array:
    """Solve L' x = b for unit lower triangular L. (m, m), (m, r) -> (m, r)."""
    flipped = lower[::-1, ::-1].T
    return solve_unit_lower(flipped, b[::-1])[::-1]


def inverse(lower: jax.Array, pivots: jax.Array) -> jax.Array:
    """(L D L')^-1. (m, m), (m,) -> (m, m)."""
    half = solve_unit_lower(lower, jnp.eye(lower.shape[0], dtype=lower.dtype))
    return half.T @ (half / pivots[:, None])
