"""The analysis `moderated`: its table beside the arrays it is made of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.derived import ANALYSES, Subject
from mixflow.design import build
from mixflow.formula import parse
from mixflow.inference import contrasts
from mixflow.inference.moderation import moderated
from mixflow.optimise.fitting import fit_features


@pytest.fixture(scope="module")
def subject():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": np.repeat(list("abcdef"), 4), "arm": np.tile(["x", "y", "z", "z"], 6)})
    level = rng.uniform(18, 30, size=(60, 1))
    sd = np.exp(0.1 * (25 - level)) * np.sqrt(6 / rng.chisquare(6, size=(60, 1)))
    values = level + sd * (rng.normal(size=(60, 24)) + rng.normal(size=(60, 6))[:, np.repeat(range(6), 4)])
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0] = np.nan
    design = build(parse("~ arm + (1 | g)"), frame)
    asked = contrasts.build({"y-x": {"arm": ["y", "x"]}, "any": {"arm": "omnibus"}}, design)
    fit = fit_features(design, values, [f"f{i}" for i in range(60)])
    return Subject(fit, design, values, tuple(asked))


def test_table_has_what_it_declares(subject):
    analysis = ANALYSES["moderated"]
    table = analysis.run(subject)
    assert list(table.columns) == list(analysis.columns)
    assert len(table) == 120
    found = moderated(subject.fit, subject.contrasts)
    single, joint = table[table["contrast"] == "y-x"], table[table["contrast"] == "any"]
    np.testing.assert_array_equal(single["p_value"], found["p_value"][:, 0])
    np.testing.assert_array_equal(single["plain_p_value"], found["plain"]["p_value"][:, 0])
    np.testing.assert_array_equal(joint["statistic"], found["f_statistic"][:, 0])
    assert joint["estimate"].isna().all()
    assert single["status"].iloc[0] == "too few observations"
    assert np.isnan(single["p_value"].iloc[0])
    assert (single["df"].iloc[1:] > single["plain_df"].iloc[1:]).all()


def test_trend_and_robust_and_dream_change_the_prior(subject):
    run = ANALYSES["moderated"].run
    plain, trend, robust, dream = (
        run(subject, **o) for o in ({}, {"trend": True}, {"robust": True}, {"rule": "dream"})
    )
    assert plain["s2_prior"].nunique() == 1
    known = trend[trend["contrast"] == "y-x"].dropna(subset="s2_prior")
    level = np.nanmean(subject.values[1:], axis=1)
    assert np.corrcoef(level, np.log(known["s2_prior"]))[0, 1] < -0.9  # sd falls with the level
    assert known["df_prior"].iloc[0] > plain["df_prior"].iloc[1]
    assert robust["df_prior"].nunique() >= 1
    assert not np.allclose(dream["rdf"].dropna(), plain["rdf"].dropna())


def test_without_contrasts_the_coefficients_are_tested(subject):
    table = ANALYSES["moderated"].run(Subject(subject.fit, subject.design, subject.values))
    assert list(dict.fromkeys(table["contrast"])) == list(subject.design.coef_names)


def test_no_features_give_an_empty_table(subject):
    none = fit_features(subject.design, np.zeros((0, 24)), [])
    for rule in ("information", "dream"):
        table = ANALYSES["moderated"].run(
            Subject(none, subject.design, np.zeros((0, 24)), subject.contrasts), rule=rule, robust=True
        )
        assert len(table) == 0


def test_kenward_roger_can_be_moderated(subject):
    fit = fit_features(subject.design, subject.values, subject.fit.feature_ids, kr=True)
    found = moderated(fit, subject.contrasts, df="kenward-roger")
    plain = found["plain"]
    assert (found["df"][1:, 0] > plain["df"][1:, 0]).all()
    scale = moderated(subject.fit, subject.contrasts)
    ratio = found["std_error"] / plain["std_error"]
    np.testing.assert_allclose(ratio, scale["std_error"] / scale["plain"]["std_error"], rtol=1e-9)
