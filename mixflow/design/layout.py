"""The shape of the block arrow of a model: the static argument of every compiled kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mixflow.covariance import Covariance


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
    """Groups with most levels first (the first is the arrow's block-diagonal part), coefficients, REML."""

    groups: tuple[GroupBlock, ...]
    n_coef: int
    reml: bool

    @cached_property
    def n_theta(self) -> int:
        return sum(group.n_params for group in self.groups)

    @cached_property
    def n_corner_effects(self) -> int:
        """C: random effects in the corner (all groups but the first)."""
        return sum(group.n_levels * group.size for group in self.groups[1:])

    @cached_property
    def corner(self) -> int:
        """m: corner random effects, coefficients and the response."""
        return self.n_corner_effects + self.n_coef + 1

    @cached_property
    def n_leading(self) -> int:
        return self.groups[0].n_levels if self.groups else 0

    @cached_property
    def k_leading(self) -> int:
        return self.groups[0].size if self.groups else 1

    @cached_property
    def start(self) -> np.ndarray:
        parts = [effect.start() for group in self.groups for effect in group.effects]
        return np.concatenate(parts) if parts else np.zeros(0)

    @cached_property
    def boundary(self) -> np.ndarray:
        parts = [effect.boundary for group in self.groups for effect in group.effects]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

    @cached_property
    def even(self) -> np.ndarray:
        """Parameters in which the objective is even, all others held. Bool (n_theta,)."""
        parts = [effect.even for group in self.groups for effect in group.effects]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)

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
        return out

    @cached_property
    def floats(self) -> int:
        """Numbers in one feature's Gram."""
        lead = self.n_leading * self.k_leading * (self.k_leading + self.corner)
        return lead + self.corner**2
