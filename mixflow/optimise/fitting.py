"""Fit one model to many features: chunk by chunk from values to a `Fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np

from mixflow.backend import jax
from mixflow.design import Design
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed, observe
from mixflow.likelihood.exact import Gram
from mixflow.model import Fit
from mixflow.optimise import mapped
from mixflow.optimise.boundary import no_curvature, settle, sigma_known, singular
from mixflow.optimise.components import Components, components
from mixflow.optimise.estimates import Estimates, estimates
from mixflow.optimise.newton import State, fresh
from mixflow.optimise.prepare import Prepared, prepare
from mixflow.optimise.screen import screen
from mixflow.status import Status

CHUNK_FLOATS = 2**23
"""Numbers in the Gram of a chunk (64 MiB): bounds memory however many features there are."""


def fit_features(
    design: Design,
    values: np.ndarray,
    feature_ids: np.ndarray | list[str],
    *,
    reml: bool = True,
    weights: np.ndarray | None = None,
    modes: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit the design to every row of ``values`` (N, n), NaN where missing, n the rows of the design.

    ``weights``: prior weights (N, n) or (n,); ``modes``: also the conditional modes; ``progress`` is called
    with (features done, all). A feature that cannot be fitted has a status and NaN, and stops nothing.
    """
    prepared = prepare(design, reml)
    values = np.asarray(values, dtype=float) - design.offset
    size = mapped.block_size(prepared.layout)
    chunk = max(size, CHUNK_FLOATS // prepared.layout.floats // size * size)
    parts = []
    for first in range(0, max(len(values), 1), chunk):
        part = slice(first, first + chunk)
        own = weights[part] if weights is not None and weights.ndim == 2 else weights
        parts.append(_fit_chunk(design, prepared, values[part], own, modes))
        if progress:
            progress(min(first + chunk, len(values)), len(values))
    arrays = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    return Fit(**_labels(design, prepared, feature_ids), **arrays)


def _labels(design: Design, prepared: Prepared, feature_ids: np.ndarray | list[str]) -> dict:
    effects = {}
    for group, levels in zip(prepared.layout.groups, prepared.levels, strict=True):
        terms = [t for e in prepared.effects if e.group == group.name for t in e.terms]
        effects[group.name] = tuple((level, term) for level in levels for term in terms)
    return {
        "feature_ids": np.asarray(feature_ids, dtype=object),
        "formula": design.terms.text,
        "reml": prepared.layout.reml,
        "coef_names": design.coef_names,
        "theta_names": tuple(name for e in prepared.effects for name in e.theta_names),
        "groups": tuple(group.name for group in prepared.layout.groups),
        "components": components(prepared).names,
        "effect_names": effects,
    }


def _fit_chunk(
    design: Design, prepared: Prepared, values: np.ndarray, weights: np.ndarray | None, modes: bool
) -> dict:
    """All arrays of a `Fit` for some features; the rest of the function is a story in five lines."""
    observed = observe(values, design.Q, design.R, weights)
    status, n_levels = screen(prepared, observed)
    run = np.flatnonzero(status == Status.NOT_RUN)
    out = _empty(prepared, len(values), modes)
    out |= {"n_obs": observed.n_obs.astype(np.int32), "rank": observed.rank.astype(np.int32)}
    out |= {"n_levels": n_levels, "status": status}
    if len(run):
        seen = _take(observed, run)
        arrays = prepared.builder.build(values[run], seen)
        gram = Gram(arrays.blocks, arrays.border, arrays.corner, arrays.dof)
        state, ending = _optimise(prepared.layout, gram, arrays.flat)
        found = estimates(design, prepared, gram, arrays, seen, state, modes)
        _fill(out, run, found, components(prepared), state.iterations, ending)
    return out


def _optimise(layout: Layout, gram: Gram, flat: np.ndarray) -> tuple[State, np.ndarray]:
    """Where the optimisation of each feature ended, and how (n,)."""
    n = len(gram.dof)
    ending = np.full(n, Status.OK, dtype=np.int8)
    state = fresh(layout, np.tile(layout.start, (n, 1)))
    if layout.n_theta:
        state = settle(layout, gram, mapped.minimise(layout, gram, state.theta))
        ending[singular(layout, state.theta)] = Status.SINGULAR
        blind = no_curvature(gram, state)
        ending[blind] = Status.NO_CURVATURE
        state.theta[blind & ~sigma_known(state)] = np.nan
        ending[~state.done] = Status.NO_CONVERGENCE
        ending[~np.isfinite(state.value)] = Status.NOT_FINITE
    ending[flat] = Status.NO_VARIATION
    return state, ending


def _fill(
    out: dict,
    run: np.ndarray,
    found: Estimates,
    parts: Components,
    iterations: np.ndarray,
    ending: np.ndarray,
) -> None:
    """Put estimates into their features' rows; only those that ended well carry numbers.

    A feature without curvature keeps what does not hang on theta (see `boundary.sigma_known`): a contrast
    within the levels of its random effect is as good as ever.
    """
    finite = np.isfinite(found.loglik) & np.isfinite(found.sigma)
    ending[~finite & np.isin(ending, [Status.OK, Status.SINGULAR])] = Status.NOT_FINITE
    out["status"][run] = ending
    out["iterations"][run] = iterations
    good = np.isin(ending, [Status.OK, Status.SINGULAR])
    some = good | ((ending == Status.NO_CURVATURE) & finite)
    for name in ("solution", "beta_cov", "beta_cov_deriv", "par_cov", "null_space", "sigma", "loglik"):
        out[name][run[some]] = getattr(found, name)[some]
    rows = run[good]
    out["theta"][rows] = found.theta[good]
    out["variance"][rows] = parts.variance(found.theta, found.sigma)[good]
    out["share"][rows] = parts.share(found.theta, found.sigma)[good]
    for group, mode in found.modes.items():
        out["modes"][group][rows] = mode[good]
        out["mode_sds"][group][rows] = found.mode_sds[group][good]


def _empty(prepared: Prepared, n: int, modes: bool) -> dict:
    """NaN everywhere: the state of features that were not fitted."""
    layout = prepared.layout
    p, q, c = layout.n_coef, layout.n_theta, len(components(prepared).names)
    nan = lambda *shape: np.full((n, *shape), np.nan)  # noqa: E731
    groups = {g.name: g.n_levels * g.size for g in layout.groups} if modes else {}
    return {
        "solution": nan(p),
        "beta_cov": nan(p, p),
        "beta_cov_deriv": nan(q + 1, p, p),
        "par_cov": nan(q + 1, q + 1),
        "null_space": np.zeros((n, p, p)),
        "theta": nan(q),
        "sigma": nan(),
        "loglik": nan(),
        "iterations": np.zeros(n, dtype=np.int32),
        "variance": nan(c),
        "share": nan(c),
        "modes": {name: nan(width) for name, width in groups.items()},
        "mode_sds": {name: nan(width) for name, width in groups.items()},
    }


def _take(observed: Observed, rows: np.ndarray) -> Observed:
    """The same for some of the features."""
    place = {int(row): i for i, row in enumerate(rows)}
    basis = {place[i]: v for i, v in observed.basis.items() if i in place}
    arrays = {f.name: getattr(observed, f.name) for f in fields(observed) if f.name != "basis"}
    return Observed(**{name: a[rows] for name, a in arrays.items()}, basis=basis)
