"""The shape of the block arrow of a model: the static argument of every compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixflow.covariance import Covariance, Residual


@dataclass(frozen=True)
class GroupBlock:
    """One grouping factor: its levels, and the covariance structures of its effects side by side.

    ``(x || g)`` has two structures in one group, so that they share the blocks of the arrow.
    """

    name: str
    n_levels: int
    effects: tuple[Covariance, ...]

    @cached_property
    def size(self) -> int:
        """k: random effects of one level."""
        return sum(effect.size for effect in self.effects)

    @cached_property
    def n_params(self) -> int:
        return sum(effect.n_params for effect in self.effects)


@dataclass(frozen=True)
class Layout:
    """Groups with most levels first (the first is the arrow's block-diagonal part), coefficients, REML.

    ``residual``: the residual covariance where it hangs on theta (its parameters come last). ``leads``:
    whether the first group leads the arrow; not where units of correlated rows span its levels. ``block``:
    most features that a kernel takes at once.
    """

    groups: tuple[GroupBlock, ...]
    n_coef: int
    reml: bool
    residual: Residual | None = None
    leads: bool = True
    block: int = 128

    @cached_property
    def n_random(self) -> int:
        """Parameters of the random effects, the first of theta."""
        return sum(group.n_params for group in self.groups)

    @cached_property
    def residual_part(self) -> slice:
        """The residual covariance's part of theta."""
        return slice(self.n_random, self.n_theta)

    @cached_property
    def n_theta(self) -> int:
        return self.n_random + (self.residual.n_params if self.residual else 0)

    @cached_property
    def corner_groups(self) -> tuple[GroupBlock, ...]:
        """All groups but the one that leads."""
        return self.groups[1:] if self.leads else self.groups

    @cached_property
    def n_corner_effects(self) -> int:
        """C: random effects in the corner (all groups but the first)."""
        return sum(group.n_levels * group.size for group in self.corner_groups)

    @cached_property
    def corner(self) -> int:
        """m: corner random effects, coefficients and the response."""
        return self.n_corner_effects + self.n_coef + 1

    @cached_property
    def n_leading(self) -> int:
        return self.groups[0].n_levels if self.groups and self.leads else 0

    @cached_property
    def k_leading(self) -> int:
        return self.groups[0].size if self.groups and self.leads else 1

    @cached_property
    def start(self) -> np.ndarray:
        parts = [effect.start() for group in self.groups for effect in group.effects]
        return np.concatenate([*parts, self.residual.start if self.residual else np.zeros(0)])

    @cached_property
    def boundary(self) -> np.ndarray:
        parts = [effect.boundary for group in self.groups for effect in group.effects]
        return np.concatenate([*parts, np.zeros(self.n_theta - self.n_random, dtype=bool)])

    @cached_property
    def even(self) -> np.ndarray:
        """Parameters in which the objective is even, all others held. Bool (n_theta,)."""
        parts = [effect.even for group in self.groups for effect in group.effects]
        return np.concatenate([*parts, self.residual.even if self.residual else np.zeros(0, dtype=bool)])

    @cached_property
    def hangs_on(self) -> np.ndarray:
        """For each parameter the one whose zero makes it meaningless, or -1. Int (n_theta,)."""
        out = np.full(self.n_theta, -1)
        for _, effect, part in self.slices:
            out[part] = np.where(effect.hangs_on >= 0, effect.hangs_on + part.start, -1)
        return out

    @cached_property
    def slices(self) -> tuple[tuple[GroupBlock, Covariance, slice], ...]:
        """Each structure with its part of theta."""
        found, first = [], 0
        for group in self.groups:
            for effect in group.effects:
                found.append((group, effect, slice(first, first + effect.n_params)))
                first += effect.n_params
        return tuple(found)

    def canonical(self, theta: np.ndarray) -> np.ndarray:
        """The representative of each theta. (N, n_theta) -> (N, n_theta)."""
        out = theta.copy()
        for _, effect, part in self.slices:
            out[:, part] = effect.canonical(theta[:, part])
        if self.residual:
            out[:, self.residual_part] = self.residual.canonical(theta[:, self.residual_part])
        return out

    @cached_property
    def floats(self) -> int:
        """Numbers in one feature's Gram, and in what theta makes it of: its Grams by form, or its rows."""
        lead = self.n_leading * self.k_leading * (self.k_leading + self.corner)
        if self.residual is None:
            return lead + self.corner**2
        r = self.residual
        if r.combination is not None:
            return lead * r.combination.n_lead + self.corner * (self.corner + 1) // 2 * r.combination.n_forms
        rows = r.levels * r.units * r.rows * (self.k_leading + self.corner + r.rows + r.n_dispersion)
        return lead + self.corner**2 + rows
