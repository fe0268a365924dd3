"""Constants and parametrisation: log-likelihoods of glmmTMB and ordinal at their estimates (reference/family.R)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mixflow.family import named
from tests.family.cases import every

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "family.json").read_text())


@pytest.mark.parametrize(
    "fit", REFERENCE["fits"], ids=lambda f: f"{f['name']} {f['link']} {'zi' * f['zi']}".strip()
)
def test_log_likelihood_is_glmmtmbs(fit: dict) -> None:
    family = named(fit["name"], fit["link"], zi=fit["zi"])
    y, n = np.array(fit["y"], float), len(fit["y"])
    columns = [np.array(fit["mu"])]
    if any(p.name == "dispersion" for p in family.predictors):
        columns.append(np.full(n, fit["dispersion"][0]))
    if fit["zi"]:
        columns.append(np.array(fit["zi_eta"]))
    own = np.array(fit["own"], float)
    if fit["name"] == "ordbeta":
        own = np.array([own[0], np.log(own[1] - own[0])])
    found = every(family, "log_density", y, np.stack(columns, axis=1), own)
    assert found.sum() == pytest.approx(fit["loglik"], abs=1e-6)
    assert family.problems(y) is None


@pytest.mark.parametrize("fit", REFERENCE["cumulative"], ids=lambda f: f"{f['link']} {f['thresholds']}")
def test_log_likelihood_and_signs_are_clms(fit: dict) -> None:
    family = named("cumulative", fit["link"], levels=5, thresholds=fit["thresholds"])
    alpha, y = np.array(fit["natural"]), np.array(fit["y"], float)[:, None]
    gaps = np.log(np.diff(alpha))
    location = alpha.mean() if fit["thresholds"] == "symmetric" else alpha[0]
    own = np.concatenate([[location], gaps[: family.n_own - 1]])
    np.testing.assert_allclose(family.natural(own), alpha, atol=1e-9)
    found = every(family, "log_density", y, np.array(fit["mu"])[:, None], own)
    assert found.sum() == pytest.approx(fit["loglik"], abs=1e-6)
