"""From designs of the predictors to what a generalised model's kernels need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mixflow.backend import jax
from mixflow.design import Design, RandomColumns
from mixflow.design.generalised import (
    Place,
    Shape,
    Shared,
    columns_of,
    laid,
    laid_columns,
    membership,
    place_rows,
)
from mixflow.design.layout import GroupBlock, Layout
from mixflow.design.observed import Observed, observe
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family
from mixflow.likelihood.generalised import Sample
from mixflow.likelihood.quadrature import MOST_POINTS
from mixflow.model import RandomEffect
from mixflow.optimise.prepare import groups_of, theta_scales


@dataclass(frozen=True, eq=False)
class Generalised:
    """A generalised model met with its designs; ``designs`` in the order of the family's predictors.

    ``effects`` in theta's order; ``theta_scale`` t with theta = theta' / t; by group of the layout ``index``
    (n,), ``columns`` (n, k) as the user knows them, their scale (k,) and the levels.
    """

    shape: Shape
    shared: Shared
    place: Place
    designs: tuple[Design, ...]
    effects: tuple[RandomEffect, ...]
    theta_scale: np.ndarray
    index: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    column_scale: tuple[np.ndarray, ...]
    levels: tuple[tuple[str, ...], ...]

    @property
    def family(self) -> Family:
        return self.shape.family

    @property
    def layout(self) -> Layout:
        return self.shape.layout

    @property
    def builder(self) -> None:
        """No Gram is built: `components` asks for it where residuals have a dispersion."""


def prepare(
    designs: Mapping[str, Design], family: Family, nodes: int = 1, restricted: bool = False
) -> Generalised:
    """Lay out rows and columns. ``designs`` by the names of the family's predictors, all of the same rows."""
    own = tuple(designs[p.name] for p in family.predictors)
    terms, predictor = _merged(family, own)
    _refuse(own)
    groups, _ = groups_of(replace(own[0], random=tuple(terms), residual=None))
    blocks = tuple(GroupBlock(g.name, g.n_levels, tuple(e.within for e in g.effects)) for g in groups)
    layout = Layout(blocks, -1, False)
    _check_nodes(layout, nodes)
    of = [tuple(predictor[id(t)] for t in g.terms for _ in t.terms) for g in groups]
    n = len(own[0].X)
    level = groups[0].index if groups else np.zeros(n, dtype=int)
    place = place_rows(level, layout.n_leading or 1)
    lead = groups[0].scaled if groups else np.zeros((n, 0))
    dense = [_dense(g.index, g.scaled, g.n_levels) for g in groups[1:]]
    corner = np.concatenate([np.zeros((n, 0)), *dense], axis=1)
    corner_of = tuple(j for g, cols in zip(groups[1:], of[1:], strict=True) for j in cols * g.n_levels)
    x = tuple(d.Q * np.sqrt(n) for d in own)
    lead_of = of[0] if groups else ()
    coefs = tuple(a.shape[1] for a in x)
    shape = Shape(
        family, layout, coefs, lead_of, corner_of, place.row.shape, nodes, restricted, single=_single(own, x)
    )
    joint = np.concatenate([corner, x[0]], axis=1)
    shared = Shared(
        tuple(laid_columns(a, place) for a in x),
        tuple(laid(d.offset, place) for d in own),
        columns_of(lead, lead_of, corner, corner_of, place),
        columns_of(lead, lead_of, joint, (*corner_of, *[0] * x[0].shape[1]), place),
        place.level,
        membership(place, layout.n_leading) if groups else (),
    )
    return Generalised(
        shape,
        jax.tree.map(jax.numpy.asarray, shared),
        place,
        own,
        tuple(effect for g in groups for effect in g.effects),
        theta_scales(layout, tuple(g.scale for g in groups)),
        tuple(np.asarray(g.terms[0].index) for g in groups),
        tuple(np.concatenate([t.Z for t in g.terms], axis=1) for g in groups),
        tuple(g.scale for g in groups),
        tuple(g.terms[0].levels for g in groups),
    )


def samples(prepared: Generalised, y: np.ndarray, weight: np.ndarray, observed: list[Observed]) -> Sample:
    """Every feature's own arrays. ``y`` (N, n, c), ``weight`` (N, n) with 0 where not observed."""
    place, family = prepared.place, prepared.family
    filler = np.array(family.filler)
    y = np.where((weight > 0)[..., None], y, filler)
    rows = np.moveaxis(laid(np.moveaxis(y, -1, 0), place), 0, -1)
    rows = np.where((place.row < 0)[..., None], filler, rows)
    turns = []
    for seen, p in zip(observed, prepared.shape.coefs, strict=True):
        turn = np.tile(np.eye(p), (len(y), 1, 1))
        for i, v in seen.basis.items():
            turn[i] = v
            turn[i, :, seen.rank[i] :] = 0.0
        turns.append(turn)
    laid_weight = laid(weight, place)
    constant = np.asarray(_constants(family, rows, laid_weight))
    return Sample(rows, laid_weight, tuple(turns), constant)


@partial(jax.jit, static_argnums=0)
def _constants(family: Family, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Sums over rows of what the log densities have of y alone. (N, S, r, c), (N, S, r) -> (N,)."""
    return (weight * jax.vmap(jax.vmap(jax.vmap(family.constant)))(y)).sum(axis=(1, 2))


def _single(designs: tuple[Design, ...], columns: tuple[np.ndarray, ...]) -> tuple[int, ...]:
    """Predictors after the first that are an intercept alone."""
    plain = [
        x.shape[1] == 1 and np.ptp(x) == 0 and not (d.offset.any() or d.random)
        for d, x in zip(designs, columns, strict=True)
    ]
    return tuple(j for j in range(1, len(plain)) if plain[j])


def observe_all(prepared: Generalised, y: np.ndarray, weight: np.ndarray) -> list[Observed]:
    """Rank and estimability of each predictor's X by feature; rows of weight 0 are not there."""
    values = np.where(weight > 0, 0.0, np.nan)
    return [observe(values, d.Q, d.R, weight) for d in prepared.designs]


def _merged(family: Family, designs: tuple[Design, ...]) -> tuple[list[RandomColumns], dict[int, int]]:
    """Random terms of all predictors; those beside mu carry their predictor's name in their terms."""
    terms, predictor = [], {}
    for j, (p, design) in enumerate(zip(family.predictors, designs, strict=True)):
        for term in design.random:
            named = term if j == 0 else replace(term, terms=tuple(f"{p.name} {t}" for t in term.terms))
            terms.append(named)
            predictor[id(named)] = j
    return terms, predictor


def _check_nodes(layout: Layout, nodes: int) -> None:
    if nodes > 1 and len(layout.groups) > 1:
        remedy = "Use nagq=1 (Laplace), or one grouping factor."
        raise MixflowError(Problem("Quadrature takes one grouping factor", value=nodes, remedy=remedy))
    points = nodes**layout.k_leading
    if nodes > 1 and points > MOST_POINTS:
        most = int(MOST_POINTS ** (1 / layout.k_leading) + 1e-9)
        message = f"{layout.k_leading} effects a level with {nodes} points each are a grid of {points} points"
        remedy = f"Use nagq of {most} or less." if most > 1 else "Use nagq=1 (Laplace)."
        raise MixflowError(Problem(message, column="nagq", value=nodes, remedy=remedy))


def _refuse(designs: tuple[Design, ...]) -> None:
    if any(design.residual is not None for design in designs):
        remedy = "Leave `residual` out: a generalised model has no residual covariance."
        raise MixflowError(Problem("Residual structures are for Gaussian models", remedy=remedy))


def _dense(index: np.ndarray, z: np.ndarray, n_levels: int) -> np.ndarray:
    """Columns of a group's random effects, level by level. (n, n_levels k)."""
    member = np.equal.outer(index, np.arange(n_levels)).astype(float)
    return (member[:, :, None] * z[:, None, :]).reshape(len(index), -1)
