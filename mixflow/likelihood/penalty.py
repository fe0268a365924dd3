"""Penalties on the coefficients of mu, for features whose own likelihood has no finite maximum.

``normal``: a normal prior with mean zero on every coefficient but the intercept, on columns centred and scaled
to unit standard deviation (as `rstanarm` and `blme` have it; Chung et al. 2013, Psychometrika 78:685).
``jeffreys``: half the log-determinant of the information, which takes the first-order bias from the estimates of
a model without random effects (Firth 1993, Biometrika 80:27; Heinze and Schemper 2002, Stat. Med. 21:2409).
"""

from __future__ import annotations

from mixflow.backend import jax, jnp
from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Sample, predictors, slopes, zeros
from mixflow.linalg.arrow import Arrow
from mixflow.linalg.arrow_inverse import logdet

NORMAL, JEFFREYS = "normal", "jeffreys"


def penalty(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array) -> jax.Array:
    """What is added to -2 log-likelihood; zero where the shape has no penalty."""
    if shape.penalty == NORMAL:
        beta = sample.turn[0] @ psi[: shape.coefs[0]]
        return ((shared.penalty[0] @ beta) ** 2).sum()
    if shape.penalty == JEFFREYS:
        return -_log_information(shape, shared, sample, psi)
    return jnp.zeros(())


def _log_information(shape: Shape, shared: Shared, sample: Sample, psi: jax.Array) -> jax.Array:
    """log|X'WX| of mu; with a canonical link the observed information is the expected one."""
    eta = predictors(shape, shared, sample, psi, zeros(shape))
    w = slopes(shape, sample, eta, psi[shape.own], (0,)).second[0]
    p = shape.coefs[0]
    x = shared.X[0].reshape(-1, p) @ sample.turn[0]
    unseen = (jnp.abs(sample.turn[0]).sum(axis=0) == 0).astype(float)
    information = x.T @ (w.reshape(-1, 1) * x) + jnp.diag(unseen)
    return logdet(Arrow(jnp.zeros((0, 1, 1)), jnp.zeros((0, 1, p)), information))
