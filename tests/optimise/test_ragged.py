"""Features with their own rows: each one's fit is that of its own table, whatever else is fitted beside it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

import mixflow
from mixflow.errors import MixflowError
from mixflow.model import Fit
from mixflow.optimise.ragged import bucket
from mixflow.status import Status

FORMULA = "~ condition + lab + (1 | run) + (1 | peptide)"


def made_up(n_proteins: int = 6, seed: int = 1) -> pd.DataFrame:
    """Proteins of 2 to 6 peptides in 12 runs, 30 % missing, of two conditions in three labs."""
    rng = np.random.default_rng(seed)
    rows = []
    for f in range(n_proteins):
        size = rng.integers(2, 7)
        peptide, by_run = rng.normal(0, 2, size), rng.normal(0, 0.7, 12)
        for run in range(12):
            for k in range(size):
                y = 10 + peptide[k] + by_run[run] + run % 2 + rng.normal()
                if rng.random() < 0.7:
                    rows.append((f"P{f}", f"r{run:02d}", f"p{f}_{k}", "AB"[run % 2], f"L{run // 2 % 3}", y))
    columns = ["protein", "run", "peptide", "condition", "lab", "y"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(dose=table["run"].str[1:].astype(int) / 3, w=rng.uniform(0.5, 2, len(table)))


def long_fit(table: pd.DataFrame, formula: str = FORMULA, **options) -> mixflow.Result:
    return mixflow.fit(formula, data=table, feature="protein", response="y", **options)


CASES = {
    "crossed": (FORMULA, {}),
    "weights, ML": (FORMULA, {"weights": "w", "reml": False}),
    "weights": (FORMULA, {"weights": "w"}),
    "slope in the corner": ("~ condition + dose + (1 | run) + (1 + dose | peptide)", {}),
    "independent slope": ("~ condition + (dose || peptide)", {"weights": "w"}),
    "no random effect": ("~ condition * lab", {}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_feature_is_the_fit_of_its_own_table(case: str) -> None:
    formula, options = CASES[case]
    table = made_up(3)
    by_all = long_fit(table, formula, **options).model
    for i, protein in enumerate(by_all.feature_ids):
        own = table[table["protein"] == protein].reset_index(drop=True)
        alone = mixflow.fit(f"y {formula}", data=own, **options).model
        assert by_all.status[i] == alone.status[0]
        _same(by_all, i, alone)


def _same(fit: Fit, i: int, alone: Fit) -> None:
    """Everything of a feature, with the alone fit's parameters put in the order of the formula."""
    theta = [alone.theta_names.index(name) for name in fit.theta_names]
    par = [*theta, len(theta)]
    place = [alone.components.index(name) for name in fit.components]
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)  # noqa: E731
    for name in ("solution", "beta_cov", "sigma", "loglik", "n_obs", "rank"):
        close(getattr(fit, name)[i], getattr(alone, name)[0])
    close(fit.theta[i], alone.theta[0][theta])
    close(fit.beta_cov_deriv[i], alone.beta_cov_deriv[0][par])
    close(fit.par_cov[i], alone.par_cov[0][np.ix_(par, par)])
    close(fit.variance[i], alone.variance[0][place])
    close(fit.share[i], alone.share[0][place])
    for group in set(fit.modes) & set(alone.modes):
        at = [fit.effect_names[group].index(effect) for effect in alone.effect_names[group]]
        close(fit.modes[group][i, at], alone.modes[group][0])
        close(fit.mode_sds[group][i, at], alone.mode_sds[group][0])


def test_kenward_roger_is_that_of_its_own_table() -> None:
    table = made_up(2)
    for formula in (FORMULA, "~ condition + dose + (1 | run) + (1 + dose | peptide)"):
        found = long_fit(table, formula, df="kenward-roger").coefficients
        for protein in ("P0", "P1"):
            own = table[table["protein"] == protein].reset_index(drop=True)
            alone = mixflow.fit(f"y {formula}", data=own, df="kenward-roger").coefficients
            mine = found[found["feature"] == protein]
            for column in ("estimate", "std_error", "df", "p_value"):
                np.testing.assert_allclose(mine[column], alone[column], rtol=1e-7)


def test_a_design_that_features_share_gives_the_fit_of_the_store(tmp_path) -> None:
    from mixflow.api import fit_values

    rng = np.random.default_rng(2)
    samples = pd.DataFrame({"subject": np.repeat(np.arange(8), 3), "day": np.tile([0.0, 1.0, 2.0], 8)})
    values = rng.normal(size=(5, 24)) + np.repeat(rng.normal(size=(5, 8)), 3, axis=1)
    values[rng.random(values.shape) < 0.2] = np.nan
    wide = fit_values(values, samples, "~ day + (1 | subject)")
    long = pd.concat([samples.assign(protein=f"P{i}", y=values[i]) for i in range(5)], ignore_index=True)
    by_row = long_fit(long, "~ day + (1 | subject)").model
    assert (wide.status == by_row.status).all() and (wide.n_levels == by_row.n_levels).all()
    for name in ("solution", "beta_cov", "beta_cov_deriv", "par_cov", "theta", "sigma", "loglik", "share"):
        np.testing.assert_allclose(getattr(by_row, name), getattr(wide, name), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(by_row.modes["subject"], wide.modes["subject"], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(by_row.mode_sds["subject"], wide.mode_sds["subject"], rtol=1e-7)


def test_bytes_do_not_depend_on_the_other_features() -> None:
    table = made_up(6)
    everything = long_fit(table, df="kenward-roger").model
    subsets = [["P3"], ["P5", "P0"], ["P4", "P3", "P2", "P1"]]
    for proteins in subsets:
        chosen = pd.concat([table[table["protein"] == name] for name in proteins], ignore_index=True)
        fit = long_fit(chosen, df="kenward-roger").model
        assert list(fit.feature_ids) == proteins
        rows = [list(everything.feature_ids).index(name) for name in proteins]
        for f in fields(Fit):
            value = getattr(fit, f.name)
            if isinstance(value, np.ndarray) and not len(value):  # what models of this kind do not have
                assert not len(getattr(everything, f.name)), f.name
            elif isinstance(value, np.ndarray):
                assert value.tobytes() == getattr(everything, f.name)[rows].tobytes(), f.name
        run = [everything.effect_names["run"].index(effect) for effect in fit.effect_names["run"]]
        for name in ("modes", "mode_sds"):
            mine, all_of_them = getattr(fit, name)["run"], getattr(everything, name)["run"]
            assert mine.tobytes() == all_of_them[np.ix_(rows, run)].tobytes(), name
        for name in ("cov", "P", "W"):
            assert getattr(fit.kr, name).tobytes() == getattr(everything.kr, name)[rows].tobytes()


def test_the_bucket_follows_from_the_feature_alone_and_bounds_padding() -> None:
    assert bucket(np.array([27, 2])) == ((0, 1), (32, 2))
    assert bucket(np.array([27, 40])) == ((1, 0), (64, 28))
    assert bucket(np.array([5, 5])) == ((0, 1), (32, 6))  # ties as the formula has them
    for n in range(1, 300):
        (lead,) = bucket(np.array([n]))[1]
        corner = bucket(np.array([1000, n]))[1][1]
        assert n <= lead <= max(2 * n, 32) and n <= corner <= max(1.7 * n + 1, n + 16)


def test_a_feature_that_cannot_be_fitted_says_why_and_stays_in_its_place() -> None:
    table = made_up(3)
    own = table["protein"]
    odd = [
        table[own == "P0"].iloc[:1].assign(protein="one row"),
        table[(own == "P0") & (table["peptide"] == "p0_0")].assign(protein="one peptide"),
        table[(own == "P0") & (table["run"] == "r00")].assign(protein="one run"),
        table[(own == "P0") & (table["condition"] == "A")].assign(protein="one condition"),
        table[own == "P0"].drop_duplicates("run").assign(protein="one value a run"),
        table[own == "P0"].assign(protein="constant", y=3.0),
        table[own == "P0"].assign(protein="all missing", y=np.nan),
    ]
    result = long_fit(pd.concat([*odd, table], ignore_index=True))
    status = dict(zip(result.model.feature_ids, map(Status, result.model.status), strict=True))
    assert list(status) == [*(part["protein"].iloc[0] for part in odd), "P0", "P1", "P2"]
    assert status["one row"] == status["all missing"] == Status.TOO_FEW_OBSERVATIONS
    assert status["one peptide"] == Status.TOO_FEW_LEVELS
    assert status["one run"] in (Status.TOO_FEW_LEVELS, Status.TOO_FEW_OBSERVATIONS)
    assert status["one value a run"] == Status.ONE_OBSERVATION_PER_LEVEL
    assert status["constant"] == Status.NO_VARIATION
    table = result.contrast({"B-A": {"condition": ["B", "A"]}, "L1-L0": {"lab": ["L1", "L0"]}})
    one = table[table["feature"] == "one condition"].set_index("contrast")
    assert one.loc["B-A", "status"] == "not estimable" and np.isnan(one.loc["B-A", "estimate"])
    assert np.isfinite(one.loc["L1-L0", "p_value"])
    assert (result.status.loc[["P0", "P1", "P2"]].isin(["ok", "singular"])).all()


def test_shift_and_scale_of_the_values_carry_through() -> None:
    table = made_up(3)
    plain = long_fit(table).model
    moved = long_fit(table.assign(y=1e6 + 100 * table["y"])).model
    np.testing.assert_allclose(moved.theta, plain.theta, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(moved.beta[:, 1:], 100 * plain.beta[:, 1:], rtol=1e-6, atol=1e-6)


def test_what_a_long_table_does_not_take_is_told() -> None:
    table = made_up(2)
    bad = [
        {"feature": "nope", "response": "y"},
        {"feature": "protein"},
        {"response": "y"},
        {"feature": "protein", "response": "run"},
        {"feature": "protein", "response": "y", "residual": "ar1(dose | run)"},
    ]
    for options in bad:
        with pytest.raises(MixflowError):
            mixflow.fit("~ condition + (1 | run)", data=table, **options)
    with pytest.raises(MixflowError, match="names no feature"):
        long_fit(table.assign(protein=table["protein"].where(table.index != 3)))


@pytest.mark.grid
def test_nested_fits_of_a_long_table_are_compared() -> None:
    table = made_up(2)
    found = long_fit(table).anova(long_fit(table, "~ lab + (1 | run) + (1 | peptide)"))
    for protein in ("P0", "P1"):
        own = table[table["protein"] == protein].reset_index(drop=True)
        one = mixflow.fit(f"y {FORMULA}", data=own)
        other = mixflow.fit("y ~ lab + (1 | run) + (1 | peptide)", data=own)
        row = found[found["feature"] == protein].iloc[0]
        assert row["fitted_by"] == "ML"
        np.testing.assert_allclose(row["statistic"], one.anova(other)["statistic"][0], rtol=1e-7)
