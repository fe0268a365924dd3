"""Variance components from theta and sigma: absolute variances and covariances, and their shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.covariance import Covariance, Pooled, Structured
from mixflow.design.forms import FormBuilder
from mixflow.design.layout import Layout
from mixflow.design.observed import times
from mixflow.design.rows import RowBuilder
from mixflow.model import RandomEffect
from mixflow.optimise.prepare import Prepared


@dataclass(frozen=True, eq=False)
class Components:
    """Rows of the table of variance components: variances of a term, then its covariances; Residual last.

    ``moments``: for each random effect, the mean over rows of z_a z_b (k, k), or (N, k, k) by feature, which
    turns a covariance of slopes into a variance of the response. A structure with one variance for all
    columns has one row.
    """

    names: tuple[tuple[str, str, str], ...]
    layout: Layout
    effects: tuple[RandomEffect, ...]
    theta_scale: np.ndarray
    moments: tuple[np.ndarray, ...]
    dispersion: np.ndarray | None = None
    """(n, d) columns of the log-linear residual standard deviation, as the user knows them."""

    def matrices(self, theta: np.ndarray, sigma: np.ndarray) -> list[np.ndarray]:
        """Covariance matrix (N, k, k) of each random effect, in the user's units."""
        return [
            (theta[:, part, None][:, :1] ** 2 if _pooled(effect) else effect.matrix(theta[:, part]))
            * sigma[:, None, None] ** 2
            for _, effect, part in self.layout.slices
        ]

    def variance(self, theta: np.ndarray, sigma: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
        """Variance or covariance of each component (N, components); the residual's is sigma squared.

        ``given`` (N,): mean of the known residual variances of each feature's rows, where these are known.
        """
        columns = []
        for matrix in self.matrices(theta, sigma):
            k = matrix.shape[1]
            columns += [matrix[:, a, a] for a in range(k)]
            columns += [matrix[:, a, b] for a in range(k) for b in range(a + 1, k)]
        return np.column_stack([*columns, sigma**2 if given is None else given])

    def share(self, theta: np.ndarray, sigma: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
        """Share of each component in the variance of the response given the fixed effects; they sum to 1.

        A slope's variance counts with the mean square of its column; a covariance has a share too, which may
        be negative, so that the shares of a group's rows sum to the group's. The residual counts with its
        mean variance over rows, where a dispersion formula lets it differ from row to row, or where it is
        known (``given``): Johnson (2014), Methods Ecol. Evol. 5:944, eq. 10.
        """
        residual = (sigma**2 if given is None else given) * self._mean_residual(theta)
        columns, total = [], residual
        for matrix, moment in zip(self.matrices(theta, sigma), self.moments, strict=True):
            k = matrix.shape[1]
            columns += [matrix[:, a, a] * moment[..., a, a] for a in range(k)]
            columns += [2 * matrix[:, a, b] * moment[..., a, b] for a in range(k) for b in range(a + 1, k)]
            total = total + (matrix * moment).sum(axis=(1, 2))
        return np.column_stack([*columns, residual]) / total[:, None]

    def _mean_residual(self, theta: np.ndarray) -> np.ndarray:
        """Mean over rows of the residual variance over sigma squared. (N,)."""
        if self.dispersion is None:
            return np.ones(len(theta))
        own = theta[:, theta.shape[1] - self.dispersion.shape[1] :]
        return np.exp(2 * times(own, self.dispersion.T)).mean(axis=1)


def _pooled(effect: Covariance) -> bool:
    """Whether the first of its parameters is the standard deviation of all its columns."""
    return isinstance(effect, Pooled) or (isinstance(effect, Structured) and not effect.hetero)


def components(prepared: Prepared) -> Components:
    """The components of a prepared model."""
    names: list[tuple[str, str, str]] = []
    moments = []
    place = {group.name: g for g, group in enumerate(prepared.layout.groups)}
    used = dict.fromkeys(place, 0)
    for effect in prepared.effects:
        if isinstance(effect.within, Structured) and _pooled(effect.within):  # each row has one position
            names.append((effect.group, type(effect.within.correlation).__name__, ""))
            moments.append(np.ones((1, 1)))
            used[effect.group] += len(effect.terms)
            continue
        if isinstance(effect.within, Pooled):  # one variance; its scale is the root of a row's mean variance
            names.append((effect.group, effect.within.names(effect.terms)[0], ""))
            moments.append(prepared.column_scale[place[effect.group]][None, :1] ** 2)
            continue
        k, terms = len(effect.terms), effect.terms
        names += [(effect.group, term, "") for term in terms]
        names += [(effect.group, terms[a], terms[b]) for a in range(k) for b in range(a + 1, k)]
        first = used[effect.group]
        z = prepared.columns[place[effect.group]][:, first : first + k]
        used[effect.group] += k
        moments.append(z.T @ z / len(z))
    names.append(("Residual", "", ""))
    return Components(
        tuple(names),
        prepared.layout,
        prepared.effects,
        prepared.theta_scale,
        tuple(moments),
        _dispersion(prepared),
    )


def _dispersion(prepared: Prepared) -> np.ndarray | None:
    residual, builder = prepared.layout.residual, prepared.builder
    if residual is None or not residual.n_dispersion:
        return None
    rows = builder.shared.rows if isinstance(builder, FormBuilder) else builder
    assert isinstance(rows, RowBuilder)
    return rows.dispersion * prepared.theta_scale[-residual.n_dispersion :]
