"""From a design to what the kernels need: the layout of its arrow, and columns on a common scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixflow.covariance import STRUCTURES, Known, Residual
from mixflow.design import Design, RandomColumns
from mixflow.design.gram import GramBuilder
from mixflow.design.layout import GroupBlock, Layout
from mixflow.design.rows import RowBuilder, lay_out, nests
from mixflow.model import Model, RandomEffect
from mixflow.optimise import large
from mixflow.optimise.large import LargeBuilder


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model met with a design: ``effects`` in theta's order, ``theta_scale`` t with theta = theta' / t.

    ``index`` and ``columns`` hold, for each group of the layout, its level numbers (n,) and columns (n, k) as
    the user knows them; the kernels see the columns divided by their root mean square.
    """

    model: Model
    layout: Layout
    builder: GramBuilder | RowBuilder | LargeBuilder
    effects: tuple[RandomEffect, ...]
    theta_scale: np.ndarray
    index: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    column_scale: tuple[np.ndarray, ...]
    levels: tuple[tuple[str, ...], ...]


def prepare(design: Design, reml: bool, known_sigma: bool = False) -> Prepared:
    """Groups with most levels first (ties as written, as lme4), terms of one group side by side.

    With correlated residuals the first group must hold whole units; where none does, no group leads.
    """
    names = list(dict.fromkeys(term.group for term in design.random))
    of = {name: [i for i, term in enumerate(design.random) if term.group == name] for name in names}
    own = design.residual if design.residual and design.residual.correlation else None
    random = [as_one_level(term) for term in design.random]
    first = {name: random[of[name][0]] for name in names}
    spans = {name: own is not None and not nests(own.unit, first[name].index) for name in names}
    names.sort(key=lambda name: (spans[name], -len(first[name].levels)))
    leads = not (names and spans[names[0]])
    order = [i for name in names for i in of[name]]
    effects = {i: _effect(term) for i, term in enumerate(design.random)}
    columns = tuple(np.concatenate([design.random[i].Z for i in of[name]], axis=1) for name in names)
    scales = tuple(
        np.concatenate([effects[i].within.scales(_root_mean_square(random[i].Z)) for i in of[name]])
        for name in names
    )
    index = tuple(np.asarray(first[name].index) for name in names)
    groups = tuple(
        GroupBlock(name, len(first[name].levels), tuple(effects[i].within for i in of[name]))
        for name in names
    )
    place = _place(design, index[0] if leads and names else None)
    residual = _residual(design, place)
    layout = Layout(groups, len(design.coef_names), reml, residual, leads)
    kernel = [np.concatenate([random[i].Z for i in of[name]], axis=1) for name in names]
    scaled = [(i, z / s) for i, z, s in zip(index, kernel, scales, strict=True)]
    spread, spread_scale = _spread(design)
    builder: GramBuilder | RowBuilder | LargeBuilder
    if large.applies(layout) and not known_sigma:
        builder = LargeBuilder.of(layout, design.Q, scaled)
    elif design.residual is None:
        builder = GramBuilder.of(layout, design.Q, scaled)
    else:
        builder = RowBuilder.of(layout, design.Q, scaled, place, design.residual.where, spread)
    return Prepared(
        Model(
            tuple(effects.values()),
            residual=residual,
            beta="integrated" if reml else "profiled",
            sigma="fixed" if known_sigma else "profiled",
        ),
        layout,
        builder,
        tuple(effects[i] for i in order),
        np.concatenate([_theta_scale(layout, scales), spread_scale]),
        tuple(np.asarray(design.random[of[name][0]].index) for name in names),
        columns,
        scales,
        tuple(design.random[of[name][0]].levels for name in names),
    )


def as_one_level(term: RandomColumns) -> RandomColumns:
    """The term as the kernels see it: levels that know of each other are the columns of one level."""
    if not isinstance(term.within, Known):
        return term
    marks = np.equal.outer(term.index, np.arange(len(term.levels))).astype(float)
    return replace(term, levels=("",), index=np.zeros_like(term.index), Z=marks)


def _effect(term: RandomColumns) -> RandomEffect:
    return RandomEffect(term.group, term.terms, term.within or STRUCTURES[term.covariance](len(term.terms)))


def _place(design: Design, level: np.ndarray | None) -> np.ndarray:
    """Where each row lies: its unit within the level of the leading group; one unit a level if independent."""
    n = len(design.X)
    level = np.zeros(n, dtype=int) if level is None else level
    own = design.residual
    unit = level if own is None or own.correlation is None else own.unit
    return lay_out(unit, level, np.zeros(n) if own is None else own.where)


def _residual(design: Design, place: np.ndarray) -> Residual | None:
    own = design.residual
    return None if own is None else Residual(own.correlation, own.dispersion.shape[1], *place.shape)


def _spread(design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the dispersion over their root mean square, and the scale of the residual side's theta."""
    own = design.residual
    if own is None:
        return np.zeros((len(design.X), 0)), np.zeros(0)
    scale = _root_mean_square(own.dispersion)
    n_correlation = own.correlation.n_params if own.correlation else 0
    return own.dispersion / scale, np.concatenate([np.ones(n_correlation), scale])


def _root_mean_square(z: np.ndarray) -> np.ndarray:
    scale = np.sqrt((z**2).mean(axis=0))
    return np.where(scale > 0, scale, 1.0)


def _theta_scale(layout: Layout, scales: tuple[np.ndarray, ...]) -> np.ndarray:
    parts = [np.zeros(0)]
    for group, scale in zip(layout.groups, scales, strict=True):
        first = 0
        for effect in group.effects:
            parts.append(effect.scaling(scale[first : first + effect.size]))
            first += effect.size
    return np.concatenate(parts)
