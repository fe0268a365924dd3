"""The prior of variance parameters over features, by marginal likelihood (docs/moderating-components.md)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from mixflow.inference.variance_prior import Prior, fit_prior, usable

EM_STEPS, ROUNDS, SETTLED = 60, 40, 1e-5
"""EM steps between two looks at (d0, s0^2); most rounds; rise of the log-likelihood a feature to stop at."""

DF_RANGE = (0.2, 1e5)
"""Where the prior degrees of freedom are looked for; at the upper end they count as infinite."""


class Evidence(NamedTuple):
    """What N features say at G values of theta: log-determinants, r^2 (N, G), and nu = n - p (N,)."""

    logdet: np.ndarray
    rss: np.ndarray
    nu: np.ndarray


class ThetaPrior(NamedTuple):
    """``values`` (G, q) of theta and their prior probabilities ``weights`` (G,); d0 and s0^2 of sigma^2."""

    values: np.ndarray
    weights: np.ndarray
    df: float
    variance: float

    def share(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Prior of parameter k alone: its values and their probabilities."""
        values, place = np.unique(self.values[:, k], return_inverse=True)
        return values, np.bincount(place.ravel(), self.weights)


def fit_theta_prior(axes: list[np.ndarray], evidence: Evidence, start: tuple[float, float]) -> ThetaPrior:
    """Maximise the marginal likelihood of all features over the prior.

    ``axes``: values of each parameter; the grid is their product and the prior that of its margins.
    ``start``: d0 and s0^2 to begin with.
    """
    values, place = grid(axes)
    margins = [np.full(len(axis), 1 / len(axis)) for axis in axes]
    hyper = np.log([np.clip(start[0], 1.0, 1e3), start[1]])
    last = -np.inf
    for _ in range(ROUNDS):
        density = scaled_density(evidence, *np.exp(hyper))
        for _ in range(EM_STEPS):
            margins = _em_step(density, margins, place)
        weights = product(margins, place)
        hyper, reached = _improve(hyper, evidence, np.log(weights))
        if reached - last < SETTLED * len(evidence.nu):
            break
        last = reached
    d0, s0 = np.exp(hyper)
    return ThetaPrior(values, product(margins, place), np.inf if d0 > 0.99 * DF_RANGE[1] else d0, s0)


def fit_prior_likelihood(variance: np.ndarray, df: np.ndarray, covariate: np.ndarray | None = None) -> Prior:
    """As `variance_prior.fit_prior`, by maximum likelihood: each feature counts by its degrees of freedom.

    The moments of log s^2 are as noisy as the feature with the fewest df; the likelihood is not. The trend
    is that of the moments.
    """
    start = fit_prior(variance, df, covariate)
    used = usable(variance, df) & np.isfinite(start.variance)
    if used.sum() < 2:
        return start
    level = np.exp(np.log(start.variance[used]).mean())
    shape = start.variance / level
    sums = np.maximum(variance[used], 0) * df[used] / shape[used]
    evidence = Evidence(np.zeros((len(sums), 1)), sums[:, None], df[used])
    found = fit_theta_prior([], evidence, (float(start.df[0]), level))
    return Prior(np.full(len(variance), found.df), found.variance * shape)


def grid(axes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """All combinations of the axes (G, q), and the place of each on its axis (G, q)."""
    size = int(np.prod([len(axis) for axis in axes]))
    place = np.array(list(np.ndindex(*map(len, axes))), dtype=int).reshape(size, len(axes))
    values = [axis[place[:, k]] for k, axis in enumerate(axes)]
    return np.column_stack(values) if axes else np.zeros((1, 0)), place


def product(margins: list[np.ndarray], place: np.ndarray) -> np.ndarray:
    """Probability of each combination, parameters independent. (G,)."""
    parts = [margin[place[:, k]] for k, margin in enumerate(margins)]
    return np.prod(parts, axis=0) if parts else np.ones(1)


def log_density(evidence: Evidence, d0: float, s0: float) -> np.ndarray:
    """log m_i(theta_g): the likelihood with beta and sigma integrated out, constants left out. (N, G)."""
    half, added = (evidence.nu + d0) / 2, d0 * s0
    constant = special.gammaln(half) - special.gammaln(d0 / 2) + d0 / 2 * np.log(added)
    return constant[:, None] - evidence.logdet / 2 - half[:, None] * np.log(evidence.rss + added)


def scaled_density(evidence: Evidence, d0: float, s0: float) -> np.ndarray:
    """m_i(theta_g) over its largest value. (N, G)."""
    log = log_density(evidence, d0, s0)
    return np.exp(log - log.max(axis=1, keepdims=True))


def posterior(evidence: Evidence, prior: ThetaPrior) -> np.ndarray:
    """Probability of each theta of the grid given the feature's values. (N, G)."""
    joint = scaled_density(evidence, min(prior.df, DF_RANGE[1]), prior.variance) * prior.weights
    return joint / joint.sum(axis=1, keepdims=True)


def _em_step(density: np.ndarray, margins: list[np.ndarray], place: np.ndarray) -> list[np.ndarray]:
    """Mean posterior over features, and one that says nothing; each parameter's margin of it."""
    weights = product(margins, place)
    counted = (1 / (density @ weights)) @ density * weights
    counted += 1 / len(weights)
    counted /= counted.sum()
    return [np.bincount(place[:, k], counted, minlength=len(m)) for k, m in enumerate(margins)]


def _improve(hyper: np.ndarray, evidence: Evidence, log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """(log d0, log s0^2) of highest marginal likelihood, theta's prior held; and that likelihood."""
    bounds = [tuple(np.log(DF_RANGE)), (None, None)]
    found = optimize.minimize(
        _negative, hyper, args=(evidence, log_weights), jac=True, method="L-BFGS-B", bounds=bounds
    )
    return found.x, -float(found.fun)


def _negative(hyper: np.ndarray, evidence: Evidence, log_weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Minus the marginal log-likelihood of all features, and its gradient by (log d0, log s0^2)."""
    d0, s0 = np.exp(hyper)
    joint = log_density(evidence, d0, s0) + log_weights
    top = joint.max(axis=1, keepdims=True)
    weight = np.exp(joint - top)
    total = weight.sum(axis=1, keepdims=True)
    weight /= total
    nu, raised = evidence.nu, evidence.rss + d0 * s0
    ratio = (weight * s0 / raised).sum(axis=1)
    logs = (weight * np.log(raised)).sum(axis=1)
    by_s0 = (d0 / 2 - (nu + d0) / 2 * d0 * ratio).sum()
    digammas = special.digamma((nu + d0) / 2) - special.digamma(d0 / 2)
    by_d0 = d0 / 2 * (digammas + np.log(d0 * s0) + 1 - logs - (nu + d0) * ratio).sum()
    return -float((top + np.log(total)).sum()), -np.array([by_d0, by_s0])
