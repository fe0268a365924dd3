"""Fit one model to many features: chunk by chunk from values to a `Fit`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from mixflow.backend import jax
from mixflow.design import Design
from mixflow.design.forms import BasisArrays, FormBuilder
from mixflow.design.gram import GramArrays
from mixflow.design.layout import Layout
from mixflow.design.observed import Observed, observe
from mixflow.design.residual import ResidualColumns
from mixflow.design.rows import RowArrays
from mixflow.errors import MixflowError, Problem
from mixflow.likelihood.data import Basis, Data, Gram, Rows
from mixflow.model import Fit, KenwardRoger
from mixflow.optimise import kenward_roger, mapped
from mixflow.optimise.boundary import no_curvature, settle, sigma_known, singular
from mixflow.optimise.components import Components, components
from mixflow.optimise.elsewhere import elsewhere
from mixflow.optimise.estimates import Estimates, estimates
from mixflow.optimise.large import LargeBuilder, optimum
from mixflow.optimise.newton import State, fresh
from mixflow.optimise.prepare import Prepared, prepare
from mixflow.optimise.reference import n_unseen, settle_reference
from mixflow.optimise.screen import screen
from mixflow.optimise.structure import n_structure, structure, structure_names, theta_names
from mixflow.optimise.unseen import unseen
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
    known_sigma: bool = False,
    modes: bool = True,
    kr: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit the design to every row of ``values`` (N, n), NaN where missing, n the rows of the design.

    ``weights``: prior weights (N, n) or (n,), inverse residual variances where ``known_sigma``;
    ``modes``: also the conditional modes; ``kr``: also what Kenward and Roger's tests need (REML only);
    ``progress`` is called with (features done, all). A feature that cannot be fitted has a status and NaN,
    and stops nothing.
    """
    prepared = prepare(design, reml, known_sigma)
    values = np.asarray(values, dtype=float) - design.offset
    size = mapped.block_size(prepared.layout)
    chunk = max(size, CHUNK_FLOATS // prepared.layout.floats // size * size)
    if kr:
        kenward_roger.require_reml(reml)
        if isinstance(prepared.builder, LargeBuilder):
            remedy = "Use df='satterthwaite': with so many levels the two agree."
            raise MixflowError(Problem("Kenward-Roger is not computed for so large a model", remedy=remedy))
    parts = []
    for first in range(0, max(len(values), 1), chunk):
        part = slice(first, first + chunk)
        own = weights[part] if weights is not None and weights.ndim == 2 else weights
        parts.append(_fit_chunk(design, prepared, values[part], own, modes, kr))
        if progress:
            progress(min(first + chunk, len(values)), len(values))
    arrays = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    adjusted = KenwardRoger(**arrays.pop("kr")) if kr else None
    return Fit(**labels_of(design, prepared, feature_ids), **arrays, kr=adjusted)


def labels_of(design: Design, prepared: Prepared, feature_ids: np.ndarray | list[str]) -> dict:
    """What a `Fit` says of the model, beside its arrays."""
    effects = {}
    for group, levels in zip(prepared.layout.groups, prepared.levels, strict=True):
        terms = [t for e in prepared.effects if e.group == group.name for t in e.terms]
        effects[group.name] = tuple((level, term) for level in levels for term in terms)
    return {
        "feature_ids": np.asarray(feature_ids, dtype=object),
        "formula": design.terms.text,
        "reml": prepared.layout.reml,
        "coef_names": design.coef_names,
        "theta_names": theta_names(design, prepared),
        "sigma_known": prepared.model.sigma == "fixed",
        "structure_names": structure_names(design, prepared),
        "groups": tuple(group.name for group in prepared.layout.groups),
        "components": components(prepared).names,
        "effect_names": effects,
    }


def _fit_chunk(
    design: Design,
    prepared: Prepared,
    values: np.ndarray,
    weights: np.ndarray | None,
    modes: bool,
    kr: bool,
) -> dict:
    """All arrays of a `Fit` for some features; the rest of the function is a story in five lines."""
    observed = observe(values, design.Q, design.R, weights)
    status, n_levels = screen(prepared, observed)
    run = np.flatnonzero(status == Status.NOT_RUN)
    out = empty_arrays(prepared, len(values), modes)
    out |= {"n_obs": observed.n_obs.astype(np.int32), "rank": observed.rank.astype(np.int32)}
    out |= {"n_levels": n_levels, "status": status}
    if kr:
        out["kr"] = kenward_roger.empty(prepared, len(values))
    if len(run):
        seen = take_observed(observed, run)
        if isinstance(prepared.builder, LargeBuilder):
            return _fill_large(out, design, prepared, values, seen, run, modes)
        arrays = prepared.builder.build(values[run], seen)
        data = data_of(prepared, arrays)
        state, ending = optimum_of(prepared.layout, data, arrays.flat)
        if design.residual is not None:
            state = settle_reference(prepared, data, design.residual, seen.weights > 0, state)
        found = estimates(design, prepared, data, arrays, seen, state, modes)
        given = _mean_variance(seen.weights) if prepared.model.sigma == "fixed" else None
        fill_arrays(out, run, found, components(prepared), state.iterations, ending, given)
        if design.residual is not None:
            _hide_unseen(out, run, design.residual, seen.weights > 0)
        if kr:
            if isinstance(prepared.builder, FormBuilder):  # Kenward and Roger's V is written out by rows
                data = data_of(prepared, prepared.builder.shared.rows.build(values[run], seen))
            own = kenward_roger.kenward_roger(design, prepared, data, seen, state.theta, found.sigma)
            fill_rows(out["kr"], run, own, np.isfinite(out["sigma"][run]))
    return out


def _fill_large(
    out: dict,
    design: Design,
    prepared: Prepared,
    values: np.ndarray,
    seen: Observed,
    run: np.ndarray,
    modes: bool,
) -> dict:
    """The same for a model whose corner is too large to be formed for every feature."""
    assert isinstance(prepared.builder, LargeBuilder)
    arrays, state, summary = optimum(prepared.builder, values[run], seen)
    ending = np.where(singular(prepared.layout, state.theta), Status.SINGULAR, Status.OK).astype(np.int8)
    ending[~state.done] = Status.NO_CONVERGENCE
    ending[arrays.scale == 0] = Status.NO_VARIATION
    found = estimates(design, prepared, arrays, arrays, seen, state, modes, summary)
    fill_arrays(out, run, found, components(prepared), state.iterations, ending)
    return out


def data_of(prepared: Prepared, arrays: GramArrays | BasisArrays | RowArrays) -> Data:
    """The part of a builder's arrays that the kernels see; a known sigma is divided by y's scale, as y was."""
    sigma2 = arrays.scale**-2.0 if prepared.model.sigma == "fixed" else None
    if isinstance(arrays, GramArrays):
        return Gram(arrays.blocks, arrays.border, arrays.corner, arrays.dof, sigma2)
    if isinstance(arrays, BasisArrays):
        return Basis(arrays.lead, arrays.corner, arrays.counts, arrays.dof, sigma2)
    return Rows(**{name: getattr(arrays, name) for name in Rows._fields[:-1]}, sigma2=sigma2)


def optimum_of(layout: Layout, data: Data, flat: np.ndarray) -> tuple[State, np.ndarray]:
    """Where the optimisation of each feature ended, and how (n,)."""
    n = len(data.dof)
    ending = np.full(n, Status.OK, dtype=np.int8)
    state = fresh(layout, np.tile(layout.start, (n, 1)))
    if layout.n_theta:
        state = settle(layout, data, mapped.minimise(layout, data, state.theta))
        state = elsewhere(layout, data, state)
        ending[singular(layout, state.theta)] = Status.SINGULAR
        blind = no_curvature(layout, data, state)
        ending[blind] = Status.NO_CURVATURE
        state.theta[blind & ~sigma_known(state)] = np.nan
        ending[~state.done] = Status.NO_CONVERGENCE
        ending[~np.isfinite(state.value)] = Status.NOT_FINITE
    ending[flat] = Status.NO_VARIATION
    return state, ending


def fill_arrays(
    out: dict,
    run: np.ndarray,
    found: Estimates,
    parts: Components,
    iterations: np.ndarray,
    ending: np.ndarray,
    given: np.ndarray | None = None,
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
    out["variance"][rows] = parts.variance(found.theta, found.sigma, given)[good]
    out["share"][rows] = parts.share(found.theta, found.sigma, given)[good]
    out["structure"][rows] = structure(parts.layout, found.theta)[good]
    for group, mode in found.modes.items():
        out["modes"][group][rows] = mode[good]
        out["mode_sds"][group][rows] = found.mode_sds[group][good]


def _hide_unseen(out: dict, run: np.ndarray, residual: ResidualColumns, seen: np.ndarray) -> None:
    """No natural parameter of the residual side of which a feature's rows say nothing, and how many these are."""
    own = slice(out["structure"].shape[1] - len(residual.names), None)
    hidden = unseen(residual, seen)
    out["structure"][run, own] = np.where(hidden, np.nan, out["structure"][run, own])
    out["n_unseen"][run] = n_unseen(residual, hidden, seen)


def _mean_variance(weights: np.ndarray) -> np.ndarray:
    """Mean of 1 / weight over the rows that each feature has. (N, n) -> (N,)."""
    seen = weights > 0
    return np.where(seen, 1 / np.where(seen, weights, 1.0), 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)


def fill_rows(out: dict, run: np.ndarray, found: dict, good: np.ndarray) -> None:
    """Put the arrays ``found`` of the features ``run`` into ``out``, those that are ``good``."""
    for name, array in found.items():
        out[name][run[good]] = array[good]


def empty_arrays(prepared: Prepared, n: int, modes: bool) -> dict:
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
        "structure": nan(n_structure(layout)),
        "n_unseen": np.zeros(n, dtype=np.int32),
        "modes": {name: nan(width) for name, width in groups.items()},
        "mode_sds": {name: nan(width) for name, width in groups.items()},
    }


def take_observed(observed: Observed, rows: np.ndarray) -> Observed:
    """The same for some of the features."""
    place = {int(row): i for i, row in enumerate(rows)}
    basis = {place[i]: v for i, v in observed.basis.items() if i in place}
    arrays = {f.name: getattr(observed, f.name)[rows] for f in fields(observed) if f.type == "np.ndarray"}
    return replace(observed, **arrays, basis=basis)
