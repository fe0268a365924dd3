"""From a design to what the kernels need: the layout of its arrow, and columns on a common scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.covariance import STRUCTURES, Identity
from mixflow.design import Design
from mixflow.design.gram import GramBuilder
from mixflow.design.layout import GroupBlock, Layout
from mixflow.errors import MixflowError, Problem
from mixflow.family import Gaussian
from mixflow.model import Model, RandomEffect


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model met with a design: ``effects`` in theta's order, ``theta_scale`` t with theta = theta' / t.

    ``index`` and ``columns`` hold, for each group of the layout, its level numbers (n,) and columns (n, k) as
    the user knows them; the kernels see the columns divided by their root mean square.
    """

    model: Model
    layout: Layout
    builder: GramBuilder
    effects: tuple[RandomEffect, ...]
    theta_scale: np.ndarray
    index: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    column_scale: tuple[np.ndarray, ...]
    levels: tuple[tuple[str, ...], ...]


def model_of(design: Design, reml: bool) -> Model:
    """The Gaussian model that the design's random terms describe."""
    effects = tuple(
        RandomEffect(term.group, term.terms, STRUCTURES[term.covariance](len(term.terms)))
        for term in design.random
    )
    return Model(effects, beta="integrated" if reml else "profiled")


def prepare(design: Design, reml: bool) -> Prepared:
    """Groups with most levels first (ties as written, as lme4), terms of one group side by side."""
    model = model_of(design, reml)
    require_supported(model)
    names = list(dict.fromkeys(term.group for term in design.random))
    of = {name: [i for i, term in enumerate(design.random) if term.group == name] for name in names}
    names.sort(key=lambda name: -len(design.random[of[name][0]].levels))
    order = [i for name in names for i in of[name]]
    columns = tuple(np.concatenate([design.random[i].Z for i in of[name]], axis=1) for name in names)
    scales = tuple(_root_mean_square(z) for z in columns)
    index = tuple(np.asarray(design.random[of[name][0]].index) for name in names)
    levels = tuple(design.random[of[name][0]].levels for name in names)
    groups = tuple(
        GroupBlock(name, len(level), tuple(model.random[i].within for i in of[name]))
        for name, level in zip(names, levels, strict=True)
    )
    layout = Layout(groups, len(design.coef_names), reml)
    scaled = [(i, z / s) for i, z, s in zip(index, columns, scales, strict=True)]
    return Prepared(
        model,
        layout,
        GramBuilder.of(layout, design.Q, scaled),
        tuple(model.random[i] for i in order),
        _theta_scale(layout, scales),
        index,
        columns,
        scales,
        levels,
    )


def require_supported(model: Model) -> None:
    """The engine so far: Gaussian, independent rows and levels, u integrated out exactly."""
    independent = all(isinstance(e.between, Identity) for e in model.random)
    if not (
        isinstance(model.family, Gaussian)
        and isinstance(model.residual, Identity)
        and independent
        and model.marginal == "exact"
    ):
        remedy = "Use the Gaussian family with independent residuals and independent levels."
        raise MixflowError(Problem("This model cannot be fitted yet", value=repr(model), remedy=remedy))


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
