"""Profile limits, simulation and prediction where rows are correlated, variances known, or levels related."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

import mixflow
from mixflow.api import Result
from mixflow.design import build
from mixflow.formula import parse
from mixflow.inference.intervals import confint
from mixflow.inference.refit import Fitted
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.natural import CORRELATION, STD_DEV, STRUCTURE, Natural

VISITS = 6
AR1 = np.abs(np.subtract.outer(np.arange(VISITS), np.arange(VISITS)))


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    """16 subjects x 6 visits, some missing; residuals AR(1), twice as wide at site b."""
    rng = np.random.default_rng(3)
    subject, time = np.repeat(np.arange(16), VISITS), np.tile(np.arange(VISITS), 16)
    wide = np.where(subject % 2 == 0, 1.0, 2.0)
    noise = (np.linalg.cholesky(0.6**AR1) @ rng.normal(size=(VISITS, 16))).T.ravel() * wide
    frame = pd.DataFrame({"s": subject.astype(str), "t": time.astype(float), "y": 1 + 0.2 * time + noise})
    return frame.assign(site=np.where(wide == 1, "a", "b")).drop(index=[3, 10, 11, 40])


@pytest.fixture(scope="module")
def fit(visits: pd.DataFrame) -> Result:
    return mixflow.fit("y ~ t", visits, residual="ar1(t | s)", dispersion="~ site")


def _covariance(frame: pd.DataFrame, rho: float, ratio: float) -> np.ndarray:
    time, sd = frame["t"].to_numpy(), np.where(frame["site"] == "a", 1.0, ratio)
    same = np.equal.outer(frame["s"].to_numpy(), frame["s"].to_numpy())
    return np.where(same, rho ** np.abs(np.subtract.outer(time, time)), 0.0) * sd[:, None] * sd


def _deviance(frame: pd.DataFrame, rho: float, ratio: float) -> float:
    """ML deviance, beta and sigma swept out, dense."""
    v, x = _covariance(frame, rho, ratio), np.column_stack([np.ones(len(frame)), frame["t"]])
    y, n, inverse = frame["y"].to_numpy(), len(frame), np.linalg.inv(v)
    rest = y - x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    return float(np.linalg.slogdet(v)[1] + n * np.log(rest @ inverse @ rest / n))


@pytest.mark.grid
def test_profile_of_rho_and_of_a_ratio_of_sds(visits: pd.DataFrame, fit: Result) -> None:
    found = fit.confint("profile")
    found = found[found["quantity"] == STRUCTURE]
    assert found["term"].tolist() == ["rho", "sd ratio site[b]"]
    best = _least(lambda v: _deviance(visits, np.tanh(v[0]), np.exp(v[1])), [0.5, 0.5])

    def with_rho(rho: float) -> float:
        return _least(lambda v: _deviance(visits, rho, np.exp(v[0])), [0.6]) - best

    def with_ratio(ratio: float) -> float:
        return _least(lambda v: _deviance(visits, np.tanh(v[0]), ratio), [0.6]) - best

    rises = [with_rho(c) for c in _ends(found.iloc[0])] + [with_ratio(c) for c in _ends(found.iloc[1])]
    np.testing.assert_allclose(rises, chi2.ppf(0.95, 1), atol=1e-5)


def _ends(row: pd.Series) -> list[float]:
    return [row["conf_low"], row["conf_high"]]


def _least(value: Callable[[np.ndarray], float], start: list[float]) -> float:
    return float(minimize(value, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}).fun)


def test_simulation_of_correlated_rows(visits: pd.DataFrame, fit: Result) -> None:
    count = 20000
    drawn = fit.simulate(1, count).to_numpy()
    rho, ratio = fit.model.structure[0]
    expected = fit.model.sigma[0] ** 2 * _covariance(visits, rho, ratio)
    spread = np.sqrt((expected**2 + np.outer(np.diag(expected), np.diag(expected))) / count)
    assert (np.abs(np.cov(drawn.T) - expected) < 5.5 * spread).all()


def test_prediction_and_r2_with_a_residual_structure(visits: pd.DataFrame, fit: Result) -> None:
    rho, ratio = fit.model.structure[0]
    x = np.column_stack([np.ones(len(visits)), visits["t"]])
    v = fit.model.sigma[0] ** 2 * _covariance(visits, rho, ratio)
    cov = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    found = fit.predict(std_error=True)
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.einsum("ni,ij,nj->n", x, cov, x)), rtol=1e-6)
    wide = (found["pred_high"] - found["pred_low"]) / (2 * 1.959963984540054)
    np.testing.assert_allclose(wide**2 - found["std_error"] ** 2, np.diag(v), rtol=1e-6)
    np.testing.assert_allclose(fit.r2()["var_residual"], np.diag(v).mean(), rtol=1e-8)
    assert fit.predict(visits.head(2), std_error=True)["pred_low"].isna().all()  # their spread is not known


def test_lrt_of_a_residual_structure(visits: pd.DataFrame, fit: Result) -> None:
    row = mixflow.fit("y ~ t", visits, dispersion="~ site").anova(fit).iloc[0]
    assert (row["df"], row["fitted_by"]) == (1, "REML")
    assert row["p_value"] == row["p_plain"] < 1e-6  # rho = 0 is no boundary


def test_known_variances_profile_of_tau() -> None:
    """Random-effects meta-analysis: tau's limits from its profiled deviance in closed form."""
    rng = np.random.default_rng(2)
    variances = rng.uniform(0.02, 0.3, 14)
    effect = 0.4 + 0.9 * rng.normal(size=14) + np.sqrt(variances) * rng.normal(size=14)
    frame = pd.DataFrame({"study": [f"s{i}" for i in range(14)], "y": effect, "v": variances})
    fit = mixflow.fit("y ~ 1 + (1 | study)", frame, variances="v")
    found = fit.confint("profile")
    assert found["quantity"].tolist() == [STD_DEV, "coefficient"]  # sigma is known

    def deviance(tau: float) -> float:
        w = 1 / (variances + tau**2)
        return float(-np.log(w).sum() + (w * (effect - (w * effect).sum() / w.sum()) ** 2).sum())

    best = minimize(
        lambda t: deviance(t[0]), [0.4], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-13}
    )
    tau, rise = abs(best.x[0]), lambda t: deviance(t) - best.fun - chi2.ppf(0.95, 1)
    limits = [brentq(rise, 1e-9, tau, xtol=1e-12), brentq(rise, tau, 10, xtol=1e-12)]
    np.testing.assert_allclose(found.iloc[0][["conf_low", "conf_high"]].to_numpy(float), limits, rtol=1e-6)


@pytest.mark.grid
def test_three_correlated_effects_in_any_order() -> None:
    """The order of the columns is the search's own affair: (1 + x + z | g) and (1 + z + x | g) agree."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(25), 8)
    x, z = rng.normal(size=200), rng.normal(size=200)
    root = np.array([[1.0, 0, 0], [0.4, 0.9, 0], [-0.3, 0.2, 0.8]])
    b = rng.normal(size=(25, 3)) @ root.T
    y = 1 + b[g, 0] + b[g, 1] * x + b[g, 2] * z + 0.7 * rng.normal(size=200)
    frame = pd.DataFrame({"g": g.astype(str), "x": x, "z": z})
    tables = []
    for formula in ("~ x + z + (x + z | g)", "~ x + z + (z + x | g)"):
        design = build(parse(formula), frame)
        model = Fitted(fit_features(design, y[None, :], ["y"]), design, y[None, :])
        terms = design.random[0].terms
        pairs = [(a, c) for i, a in enumerate(terms) for c in terms[i + 1 :]]
        wanted = [Natural(STD_DEV, "g", t) for t in terms] + [
            Natural(CORRELATION, "g", *pair) for pair in pairs
        ]
        table = confint(model, "profile", quantities=wanted)
        assert (table["status"] == "ok").all()
        key = [frozenset(pair) for pair in zip(table["term"], table["term_2"], strict=True)]
        tables.append(table.assign(key=key).set_index("key")[["estimate", "conf_low", "conf_high"]])
    np.testing.assert_allclose(tables[1].loc[tables[0].index], tables[0], rtol=1e-5, atol=1e-6)
