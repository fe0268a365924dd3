"""Fit one generalised mixed model to many features by Laplace's approximation or adaptive quadrature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from mixflow.backend import jax
from mixflow.design import Design
from mixflow.family import Cumulative, Family
from mixflow.likelihood.generalised import Sample
from mixflow.model import Fit
from mixflow.optimise.components import Components, components
from mixflow.optimise.fitting import take_observed
from mixflow.optimise.glmm_empty import with_empty, without_empty
from mixflow.optimise.glmm_iterate import Optima
from mixflow.optimise.glmm_mapped import each
from mixflow.optimise.glmm_nodes import Nodes, solve
from mixflow.optimise.glmm_prepare import Generalised, observe_all, prepare, samples
from mixflow.optimise.glmm_prior import Prior, check_options, penalised, penalty_at
from mixflow.optimise.glmm_screen import screen
from mixflow.optimise.glmm_simpler import vanishing
from mixflow.optimise.glmm_summary import (
    INFINITE,
    Directions,
    conditional_modes,
    directions,
    endings,
    to_user,
)
from mixflow.optimise.glmm_units import in_units, units_of
from mixflow.optimise.mapped import take
from mixflow.optimise.prepare import Prepared
from mixflow.optimise.structure import n_structure, structure, structure_names
from mixflow.status import FITTED, Status

CHUNK_FLOATS = 2**23
"""Numbers in the rows of a chunk of features: bounds memory however many there are."""


def fit_generalised(
    designs: Mapping[str, Design],
    family: Family,
    y: np.ndarray,
    feature_ids: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    nodes: Nodes = 1,
    reml: bool = False,
    prior: Prior | None = None,
    modes: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit every feature of ``y`` (N, n, c), c the family's columns, NaN where missing, by maximum likelihood.

    ``designs``: one for each predictor of the family by its name, all of the same n rows; ``weights`` (n,) or
    (N, n) multiply the log density of a row; ``nodes``: points of adaptive quadrature, 1 for Laplace, "auto" for
    what each feature needs, or a number for each (N,); ``reml``: beta of mu integrated by Laplace's approximation
    beside the random effects; ``prior``: penalty for separated features. A feature that cannot be fitted has a
    status and NaN, and stops nothing.
    """
    most = 1 if isinstance(nodes, str) else int(np.max(nodes, initial=1))
    check_options(designs, family, most if not isinstance(nodes, str) else 2, reml, prior)
    prepared = prepare(designs, family, most, reml)
    size = max(64, CHUNK_FLOATS // max(y.shape[1] * (y.shape[2] + 1), 1))
    parts = []
    for first in range(0, max(len(y), 1), size):
        part = slice(first, first + size)
        own = weights[part] if weights is not None and weights.ndim == 2 else weights
        points = nodes[part] if isinstance(nodes, np.ndarray) else nodes
        parts.append(_chunk(prepared, y[part], own, modes, points, prior))
        if progress:
            progress(min(first + size, len(y)), len(y))
    arrays = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return Fit(**_labels(prepared, feature_ids), **arrays)


def optima_of(
    designs: Mapping[str, Design],
    family: Family,
    y: np.ndarray,
    weights: np.ndarray | None,
    nodes: int,
) -> tuple[Generalised, Sample, Optima, np.ndarray]:
    """The optima behind a maximum-likelihood fit, of features that could be fitted: for profiles.

    What the kernels need, the features' samples, their optima, and the matrix (N, P, P) that leads from psi to
    (beta of all predictors, theta, own) as the user knows them.
    """
    prepared = prepare(designs, family, nodes)
    seen = np.isfinite(y).all(axis=2)
    weight = np.where(seen, 1.0 if weights is None else weights, 0.0)
    observed = observe_all(prepared, y, weight)
    own = samples(prepared, y, weight, observed)
    found, _ = solve(prepared.shape, prepared.shared, own, nodes)
    _, turn, _ = to_user(prepared, observed, found, directions(prepared.shape, found, observed))
    return prepared, own, found, turn


def _labels(prepared: Generalised, feature_ids: np.ndarray) -> dict[str, Any]:
    family, shape = prepared.family, prepared.shape
    effects, more = {}, []
    for group, levels in zip(shape.layout.groups, prepared.levels, strict=True):
        terms = [t for e in prepared.effects if e.group == group.name for t in e.terms]
        effects[group.name] = tuple((level, term) for level in levels for term in terms)
    for predictor, design in zip(family.predictors[1:], prepared.designs[1:], strict=True):
        more += [(predictor.name, name) for name in design.coef_names]
    return {
        "feature_ids": np.asarray(feature_ids, dtype=object),
        "formula": prepared.designs[0].terms.text,
        "reml": shape.restricted,
        "coef_names": prepared.designs[0].coef_names,
        "theta_names": tuple(name for effect in prepared.effects for name in effect.theta_names),
        "sigma_known": True,
        "groups": tuple(group.name for group in shape.layout.groups),
        "components": _components(prepared).names[:-1],
        "effect_names": effects,
        "family": family.base.name,
        "link": family.predictors[0].link.name,
        "nodes": shape.nodes,
        "structure_names": structure_names(prepared.designs[0], cast(Prepared, prepared)),
        "more_names": (*more, *(("family", name) for name in family.own)),
    }


def _chunk(
    prepared: Generalised,
    y: np.ndarray,
    weights: np.ndarray | None,
    modes: bool,
    nodes: Nodes,
    prior: Prior | None,
) -> dict[str, Any]:
    """All arrays of a `Fit` for some features."""
    y, present = without_empty(prepared.family, y)
    seen = ~np.isnan(y).any(axis=2)  # an open limit is infinite
    weight = np.where(seen, 1.0 if weights is None else weights, 0.0)
    unit = units_of(prepared, y, weight) if prior is None else np.ones(len(y))
    y = y / unit[:, None, None]
    observed = observe_all(prepared, y, weight)
    status, n_levels = screen(prepared, y, weight, observed)
    out = _empty(prepared, len(y), modes)
    out |= {"status": status, "n_levels": n_levels, "n_obs": observed[0].n_obs.astype(np.int32)}
    out |= {"rank": observed[0].rank.astype(np.int32)}
    out |= {
        "more_rank": (sum(o.rank for o in observed[1:]) + prepared.family.n_own * np.ones(len(y))).astype(
            np.int32
        )
    }
    run = np.flatnonzero(status == Status.NOT_RUN)
    if len(run):
        own = take(samples(prepared, y, weight, observed), run)
        points = nodes[run] if isinstance(nodes, np.ndarray) else nodes
        seen = [take_observed(o, run) for o in observed]
        always = prior if prior is not None and prior.everywhere else None
        used = penalised(prepared, always) if always else prepared
        found, out["nodes_of_feature"][run] = solve(used.shape, used.shared, own, points)
        _fill(out, run, used, own, found, seen)
        lost = np.flatnonzero(out["status"][run] == Status.SEPARATION)
        if prior is not None and always is None and len(lost):
            used, some = penalised(prepared, prior), take(own, lost)
            found, _ = solve(used.shape, used.shared, some, out["nodes_of_feature"][run[lost]])
            _fill(out, run[lost], used, some, found, [take_observed(o, lost) for o in seen])
    in_units(out, prepared, unit, y, weight)
    with_empty(out, prepared.family, present)
    return out


def _fill(out: dict[str, Any], run: np.ndarray, prepared: Generalised, own, found: Optima, observed) -> None:
    """Estimates into their features' rows; only those that ended well carry numbers."""
    shape = prepared.shape
    told = directions(shape, found, observed)
    ending = endings(shape, found, told)
    lost = ~found.settled & vanishing(shape, prepared.shared, own, found.psi)
    ending = np.where(lost, Status.NO_MAXIMUM, ending)
    if shape.penalty:
        ending = np.where(np.isin(ending, (Status.OK, Status.SINGULAR)), Status.PENALISED, ending)
    out["status"][run], out["iterations"][run] = ending, found.evaluations
    beta, turn, null = to_user(prepared, observed, found, told)
    good = np.isin(ending, [int(s) for s in FITTED])
    rows, p = run[good], shape.coefs[0]
    covariance = turn @ told.covariance @ np.swapaxes(turn, 1, 2)
    q = shape.layout.n_theta
    out["solution"][rows] = beta[good, :p]
    out["beta_cov"][rows] = covariance[good, :p, :p]
    out["beta_cov_deriv"][rows] = 0.0
    out["par_cov"][rows, :q, :q] = covariance[good][:, shape.theta, shape.theta]
    out["par_cov"][rows, q, :], out["par_cov"][rows, :, q] = 0.0, 0.0
    out["null_space"][rows] = null[good]
    theta = found.psi[:, shape.theta] / prepared.theta_scale
    out["theta"][rows], out["sigma"][rows] = theta[good], 1.0
    out["loglik"][rows] = _loglik(prepared, own, found, turn, observed[0].rank)[good]
    out["structure"][rows] = structure(shape.layout, theta)[good]
    parts = _components(prepared)
    out["variance"][rows] = parts.variance(theta, np.ones(len(run)))[good, :-1]
    out["free"][rows], out["joint_cov"][rows] = found.psi[good][:, shape.own], covariance[good]
    lost, own_cov = _beside(prepared, found, told, turn, covariance)
    out["more_cov"][rows] = np.where((lost[:, :, None] | lost[:, None, :]), np.nan, own_cov)[good]
    out["more"][rows] = _infinite(prepared, beta[:, p:], lost, found)[good]
    if out["modes"] and len(run):
        _fill_modes(out, run, good, prepared, own, found)


def _beside(
    prepared: Generalised, found: Optima, told: Directions, turn: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which of what is estimated beside mu has no finite estimate (N, m), and its covariance (N, m, m)."""
    shape, p = prepared.shape, prepared.shape.coefs[0]
    _, slope = natural_own(prepared.family, found.psi[:, shape.own])
    more = [*range(p, shape.n_beta), *range(shape.own.start, shape.own.stop)]
    b = shape.n_beta - p
    spread = np.zeros((len(slope), slope.shape[1] + b, len(more)))
    spread[:, :b, :b], spread[:, b:, b:] = np.eye(b), slope
    own_cov = spread @ covariance[:, more][:, :, more] @ np.swapaxes(spread, 1, 2)
    lost = np.abs(spread @ turn[:, more] @ told.flat).max(axis=2, initial=0.0) > INFINITE
    if not isinstance(prepared.family, Cumulative):  # its thresholds hang on several free parameters
        lost[:, b:] |= np.abs(told.flat[:, shape.own]).max(axis=2, initial=0.0) > INFINITE
    return lost, own_cov


def _infinite(prepared: Generalised, beta: np.ndarray, lost: np.ndarray, found: Optima) -> np.ndarray:
    """Coefficients ``beta`` and own parameters (N, m), at the limit where there is no finite estimate.

    A predictor of several coefficients keeps numbers: of infinite ones there may be no sum.
    """
    shape, family = prepared.shape, prepared.family
    b, p = shape.n_beta, shape.coefs[0]
    more = np.concatenate([beta, natural_own(family, found.psi[:, shape.own])[0]], axis=1)
    lone = [j for k, j in zip(shape.coefs[1:], shape.starts[1:], strict=False) for _ in range(k) if k == 1]
    at = np.array(lone, dtype=int) - p
    more[:, at] = np.where(lost[:, at], np.copysign(np.inf, more[:, at]), more[:, at])
    if family.n_own and not isinstance(family, Cumulative):
        free = found.psi[:, shape.own]
        limit, _ = natural_own(family, np.where(lost[:, b - p :], np.copysign(np.inf, free), free))
        more[:, b - p :] = np.where(lost[:, b - p :], limit, more[:, b - p :])
    return more


def _loglik(prepared: Generalised, own, found: Optima, turn: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Log-likelihood (N,): without what a penalty adds; restricted with the constants of TMB."""
    shape = prepared.shape
    if shape.penalty:
        at = (found.psi, found.point.u)
        return -0.5 * (found.value - each(penalty_at, shape, prepared.shared, own, at))
    if not shape.restricted:
        return -0.5 * found.value
    constant, p = np.zeros(len(found.psi)), shape.coefs[0]
    for i, r in enumerate(rank):
        back = turn[i, :p, :r]
        constant[i] = np.linalg.slogdet(back.T @ back)[1] + r * np.log(2 * np.pi)
    return -0.5 * (found.value - constant)


def _fill_modes(
    out: dict[str, Any], run: np.ndarray, good: np.ndarray, prepared: Generalised, own, found: Optima
) -> None:
    modes, sds = each(conditional_modes, prepared.shape, prepared.shared, own, (found.psi, found.point.u))
    for group, mode, sd, scale in zip(
        prepared.shape.layout.groups, modes, sds, prepared.column_scale, strict=True
    ):
        out["modes"][group.name][run[good]] = (mode / scale).reshape(len(run), -1)[good]
        out["mode_sds"][group.name][run[good]] = (sd / scale).reshape(len(run), -1)[good]


def natural_own(family: Family, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The family's own parameters as reported (N, o'), and their derivatives by the free ones (N, o', o)."""
    if not family.n_own:
        return np.zeros((len(own), 0)), np.zeros((len(own), 0, 0))
    found = jax.jit(jax.vmap(family.natural))(own), jax.jit(jax.vmap(jax.jacfwd(family.natural)))(own)
    return np.asarray(found[0]), np.asarray(found[1])


def _components(prepared: Generalised) -> Components:
    """The table of variance components; its last row, the residual, is none of a generalised model."""
    return components(cast(Prepared, prepared))  # it asks for what both have


def _empty(prepared: Generalised, n: int, modes: bool) -> dict[str, Any]:
    """NaN everywhere: the state of features that were not fitted."""
    shape = prepared.shape
    p, q, m = shape.coefs[0], shape.layout.n_theta, shape.n_beta - shape.coefs[0] + len(prepared.family.own)
    nan = lambda *size: np.full((n, *size), np.nan)  # noqa: E731
    c = len(_components(prepared).names) - 1
    groups = {g.name: g.n_levels * g.size for g in shape.layout.groups} if modes else {}
    return {
        "solution": nan(p), "beta_cov": nan(p, p), "beta_cov_deriv": nan(q + 1, p, p),
        "par_cov": nan(q + 1, q + 1), "null_space": np.zeros((n, p, p)), "theta": nan(q), "sigma": nan(),
        "loglik": nan(), "iterations": np.zeros(n, dtype=np.int32), "variance": nan(c), "share": nan(c),
        "structure": nan(n_structure(shape.layout)), "more": nan(m), "more_cov": nan(m, m),
        "free": nan(prepared.family.n_own), "joint_cov": nan(shape.n_psi, shape.n_psi),
        "nodes_of_feature": np.full(n, shape.nodes, dtype=np.int32),
        "modes": {name: nan(width) for name, width in groups.items()},
        "mode_sds": {name: nan(width) for name, width in groups.items()},
    }  # fmt: skip
