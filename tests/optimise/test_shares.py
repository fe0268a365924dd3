"""Shares of the variance where the residual variance differs between rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

import mixflow


def test_the_residual_counts_with_its_mean_variance_over_rows() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"dog": np.repeat([f"d{i}" for i in range(30)], 6), "site": np.tile(list("aab"), 60)}
    )
    frame["x"] = np.tile(np.linspace(0, 3, 6), 30)
    spread = np.where(frame["site"] == "b", 3.0, 1.0)
    frame["y"] = np.repeat(rng.normal(0, 1, 30), 6) + spread * rng.normal(size=180)
    fit = mixflow.fit("y ~ x + (1 | dog)", data=frame, residual="ar1(x | dog)", dispersion="~ site + x")
    part, r2 = fit.model, fit.analyse("r2").iloc[0]
    expected = r2["var_random"] / (r2["var_random"] + r2["var_residual"])
    np.testing.assert_allclose(part.share[0], [expected, 1 - expected], rtol=1e-9)
    assert r2["var_residual"] > 1.5 * part.sigma[0] ** 2
