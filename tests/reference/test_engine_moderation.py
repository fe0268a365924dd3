"""limma's moderated tests on proteins with missing values (unequal df): fits, prior, posterior, t and p."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from mixflow.api import fit_values
from mixflow.inference.contrasts import Contrast
from mixflow.inference.moderation import moderated
from mixflow.model import Fit
from tests.reference.engine import CASES, HERE, asking, by_r

pytestmark = pytest.mark.grid

FOLDER = HERE.parents[1] / "config" / "studies" / "alzheimer-csf"


@cache
def _fitted(complete: bool) -> tuple[Fit, np.ndarray]:
    """The proteins fitted by `~ AD + age + male`, and the mean of each over its observed values."""
    case = CASES["limma_csf"]
    values = pd.read_csv(FOLDER / "proteins.csv", index_col=0)
    values = values.loc[:, values.notna().all()] if complete else values
    samples = pd.read_csv(FOLDER / "samples.tsv", sep="\t", index_col=0).loc[values.index]
    for name, levels in case["factors"].items():
        samples[name] = pd.Categorical(samples[name].astype(str), categories=levels)
    fit = fit_values(values.to_numpy().T, samples, case["formula"], feature_ids=list(values.columns))
    return fit, values.mean().to_numpy()


@pytest.mark.parametrize("name", asking("moderation", "limma"))
def test_moderated_tests(name: str) -> None:
    reference, options = by_r(name), CASES[name].get("options", {})
    fit, mean = _fitted(complete="complete" in name)
    assert list(fit.feature_ids) == reference["feature"]
    np.testing.assert_allclose(fit.sigma, reference["sigma"], rtol=1e-7)
    rows = np.eye(len(fit.coef_names))
    every = [_coefficient(fit, j, row) for j, row in enumerate(rows)]
    covariate = mean if options.get("trend") else None
    found = moderated(fit, every, covariate=covariate, robust=options.get("robust", False))
    np.testing.assert_allclose(found["rdf"], reference["df_residual"], rtol=1e-6)
    for ours, theirs in (
        ("df_prior", "df_prior"),
        ("s2_prior", "variance_prior"),
        ("s2_post", "variance_posterior"),
    ):
        theirs_each = np.broadcast_to(reference[theirs], len(fit.sigma))
        np.testing.assert_allclose(found[ours], theirs_each, rtol=1e-4)
    order = [reference["coefficients"].index(c) for c in fit.coef_names]
    np.testing.assert_allclose(found["statistic"], np.array(reference["t"])[:, order], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["p_value"], np.array(reference["p"])[:, order], rtol=1e-3, atol=1e-300)
    np.testing.assert_allclose(found["df"][:, 0], reference["df_total"], rtol=1e-4)


def _coefficient(fit: Fit, j: int, row: np.ndarray) -> Contrast:
    name = fit.coef_names[j]
    return Contrast(name, row[None, :], "t", name, None, (), np.ones(0, dtype=bool))
