"""Contrasts against the median feature, and two models with one p."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.family import named
from mixflow.formula import parse
from mixflow.inference.contrasts import from_weights
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.median_contrasts import against_median, covariances
from mixflow.inference.two_parts import joined, joint_p
from mixflow.optimise.fitting import fit_features
from mixflow.optimise.generalised import fit_generalised

TAXA, SAMPLES, CHANGE = 60, 200, 2.5


@pytest.fixture(scope="module")
def composition() -> Subject:
    """Log shares of compositions in which the first taxon alone grows, 12-fold, in half of the samples."""
    rng = np.random.default_rng(4)
    group = np.tile([0.0, 1.0], SAMPLES // 2)
    log_abundance = rng.normal(0, 0.5, (TAXA, SAMPLES)) + rng.normal(0, 0.4, (TAXA, 1))
    log_abundance[0] += 3.0 + CHANGE * group
    share = np.exp(log_abundance)
    share /= share.sum(axis=0)
    counts = np.stack([rng.multinomial(60_000, p) for p in share.T], axis=1)
    values = np.log((counts + 0.5) / counts.sum(axis=0))
    design = build(parse("~ group"), pd.DataFrame({"group": group}))
    fit = fit_features(design, values, [f"t{i}" for i in range(TAXA)])
    return Subject(fit, design, values, tuple(from_weights({"group": {"group": 1.0}}, design)))


def test_one_changed_taxon_moves_the_others_against_zero_and_not_against_the_median(composition):
    table = ANALYSES["median_contrasts"].run(composition)
    others = table["feature"] != "t0"
    assert (table.loc[others, "p_zero"] < 0.05).mean() > 0.9  # nearly every taxon that did not change
    for variance in (True, False):
        found = ANALYSES["median_contrasts"].run(composition, variance=variance)
        assert (found.loc[others, "p_value"] < 0.05).mean() < 0.12
        assert (found.loc[others, "q_value"] < 0.05).sum() == 0
        assert found.loc[~others, "q_value"].item() < 1e-6
        assert found.loc[~others, "difference"].item() == pytest.approx(CHANGE, abs=0.3)
    assert table["median"].nunique() == 1 and table["median"].iloc[0] < -0.5


def test_rejections_of_unchanged_taxa_are_nominal():
    """1,000 taxa of which 50 change: those that do not are called as often as the level says."""
    rng = np.random.default_rng(1)
    se = rng.uniform(0.1, 0.4, 1000)
    change = np.where(np.arange(1000) < 50, 1.5, 0.0)
    found = against_median(change - 0.4 + se * rng.normal(size=1000), se, np.full(1000, np.inf))
    assert abs((found["p_value"][50:] < 0.05).mean() - 0.05) < 0.02
    assert (found["p_zero"][50:] < 0.05).mean() > 0.4
    inside = (found["conf_low"] <= change) & (change <= found["conf_high"])
    assert inside[50:].mean() == pytest.approx(0.95, abs=0.02)


def test_covariance_with_the_median_is_that_of_a_simulation():
    """MaAsLin 3 draws estimates around themselves; the closed form is what its draws converge to."""
    rng = np.random.default_rng(2)
    estimate, se = rng.normal(0, 0.5, 40), rng.uniform(0.2, 0.5, 40)
    used = np.ones(40, dtype=bool)
    draws = rng.normal(estimate, se, (200_000, 40))
    medians = np.median(draws, axis=1)
    simulated = ((draws - draws.mean(axis=0)) * (medians - medians.mean())[:, None]).mean(axis=0)
    found = covariances(estimate, se, used, float(np.median(estimate)))
    # The closed form is taken at the median itself, the draws wander around it.
    assert np.corrcoef(found, simulated)[0, 1] > 0.98
    assert found.sum() == pytest.approx(simulated.sum(), rel=0.1)


def test_a_feature_without_an_estimate_has_no_number_and_counts_nowhere():
    estimate = np.array([0.1, -0.2, 0.3, np.nan, 5.0, 0.0])
    found = against_median(estimate, np.array([0.1, 0.1, 0.1, np.nan, 0.1, 0.1]), np.full(6, np.inf))
    assert np.isnan(found["p_value"][3]) and np.isnan(found["median"][3])
    assert found["median"][0] == pytest.approx(np.median([0.1, -0.2, 0.3, 5.0]))  # 0.0 has p = 1: left out
    few = against_median(estimate[:2], np.array([0.1, 0.1]), np.full(2, np.inf))
    assert np.isnan(few["p_value"]).all() and np.isfinite(few["p_zero"]).all()


def test_joint_p_is_that_of_the_smaller_of_two():
    p = np.array([0.01, 0.5, 1e-20, np.nan, np.nan])
    other = np.array([0.2, 0.03, 0.7, 0.04, np.nan])
    found = joint_p(p, other)
    np.testing.assert_allclose(found[:3], stats.beta(1, 2).cdf([0.01, 0.03, 1e-20]), rtol=1e-12)
    assert found[3] == 0.04 and np.isnan(found[4])
    rng = np.random.default_rng(3)
    null = joint_p(rng.uniform(size=100_000), rng.uniform(size=100_000))
    assert stats.kstest(null, "uniform").pvalue > 0.001


def test_tables_of_two_models_meet_by_feature_and_contrast():
    own = pd.DataFrame(
        {
            "feature": ["a", "b", "c"],
            "contrast": "x",
            "estimate": [1.0, 2.0, 3.0],
            "p_value": [0.01, 0.6, np.nan],
        }
    )
    other = pd.DataFrame(
        {"feature": ["c", "a"], "contrast": "x", "estimate": [-3.0, -1.0], "p_value": [0.02, 0.5]}
    )
    found = joined(own, other).set_index("feature")
    assert list(found["leading"]) == ["own", "own", "other"]
    np.testing.assert_allclose(found["p_value"], [0.01 * 1.99, 0.6, 0.02])
    np.testing.assert_allclose(found["q_value"], [0.03, 0.6, 0.03])
    assert np.isnan(found.loc["b", "estimate_other"])


def test_joint_needs_the_other_models_tests(composition):
    with pytest.raises(MixflowError, match="not here"):
        ANALYSES["joint"].run(composition, **{"with": "presence"})


@pytest.mark.grid
def test_counts_with_an_offset_need_the_median_as_well():
    """Negative binomial counts of a composition, library size as offset: the same shift, the same answer."""
    rng = np.random.default_rng(8)
    n, taxa = 120, 24
    subject, group = np.repeat(np.arange(n // 3), 3), np.repeat(np.arange(n // 3) % 2.0, 3)
    load = rng.normal(2, 0.7, (taxa, 1)) + rng.normal(0, 0.2, (taxa, n // 3))[:, subject]
    load[0] += 3.5 + CHANGE * group
    load += np.log(rng.gamma(8.0, 1 / 8, load.shape))
    share = np.exp(load) / np.exp(load).sum(axis=0)
    counts = np.stack([rng.multinomial(20_000, p) for p in share.T], axis=1).astype(float)
    table = pd.DataFrame({"group": group, "subject": subject.astype(str), "reads": counts.sum(axis=0)})
    design = build(parse("~ group + offset(log(reads)) + (1 | subject)"), table)
    designs, family = {"mu": design, "dispersion": build(parse("~ 1"), table)}, named("nbinom2")
    ids, y = np.array([f"t{i}" for i in range(taxa)], dtype=object), counts[:, :, None]
    fit = fit_generalised(designs, family, y, ids)
    asked = tuple(from_weights({"group": {"group": 1.0}}, design))
    found = FittedFamily(fit, designs, family, y)
    run = ANALYSES["median_contrasts"].run(Subject(fit, design, counts, asked, "z", generalised=found))
    others = run["feature"] != "t0"
    assert (run.loc[others, "p_zero"] < 0.05).mean() > 0.9
    assert (run.loc[others, "q_value"] < 0.05).sum() == 0
    assert run.loc[~others, "q_value"].item() < 1e-6
