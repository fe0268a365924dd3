"""A known relationship of levels in a generalised model: against the dense Laplace approximation, by plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, special, stats

import mixflow

FORMULA = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


def _table(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "cbpp__lme4.csv")
    return table.assign(period=table["period"].astype(str), herd=table["herd"].astype(str))


def _kinship(herds: list[str]) -> pd.DataFrame:
    """Herds that are neighbours in the list share half of their effect."""
    n = len(herds)
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return pd.DataFrame(0.5**near, index=herds, columns=herds)


def test_a_relationship_is_the_dense_laplace_likelihood(reference):
    table = _table(reference / "data")
    herds = sorted(table["herd"].unique())
    kinship = _kinship(herds)
    found = mixflow.fit(FORMULA, table, family="binomial", relationship={"herd": kinship})
    assert found.status.iloc[0] == "ok"
    marks = np.equal.outer(table["herd"].to_numpy(), herds).astype(float)
    z = marks @ np.linalg.cholesky(kinship.to_numpy())
    x = np.column_stack([np.ones(len(table)), *(table["period"] == p for p in "234")])
    y, n = table["incidence"].to_numpy(), table["size"].to_numpy()

    def minus2(psi: np.ndarray) -> float:
        zs = psi[4] * z
        minus = lambda u: -stats.binom.logpmf(y, n, special.expit(x @ psi[:4] + zs @ u)).sum() + u @ u / 2  # noqa: E731
        slope = lambda u: u - zs.T @ (y - n * special.expit(x @ psi[:4] + zs @ u))  # noqa: E731
        best = optimize.minimize(
            minus, np.zeros(z.shape[1]), jac=slope, method="BFGS", options={"gtol": 1e-10}
        )
        p = special.expit(x @ psi[:4] + zs @ best.x)
        hessian = zs.T @ ((n * p * (1 - p))[:, None] * zs) + np.eye(z.shape[1])
        return 2 * best.fun + np.linalg.slogdet(hessian)[1]

    psi = np.append(found.coefficients["estimate"], found.variance_components["std_dev"])
    assert np.isclose(-minus2(psi) / 2, found.loglik.iloc[0], atol=1e-6)
    for i in range(5):  # and it is the top
        for h in (-0.02, 0.02):
            assert minus2(psi + h * np.eye(5)[i]) > minus2(psi)


@pytest.mark.grid
def test_unrelated_levels_are_ordinary_ones(reference):
    table = _table(reference / "data")
    herds = sorted(table["herd"].unique())
    unrelated = pd.DataFrame(np.eye(len(herds)), index=herds, columns=herds)
    plain = mixflow.fit(FORMULA, table, family="binomial")
    found = mixflow.fit(FORMULA, table, family="binomial", relationship={"herd": unrelated})
    assert np.isclose(found.loglik.iloc[0], plain.loglik.iloc[0], atol=1e-8)
    own, theirs = (m.random_effects.set_index("level")["estimate"] for m in (found, plain))
    np.testing.assert_allclose(own[theirs.index], theirs, atol=1e-5)
