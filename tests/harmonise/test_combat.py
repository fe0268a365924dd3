"""ComBat against R's sva, its invariances, what it does beyond sva, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixflow.errors import MixflowError
from mixflow.harmonise import combat
from mixflow.harmonise.combat import CONSTANT, NO_VARIATION, NOT_ESTIMABLE, TOO_FEW

STUDY = Path(__file__).parents[2] / "config/studies/alzheimer-csf"
SIMULATED = {
    "plain": [],
    "keep": ["condition", "age"],
    "missing": [],
    "missing_keep": ["condition", "age"],
    "constant": ["condition"],
    "single": ["age"],
}


def read(reference: Path, name: str) -> np.ndarray:
    return pd.read_csv(reference / "combat" / f"{name}.csv.gz").to_numpy(dtype=float)


def simulated(seed: int = 0, f: int = 12, n: int = 24) -> tuple[np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    b = np.repeat(np.arange(3), [n // 4, n // 4, n - 2 * (n // 4)])
    sheet = pd.DataFrame(
        {
            "batch": np.array(["x", "y", "z"])[b],
            "group": rng.permutation(np.arange(n) % 2).astype(str),
            "age": rng.normal(60, 10, n),
        }
    )
    x = rng.normal(size=(f, n)) * rng.uniform(0.5, 2, (f, 3))[:, b] + rng.normal(0, 1, (f, 3))[:, b] + 20
    return x, sheet


@pytest.mark.parametrize("case", SIMULATED)
def test_equals_sva_on_simulated_data(reference, case):
    sheet = pd.read_csv(reference / "combat" / f"{case}_sheet.csv.gz")
    done = combat(read(reference, f"{case}_input"), sheet["batch"], sheet[SIMULATED[case]])
    np.testing.assert_allclose(done.values, read(reference, f"{case}_output"), rtol=0, atol=1e-9)
    assert (done.reason != "").sum() == (1 if case == "constant" else 0)


@pytest.mark.parametrize(
    ("case", "keep"),
    [("csf_complete", []), ("csf_missing", []), ("csf_missing_keep", ["AD", "age", "male"])],
)
def test_equals_sva_on_the_cerebrospinal_fluid_study(reference, case, keep):
    y = pd.read_csv(STUDY / "proteins.csv", index_col=0).to_numpy(dtype=float).T
    sheet = pd.read_csv(STUDY / "samples.tsv", sep="\t")
    y = y[~np.isnan(y).any(axis=1)] if case == "csf_complete" else y
    done = combat(y, sheet["collection_site"], sheet[keep].astype(float))
    expected = read(reference, f"{case}_output")
    assert np.array_equal(np.isnan(done.values), np.isnan(expected))
    np.testing.assert_allclose(done.values, expected, rtol=0, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(12)), st.permutations(range(24)))
def test_order_of_features_and_samples_does_not_matter(seed, features, samples):
    x, sheet = simulated(seed)
    x[np.random.default_rng(seed).random(x.shape) < 0.1] = np.nan
    whole = combat(x, sheet["batch"], sheet[["group", "age"]]).values
    mixed = combat(
        x[features][:, samples], sheet["batch"].iloc[samples], sheet[["group", "age"]].iloc[samples]
    )
    np.testing.assert_allclose(mixed.values, whole[features][:, samples], rtol=1e-8, atol=1e-8)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(-1e6, 1e6), st.floats(0.01, 1000))
def test_shift_and_scale_of_the_values_pass_through(seed, shift, scale):
    x, sheet = simulated(seed)
    whole = combat(x, sheet["batch"], sheet[["group"]]).values
    other = combat(x * scale + shift, sheet["batch"], sheet[["group"]]).values
    np.testing.assert_allclose((other - shift) / scale, whole, rtol=1e-6, atol=1e-6)


def test_names_of_batches_do_not_matter():
    x, sheet = simulated()
    renamed = sheet["batch"].map({"x": "9", "y": "5", "z": "1"})
    np.testing.assert_allclose(
        combat(x, renamed).values, combat(x, sheet["batch"]).values, rtol=1e-10, atol=1e-10
    )


def test_batches_come_together_and_the_kept_effect_stays():
    x, sheet = simulated(f=200)
    group = sheet["group"] == "1"
    x[:, group] += 3.0
    done = combat(x, sheet["batch"], sheet[["group"]])
    reference = ~group  # batches differ by themselves where the group is the same
    spread = [
        (
            v[:, (sheet["batch"] == "x") & reference].mean(1)
            - v[:, (sheet["batch"] == "z") & reference].mean(1)
        ).std()
        for v in (x, done.values)
    ]
    assert spread[1] < 0.6 * spread[0]
    effect = done.values[:, group].mean() - done.values[:, ~group].mean()
    assert effect == pytest.approx(x[:, group].mean() - x[:, ~group].mean(), abs=0.3)


def test_a_feature_that_misses_a_batch_is_corrected_between_the_others():
    x, sheet = simulated()
    hole = x.copy()
    hole[0, sheet["batch"] == "x"] = np.nan
    done = combat(hole, sheet["batch"], sheet[["group"]])
    assert done.reason[0] == ""
    assert np.array_equal(np.isnan(done.values), np.isnan(hole))
    y, z = (done.values[0, sheet["batch"] == b].mean() for b in "yz")
    raw_y, raw_z = (hole[0, sheet["batch"] == b].mean() for b in "yz")
    assert abs(y - z) < abs(raw_y - raw_z)
    # the other features: as if that feature had been left out of the priors of batch x alone
    assert np.isnan(done.gamma[0, 0])
    assert np.isfinite(done.gamma[1:]).all()


def test_a_single_value_in_a_batch_takes_its_scale_from_the_prior():
    x, sheet = simulated()
    first, *rest = np.flatnonzero(sheet["batch"] == "x")
    x[0, rest] = np.nan
    done = combat(x, sheet["batch"])
    assert np.isfinite(done.values[0, first])
    assert 0 < done.delta[0, 0] < done.delta[1:, 0].max() * 2


def test_posterior_is_a_fixed_point_of_the_papers_equations():
    x, sheet = simulated(f=30)
    done = combat(x, sheet["batch"])
    b = pd.factorize(sheet["batch"])[0]
    means = np.stack([x[:, b == i].mean(1) for i in range(3)], axis=1)
    n = np.bincount(b)
    centre = means @ n / n.sum()
    sd = np.sqrt(((x - means[:, b]) ** 2).mean(axis=1))
    s = (x - centre[:, None]) / sd[:, None]
    for i in range(3):
        z = s[:, b == i]
        g, d = z.mean(1), z.var(1, ddof=1)
        a = (2 * d.var(ddof=1) + d.mean() ** 2) / d.var(ddof=1)
        beta = (d.mean() * d.var(ddof=1) + d.mean() ** 3) / d.var(ddof=1)
        gamma, delta = done.gamma[:, i], done.delta[:, i]
        tau2 = g.var(ddof=1)
        np.testing.assert_allclose(
            gamma, (tau2 * n[i] * g + delta * g.mean()) / (tau2 * n[i] + delta), rtol=1e-10
        )
        sum2 = ((z - gamma[:, None]) ** 2).sum(axis=1)
        np.testing.assert_allclose(delta, (sum2 / 2 + beta) / (n[i] / 2 + a - 1), rtol=1e-10)


def test_reasons_for_features_that_cannot_be_corrected():
    x, sheet = simulated()
    in_x, in_y, in_z = (np.flatnonzero(sheet["batch"] == b) for b in "xyz")
    ones, zeros = np.flatnonzero(sheet["group"] == "1"), np.flatnonzero(sheet["group"] == "0")
    x[0, in_x] = 7.0  # constant in a complete batch
    x[1] = np.nan
    x[1, [in_x[0], in_y[0]]] = 1.0, 2.0  # as many values as coefficients
    x[2] = np.nan
    for rows in (np.intersect1d(in_x, ones), np.intersect1d(in_y, zeros)):  # batch and group agree
        x[2, rows] = np.arange(len(rows)) + 1.0
    x[3] = np.nan  # constant within each batch, with gaps
    for level, rows in enumerate((in_x, in_y, in_z)):
        x[3, rows[1:]] = float(level)
    x[4] = np.nan  # nothing at all
    done = combat(x, sheet["batch"], sheet[["group"]])
    assert done.reason[:5].tolist() == [CONSTANT, TOO_FEW, NOT_ESTIMABLE, NO_VARIATION, TOO_FEW]
    assert (done.reason[5:] == "").all()
    np.testing.assert_array_equal(done.values[0], x[0])
    assert np.isnan(done.values[1:5]).all()
    assert np.isfinite(done.values[5:]).all()
    assert len(done.notes) == 4


def test_quality_controls_are_corrected_with_the_parameters_of_the_samples():
    x, sheet = simulated()
    role = np.ones(len(sheet), dtype=bool)
    role[[0, 8, 20]] = False
    sheet.loc[~role, "group"] = None  # nothing is known of a QC sample but its batch
    done = combat(x, sheet["batch"], sheet[["group"]], fit_on=role)
    alone = combat(x[:, role], sheet["batch"][role], sheet[["group"]][role])
    np.testing.assert_allclose(done.values[:, role], alone.values)
    assert np.isfinite(done.values[:, ~role]).all()
    assert not np.allclose(done.values[:, ~role], x[:, ~role])


def test_a_sample_whose_batch_has_no_parameters_is_missing():
    x, sheet = simulated()
    sheet.loc[0, "batch"] = "blank run"
    role = np.arange(len(sheet)) > 0
    done = combat(x, sheet["batch"], fit_on=role)
    assert np.isnan(done.values[:, 0]).all()
    assert np.isfinite(done.values[:, 1:]).all()


def test_confounded_columns_are_named():
    x, sheet = simulated()
    sheet["site"] = sheet["batch"].map({"x": "north", "y": "north", "z": "south"})
    with pytest.raises(MixflowError) as error:
        combat(x, sheet["batch"], sheet[["group", "site"]])
    (problem,) = error.value.problems
    assert (problem.column, problem.value) == ("site", "batch")
    assert "confounded" in problem.message
    assert problem.remedy


def test_columns_confounded_only_together_are_all_named():
    x, sheet = simulated()
    sheet["in_x"] = (sheet["batch"] == "x").astype(float) + sheet["age"]
    with pytest.raises(MixflowError) as error:
        combat(x, sheet["batch"], sheet[["age", "in_x", "group"]])
    assert {problem.column for problem in error.value.problems} == {"age", "in_x"}


def test_missing_batch_or_covariate_names_the_samples():
    x, sheet = simulated()
    ids = [f"s{i}" for i in range(len(sheet))]
    sheet.loc[[2, 5], "age"] = np.nan
    with pytest.raises(MixflowError) as error:
        combat(x, sheet["batch"], sheet[["age", "group"]], samples=ids)
    (problem,) = error.value.problems
    assert (problem.column, problem.value) == ("age", "s2")
    assert "s2, s5" in problem.message
    sheet.loc[3, "batch"] = None
    with pytest.raises(MixflowError) as error:
        combat(x, sheet["batch"], samples=ids)
    assert (error.value.problems[0].column, error.value.problems[0].value) == ("batch", "s3")


def test_one_batch_or_one_feature_is_refused():
    x, sheet = simulated()
    with pytest.raises(MixflowError) as error:
        combat(x, pd.Series(["only"] * len(sheet), name="plate"))
    assert (error.value.problems[0].column, error.value.problems[0].value) == ("plate", "only")
    with pytest.raises(MixflowError) as error:
        combat(x[:1], sheet["batch"])
    assert error.value.problems[0].column == "batch.method"


def test_a_constant_covariate_changes_nothing():
    x, sheet = simulated()
    sheet["species"], sheet["year"] = "human", 2020
    np.testing.assert_allclose(
        combat(x, sheet["batch"], sheet[["species", "year"]]).values, combat(x, sheet["batch"]).values
    )
