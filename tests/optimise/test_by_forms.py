"""Residuals that are Markov in time, or of few variances: Grams by form say what the rows say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mixflow.api.fitting import residual_side
from mixflow.backend import jax, jnp
from mixflow.covariance import AR1, Neighbours, OrnsteinUhlenbeck
from mixflow.design import Design, build
from mixflow.design.forms import FormBuilder
from mixflow.design.layout import Layout
from mixflow.design.neighbours import NeighbourBuilder
from mixflow.design.observed import observe
from mixflow.design.rows import RowBuilder
from mixflow.design.spread import SpreadBuilder
from mixflow.formula import parse
from mixflow.likelihood.data import gram_at
from mixflow.likelihood.near import near
from mixflow.model import Fit
from mixflow.optimise import by_forms
from mixflow.optimise.fitting import data_of, fit_features
from mixflow.optimise.prepare import Prepared, prepare

VISITS, SUBJECTS = 5, 12
TIMES = np.array([0.0, 0.1, 0.3, 0.4, 0.9])


def _frame() -> pd.DataFrame:
    """Rows in no order; visits of a subject in two sites, of which one feature sees one alone."""
    rng = np.random.default_rng(2)
    cells = [(f"s{i:02d}", t, "ab"[i % 2], f"g{i % 4}") for i in range(SUBJECTS) for t in range(VISITS)]
    frame = pd.DataFrame(cells, columns=["subject", "visit", "arm", "site"])
    frame = frame.assign(x=rng.normal(size=len(frame)), time=TIMES[frame["visit"]])
    frame["batch"] = rng.choice(["p", "q", "r"], len(frame))
    return frame.drop(index=[4, 11, 30]).sample(frac=1.0, random_state=3).reset_index(drop=True)


FRAME = _frame()


def _values(n: int = 6, seed: int = 5) -> np.ndarray:
    """A fifth missing; the first feature complete, the second without arm b, the third with first visits only."""
    rng = np.random.default_rng(seed)
    values = (
        rng.normal(size=(n, len(FRAME))) + rng.normal(size=(n, SUBJECTS))[:, FRAME["subject"].factorize()[0]]
    )
    missing = rng.random(values.shape) < 0.2
    missing[0] = False
    missing[1] |= (FRAME["arm"] == "b").to_numpy()
    missing[2] = (FRAME["visit"] != 0).to_numpy()
    return np.where(missing, np.nan, values)


def _by_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_forms, "layout", lambda found, *_: found)


def _data(design: Design, weights: np.ndarray | None) -> tuple[Prepared, object]:
    prepared, values = prepare(design, True), _values()
    assert isinstance(prepared.builder, FormBuilder | RowBuilder)
    arrays = prepared.builder.build(values, observe(values, design.Q, design.R, weights))
    return prepared, data_of(prepared, arrays)


@pytest.mark.parametrize(
    ("formula", "residual", "spread", "weighted"),
    [
        ("~ x + arm + (1 | subject)", "ar1(visit | subject)", None, True),
        ("~ x + arm + (x | site) + (1 | batch)", "ou(time | subject)", None, False),
        ("~ x + (1 | subject) + (1 | batch)", "ou(time | subject)", None, False),
        ("~ x + arm + (1 | subject)", None, "~ site", True),
    ],
)
def test_gram_and_its_derivatives_are_those_of_the_rows(
    formula: str, residual: str | None, spread: str | None, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a feature cannot see a coefficient, and where a group spans the units of correlated rows."""
    design = build(parse(formula), FRAME, **residual_side(residual, spread))
    weights = np.random.default_rng(1).gamma(2.0, size=_values().shape) if weighted else None
    forms, basis = _data(design, weights)
    assert isinstance(forms.builder, NeighbourBuilder if residual else SpreadBuilder)
    _by_rows(monkeypatch)
    laid, rows = _data(design, weights)
    assert isinstance(laid.builder, RowBuilder)
    ours, about = _derivatives(forms.layout, False), _derivatives(forms.layout, True)
    theirs = _derivatives(laid.layout, False)
    for last in (-0.7, 0.0, 0.4, 30.0 if residual else 3.0):
        theta = np.r_[forms.layout.start[:-1], last]
        for found, close, told in zip(
            ours(basis, theta), about(basis, theta), theirs(rows, theta), strict=True
        ):
            size = np.abs(told).max()
            np.testing.assert_allclose(found, told, rtol=1e-9, atol=1e-10 * size)
            np.testing.assert_allclose(close, found, rtol=1e-12, atol=1e-13 * size)


def _derivatives(layout: Layout, about: bool) -> Callable[[object, np.ndarray], list[np.ndarray]]:
    """(data, theta) -> Gram and log|R| of every feature, their gradient and Hessian by the last of theta.

    ``about``: from the data to second order about theta.
    """

    def one(own, at: jax.Array, rho: jax.Array) -> jax.Array:
        gram, logdet = gram_at(layout, own, at.at[-1].set(rho))
        return jnp.concatenate([gram.blocks.ravel(), gram.border.ravel(), gram.corner.ravel(), logdet[None]])

    def every(own, at: jax.Array) -> tuple[jax.Array, ...]:
        own = near(layout, own, at) if about else own
        first = jax.jacfwd(one, 2)
        return one(own, at, at[-1]), first(own, at, at[-1]), jax.jacfwd(first, 2)(own, at, at[-1])

    mapped = jax.jit(jax.vmap(every, (0, None)))
    return lambda data, theta: [np.asarray(a) for a in mapped(data, jnp.asarray(theta))]


def _fit(values: np.ndarray) -> Fit:
    design = build(parse("~ x + arm + (1 | subject)"), FRAME, **residual_side("ar1(visit | subject)", None))
    return fit_features(design, values, [str(i) for i in range(len(values))], kr=True)


def test_estimates_are_those_of_the_rows_and_of_the_feature_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values = _values(40)
    fit = _fit(values)
    order = np.random.default_rng(0).permutation(len(values))
    for some in (order, order[:7]):
        part = _fit(values[some])
        for name in ("solution", "beta_cov", "theta", "sigma", "loglik", "par_cov", "beta_cov_deriv"):
            np.testing.assert_array_equal(getattr(part, name), getattr(fit, name)[some])
    _by_rows(monkeypatch)
    told = _fit(values)
    np.testing.assert_array_equal(fit.status, told.status)
    assert fit.kr is not None and told.kr is not None
    np.testing.assert_allclose(fit.loglik, told.loglik, atol=1e-9)
    for name in ("solution", "beta_cov", "theta", "sigma", "beta_cov_deriv", "structure"):
        ours, theirs = getattr(fit, name), getattr(told, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8 * np.nanmax(np.abs(theirs)))
    np.testing.assert_allclose(fit.kr.cov, told.kr.cov, rtol=1e-6, atol=1e-9)


def test_rows_where_forms_would_be_many() -> None:
    """Times that never repeat have a gap for each pair; a model of the spread weighs every row by itself."""
    frame = FRAME.assign(time=np.random.default_rng(0).random(len(FRAME)))
    for residual, spread in (
        ("ou(time | subject)", None),
        ("ar1(visit | subject)", "~ arm"),
        (None, "~ time"),
    ):
        design = build(parse("~ x + (1 | subject)"), frame, **residual_side(residual, spread))
        assert isinstance(prepare(design, True).builder, RowBuilder)


@pytest.mark.parametrize("correlation", [AR1(6), OrnsteinUhlenbeck(6, 0.5)], ids=["AR1", "OU"])
def test_the_forms_make_the_inverse(correlation: AR1 | OrnsteinUhlenbeck) -> None:
    """Of a unit's observed rows, whichever they are; and log|R|."""
    where = np.arange(6.0) if isinstance(correlation, AR1) else np.array([0.0, 1.0, 2.5, 3.0, 5.0, 6.0])
    rng = np.random.default_rng(4)
    for theta in (np.array([0.8]), np.array([-0.6]), np.array([20.0])):
        kept = np.sort(rng.choice(6, 4, replace=False))
        apart = np.diff(where[kept])
        gaps = np.unique(apart)
        forms = Neighbours(correlation, tuple(gaps), level=False)
        s, t = np.eye(4)[:-1], np.eye(4)[1:]
        B = [np.eye(4)]
        for sign in (1, -1):
            B += [(t + sign * s)[apart == gap].T @ (t + sign * s)[apart == gap] for gap in gaps]
        assert len(B) == forms.n_forms
        dense = np.asarray(correlation.matrix(jnp.asarray(theta), jnp.asarray(where[kept])))
        inverse = np.tensordot(forms.coefficients(jnp.asarray(theta)), np.array(B), 1)
        np.testing.assert_allclose(inverse @ dense, np.eye(4), atol=1e-9)
        counts = [(apart == gap).sum() for gap in gaps]
        log = forms.log_factors(jnp.asarray(theta)) @ np.array(counts, dtype=float)
        assert log == pytest.approx(np.linalg.slogdet(dense)[1], abs=1e-9)


def test_the_layout_alone_decides() -> None:
    design = build(parse("~ x"), FRAME, **residual_side("ar1(visit | subject)", None))
    layout = prepare(design, True).layout
    assert layout.residual is not None
    assert isinstance(layout.residual.combination, Neighbours)
    assert layout.floats < replace(layout, residual=replace(layout.residual, combination=None)).floats
