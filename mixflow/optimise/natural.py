"""Each natural parameter of a fitted model as something that can be held: `Search`es from an optimum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mixflow.covariance import Correlation, Covariance, Diagonal, Pooled, Structured, Unstructured
from mixflow.covariance.unstructured import semidefinite_cholesky
from mixflow.design import Design
from mixflow.model import RandomEffect
from mixflow.optimise.limits import Search
from mixflow.optimise.optima import Optimum
from mixflow.optimise.profile import Kind, Pin

STD_DEV, CORRELATION, COEFFICIENT, STRUCTURE = "std_dev", "correlation", "coefficient", "structure"

ALL = "*"
"""Term of a standard deviation that all columns of a random effect share."""


@dataclass(frozen=True)
class Natural:
    """Name of a natural parameter: ``quantity`` is one of the four words above."""

    quantity: str
    group: str
    term: str
    term_2: str = ""


@dataclass(frozen=True, eq=False)
class Target:
    """A natural parameter with its search over the features ``rows`` of the optimum where it is defined.

    ``user`` turns held values (m,) into the user's units.
    """

    name: Natural
    rows: np.ndarray
    search: Search
    user: Callable[[np.ndarray], np.ndarray]


def targets(optimum: Optimum, design: Design) -> Iterator[Target]:
    """Standard deviations and correlations of the random effects, sigma, structures, coefficients."""
    layout = optimum.prepared.layout
    pairs = zip(layout.slices, optimum.prepared.effects, strict=True)
    for place, ((_, effect, part), random) in enumerate(pairs):
        if isinstance(effect, Unstructured):
            yield from _unstructured(optimum, place, effect, part, random.group, random.terms)
        elif isinstance(effect, Diagonal | Pooled):
            names = random.terms if isinstance(effect, Diagonal) else effect.names(random.terms)
            for i, term in enumerate(names):
                yield _sd(optimum, Pin(Kind.SD, part.start + i), Natural(STD_DEV, random.group, term))
        elif isinstance(effect, Structured):
            yield from _structured(optimum, effect, part, random)
    yield from _residual(optimum, design.residual.names if design.residual else ())
    for j, name in enumerate(design.coef_names):
        yield _coefficient(optimum, j, name)


def _unstructured(
    o: Optimum, place: int, effect: Covariance, part: slice, group: str, terms: tuple[str, ...]
) -> Iterator[Target]:
    k, first = effect.size, part.start
    for i in range(k):
        order = (i, *(j for j in range(k) if j != i))
        pin = Pin(Kind.SD, first, below=tuple(range(first + 1, first + k)), effect=place, order=order)
        unit = float(o.prepared.theta_scale[part][_diagonal(k)[i]])
        yield _sd(o, pin, Natural(STD_DEV, group, terms[i]), _reordered(o, part, order, effect), unit)
    for i in range(k):
        for j in range(i + 1, k):
            order = (i, j, *(m for m in range(k) if m not in (i, j)))
            below = tuple(range(first + k + 1, first + 2 * k - 1))
            pin = Pin(Kind.CORRELATION, first + 1, first + k, below, place, order)
            theta = _reordered(o, part, order, effect)
            yield _correlation(o, pin, theta, Natural(CORRELATION, group, terms[i], terms[j]))


def _reordered(o: Optimum, part: slice, order: tuple[int, ...], effect: Covariance) -> np.ndarray:
    """theta (n, q) with the factor of the covariance whose columns stand in this order."""
    theta, place = o.theta.copy(), list(order)
    matrix = effect.matrix(o.theta[:, part])[:, place][:, :, place]
    columns, rows = np.triu_indices(effect.size)
    theta[:, part] = semidefinite_cholesky(matrix)[:, rows, columns]
    return theta


def _diagonal(k: int) -> np.ndarray:
    """Places of the diagonal in the column-wise lower triangle."""
    return np.cumsum([0, *range(k, 1, -1)])


def _sd(
    o: Optimum, pin: Pin, name: Natural, theta: np.ndarray | None = None, unit: float | None = None
) -> Target:
    """sd = sigma theta, in units of y's scale over the column's: zero is the lower end of its range."""
    theta = o.theta if theta is None else theta
    unit = o.prepared.theta_scale[pin.place] if unit is None else unit
    centre, x = o.sigma * np.abs(theta[:, pin.place]), theta.copy()
    x[:, pin.place] = np.log(o.sigma)
    step = np.maximum(0.5 * centre, 0.2 * o.sigma)
    search = Search(o, pin, centre, x, step, np.zeros_like(o.gamma), lowest=0.0)
    return Target(name, np.arange(len(centre)), search, lambda c: c * o.scale / unit)


def _correlation(o: Optimum, pin: Pin, theta: np.ndarray, name: Natural) -> Target:
    size = np.hypot(theta[:, pin.place], theta[:, pin.second])
    rows = np.flatnonzero((size > 0) & (theta[:, pin.place - 1] != 0))
    centre, x = theta[rows, pin.place] / size[rows], theta[rows].copy()
    x[:, pin.place], x[:, pin.second] = size[rows], 0.0
    sign = np.where(theta[rows, pin.place - 1] < 0, -1.0, 1.0)
    some = o.take(rows)
    centre, step = np.clip(centre * sign, -1, 1), np.full(len(rows), 0.2)
    search = Search(some, pin, centre, x, step, np.zeros_like(some.gamma), -1.0, 1.0)
    return Target(name, rows, search, lambda c: c)


def _structured(o: Optimum, effect: Structured, part: slice, random: RandomEffect) -> Iterator[Target]:
    first, c = part.start, effect.correlation
    if not effect.hetero:
        yield _sd(o, Pin(Kind.SD, first), Natural(STD_DEV, random.group, ALL))
    else:
        for i, term in enumerate(random.terms):
            yield _log_sd(o, Pin(Kind.LOG_SD, first + i), Natural(STD_DEV, random.group, term))
    if c.n_params == 1:
        rows = np.flatnonzero(effect.hetero | (o.theta[:, first] != 0))
        name = Natural(STRUCTURE, random.group, c.names(random.terms)[0])
        yield _raw(o, Pin(Kind.RAW, first + effect.n_sds), name, rows, _natural(c), _lowest(c))


def _lowest(c: Correlation) -> float:
    """End of the range of theta: zero where its sign means nothing."""
    return 0.0 if c.even.all() else -np.inf


def _natural(c: Correlation) -> Callable[[np.ndarray], np.ndarray]:
    return lambda theta: c.natural(theta[:, None])[:, 0]


def _log_sd(o: Optimum, pin: Pin, name: Natural) -> Target:
    centre, x = np.log(o.sigma) + o.theta[:, pin.place], o.theta.copy()
    x[:, pin.place] = np.log(o.sigma)
    search = Search(o, pin, centre, x, np.full(len(centre), 0.5), np.zeros_like(o.gamma))
    return Target(name, np.arange(len(centre)), search, lambda c: np.exp(c) * o.scale)


def _raw(
    o: Optimum,
    pin: Pin,
    name: Natural,
    rows: np.ndarray,
    natural: Callable[[np.ndarray], np.ndarray],
    lowest: float = -np.inf,
) -> Target:
    some = o.take(rows)
    centre = some.theta[:, pin.place].copy()
    step, none = np.full(len(rows), 0.3), np.zeros_like(some.gamma)
    search = Search(some, pin, centre, some.theta, step, none, lowest)
    return Target(name, rows, search, natural)


def _residual(o: Optimum, names: tuple[str, ...]) -> Iterator[Target]:
    """sigma, unless it is known, and the parameters of the residual side, ``names`` as `Design.residual`."""
    prepared = o.prepared
    every, layout = np.arange(len(o.sigma)), prepared.layout
    if o.data.sigma2 is None:
        step = 1.5 / np.sqrt(2 * o.data.dof)
        search = Search(o, Pin(Kind.SIGMA), np.log(o.sigma), o.theta, step, np.zeros_like(o.gamma))
        yield Target(Natural(STD_DEV, "Residual", ""), every, search, lambda c: np.exp(c) * o.scale)
    if layout.residual is None:
        return
    correlation, count = layout.residual.correlation, layout.residual.n_correlation
    own = [Natural(STRUCTURE, "Residual", name.removeprefix("Residual.")) for name in names]
    if correlation is not None and count == 1:
        yield _raw(
            o, Pin(Kind.RAW, layout.n_random), own[0], every, _natural(correlation), _lowest(correlation)
        )
    for j, name in enumerate(own[count:], layout.n_random + count):
        unit = prepared.theta_scale[j]
        yield _raw(o, Pin(Kind.RAW, j), name, every, lambda c, unit=unit: np.exp(c / unit))


def _coefficient(o: Optimum, j: int, name: str) -> Target:
    rows = np.flatnonzero(~(o.null[:, j] != 0).any(axis=1))
    some = o.take(rows)
    weights = np.ascontiguousarray(some.back[:, j])
    centre = (weights * some.gamma).sum(axis=1)
    variance = np.einsum("ni,nij,nj->n", weights, some.cov, weights)
    step = 2 * np.sqrt(np.maximum(variance, 1e-300)) * some.sigma
    search = Search(some, Pin(Kind.COEFFICIENT), centre, some.theta, step, weights)
    return Target(Natural(COEFFICIENT, "", name), rows, search, lambda c: c * some.scale + some.shift[:, j])
