"""Kenward-Roger with residual structures and structured random effects, against the printed formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.api.fitting import residual_side
from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.inference import df
from mixflow.model import Fit
from mixflow.optimise.fitting import fit_features
from tests.inference.dense_kr import kenward_roger

VISITS = 4


def _frame() -> pd.DataFrame:
    """16 subjects by 4 visits, some missing; site is the subject's."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame([(s, t) for s in range(16) for t in range(VISITS)], columns=["s", "t"])
    frame["x"] = rng.normal(size=len(frame))
    frame["site"] = pd.Categorical(np.where(frame["s"] % 2, "u", "v"))
    frame["arm"] = pd.Categorical(np.where(frame["s"] % 4 < 2, "a", "b"))
    frame["s"] = pd.Categorical(frame["s"].map(lambda v: f"s{v:02d}"))
    frame["visit"] = pd.Categorical(frame["t"].map(lambda v: f"v{v}"))
    frame["t"] = frame["t"].astype(float)
    return frame


def _values(frame: pd.DataFrame, n_features: int = 2) -> np.ndarray:
    rng = np.random.default_rng(4)
    y = rng.normal(size=(n_features, len(frame)))
    for t in range(1, VISITS):
        now, before = (frame["t"] == t).to_numpy(), (frame["t"] == t - 1).to_numpy()
        y[:, now] = 0.5 * y[:, before] + y[:, now]
    y = y + rng.normal(size=(n_features, 16))[:, frame["s"].cat.codes]
    y[:, [3, 9, 22, 40]] = np.nan
    y[1, 50:53] = np.nan
    return y * 10


def _fit(
    formula: str, residual: str | None = None, dispersion: str | None = None
) -> tuple[Design, Fit, np.ndarray]:
    frame = _frame()
    design = build(parse(formula), frame, **residual_side(residual, dispersion))
    y = _values(frame)
    return design, fit_features(design, y, ["p", "q"], kr=True), y


def _check(
    design: Design, fit: Fit, i: int, V: np.ndarray, first: list, second: dict, seen: np.ndarray
) -> None:
    dense = kenward_roger(design.X[seen], V, first, second)
    assert fit.kr is not None
    np.testing.assert_allclose(fit.beta_cov[i], dense.phi, rtol=1e-8)
    scale = np.abs(dense.cov).max()
    np.testing.assert_allclose(fit.kr.cov[i], dense.cov, rtol=1e-7, atol=1e-9 * scale)
    for ours, printed in ((fit.kr.W[i], dense.W), (fit.kr.P[i], dense.P)):
        np.testing.assert_allclose(ours, printed, rtol=1e-6, atol=1e-8 * np.abs(printed).max())


@pytest.mark.grid
@pytest.mark.parametrize("random", ["", " + (1 | s)"])
def test_ar1_as_printed(random: str) -> None:
    """sigma^2 rho^|lag| by sigma^2 and rho, with the second derivatives."""
    design, fit, y = _fit("~ x + arm" + random, residual="ar1(t | s)")
    frame = _frame()
    for i in range(2):
        seen = np.isfinite(y[i])
        same = np.equal.outer(frame["s"].cat.codes[seen].to_numpy(), frame["s"].cat.codes[seen].to_numpy())
        lag = np.abs(np.subtract.outer(frame["t"].to_numpy()[seen], frame["t"].to_numpy()[seen]))
        s2, rho = fit.sigma[i] ** 2, fit.structure[i, 0]
        slope = np.where(lag > 0, lag * rho ** np.maximum(lag - 1, 0), 0.0) * same
        bend = np.where(lag > 1, lag * (lag - 1) * rho ** np.maximum(lag - 2, 0), 0.0) * same
        C = rho**lag * same
        first, at = ([same * 1.0], 1) if random else ([], 0)
        V = s2 * C + (fit.variance[i, 0] * same if random else 0.0)
        second = {(at, at + 1): slope, (at + 1, at + 1): s2 * bend}
        _check(design, fit, i, V, [*first, C, s2 * slope], second, seen)


@pytest.mark.grid
def test_compound_symmetry_is_a_random_intercept() -> None:
    _, residual, _ = _fit("~ x + arm", residual="cs(t | s)")
    _, random, _ = _fit("~ x + arm + (1 | s)")
    assert residual.kr is not None and random.kr is not None
    np.testing.assert_allclose(residual.kr.cov, random.kr.cov, rtol=1e-5)
    L = np.eye(3)[1:]
    for ours, theirs in zip(
        df.several(residual, L, "kenward-roger"), df.several(random, L, "kenward-roger"), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)


@pytest.mark.grid
def test_dispersion_as_printed() -> None:
    """Residual sd by site: sigma^2 exp(2 delta x), with its second derivatives."""
    design, fit, y = _fit("~ x + arm + (1 | s)", dispersion="~ site")
    frame = _frame()
    for i in range(2):
        seen = np.isfinite(y[i])
        codes = frame["s"].cat.codes[seen].to_numpy()
        same = np.equal.outer(codes, codes) * 1.0
        other = (frame["site"] == "v").to_numpy()[seen] * 1.0
        s2, ratio = fit.sigma[i] ** 2, fit.structure[i, 0]
        own = np.diag(np.where(other > 0, ratio**2, 1.0))
        move = 2 * own * np.diag(other)
        V = fit.variance[i, 0] * same + s2 * own
        _check(design, fit, i, V, [same, own, s2 * move], {(1, 2): move, (2, 2): 2 * s2 * move}, seen)


def test_unstructured_by_visit_as_printed() -> None:
    """Linear in the covariances of the visits."""
    design, fit, y = _fit("~ x + arm", residual="us(visit | s)")
    frame = _frame()
    rows, columns = np.tril_indices(VISITS)
    for i in range(2):
        seen = np.isfinite(y[i])
        codes, visit = (frame[c].cat.codes[seen].to_numpy() for c in ("s", "visit"))
        same = np.equal.outer(codes, codes) * 1.0
        sd, cor = np.ones(VISITS), np.eye(VISITS)
        for a, b, value in zip(rows[1:], columns[1:], fit.structure[i], strict=True):
            if a == b:
                sd[a] = value
            else:
                cor[a, b] = cor[b, a] = value
        sigma = fit.sigma[i] ** 2 * np.outer(sd, sd) * cor
        first = []
        for a, b in zip(rows, columns, strict=True):
            E = np.zeros((VISITS, VISITS))
            E[a, b] = E[b, a] = 1.0
            first.append(E[np.ix_(visit, visit)] * same)
        _check(design, fit, i, sigma[np.ix_(visit, visit)] * same, first, {}, seen)


@pytest.mark.grid
def test_structured_random_effect_as_printed() -> None:
    """ar1(visit + 0 | s) beside the residual: variance and rho of the random side."""
    design, fit, y = _fit("~ x + arm + ar1(visit + 0 | s)")
    frame = _frame()
    for i in range(2):
        seen = np.isfinite(y[i])
        codes = frame["s"].cat.codes[seen].to_numpy()
        same = np.equal.outer(codes, codes) * 1.0
        lag = np.abs(np.subtract.outer(frame["t"].to_numpy()[seen], frame["t"].to_numpy()[seen]))
        v, rho, s2 = fit.variance[i, 0], fit.structure[i, 0], fit.sigma[i] ** 2
        slope = np.where(lag > 0, lag * rho ** np.maximum(lag - 1, 0), 0.0) * same
        bend = np.where(lag > 1, lag * (lag - 1) * rho ** np.maximum(lag - 2, 0), 0.0) * same
        C, own = rho**lag * same, np.eye(len(same))
        second = {(0, 1): slope, (1, 1): v * bend}
        _check(design, fit, i, v * C + s2 * own, [C, v * slope, own], second, seen)
