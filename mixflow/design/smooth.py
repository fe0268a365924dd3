"""A smooth met with data: the thin-plate regression spline of one variable, as a mixed model.

Wood (2003), J. R. Statist. Soc. B 65:95, for one variable and the second derivative (mgcv's ``bs = "tp"``):
f(x) = straight line + sum_j delta_j |x - x_j|^3 / 12 with T'delta = 0, where delta lies in the span of the k
eigenvectors of the radial matrix with the largest eigenvalues. Its penalty is the integral of f''^2. As mixed
model (Wood 2017, section 5.8; mgcv's ``smooth2random``): the straight line is fixed, the rest random with one
variance. Each column sums to zero over the samples, mgcv's constraint. The random columns are made orthogonal
to the straight line, which leaves the restricted likelihood as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mixflow.design.frame import is_factor, series
from mixflow.design.terms import Encoding, evaluate
from mixflow.errors import MixflowError, Problem
from mixflow.formula import Smooth
from mixflow.formula.allowed import variables

DEFAULT_COLUMNS = 10
"""k where the formula gives none, as mgcv."""
MOST_KNOTS = 2000
"""Above so many different values of x, that many quantiles of them are the knots (mgcv draws at random)."""
LEAST_VALUES = 3


@dataclass(frozen=True, eq=False)
class SmoothBasis:
    """Columns of one smooth for any data; k columns in all.

    ``levels``: of a factor ``by``; else (). ``Z(x) = |r|^3 A + [1, r] B`` with r = (x - centre) / unit,
    ``A`` (knots, k - 2), ``B`` (2, k - 2). The smooth's variance over ``penalty_unit`` is that of mgcv's
    ``gam.vcomp``, sigma^2 over the smoothing parameter of the integral of f''^2.
    """

    term: Smooth
    levels: tuple[str, ...]
    centre: float
    unit: float
    knots: np.ndarray
    A: np.ndarray
    B: np.ndarray
    penalty_unit: float

    @property
    def name(self) -> str:
        return self.term.name

    @property
    def by_number(self) -> bool:
        """Whether the smooth is the varying coefficient of a number."""
        return self.term.by is not None and not self.levels

    @property
    def reads(self) -> frozenset[str]:
        """Columns of data it needs."""
        return variables(self.term.variable) | ({self.term.by} if self.term.by else set())

    def value(self, frame: pd.DataFrame) -> np.ndarray:
        """The smoothed variable (m,)."""
        return evaluate(self.term.variable, frame)

    def rows(self, frame: pd.DataFrame) -> np.ndarray:
        """Random columns Z (m, k - 2) of new data."""
        z = self.penalised(self.value(frame))
        return z * self._number(frame)[:, None] if self.by_number else z

    def penalised(self, x: np.ndarray) -> np.ndarray:
        """Random columns at the values ``x`` (m,) -> (m, k - 2)."""
        r = (x - self.centre) / self.unit
        return _radial(r, self.knots) @ self.A + np.column_stack([np.ones(len(r)), r]) @ self.B

    def straight(self, frame: pd.DataFrame) -> np.ndarray:
        """Fixed columns (m, c): the line, one a level of a factor; of a number its column and the line."""
        line = (self.value(frame) - self.centre)[:, None]
        if self.by_number:
            return self._number(frame)[:, None] * np.hstack([np.ones_like(line), line])
        if not self.levels:
            return line
        return line * np.equal.outer(series(frame, str(self.term.by)).to_numpy(object), self.levels)

    @property
    def straight_names(self) -> tuple[str, ...]:
        """Names of the fixed columns, such as ``s(age).linear`` or ``s(age):sex[F].linear``."""
        if self.by_number:
            return f"{self.name}.constant", f"{self.name}.linear"
        if not self.levels:
            return (f"{self.name}.linear",)
        return tuple(f"{self.name}[{level}].linear" for level in self.levels)

    def _number(self, frame: pd.DataFrame) -> np.ndarray:
        return series(frame, str(self.term.by)).to_numpy(dtype=float)


def smooth_basis(term: Smooth, frame: pd.DataFrame) -> SmoothBasis:
    """The basis of ``term`` over the rows of a clean frame; raises where it has too few different values."""
    for name in sorted(variables(term.variable)):
        if is_factor(series(frame, name)):
            remedy = "Declare it as type: number, or use it as a factor without s()."
            raise MixflowError(Problem("A smooth is of a number, and this column holds text", column=name,
                                       value=str(frame[name].iloc[0]), remedy=remedy))  # fmt: skip
    x = evaluate(term.variable, frame)
    distinct = np.unique(x)
    k = _columns(term, len(distinct))
    centre, unit = float(x.mean()), float(x.std())
    r = (x - centre) / unit
    knots = (_thinned(distinct) - centre) / unit
    radial = _penalised(knots, k)
    line = np.column_stack([np.ones(len(r)), r])
    z = _radial(r, knots) @ radial
    own = -np.linalg.lstsq(line, z, rcond=None)[0]
    size = float(np.sqrt(((z + line @ own) ** 2).sum(axis=1).mean()))
    levels = _levels(term, frame)
    return SmoothBasis(term, levels, centre, unit, knots, radial / size, own / size, size**2 * unit**3)


def with_smooths(fixed: Encoding, bases: tuple[SmoothBasis, ...], frame: pd.DataFrame) -> Encoding:
    """The fixed part with the straight part of each smooth after it."""
    for basis in bases:
        columns = basis.straight(frame)
        fixed = replace(
            fixed,
            matrix=np.hstack([fixed.matrix, columns]),
            names=(*fixed.names, *basis.straight_names),
            term_names=(*fixed.term_names, f"{basis.name}.linear"),
            term_of=np.append(fixed.term_of, np.full(columns.shape[1], len(fixed.term_names))),
            term_variables=(*fixed.term_variables, basis.reads),
            more=(*fixed.more, basis.straight),
        )
    return fixed


def _columns(term: Smooth, distinct: int) -> int:
    """k of the smooth: as asked, else 10 or the number of different values if that is less."""
    if distinct < LEAST_VALUES:
        message = f"A smooth needs at least {LEAST_VALUES} different values"
        remedy = "Use the column without s()."
        raise MixflowError(Problem(message, column=term.variable, value=distinct, remedy=remedy))
    if term.k is not None and term.k > distinct:
        message = f"{term.text} asks for more columns than there are different values"
        remedy = f"Use k = {distinct} or less."
        raise MixflowError(Problem(message, column=term.variable, value=term.k, remedy=remedy))
    return min(DEFAULT_COLUMNS, distinct) if term.k is None else term.k


def _levels(term: Smooth, frame: pd.DataFrame) -> tuple[str, ...]:
    if term.by is None or not is_factor(series(frame, term.by)):
        return ()
    return tuple(str(level) for level in series(frame, term.by).cat.categories)


def _thinned(distinct: np.ndarray) -> np.ndarray:
    if len(distinct) <= MOST_KNOTS:
        return distinct
    return distinct[np.round(np.linspace(0, len(distinct) - 1, MOST_KNOTS)).astype(int)]


def _radial(r: np.ndarray, knots: np.ndarray) -> np.ndarray:
    return np.abs(np.subtract.outer(r, knots)) ** 3 / 12


def _penalised(knots: np.ndarray, k: int) -> np.ndarray:
    """Weights of the radial functions (knots, k - 2) in which the penalty is the identity (Wood 2003)."""
    values, vectors = np.linalg.eigh(_radial(knots, knots))
    largest = np.argsort(-np.abs(values), kind="stable")[:k]
    d, u = values[largest], vectors[:, largest]
    line = np.column_stack([np.ones(len(knots)), knots])
    free = np.linalg.qr(u.T @ line, mode="complete")[0][:, 2:]  # T' U free = 0
    penalty, turn = np.linalg.eigh(free.T @ (d[:, None] * free))
    weights = u @ free @ (turn / np.sqrt(penalty))[:, ::-1]
    return weights * np.where(weights[-1] < 0, -1.0, 1.0)  # eigenvectors have no sign of their own
