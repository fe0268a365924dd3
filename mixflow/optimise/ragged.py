"""Fit one model to features that have their own rows, such as the peptides of each protein.

Only the cross-products differ from `fitting`: each feature has its own levels. Features of like size share a
bucket, one padded layout; an empty level is an identity pivot of the arrow and costs no accuracy. A feature's
bucket follows from its own numbers of levels alone, so its result does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mixflow.covariance import Covariance
from mixflow.covariance.directions import natural_scaling
from mixflow.design import Design
from mixflow.design.layout import GroupBlock, Layout
from mixflow.design.observed import Observed
from mixflow.design.ragged import Ragged, Segments, gram, ragged
from mixflow.errors import MixflowError, Problem
from mixflow.likelihood.data import Gram
from mixflow.model import Fit, KenwardRoger, Model, RandomEffect
from mixflow.optimise import kenward_roger
from mixflow.optimise.components import Components, components
from mixflow.optimise.estimates import NULL, Estimates, estimates
from mixflow.optimise.fitting import empty_arrays, fill_arrays, fill_rows, labels_of, optimum_of
from mixflow.optimise.prepare import Prepared, effect_of
from mixflow.optimise.ragged_screen import screen
from mixflow.status import Status

LEAD = 32
"""Least padded number of levels of the group that leads; above, powers of two (its cost is linear)."""

CORNER = np.array([2, 4, 6, 10, 16, 28])
"""Padded numbers of levels of a group in the corner, whose cost is cubic; above, multiples of 16."""

BLOCK = 16
"""Features a block at most: buckets are small, and so are the last rounds, where blocks are mostly padding."""

SHARED = 0.1
"""Modes of a group are kept if at least this share of (feature, level of the design) was observed."""


def fit_ragged(
    design: Design,
    y: np.ndarray,
    feature_of_row: np.ndarray,
    feature_ids: np.ndarray | list[str],
    *,
    reml: bool = True,
    weights: np.ndarray | None = None,
    kr: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Fit the design to the rows of each feature; n rows of the design, N features.

    ``y`` (n,), NaN where missing; ``feature_of_row`` (n,) numbers of ``feature_ids``; ``weights`` (n,) prior
    weights, 0 leaves a row out. Parameters of theta come in the order of the formula's groups, whichever
    leads. ``Fit.modes`` has groups whose levels most features share (a run), not those nested in the feature
    (its peptides), which would make a table of features x all levels. A feature that cannot be fitted has a
    status and NaN, and stops nothing.
    """
    prepared, terms = _prepare(design, reml)
    if kr:
        kenward_roger.require_reml(reml)
    y = np.asarray(y, dtype=float) - design.offset
    used = np.isfinite(y) & (True if weights is None else weights > 0)
    out = empty_arrays(prepared, len(feature_ids), modes=False)
    status = np.full(len(feature_ids), Status.TOO_FEW_OBSERVATIONS, dtype=np.int8)
    zeros = np.zeros(len(feature_ids), dtype=np.int32)
    n_levels = np.zeros((len(feature_ids), len(terms)), dtype=np.int32)
    out |= {"status": status, "n_obs": zeros, "rank": zeros.copy(), "n_levels": n_levels}
    if kr:
        out["kr"] = kenward_roger.empty(prepared, len(feature_ids))
    labels = labels_of(design, prepared, feature_ids)
    shared: tuple[int, ...] = ()
    if used.any():
        segments = Segments.of(np.asarray(feature_of_row), used)
        data = ragged(design, terms, y, segments, weights)
        shared = _shared(data, prepared)
        for g in shared:
            size = len(prepared.levels[g]) * prepared.layout.groups[g].size
            for name in ("modes", "mode_sds"):
                out[name][prepared.layout.groups[g].name] = np.full((len(feature_ids), size), np.nan)
        _fit_buckets(design, prepared, data, out, shared, progress)
    kept = {prepared.layout.groups[g].name for g in shared}
    labels["effect_names"] = {name: e for name, e in labels["effect_names"].items() if name in kept}
    adjusted = KenwardRoger(**out.pop("kr")) if kr else None
    return Fit(**labels, **out, kr=adjusted)


def _prepare(design: Design, reml: bool) -> tuple[Prepared, list[list]]:
    """The model with its groups as the formula has them, and each group's random terms."""
    _require_plain(design)
    names = list(dict.fromkeys(term.group for term in design.random))
    of = {name: [i for i, term in enumerate(design.random) if term.group == name] for name in names}
    terms = [[design.random[i] for i in of[name]] for name in names]
    effects = [effect_of(term) for own in terms for term in own]
    model = Model(tuple(effects), beta="integrated" if reml else "profiled")
    layout = _layout(design, reml, effects, {t[0].group: len(t[0].levels) for t in terms})
    index = tuple(t[0].index for t in terms)
    columns = tuple(np.concatenate([term.Z for term in t], axis=1) for t in terms)
    ones = tuple(np.ones(z.shape[1]) for z in columns)
    levels = tuple(t[0].levels for t in terms)
    theta_scale = np.ones(layout.n_theta)
    builder: Any = None  # cross-products come from `design.ragged.gram`
    prepared = Prepared(model, layout, builder, tuple(effects), theta_scale, index, columns, ones, levels)
    return prepared, terms


def _require_plain(design: Design) -> None:
    """Independent rows, and random effects whose levels do not know of each other."""
    if design.residual is not None or any(term.within is not None for term in design.random):
        message = "Features with their own rows take no residual structure, spline or known covariance"
        remedy = "Use terms such as (1 | run) and (1 + dose | run)."
        raise MixflowError(Problem(message, column="formula", value=design.terms.text, remedy=remedy))


def _layout(design: Design, reml: bool, effects: list[RandomEffect], n_levels: dict[str, int]) -> Layout:
    groups = tuple(
        GroupBlock(name, n, tuple(e.within for e in effects if e.group == name))
        for name, n in n_levels.items()
    )
    return Layout(groups, len(design.coef_names), reml, block=BLOCK)


def _shared(data: Ragged, prepared: Prepared) -> tuple[int, ...]:
    """Groups of which a dense table of features x levels would be filled to a good part."""
    n = len(data.segments.ids)
    full = [
        len(g.seen_level) / (n * len(names)) for g, names in zip(data.groups, prepared.levels, strict=True)
    ]
    return tuple(g for g, share in enumerate(full) if share >= SHARED)


def bucket(n_levels: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Order of the groups, the one with most levels first (ties as written), and their padded sizes.

    The first leads the arrow: its cost is linear, so powers of two do; the corner's steps are finer.
    """
    order = tuple(int(g) for g in np.argsort(-n_levels, kind="stable"))
    sizes = [_corner_size(int(n_levels[g])) for g in order]
    if sizes:
        sizes[0] = int(2 ** np.ceil(np.log2(max(int(n_levels[order[0]]), LEAD))))
    return order, tuple(sizes)


def _corner_size(n: int) -> int:
    return int(CORNER[np.searchsorted(CORNER, n)]) if n <= CORNER[-1] else -(-n // 16) * 16


def _fit_buckets(
    design: Design,
    prepared: Prepared,
    data: Ragged,
    out: dict,
    shared: tuple[int, ...],
    progress: Callable[[int, int], None] | None,
) -> None:
    """Fill ``out`` bucket by bucket."""
    ids, n_levels = data.segments.ids, data.n_levels
    out["n_obs"][ids], out["rank"][ids], out["n_levels"][ids] = data.segments.n_obs, data.rank, n_levels
    status = screen(data, prepared)
    out["status"][ids] = status
    buckets: dict[tuple, list[int]] = {}
    run = np.flatnonzero(status == Status.NOT_RUN)
    sizes, place = np.unique(n_levels[run], axis=0, return_inverse=True)
    own = [bucket(size) for size in sizes]
    for i, at in zip(run.tolist(), place.reshape(-1).tolist(), strict=True):
        buckets.setdefault(own[at], []).append(i)
    done = len(out["status"]) - sum(map(len, buckets.values()))
    for (order, sizes), members in sorted(buckets.items()):
        _fit_bucket(design, prepared, data, out, shared, order, sizes, np.array(members))
        done += len(members)
        if progress:
            progress(done, len(out["status"]))


def _fit_bucket(
    design: Design,
    prepared: Prepared,
    data: Ragged,
    out: dict,
    shared: tuple[int, ...],
    order: tuple[int, ...],
    sizes: tuple[int, ...],
    members: np.ndarray,
) -> None:
    """Optimise the features of one layout, as `fitting` does those of one design."""
    own = _padded(prepared, order, sizes, data, members)
    arrays = gram(data, own.layout, order, members)
    products = Gram(arrays.blocks, arrays.border, arrays.corner, arrays.dof)
    state, ending = optimum_of(own.layout, products, arrays.flat)
    # The kernels' coordinates are each feature's own orthonormal columns: as if R were the identity.
    orthonormal = replace(design, R=np.eye(len(design.coef_names)))
    found = estimates(orthonormal, own, products, arrays, _observed(data, members), state, bool(shared))
    parts = replace(components(prepared), moments=_moments(prepared, data, members))
    found = to_user(found, prepared, own, data, members)
    found = found._replace(**_modes(found, prepared, own, data, members, shared, parts))
    ids = data.segments.ids[members]
    fill_arrays(out, ids, found, parts, state.iterations, ending)
    if "kr" in out:
        unit = replace(own, column_scale=tuple(np.ones(g.size) for g in own.layout.groups))
        seen = _observed(data, members)
        blocks = kenward_roger.kenward_roger(orthonormal, unit, products, seen, state.theta, found.sigma)
        blocks = kr_to_user(blocks, prepared, own, data, members)
        fill_rows(out["kr"], ids, blocks, np.isfinite(out["sigma"][ids]))


def _padded(
    prepared: Prepared, order: tuple[int, ...], sizes: tuple[int, ...], data: Ragged, members: np.ndarray
) -> Prepared:
    """The model with its groups in another order and of other sizes; columns scaled feature by feature."""
    groups = prepared.layout.groups
    layout = replace(
        prepared.layout,
        groups=tuple(replace(groups[g], n_levels=n) for g, n in zip(order, sizes, strict=True)),
    )
    effects = tuple(e for g in order for e in prepared.effects if e.group == groups[g].name)
    scale = tuple(data.groups[g].scale[members, None, :] for g in order)
    return replace(prepared, layout=layout, effects=effects, column_scale=scale)


def _observed(data: Ragged, members: np.ndarray) -> Observed:
    """Counts and ranks; what a feature cannot estimate is told by its own R (`to_user`)."""
    rank, n_obs = data.rank[members], data.segments.n_obs[members]
    none, zero = np.zeros((len(members), 0)), np.zeros(len(members))
    return Observed(none, n_obs, rank, zero.astype(bool), {}, zero, data.log_weight[members])


def _moments(prepared: Prepared, data: Ragged, members: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean of z_a z_b in each feature's rows, for each random effect. (N, k, k) each."""
    found = []
    for group, levels in zip(prepared.layout.groups, data.groups, strict=True):
        first = 0
        for effect in group.effects:
            part = slice(first, first + effect.size)
            found.append(levels.moment[members, part, part])
            first = part.stop
    return tuple(found)


def to_user(
    found: Estimates, prepared: Prepared, own: Prepared, data: Ragged, members: np.ndarray
) -> Estimates:
    """From a feature's own orthonormal columns, scaled z and order of groups to the formula's coordinates.

    X = Q R, so beta = R^-1 gamma on the columns kept; the columns of R^-1 of dependent ones span what the
    feature's rows cannot see.
    """
    r, kept = data.r[members], data.kept[members]
    inverse = np.linalg.inv(r)
    back = np.where(kept[:, None, :], inverse, 0.0)
    turned = np.swapaxes(back, 1, 2)
    length = np.linalg.norm(r, axis=1)
    null = np.where(kept[:, None, :], 0.0, inverse)
    null[np.abs(null) * length[:, :, None] < NULL * length[:, None, :]] = 0.0
    place = _place_of_theta(prepared, own)
    scale = _theta_scale(prepared, data, members)
    units = np.concatenate([scale, np.ones((len(members), 1))], axis=1)
    par = np.concatenate([place, [len(place)]])
    cov = found.par_cov[:, par][:, :, par] / units[:, :, None] / units[:, None, :]
    return found._replace(
        solution=(back @ found.solution[:, :, None])[:, :, 0],
        beta_cov=back @ found.beta_cov @ turned,
        beta_cov_deriv=back[:, None]
        @ found.beta_cov_deriv[:, par]
        @ turned[:, None]
        * units[:, :, None, None],
        par_cov=cov,
        null_space=null,
        theta=found.theta[:, place] / scale,
    )


def kr_to_user(
    blocks: dict[str, np.ndarray], prepared: Prepared, own: Prepared, data: Ragged, members: np.ndarray
) -> dict[str, np.ndarray]:
    """The same change of coordinates for Kenward and Roger's blocks: P = X' dV^-1 X goes with R, not R^-1."""
    r, kept = data.r[members], data.kept[members]
    back = np.where(kept[:, None, :], np.linalg.inv(r), 0.0)
    front = np.where(kept[:, :, None], r, 0.0)
    scales, sizes, at = {}, {}, 0
    for key, effect, scale in _columns(prepared, data, members):
        scales[key] = np.array([natural_scaling(effect, row)[0] for row in scale]).reshape(len(members), -1)
    for key in _keys(own.layout):
        sizes[key] = np.arange(at, at + scales[key].shape[1])
        at += scales[key].shape[1]
    keys = _keys(prepared.layout)
    place = np.concatenate([*(sizes[key] for key in keys), [at]]).astype(int)
    u = np.concatenate([*(scales[key] for key in keys), np.ones((len(members), 1))], axis=1)
    P = np.swapaxes(front, 1, 2)[:, None] @ blocks["P"][:, place] @ front[:, None]
    return {
        "cov": back @ blocks["cov"] @ np.swapaxes(back, 1, 2),
        "P": P * u[:, :, None, None],
        "W": blocks["W"][:, place][:, :, place] / u[:, :, None] / u[:, None, :],
    }


def _place_of_theta(prepared: Prepared, own: Prepared) -> np.ndarray:
    """Where the bucket's layout has each parameter of the formula's order. (q,)."""
    parts = {(group.name, i): part for group, i, part in _numbered(own.layout)}
    places = [np.arange(parts[key].start, parts[key].stop) for key in _keys(prepared.layout)]
    return np.concatenate(places) if places else np.zeros(0, dtype=int)


def _keys(layout: Layout) -> list[tuple[str, int]]:
    return [(group.name, i) for group, i, _ in _numbered(layout)]


def _numbered(layout: Layout) -> list[tuple[GroupBlock, int, slice]]:
    """The structures of a layout with their number within the group."""
    count: dict[str, int] = {}
    found = []
    for group, _, part in layout.slices:
        count[group.name] = count.get(group.name, -1) + 1
        found.append((group, count[group.name], part))
    return found


def _theta_scale(prepared: Prepared, data: Ragged, members: np.ndarray) -> np.ndarray:
    """t with theta = theta' / t, feature by feature, from the scales of the columns of z. (N, q)."""
    parts = [np.zeros((len(members), 0))]
    for _, effect, scale in _columns(prepared, data, members):
        rows, place = np.unique(scale, axis=0, return_inverse=True)
        own = np.array([effect.scaling(row) for row in rows]).reshape(len(rows), -1)
        parts.append(own[place.reshape(-1)])
    return np.concatenate(parts, axis=1)


def _columns(
    prepared: Prepared, data: Ragged, members: np.ndarray
) -> list[tuple[tuple[str, int], Covariance, np.ndarray]]:
    """Each structure with its key and the scales (N, k) of its columns in these features."""
    found, first, last = [], 0, ""
    place = {group.name: g for g, group in enumerate(prepared.layout.groups)}
    for group, i, _ in _numbered(prepared.layout):
        first, effect = (first if group.name == last else 0), group.effects[i]
        scale = data.groups[place[group.name]].scale[members, first : first + effect.size]
        found.append(((group.name, i), effect, scale))
        first, last = first + effect.size, group.name
    return found


def _modes(
    found: Estimates,
    prepared: Prepared,
    own: Prepared,
    data: Ragged,
    members: np.ndarray,
    shared: tuple[int, ...],
    parts: Components,
) -> dict[str, dict[str, np.ndarray]]:
    """Modes of the shared groups at the levels of the design; one that the feature lacks has 0 and its sd."""
    place = np.full(len(data.segments.ids), -1)
    place[members] = np.arange(len(members))
    variances = dict(zip(_keys(prepared.layout), parts.matrices(found.theta, found.sigma), strict=True))
    modes, sds = {}, {}
    for g in shared:
        group, levels = prepared.layout.groups[g], data.groups[g]
        own_size = next(b.n_levels for b in own.layout.groups if b.name == group.name)
        shape = (len(members), len(prepared.levels[g]), group.size)
        diagonal = [
            np.diagonal(variances[group.name, i], axis1=1, axis2=2) for i in range(len(group.effects))
        ]
        sd = np.broadcast_to(np.sqrt(np.concatenate(diagonal, axis=1))[:, None, :], shape).copy()
        mode = np.zeros(shape)
        first = np.cumsum(levels.n_levels) - levels.n_levels
        pair = np.flatnonzero(place[levels.seen_feature] >= 0)
        slot, level = place[levels.seen_feature[pair]], levels.seen_level[pair]
        local = pair - first[levels.seen_feature[pair]]
        local_shape = (len(members), own_size, group.size)
        mode[slot, level] = found.modes[group.name].reshape(local_shape)[slot, local]
        sd[slot, level] = found.mode_sds[group.name].reshape(local_shape)[slot, local]
        modes[group.name] = mode.reshape(len(members), -1)
        sds[group.name] = sd.reshape(len(members), -1)
    return {"modes": modes, "mode_sds": sds}
