"""Predictions: points by lme4, standard errors by Henderson's equations written out densely."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError
from mixflow.inference.prediction import table as predictions
from mixflow.inference.refit import Recipe
from tests.inference.many_features import fitted, study
from tests.inference.test_lrt import R, table


def test_points_by_lme4() -> None:
    case = R["prediction"]
    fit = mixflow.fit(case["formula"], table(case["data"]))
    new = pd.DataFrame({"Days": case["days"], "Subject": case["subject"]})
    np.testing.assert_allclose(fit.predict(new).to_numpy()[0], case["known"], rtol=1e-6)
    np.testing.assert_allclose(fit.predict(new, groups="none").to_numpy()[0], case["none"], rtol=1e-6)
    tidy = fit.predict(new, std_error=True)
    np.testing.assert_allclose(tidy["estimate"], case["known"], rtol=1e-6)
    assert list(tidy["row"]) == [0, 1, 2, 3]
    with pytest.raises(MixflowError, match="groups"):
        fit.predict(new, groups="all")


def _henderson(
    model, feature: int, x_new: np.ndarray, levels: list[int], weights: np.ndarray | None
) -> np.ndarray:
    """Standard errors from C = [X'R^-1X, X'R^-1Z; Z'R^-1X, Z'R^-1Z + G^-1]^-1 (G invertible). (m,)."""
    frame, y = study()
    seen = np.isfinite(y[feature])
    n_levels = frame["subject"].nunique()
    subject = np.array([model.design.random[0].levels.index(s) for s in frame["subject"]])[seen]
    base = np.column_stack([np.ones(seen.sum()), frame["x"][seen]])
    theta, sigma = model.fit.theta[feature], model.fit.sigma[feature]
    factor = np.array([[theta[0], 0], [theta[1], theta[2]]]) * sigma
    z = np.zeros((seen.sum(), n_levels, 2))
    z[np.arange(seen.sum()), subject] = base
    columns = np.concatenate([base, z.reshape(seen.sum(), -1)], axis=1)
    w = (np.ones(60) if weights is None else weights)[seen] / sigma**2
    c = columns.T @ (columns * w[:, None])
    c[2:, 2:] += np.kron(np.eye(n_levels), np.linalg.inv(factor @ factor.T))
    rows = np.column_stack([np.ones(len(x_new)), x_new])
    wanted = np.zeros((len(x_new), n_levels, 2))
    extra = np.zeros(len(x_new))
    for i, level in enumerate(levels):
        if level >= 0:
            wanted[i, level] = rows[i]
        else:
            extra[i] = rows[i] @ factor @ factor.T @ rows[i]
    b = np.concatenate([rows, wanted.reshape(len(x_new), -1)], axis=1)
    return np.sqrt((b * np.linalg.solve(c, b.T).T).sum(axis=1) + extra)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 60)])
def test_standard_errors_by_henderson(weights: np.ndarray | None) -> None:
    model = fitted(features=[0, 1], weights=weights)
    x = np.array([-1.0, 0.3, 2.0, 0.3])
    new = pd.DataFrame({"x": x, "subject": ["0", "7", "7", "nobody"]})
    levels = [model.design.random[0].levels.index(s) if s != "nobody" else -1 for s in new["subject"]]
    found = predictions(model, new)
    for i, feature in enumerate(["whole", "gaps"]):
        own = found[found["feature"] == feature]
        np.testing.assert_allclose(own["std_error"], _henderson(model, i, x, levels, weights), rtol=1e-9)
        wide = (own["pred_high"] - own["pred_low"]) / (2 * 1.959963984540054)
        np.testing.assert_allclose(wide**2, own["std_error"] ** 2 + model.fit.sigma[i] ** 2, rtol=1e-9)
    anew = predictions(model, new, "new")
    rows = np.column_stack([np.ones(4), x])
    fixed = np.sqrt(np.einsum("mi,nij,mj->nm", rows, model.fit.beta_cov, rows))
    np.testing.assert_allclose(predictions(model, new, "none")["std_error"], fixed.ravel(), rtol=1e-9)
    np.testing.assert_allclose(anew["std_error"][3], found["std_error"][3], rtol=1e-12)
    assert (anew["std_error"] > predictions(model, new, "none")["std_error"]).all()


def test_every_ending() -> None:
    model = fitted()
    found = predictions(model).set_index("feature")
    assert found.loc[["constant", "one level"], ["estimate", "std_error", "pred_low"]].isna().all(axis=None)
    assert found.loc[["whole", "gaps", "singular", "steep"]].notna().all(axis=None)
    part = predictions(fitted(features=[5])).set_index("feature")
    np.testing.assert_allclose(part["std_error"], found.loc["steep", "std_error"], rtol=1e-12)


def test_rows_that_cannot_be_estimated() -> None:
    frame, y = study()
    frame = frame.assign(arm=np.where(np.arange(60) % 3 == 0, "b", "a"), y=y[0])
    frame.loc[frame["arm"] == "b", "y"] = np.nan
    model = mixflow.fit("y ~ x + (1 | subject)", frame)
    many = replace(model.fitted, recipe=Recipe())
    from mixflow.design import build
    from mixflow.formula import parse
    from mixflow.optimise.fitting import fit_features

    design = build(parse("~ arm + x + (1 | subject)"), frame)
    values = frame["y"].to_numpy()[None, :]
    lost = replace(many, fit=fit_features(design, values, ["y"]), design=design, values=values)
    found = predictions(lost)
    arm = frame["arm"].to_numpy()
    assert found["std_error"][arm == "b"].isna().all()
    kept = model.predict(frame, std_error=True)
    np.testing.assert_allclose(found["std_error"][arm == "a"], kept["std_error"][arm == "a"], rtol=1e-8)
