"""From a design to what the kernels need: the layout of its arrow, and columns on a common scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mixflow.covariance import STRUCTURES, Known, Residual
from mixflow.design import Design, RandomColumns
from mixflow.design.forms import FormBuilder
from mixflow.design.gram import GramBuilder
from mixflow.design.layout import GroupBlock, Layout
from mixflow.design.rows import RowBuilder, lay_out, nests
from mixflow.model import Model, RandomEffect
from mixflow.optimise import by_forms, large
from mixflow.optimise.large import LargeBuilder

Builder = GramBuilder | FormBuilder | RowBuilder | LargeBuilder


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model met with a design: ``effects`` in theta's order, ``theta_scale`` t with theta = theta' / t.

    ``index`` and ``columns`` hold, for each group of the layout, its level numbers (n,) and columns (n, k) as
    the user knows them; the kernels see the columns divided by their root mean square.
    """

    model: Model
    layout: Layout
    builder: Builder
    effects: tuple[RandomEffect, ...]
    theta_scale: np.ndarray
    index: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    column_scale: tuple[np.ndarray, ...]
    levels: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class _Group:
    """Random terms of one grouping factor: as the user has them, as the kernels see them, their effects."""

    name: str
    terms: list[RandomColumns]
    seen: list[RandomColumns]
    effects: list[RandomEffect]

    @property
    def index(self) -> np.ndarray:
        return np.asarray(self.seen[0].index)

    @property
    def n_levels(self) -> int:
        return len(self.seen[0].levels)

    @property
    def scale(self) -> np.ndarray:
        """What the kernels divide the columns by. (k,)."""
        parts = zip(self.effects, self.seen, strict=True)
        return np.concatenate([e.within.scales(_root_mean_square(term.Z)) for e, term in parts])

    @property
    def scaled(self) -> np.ndarray:
        """The columns as the kernels see them. (n, k)."""
        return np.concatenate([term.Z for term in self.seen], axis=1) / self.scale


def prepare(design: Design, reml: bool, known_sigma: bool = False) -> Prepared:
    """The layout, the builder of what the kernels see, and what leads back to the user's coordinates."""
    groups, leads = groups_of(design)
    blocks = tuple(GroupBlock(g.name, g.n_levels, tuple(e.within for e in g.effects)) for g in groups)
    place = _place(design, groups[0].index if leads and groups else None)
    layout = Layout(blocks, len(design.coef_names), reml, _residual(design, place), leads)
    lead = groups[0].scaled if layout.n_leading else None
    layout = by_forms.layout(layout, design, lead, place, _spread(design)[0])
    residual = layout.residual
    scales = tuple(g.scale for g in groups)
    effects = tuple(effect for g in groups for effect in g.effects)
    return Prepared(
        Model(
            effects,
            residual=residual,
            beta="integrated" if reml else "profiled",
            sigma="fixed" if known_sigma else "profiled",
        ),
        layout,
        _builder(design, layout, [(g.index, g.scaled) for g in groups], place, known_sigma),
        effects,
        np.concatenate([theta_scales(layout, scales), _spread(design)[1]]),
        tuple(np.asarray(g.terms[0].index) for g in groups),
        tuple(np.concatenate([term.Z for term in g.terms], axis=1) for g in groups),
        scales,
        tuple(g.terms[0].levels for g in groups),
    )


def groups_of(design: Design) -> tuple[list[_Group], bool]:
    """Groups with most levels first (ties as written, as lme4), terms of one side by side; whether one leads.

    With correlated residuals the first group must hold whole units; where none does, no group leads.
    """
    own = design.residual if design.residual and design.residual.correlation else None
    groups = []
    for name in dict.fromkeys(term.group for term in design.random):
        terms = [term for term in design.random if term.group == name]
        groups.append(_Group(name, terms, [as_one_level(t) for t in terms], [effect_of(t) for t in terms]))
    spans = {g.name: own is not None and not nests(own.unit, g.index) for g in groups}
    groups.sort(key=lambda g: (spans[g.name], -g.n_levels))
    return groups, not (groups and spans[groups[0].name])


def _builder(
    design: Design,
    layout: Layout,
    groups: list[tuple[np.ndarray, np.ndarray]],
    place: np.ndarray,
    known_sigma: bool,
) -> Builder:
    """Cross-products once, of each form where theta weighs few; else rows; sparse for one big outcome."""
    if design.residual is not None:
        where, spread = design.residual.where, _spread(design)[0]
        return by_forms.builder(RowBuilder.of(layout, design.Q, groups, place, where, spread), groups)
    if large.applies(layout) and not known_sigma:
        return LargeBuilder.of(layout, design.Q, groups)
    return GramBuilder.of(layout, design.Q, groups)


def as_one_level(term: RandomColumns) -> RandomColumns:
    """The term as the kernels see it: levels that know of each other are the columns of one level."""
    if not isinstance(term.within, Known):
        return term
    marks = np.equal.outer(term.index, np.arange(len(term.levels))).astype(float)
    return replace(term, levels=("",), index=np.zeros_like(term.index), Z=marks)


def effect_of(term: RandomColumns) -> RandomEffect:
    """The random effect of a term, with its covariance."""
    return RandomEffect(term.group, term.terms, term.within or STRUCTURES[term.covariance](len(term.terms)))


def _place(design: Design, level: np.ndarray | None) -> np.ndarray:
    """Where each row lies: its unit in the level of the leading group; one unit a level if independent."""
    own, n = design.residual, len(design.X)
    if own is None:
        return np.zeros((0, 0, 0), dtype=int)
    level = np.zeros(n, dtype=int) if level is None else level
    return lay_out(level if own.correlation is None else own.unit, level, own.where)


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


def theta_scales(layout: Layout, scales: tuple[np.ndarray, ...]) -> np.ndarray:
    """What divides each parameter of theta where the columns were divided by ``scales``. (n_theta,)."""
    parts = [np.zeros(0)]
    for group, scale in zip(layout.groups, scales, strict=True):
        first = 0
        for effect in group.effects:
            parts.append(effect.scaling(scale[first : first + effect.size]))
            first += effect.size
    return np.concatenate(parts)
