"""Kenward and Roger (1997) as printed, with n x n matrices: what the engine's block formulas are held against."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Dense(NamedTuple):
    """``phi`` (p, p), ``cov`` (p, p) adjusted, ``P`` (r, p, p), ``W`` (r, r)."""

    phi: np.ndarray
    cov: np.ndarray
    P: np.ndarray
    W: np.ndarray


def kenward_roger(
    X: np.ndarray,
    V: np.ndarray,
    first: list[np.ndarray],
    second: dict[tuple[int, int], np.ndarray] | None = None,
) -> Dense:
    """From X (n, p), V (n, n), dV by each parameter, and d2V by pairs of them where it is not zero."""
    r = len(first)
    inverse = np.linalg.inv(V)
    phi = np.linalg.inv(X.T @ inverse @ X)
    projector = inverse - inverse @ X @ phi @ X.T @ inverse
    P = np.array([-X.T @ inverse @ G @ inverse @ X for G in first])
    information = np.array([[0.5 * np.trace(projector @ a @ projector @ b) for b in first] for a in first])
    W = np.linalg.inv(information)
    inner = np.zeros_like(phi)
    for i in range(r):
        for j in range(r):
            Q = X.T @ inverse @ first[i] @ inverse @ first[j] @ inverse @ X
            curve = (second or {}).get((min(i, j), max(i, j)))
            R = 0.0 if curve is None else X.T @ inverse @ curve @ inverse @ X
            inner += W[i, j] * (Q - P[i] @ phi @ P[j] - R / 4)
    return Dense(phi, phi + 2 * phi @ inner @ phi, P, W)


def f_test(dense: Dense, beta: np.ndarray, L: np.ndarray) -> tuple[float, float, float]:
    """Scaled F, its denominator df and the scale lambda (Kenward and Roger 1997, section 4)."""
    q = len(L)
    theta = L.T @ np.linalg.inv(L @ dense.phi @ L.T) @ L
    moved = [theta @ dense.phi @ P @ dense.phi for P in dense.P]
    A1 = sum(
        dense.W[i, j] * np.trace(a) * np.trace(b) for i, a in enumerate(moved) for j, b in enumerate(moved)
    )
    A2 = sum(dense.W[i, j] * np.trace(a @ b) for i, a in enumerate(moved) for j, b in enumerate(moved))
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    c1, c2, c3 = (c / (3 * q + 2 * (1 - g)) for c in (g, q - g, q + 2 - g))
    mean = 1 / (1 - A2 / q)
    variance = 2 / q * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
    rho = variance / (2 * mean**2)
    df = 4 + (q + 2) / (q * rho - 1)
    scale = df / (mean * (df - 2))
    wald = (L @ beta) @ np.linalg.solve(L @ dense.cov @ L.T, L @ beta) / q
    return scale * wald, df, scale
