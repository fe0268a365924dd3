"""Diagnosis: variance shares, association and aliasing, components, CV, conditional modes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mixflow.errors import MixflowError
from mixflow.harmonise import (
    associate,
    coefficient_of_variation,
    diagnose,
    principal_components,
    refuse_aliased,
    remove_modes,
    sentences,
    variance_share,
)
from mixflow.harmonise.association import batches_tied

N = np.nan


@pytest.fixture
def sheet() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    site = np.repeat(["A", "B", "C"], [10, 8, 6])
    return pd.DataFrame(
        {
            "site": site,
            "case": np.where(site == "C", "control", np.where(rng.random(24) < 0.5, "case", "control")),
            "age": rng.normal(60, 5, 24) - 20 * (site == "C"),
            "country": np.where(site == "A", "DE", "SE"),
            "code": pd.Series(site).map({"A": "one", "B": "two", "C": "three"}),
            "height": pd.Series(site).map({"A": 1.5, "B": 2.5, "C": 0.5}),
            "draw": rng.normal(size=24),
        }
    )


def values(sheet: pd.DataFrame, f: int = 40, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(f, len(sheet)))
    return x + rng.normal(0, 2, (f, 3))[:, pd.factorize(sheet["site"])[0]] + 10


def rss(y: np.ndarray, frame: pd.DataFrame) -> float:
    X = pd.get_dummies(frame.assign(one=1.0), drop_first=False, dtype=float).to_numpy()
    return float(((y - X @ np.linalg.lstsq(X, y)[0]) ** 2).sum())


def test_share_is_the_rise_of_the_residual_sum_of_squares(sheet):
    y = values(sheet, 6)
    y[np.random.default_rng(2).random(y.shape) < 0.2] = N
    factors = ["site", "case", "age"]
    share, notes = variance_share(y, sheet[factors])
    assert notes == []
    for i, row in enumerate(y):
        seen = ~np.isnan(row)
        full, total = rss(row[seen], sheet.loc[seen, factors]), ((row[seen] - row[seen].mean()) ** 2).sum()
        for k, left_out in enumerate(factors):
            rest = [name for name in factors if name != left_out]
            assert share[i, k] == pytest.approx(
                (rss(row[seen], sheet.loc[seen, rest]) - full) / total, abs=1e-9
            )


def test_share_does_not_depend_on_order_level_names_or_units(sheet):
    y = values(sheet)
    share = variance_share(y, sheet[["site", "age"]])[0]
    np.testing.assert_allclose(variance_share(y, sheet[["age", "site"]])[0][:, ::-1], share, atol=1e-10)
    changed = pd.DataFrame({"site": sheet["code"], "age": sheet["age"] * 365 + 9})
    np.testing.assert_allclose(variance_share(3e4 * y - 7, changed)[0], share, atol=1e-9)


def test_aliased_factors_share_nothing_alone(sheet):
    share = variance_share(values(sheet), sheet[["site", "code", "age"]])[0]
    np.testing.assert_allclose(share[:, :2], 0, atol=1e-9)


def test_share_of_what_cannot_be_told_is_missing(sheet):
    y = values(sheet, 3)
    y[0, 2:] = N  # two values, two coefficients
    sheet.loc[[0, 1], "case"] = ["case", "control"]
    y[1] = 4.0
    share = variance_share(y, sheet[["site", "case"]])[0]
    assert np.isnan(share[:2]).all()
    assert np.isfinite(share[2]).all()


def test_samples_without_a_factor_value_are_left_out_and_counted(sheet):
    y = values(sheet)
    holes = sheet.assign(age=sheet["age"].where(np.arange(24) != 4))
    share, notes = variance_share(y, holes[["site", "age"]])
    assert notes == ["1 samples with a missing value in a declared factor are left out of the shares."]
    keep = np.arange(24) != 4
    np.testing.assert_allclose(share, variance_share(y[:, keep], sheet.loc[keep, ["site", "age"]])[0])


def test_association_measures_against_scipy(sheet):
    found = associate(sheet[["site"]], sheet[["case", "age", "draw"]])
    table = pd.crosstab(sheet["site"], sheet["case"]).to_numpy()
    assert found.strength[0, 0] == pytest.approx(stats.contingency.association(table, "cramer"))
    assert found.p_value[0, 0] == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    groups = [sheet["age"][sheet["site"] == s] for s in "ABC"]
    assert found.p_value[0, 1] == pytest.approx(stats.f_oneway(*groups).pvalue)
    between = sum(len(g) * (g.mean() - sheet["age"].mean()) ** 2 for g in groups)
    eta = np.sqrt(between / ((sheet["age"] - sheet["age"].mean()) ** 2).sum())
    assert found.strength[0, 1] == pytest.approx(eta)
    numeric = associate(sheet[["draw"]], sheet[["age", "case"]])
    assert numeric.strength[0, 0] == pytest.approx(abs(stats.pearsonr(sheet["draw"], sheet["age"]).statistic))
    assert numeric.measure.tolist() == [["|r|", "eta"]]


def test_aliasing_is_found_both_ways(sheet):
    found = associate(sheet[["site", "country"]], sheet[["country", "code", "height", "case", "site"]])
    assert found.aliased.tolist() == [[True, True, True, False, False], [False, False, False, False, False]]
    assert found.one_to_one.tolist() == [[False, True, True, False, False], [False] * 5]
    assert np.isnan(found.strength[0, 4])  # a factor with itself


def test_missing_values_are_left_out_pair_by_pair(sheet):
    holes = sheet.assign(age=sheet["age"].where(np.arange(24) > 3))
    found = associate(holes[["site"]], holes[["age", "case"]])
    assert found.strength[0, 0] == associate(sheet.iloc[4:][["site"]], sheet.iloc[4:][["age"]]).strength[0, 0]
    assert found.strength[0, 1] == associate(sheet[["site"]], sheet[["case"]]).strength[0, 0]
    nothing = associate(holes[["site"]], pd.DataFrame({"empty": [None] * 24}))
    assert np.isnan(nothing.strength).all()
    assert not nothing.aliased.any()


def test_sentences_name_partial_association_and_empty_cells(sheet):
    found = associate(sheet[["site"]], sheet[["case", "age", "draw", "country", "code"]])
    said = sentences(found)
    assert any(s.startswith("site and age are strongly associated (eta") for s in said)
    assert "site C has no sample with case = case (6 samples in all)." in said
    assert "country is constant within each site: it can be compared between levels of site only." in said
    assert any("site and code say the same" in s for s in said)
    assert not any("draw" in s for s in said)


def test_many_empty_cells_are_summed_up():
    run = pd.DataFrame(
        {"run": [f"r{i}" for i in range(20)], "arm": ["a", "b"] * 10, "x": ["u", "u", "v", "w"] * 5}
    )
    run = pd.concat([run, run.assign(x="u")])
    (said,) = [s for s in sentences(associate(run[["run"]], run[["x"]]), 0.0) if "hold" in s]
    assert said == "20 of 20 levels of run do not hold every level of x."


def test_batch_factors_that_go_together_are_told(sheet):
    said = batches_tied(sheet[["code", "site", "country"]])
    assert "code and site say the same about every sample: their effects cannot be told apart." in said
    assert any(s.startswith("country is constant within each site") for s in said)
    assert not any(s.startswith("site is constant") for s in said)


def test_levels_of_a_categorical_keep_their_order_and_lose_unused_ones(sheet):
    kind = pd.CategoricalDtype(["never", "SE", "DE"])
    country = sheet.assign(country=sheet["country"].astype(kind))
    found = associate(country[["country"]], sheet[["case"]])
    assert found.strength[0, 0] == associate(sheet[["country"]], sheet[["case"]]).strength[0, 0]
    y = values(sheet)
    np.testing.assert_allclose(
        variance_share(y, country[["country"]])[0], variance_share(y, sheet[["country"]])[0], atol=1e-12
    )


@pytest.mark.parametrize("n", [1, 2])
def test_association_of_hardly_any_samples_is_missing_not_an_error(sheet, n):
    found = associate(sheet[["draw", "site"]].head(n), sheet[["age", "case"]].head(n))
    assert np.isnan(found.strength[0, 0])
    assert np.isnan(found.p_value[0, 0])
    assert not found.aliased[1].any()  # these samples come from one site


def test_exact_aliasing_is_refused_naming_both_columns(sheet):
    found = associate(sheet[["site"]], sheet[["code", "country", "case"]])
    with pytest.raises(MixflowError) as error:
        refuse_aliased(found, ["code", "country", "case"])
    (problem,) = error.value.problems
    assert (problem.column, problem.value) == ("code", "site")
    assert problem.remedy
    with pytest.raises(MixflowError) as error:
        refuse_aliased(found, ["country"], method="combat")
    assert error.value.problems[0].column == "country"
    refuse_aliased(found, ["country", "case"], method="mixed")
    refuse_aliased(found, ["case"], method="combat")


def test_components_are_those_of_a_singular_value_decomposition(sheet):
    x = values(sheet)
    done = principal_components(x, n=4)
    z = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
    _, s, vt = np.linalg.svd(z, full_matrices=False)
    np.testing.assert_allclose(np.abs(done.scores), np.abs(vt[:4].T * s[:4]), atol=1e-8)
    np.testing.assert_allclose(done.share, s[:4] ** 2 / (s**2).sum())
    assert done.n_features == 40
    order = np.random.default_rng(0).permutation(24)
    np.testing.assert_allclose(
        principal_components(x[::-1][:, order], n=4).scores, done.scores[order], atol=1e-8
    )


def test_components_say_how_missing_values_were_met(sheet):
    x = values(sheet)
    x[:5, 0] = N
    assert principal_components(x).n_features == 35
    assert "35 features without missing values" in principal_components(x).note
    x[:20, 1] = N
    x[39] = N
    done = principal_components(x)
    assert done.n_features == 39
    assert "mean" in done.note
    assert np.isfinite(done.scores).all()


def test_components_project_quality_controls_and_skip_empty_samples(sheet):
    x = np.hstack([values(sheet), values(sheet).mean(1, keepdims=True), np.full((40, 1), N)])
    role = np.arange(26) < 24
    done = principal_components(x, role, n=2)
    np.testing.assert_allclose(done.scores[:24], principal_components(x[:, :24], n=2).scores, atol=1e-8)
    np.testing.assert_allclose(done.scores[24], 0, atol=1e-8)  # the mean sample lies at the origin
    assert np.isnan(done.scores[25]).all()


@pytest.mark.parametrize("x", [np.full((3, 4), N), np.ones((3, 4)), np.ones((0, 4))])
def test_no_components_where_nothing_varies(x):
    done = principal_components(x)
    assert done.scores.shape == (4, 0)
    assert done.share.shape == (0,)


def test_cv_on_each_scale():
    rng = np.random.default_rng(8)
    raw = np.exp(rng.normal(5, 0.2, (1, 4000)))
    all_of = np.ones(4000, dtype=bool)
    cv = raw.std(ddof=1) / raw.mean()
    assert coefficient_of_variation(raw, all_of, "intensity")[0] == pytest.approx(cv)
    assert coefficient_of_variation(np.log1p(raw), all_of, "log1p")[0] == pytest.approx(cv)
    assert coefficient_of_variation(np.log2(raw), all_of, "log2")[0] == pytest.approx(cv, rel=0.05)
    p = raw / raw.max() / 2
    for scale, z in (("logit", np.log(p / (1 - p))), ("asin_sqrt", np.arcsin(np.sqrt(p)))):
        assert coefficient_of_variation(z, all_of, scale)[0] == pytest.approx(cv)
    few = np.array([[1.0, 2.0, N, 4.0], [1.0, -1.0, 0.0, 9.0]])
    assert np.isnan(coefficient_of_variation(few, np.array([True, True, True, False]), "free")).all()


def test_conditional_modes_are_taken_out():
    x = np.array([[1.0, 2.0, 3.0], [4.0, N, 6.0], [7.0, 8.0, 9.0]])
    modes = {"site": np.array([[0.5, -0.5], [1.0, -1.0], [N, N]]), "run": np.array([[0.1], [0.2], [0.3]])}
    index = {"site": np.array([0, 1, -1]), "run": np.array([0, 0, 0])}
    out = remove_modes(x, modes, index)
    np.testing.assert_allclose(out, [[0.4, 2.4, 2.9], [2.8, N, 5.8], [N, N, N]])
    assert x[0, 0] == 1.0
    with pytest.raises(ValueError, match="same factors"):
        remove_modes(x, modes, {"site": index["site"]})
    with pytest.raises(ValueError, match="site"):
        remove_modes(x, {"site": modes["site"]}, {"site": np.array([0, 1])})


def test_diagnosis_holds_what_the_store_declares(sheet):
    x = values(sheet)
    qc = np.arange(24) % 8 == 0
    after = x - x.mean(axis=1, keepdims=True) + 5
    done = diagnose(
        x,
        sheet,
        ["site"],
        ["case", "age"],
        scale="log2",
        after=after,
        is_sample=~qc,
        is_qc=qc,
        columns=["case", "draw", "site"],
    )
    assert done.factors == ["site", "case", "age"]
    assert done.share.shape == done.share_after.shape == (40, 3)
    np.testing.assert_allclose(done.share_after, done.share, atol=1e-9)
    assert done.before.scores.shape[0] == 24
    assert np.isfinite(done.before.scores).all()
    assert done.association.columns == ["case", "draw"]
    assert done.cv_before.shape == done.cv_after.shape == (40,)
    alone = diagnose(x, sheet, ["site"], [], scale="log2", is_sample=~qc)
    assert alone.share_after is None
    assert alone.after is None
    assert alone.cv_before is None
    assert np.isnan(alone.before.scores[qc]).all()
    assert alone.association.strength.shape == (1, 0)


def test_the_cerebrospinal_fluid_study_flags_kiel(shared_data):
    frame = pd.read_csv(shared_data / "proteomics/alzheimer_csf_proteins.csv")
    frame["AD"] = frame["AD"].map({0: "control", 1: "AD"})
    found = associate(frame[["collection_site"]], frame[["AD", "age", "male"]])
    refuse_aliased(found, ["AD", "age", "male"], method="combat")
    said = sentences(found)
    assert any("Kiel has no sample with AD = AD (16 samples in all)" in s for s in said)
    assert any(s.startswith("collection_site and age are strongly associated") for s in said)
    share = variance_share(frame.iloc[:, 5:].to_numpy().T, frame[["collection_site", "AD", "age", "male"]])[0]
    assert 0.05 < np.median(share[:, 0]) < 0.3
    assert (share.sum(axis=1) <= 1 + 1e-9).all()


def test_components_of_few_features_on_many_samples_are_those_of_the_singular_values():
    x = np.random.default_rng(5).normal(size=(7, 300)) * np.arange(1, 8)[:, None] + 3
    x[1] += x[0]
    done = principal_components(x, n=3)
    z = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    _, d, v = np.linalg.svd(z, full_matrices=False)
    np.testing.assert_allclose(np.abs(done.scores), np.abs(v[:3].T * d[:3]), atol=1e-9)
    np.testing.assert_allclose(done.share, d[:3] ** 2 / (d**2).sum(), rtol=1e-10)
    assert (done.scores[np.abs(done.scores).argmax(axis=0), range(3)] > 0).all()
