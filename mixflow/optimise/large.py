"""One big outcome: many levels of crossed or nested factors, fitted on the host without a large dense corner.

The compiled kernels form the corner of the arrow densely, which is right for thousands of features with tens
of levels and wrong for one with thousands. Here the penalised cross-products stay sparse
(`linalg.elimination`), gradients are closed forms (the trace of the inverse, never an autodiff pass through a
factorisation), and a quasi-Newton method with bounds does the rest (Byrd, Lu, Nocedal, Zhu 1995).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse

from mixflow.design.layout import Layout
from mixflow.design.observed import Observed
from mixflow.likelihood.exact import Pieces
from mixflow.likelihood.summary import Modes, Summary
from mixflow.linalg.elimination import Factored, factor
from mixflow.optimise.newton import State

CORNER = 400
"""Random effects in the corner from which on it is not formed densely for every feature."""

EXACT = 6000
"""Random effects up to which the information is the exact one; above, the average information."""

NEAR = 0.02
"""A parameter below this is tried at zero (as `boundary.NEAR`)."""

FLOOR = 1e-3
"""Where a descent is stopped: at zero itself the gradient vanishes whether or not zero is best."""


def applies(layout: Layout) -> bool:
    """Whether a model is one for this room: a large corner, scalar effects, residuals that theta leaves alone."""
    scalar = all(group.size == 1 and not any(e.tied for e in group.effects) for group in layout.groups)
    return scalar and layout.residual is None and layout.n_corner_effects > CORNER


@dataclass(frozen=True, eq=False)
class LargeBuilder:
    """What all features share: ``z`` (n, c) sparse columns of all groups, ``q`` (n, p)."""

    layout: Layout
    q: np.ndarray
    z: sparse.csr_matrix

    @classmethod
    def of(cls, layout: Layout, q: np.ndarray, groups: list[tuple[np.ndarray, np.ndarray]]) -> LargeBuilder:
        """``groups``: (level index (n,), column (n, 1)) of each group of the layout, in its order."""
        n = np.arange(len(q))
        parts = [
            sparse.csr_matrix((z[:, 0], (n, index)), (len(q), g.n_levels))
            for g, (index, z) in zip(layout.groups, groups, strict=True)
        ]
        return cls(layout, q, sparse.csr_matrix(sparse.hstack(parts)))

    def system(self, y: np.ndarray, observed: Observed, i: int) -> LargeSystem:
        """The cross-products of feature ``i``, whose values are ``y`` (n,)."""
        w = observed.weights[i]
        v = observed.basis.get(i)
        x = self.q if v is None else self.q @ v[:, : observed.rank[i]]
        y = np.where(w > 0, y, 0.0)
        xx = x.T @ (w[:, None] * x)
        shift = np.zeros(x.shape[1])
        for _ in range(2):  # the second round removes what rounding left of the first
            step = np.linalg.solve(xx, x.T @ (w * y))
            y, shift = y - x @ step, shift + step
        scale = float(np.sqrt((w * y**2).sum() / max(observed.n_obs[i], 1)))
        y = y / (scale or 1.0)
        weighted = sparse.csr_matrix(sparse.diags_array(w) @ self.z)
        zz = sparse.csr_matrix(self.z.T @ weighted)
        dof = float(observed.n_obs[i] - (observed.rank[i] if self.layout.reml else 0))
        right = weighted.T @ np.column_stack([x, y])
        constant = 2 * dof * np.log(scale or 1.0) - observed.log_weight[i]
        constant += 2 * observed.log_det_r[i] if self.layout.reml else 0.0
        sizes = tuple(group.n_levels for group in self.layout.groups)
        return LargeSystem(
            sizes,
            zz,
            right,
            xx,
            x.T @ (w * y),
            float(w @ y**2),
            dof,
            self.layout.reml,
            shift,
            scale,
            constant,
        )


class Point(NamedTuple):
    """The model at one theta, for unit sigma."""

    value: float
    gradient: np.ndarray
    logdet: float
    rss: float
    factored: Factored
    through: np.ndarray  # (c, p) K^-1 Lambda Z'WX
    cov: np.ndarray  # (p, p)
    gamma: np.ndarray  # (p,)
    u: np.ndarray  # (c,)


@dataclass(frozen=True, eq=False)
class LargeSystem:
    """Cross-products of one feature: Z'WZ sparse, Z'W[X y], X'WX, X'Wy, y'Wy."""

    sizes: tuple[int, ...]
    zz: sparse.csr_matrix
    right: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: float
    dof: float
    reml: bool
    shift: np.ndarray
    scale: float
    constant: float

    @property
    def group(self) -> np.ndarray:
        """Group number of each random effect. (c,)."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum over each group's effects. (c,) -> (q,)."""
        return np.bincount(self.group, values, len(self.sizes))

    def at(self, theta: np.ndarray) -> Point:
        """Profiled -2 log-likelihood and its gradient by theta (a zero stays at zero: gradient 0)."""
        lam = theta[self.group]
        scaling = sparse.diags_array(lam)
        matrix = sparse.csr_matrix(scaling @ self.zz @ scaling + sparse.eye_array(len(lam)))
        factored = factor(matrix, self.sizes)
        right = lam[:, None] * self.right
        solved = factored.solve(right)
        schur = self.xx - right[:, :-1].T @ solved[:, :-1]
        cross = self.xy - right[:, :-1].T @ solved[:, -1]
        cov = np.linalg.inv(schur)
        gamma = cov @ cross
        rss = self.yy - right[:, -1] @ solved[:, -1] - cross @ gamma
        logdet = factored.logdet + (np.linalg.slogdet(schur)[1] if self.reml else 0.0)
        u = solved[:, -1] - solved[:, :-1] @ gamma
        spread = factored.diagonal
        if self.reml:
            spread = spread + np.einsum("ca,ab,cb->c", solved[:, :-1], cov, solved[:, :-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            d_logdet = 2 * (np.array(self.sizes) - self.sums(spread)) / theta
            d_rss = -2 * self.sums(u**2) / theta
        gradient = np.where(theta > 0, d_logdet + self.dof * d_rss / rss, 0.0)
        value = logdet + self.dof * (1 + np.log(2 * np.pi * rss / self.dof))
        return Point(
            float(value), gradient, float(logdet), float(rss), factored, solved[:, :-1], cov, gamma, u
        )

    def minimise(self) -> tuple[np.ndarray, int, bool]:
        """theta (q,) at the minimum, evaluations, and whether it converged."""
        theta, steps, fine = self._descend(np.ones(len(self.sizes)))
        for g in np.flatnonzero((theta > 0) & (theta < NEAR)):
            tried, more, well = self._descend(np.where(np.arange(len(theta)) == g, 0.0, theta))
            steps += more
            if well and self.at(tried).value <= self.at(theta).value + 1e-9:
                theta = tried
        return theta, steps, fine

    def _descend(self, start: np.ndarray) -> tuple[np.ndarray, int, bool]:
        def both(theta: np.ndarray) -> tuple[float, np.ndarray]:
            point = self.at(theta)
            return point.value, point.gradient

        if not (start > 0).any():
            return start, 0, True
        bounds = [(FLOOR, None) if value > 0 else (0.0, 0.0) for value in start]
        options = {"ftol": 1e-14, "gtol": 1e-5, "maxiter": 200}
        found = optimize.minimize(both, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        flat = np.abs(np.where(found.x > FLOOR, found.jac, 0.0)).max(initial=0.0) < 1e-3
        return found.x, int(found.nfev), bool(found.success or flat)

    def derivatives(self, theta: np.ndarray, point: Point) -> tuple[Pieces, Pieces]:
        """First and second derivatives of the two pieces by theta; zero at the boundary."""
        q, active = len(theta), np.flatnonzero(theta > 0)
        slope = Pieces(np.zeros(q), np.zeros(q))
        curve = Pieces(np.zeros((q, q)), np.zeros((q, q)))
        lam = theta[self.group]
        s = np.where(lam > 0, point.u / np.where(lam > 0, lam, 1.0), 0.0)  # Z'Py
        slope.rss[:] = -2 * theta * self.sums(s**2)
        if len(lam) <= EXACT:
            self._exact(theta, point, s, active, curve)
            return slope, curve
        sigma2 = point.rss / self.dof  # Gilmour, Thompson and Cullis (1995): average information
        for j in active:
            own = np.where(self.group == j, s, 0.0)
            ours = self.sums(s * self._projected(own, lam, point))
            curve.logdet[active, j] = 4 * theta[active] * theta[j] * ours[active] / sigma2
        return slope, curve

    def _projected(self, x: np.ndarray, lam: np.ndarray, point: Point) -> np.ndarray:
        """Z'PZ x, for x that is zero where lambda is."""
        inner = np.where(lam > 0, x / np.where(lam > 0, lam, 1.0), 0.0)
        solved = point.factored.solve(inner[:, None])[:, 0]
        solved = solved + point.through @ (point.cov @ (point.through.T @ inner))
        return np.where(lam > 0, (inner - solved) / np.where(lam > 0, lam, 1.0), 0.0)

    def _exact(
        self, theta: np.ndarray, point: Point, s: np.ndarray, active: np.ndarray, curve: Pieces
    ) -> None:
        """tr(P Z_i Z_i' P Z_j Z_j') and y'P Z_i Z_i' P Z_j Z_j' P y from the inverse itself."""
        lam = theta[self.group]
        inverse = point.factored.solve(np.eye(len(lam)))
        swept = inverse + point.through @ point.cov @ point.through.T
        root = np.where(lam > 0, 1 / np.where(lam > 0, lam, 1.0), 0.0)
        outer = root[:, None] * (np.eye(len(lam)) - (swept if self.reml else inverse)) * root
        projected = root[:, None] * (np.eye(len(lam)) - swept) * root
        of = [np.flatnonzero(self.group == g) for g in range(len(theta))]
        for i in active:
            for j in active:
                block = np.ix_(of[i], of[j])
                both = 4 * theta[i] * theta[j]
                curve.logdet[i, j] = -both * (outer[block] ** 2).sum()
                curve.rss[i, j] = both * 2 * s[of[i]] @ projected[block] @ s[of[j]]
            curve.logdet[i, i] += 2 * np.diagonal(outer)[of[i]].sum()
            curve.rss[i, i] -= 2 * (s[of[i]] ** 2).sum()


class LargeArrays(NamedTuple):
    """What `estimates` needs beside the summary, with a feature axis."""

    dof: np.ndarray
    shift: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    sigma2: None = None


def optimum(
    builder: LargeBuilder, values: np.ndarray, observed: Observed
) -> tuple[LargeArrays, State, Summary]:
    """Fit features one by one (N, n); everything `estimates` needs of them."""
    p = builder.q.shape[1]
    found = [_one(builder, values[i], observed, i, p) for i in range(len(values))]
    return tuple(_stack([f[part] for f in found]) for part in range(3))  # type: ignore[return-value]


def _stack(items: list) -> NamedTuple:
    """Named tuples of arrays stacked along a new first axis."""
    first = items[0]
    if first is None:
        return None  # type: ignore[return-value]
    if isinstance(first, tuple):
        parts = [_stack([item[k] for item in items]) for k in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)  # type: ignore[return-value]
    return np.stack([np.asarray(item) for item in items])  # type: ignore[return-value]


def _one(
    builder: LargeBuilder, y: np.ndarray, observed: Observed, i: int, p: int
) -> tuple[LargeArrays, State, Summary]:
    system = builder.system(y, observed, i)
    theta, steps, fine = system.minimise()
    point = system.at(theta)
    slope, curve = system.derivatives(theta, point)
    rank = len(point.gamma)
    gamma, shift, cov = np.zeros(p), np.zeros(p), np.eye(p)
    gamma[:rank], cov[:rank, :rank] = point.gamma, point.cov
    v = observed.basis.get(i)
    shift = system.shift if v is None else v[:, :rank] @ system.shift
    deriv = np.zeros((len(theta), p, p))
    for g in np.flatnonzero(theta > 0):
        own = point.cov @ point.through[system.group == g].T
        deriv[g, :rank, :rank] = 2 / theta[g] * own @ own.T
    bounds = np.cumsum((0, *system.sizes))
    parts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
    spread = np.sqrt(np.maximum(point.factored.diagonal, 0.0))
    modes = Modes(
        tuple(theta[g] * point.u[part][:, None] for g, part in enumerate(parts)),
        tuple(theta[g] * spread[part][:, None] for g, part in enumerate(parts)),
    )
    pieces = Pieces(point.logdet, point.rss)  # type: ignore[arg-type]
    state = State(theta, point.value, (pieces, slope, curve), 0.0, steps, fine)  # type: ignore[arg-type]
    arrays = LargeArrays(system.dof, shift, system.scale, system.constant)  # type: ignore[arg-type]
    return arrays, state, Summary(gamma, cov, deriv, pieces, modes)
