"""Design effect and benchmarking: by hand, by dense matrices, and what small groups come to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.derived import ANALYSES, Subject
from mixflow.errors import MixflowError
from mixflow.inference.benchmarking import COLUMNS
from mixflow.inference.design_effect import COLUMNS as EFFECT
from tests.derived.subjects import of_frame, subject_of
from tests.inference.many_features import fitted

EFFECT_OF, BENCHMARK = ANALYSES["design_effect"].run, ANALYSES["benchmarking"].run
SIZES = np.array([2, 3, 3, 5, 8, 12, 20, 30, 40, 60])


@pytest.fixture(scope="module")
def hospitals() -> Subject:
    """Ten hospitals of very different size, patients seen twice; the second feature lacks a hospital."""
    rng = np.random.default_rng(8)
    hospital = np.repeat(np.arange(10), SIZES)
    patient = np.arange(len(hospital)) // 2
    age = rng.normal(60, 10, len(hospital))
    frame = pd.DataFrame({"hospital": hospital.astype(str), "patient": patient.astype(str), "age": age})
    b, c = rng.normal(size=(3, 10)) * 0.5, rng.normal(size=(3, patient.max() + 1)) * 0.5
    y = 0.02 * age + b[:, hospital] + c[:, patient] + rng.normal(size=(3, len(hospital)))
    y[1, hospital == 4] = np.nan
    y[1, rng.random(len(hospital)) < 0.1] = np.nan
    return of_frame("~ age + (1 | hospital) + (1 | patient)", frame, y)


@pytest.fixture(scope="module")
def plain(hospitals: Subject) -> Subject:
    """The hospitals alone, with prior weights."""
    frame = hospitals.design.frame.assign(hospital=np.repeat(np.arange(10), SIZES).astype(str))
    weights = np.linspace(0.5, 2, len(frame))
    return of_frame("~ age + (1 | hospital)", frame, hospitals.values, weights)


def test_design_effect_by_hand(hospitals: Subject) -> None:
    table = EFFECT_OF(hospitals, group="hospital")
    assert list(table) == list(EFFECT) and list(table["n_levels"]) == [10, 9, 10]
    fit = hospitals.fit
    for i, row in enumerate(table.itertuples()):
        seen = np.isfinite(hospitals.values[i])
        n = np.bincount(np.repeat(np.arange(10), SIZES)[seen], minlength=10)
        variance = {group: fit.variance[i, j] for j, (group, _, _) in enumerate(fit.components)}
        share = variance["hospital"] / sum(variance.values())
        size = (n**2).sum() / n.sum()
        effect = 1 + (size - 1) * share
        told = [row.effective_size, row.icc, row.design_effect, row.effective_n, row.mean_size]
        np.testing.assert_allclose(
            told, [size, share, effect, n.sum() / effect, n.sum() / (n > 0).sum()], rtol=1e-9
        )


def test_the_design_effect_is_that_of_the_variance_of_the_mean() -> None:
    """Of equal groups: the variance of the overall mean over that of independent values of the same variance."""
    whole = fitted("~ 1 + (1 | subject)")
    (row,) = EFFECT_OF(subject_of(whole.take(np.array([0]))), group="subject").itertuples()
    total = whole.fit.variance[0].sum()
    np.testing.assert_allclose(
        whole.fit.beta_cov[0, 0, 0] / (total / row.n_obs), row.design_effect, rtol=1e-7
    )


def test_the_shrunken_effect_is_the_raw_one_times_its_reliability(plain: Subject) -> None:
    table = BENCHMARK(plain, group="hospital")
    assert list(table) == list(COLUMNS) and list(table.groupby("feature").size()) == [10, 9, 10]
    np.testing.assert_allclose(table["shrunken"], table["raw"] * table["reliability"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        table["funnel_high_998"] / table["funnel_high_95"], 3.090232 / 1.959964, rtol=1e-6
    )
    np.testing.assert_allclose(table["z"] * table["funnel_high_95"] / 1.959964, table["raw"], rtol=1e-6)
    first = table[table["feature"] == "0"].set_index("level")
    hospital = np.repeat(np.arange(10), SIZES).astype(str)
    sums = pd.Series(plain.recipe.weights).groupby(hospital).sum()
    expected = 1.959963985 * plain.fit.sigma[0] / np.sqrt(sums[first.index])
    np.testing.assert_allclose(first["funnel_high_95"], expected, rtol=1e-9)


def test_small_groups_are_pulled_in_and_do_not_stand_at_the_ends(plain: Subject) -> None:
    table = BENCHMARK(plain, group="hospital")
    one = table[table["feature"] == "0"].sort_values("n")
    kept = (one["shrunken"] / one["raw"]).to_numpy()
    assert (np.diff(kept[np.argsort(one["n"], kind="stable")]) >= -0.1).all()
    assert kept[0] < 0.5 < kept[-1]
    assert (np.abs(one["shrunken"]) <= np.abs(one["raw"])).all()
    assert (
        sorted(one["rank"]) == list(range(1, 11))
        and one.loc[one["rank"].idxmin(), "shrunken"] == one["shrunken"].max()
    )


def test_chance_counts_the_other_random_effects_as_dense_matrices_do(hospitals: Subject) -> None:
    table = BENCHMARK(hospitals, group="hospital")
    hospital, patient = np.repeat(np.arange(10), SIZES), np.arange(SIZES.sum()) // 2
    for i in (0, 1):
        rows = np.isfinite(hospitals.values[i])
        variance = {
            group: hospitals.fit.variance[i, j] for j, (group, _, _) in enumerate(hospitals.fit.components)
        }
        v = variance["patient"] * np.equal.outer(patient[rows], patient[rows]) + variance[
            "Residual"
        ] * np.eye(rows.sum())
        line = hospitals.values[i, rows] - hospitals.design.X[rows] @ hospitals.fit.beta[i]
        for row in table[table["feature"] == str(i)].itertuples():
            own = (hospital[rows] == int(row.level)) / row.n
            np.testing.assert_allclose(row.raw, own @ line, rtol=1e-9)
            np.testing.assert_allclose(row.z, own @ line / np.sqrt(own @ v @ own), rtol=1e-9)


def test_standard_errors_are_prasad_and_raos() -> None:
    """Fay and Herriot's model worked out level by level, of a feature with a constant as fixed part."""
    whole = fitted("~ 1 + (1 | subject)")
    table = BENCHMARK(subject_of(whole), group="subject")
    one = table[table["feature"] == "gaps"]
    i = list(whole.fit.feature_ids).index("gaps")
    a, d = whole.fit.variance[i, 0], whole.fit.sigma[i] ** 2 / one["n"].to_numpy()
    g1, g2 = a * d / (a + d), (d / (a + d)) ** 2 / (1 / (a + d)).sum()
    g3 = d**2 / (a + d) ** 3 * 2 / ((a + d) ** -2.0).sum()
    np.testing.assert_allclose(one["std_error"] ** 2, g1 + g2 + 2 * g3, rtol=1e-6)


def test_features_without_a_fit_and_no_features() -> None:
    whole = fitted("~ x + (1 | subject)")
    table = BENCHMARK(subject_of(whole), group="subject").set_index("feature")
    assert table.loc["constant", ["raw", "shrunken", "rank"]].isna().all().all()
    assert (table.loc["singular", "reliability"] == 0).all() and (
        table.loc["singular", "shrunken"] == 0
    ).all()
    none = subject_of(whole.take(np.zeros(0, dtype=int)))
    assert BENCHMARK(none, group="subject").empty and EFFECT_OF(none, group="subject").empty


def test_what_cannot_be_meant_is_told() -> None:
    sloped = subject_of(fitted("~ x + (x | subject)", features=[]))
    with pytest.raises(MixflowError, match="not one independent random intercept"):
        BENCHMARK(sloped, group="subject")
    with pytest.raises(MixflowError, match="differs between rows"):
        EFFECT_OF(sloped, group="subject")
