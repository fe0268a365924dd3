"""HMP2 by config: every coefficient of all 87 species against lmerTest (acceptance 5 of the spine)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mixflow.inference.satterthwaite import degrees_of_freedom
from mixflow.inference.tails import p_value
from mixflow.model.fit import Fit
from mixflow.store.fits import from_dataset
from tests.acceptance import study

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def tree(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.DataTree:
    return study.run("hmp2", tmp_path_factory.mktemp("hmp2"))


@pytest.fixture(scope="module")
def lmer(reference: Path) -> pd.DataFrame:
    return pd.read_csv(reference / "hmp2_results.csv.gz")


def coefficients(fit: Fit) -> pd.DataFrame:
    """Wald tests of all coefficients, from the stored fit."""
    parts = []
    for j, name in enumerate(fit.coef_names):
        variance, df = degrees_of_freedom(fit, np.eye(len(fit.coef_names))[[j]])
        b, se = fit.solution[:, j], np.sqrt(variance)
        columns = {"feature": fit.feature_ids, "name": name, "b": b, "b_se": se, "b_df": df}
        parts.append(pd.DataFrame({**columns, "b_p": p_value(b / se, df)}))
    return pd.concat(parts)


def test_every_coefficient_of_every_species_is_that_of_lmertest(
    tree: xr.DataTree, lmer: pd.DataFrame
) -> None:
    ours = coefficients(from_dataset(study.fits(tree, "species")))
    both = ours.merge(lmer, on=["feature", "name"], how="outer", indicator=True, validate="one_to_one")
    assert len(both) == 87 * 8 and (both["_merge"] == "both").all()
    assert ((both["b"] - both["estimate"]).abs() / both["se"]).max() < 1e-5  # seen: 4e-6
    assert (both["b_se"] / both["se"] - 1).abs().max() < 1e-5  # 8e-7
    assert (both["b_df"] / both["df"] - 1).abs().max() < 1e-3  # 1.9e-4: lmerTest's derivatives are numerical
    assert (both["b_p"] / both["p"] - 1).abs().max() < 1e-3  # 1.9e-4, follows from df
    assert (both["b_p"] - both["p"]).abs().max() < 1e-4


def test_fits_and_statuses_are_those_of_lmer(tree: xr.DataTree, reference: Path) -> None:
    lmer = pd.read_csv(reference / "hmp2_fits.csv.gz").set_index("feature")
    group = study.fits(tree, "species")
    assert group.sizes["feature"] == 87
    assert study.statuses(group).to_dict() == lmer["status"].str.upper().to_dict()
    loglik = group["loglik"].to_series()
    assert (loglik - lmer["loglik"]).abs().max() < 1e-6
    assert (group["n_obs"].values == 1576).all() and (lmer["n"] == 1576).all()
    total = lmer[["site", "subject", "residual"]].sum(axis=1)
    variance = study.by_group(group, "variance").rename(columns={"Residual": "residual"})
    for name in ("site", "subject", "residual"):
        assert ((variance[name] - lmer[name]).abs() / total).max() < 1e-5


def test_dysbiosis_in_crohns_disease_as_maaslin2_has_it(tree: xr.DataTree, lmer: pd.DataFrame) -> None:
    found = study.tests(tree, "species")
    found = found[found["contrast"] == "dysbiosis in CD"].set_index("feature")
    lead = found.loc["Faecalibacterium prausnitzii"]
    assert round(lead["estimate"], 5) == -0.20379
    assert round(lead["std_error"], 6) == 0.016154
    assert f"{lead['p_value']:.1e}" == "9.4e-35"
    assert round(found.loc["Bacteroides uniformis", "estimate"], 4) == -0.1238
    assert round(found.loc["Escherichia coli", "estimate"], 4) == 0.1102
    same = lmer[lmer["name"] == "dysbiosisCD[Yes]"].set_index("feature")
    np.testing.assert_allclose(found["q_value"], same["q"].loc[found.index], rtol=1e-3)
    assert int((found["q_value"] < 0.05).sum()) == 43
