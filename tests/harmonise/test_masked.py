"""Masked least squares of many features against numpy, feature by feature."""

from __future__ import annotations

import numpy as np
import pytest

from mixflow.harmonise import masked


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(3)
    X = np.hstack([np.eye(3)[np.arange(20) % 3], rng.normal(size=(20, 2))])
    y = rng.normal(size=(50, 20))
    y[rng.random(y.shape) < 0.4] = np.nan
    y[0, np.arange(20) % 3 == 1] = np.nan  # an empty level
    y[1, 3:] = np.nan  # fewer values than columns
    y[2] = np.nan
    return y, X


def test_every_feature_equals_numpys_least_squares(drawn, monkeypatch):
    y, X = drawn
    monkeypatch.setattr(masked, "BLOCK", 7)
    fitted = masked.fit(y, X)
    for i, row in enumerate(y):
        seen = ~np.isnan(row)
        assert fitted.n_obs[i] == seen.sum()
        assert fitted.rank[i] == (np.linalg.matrix_rank(X[seen]) if seen.any() else 0)
        prediction = X[seen] @ np.linalg.lstsq(X[seen], row[seen])[0]
        np.testing.assert_allclose(X[seen] @ fitted.beta[i], prediction, atol=1e-9)
        assert fitted.rss[i] == pytest.approx(((row[seen] - prediction) ** 2).sum(), abs=1e-9)
    np.testing.assert_array_equal(masked.ranks(~np.isnan(y), X), fitted.rank)


def test_an_aliased_column_gives_way_to_those_before_it():
    X = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    fitted = masked.fit(np.array([[1.0, 2.0, 5.0, 6.0]]), X)
    np.testing.assert_allclose(fitted.beta, [[1.5, 0.0, 4.0]])
    assert fitted.rank.tolist() == [2]


def test_centred_keeps_a_missing_row_missing():
    y, mean = masked.centred(np.array([[1.0, 3.0, np.nan], [np.nan] * 3]))
    np.testing.assert_array_equal(y, [[-1.0, 1.0, np.nan], [np.nan] * 3])
    assert mean[0] == 2.0
