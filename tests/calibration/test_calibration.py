"""A small version of the calibration study: its rates, and features beside lmerTest and pbkrtest."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[2]
HERE = ROOT / "workflows" / "calibration"
SCENARIOS = ("icc_0.05", "icc_0.5")
FEATURES = 300


@pytest.fixture(scope="module")
def study() -> Iterator[SimpleNamespace]:
    """The workflow's own modules, imported as its scripts import each other, and its config."""
    sys.path.insert(0, str(HERE))
    names = ("simulate", "measure", "tables", "few", "generalised")
    before = {name: sys.modules.pop(name, None) for name in names}
    try:
        modules: dict[str, ModuleType] = {name: importlib.import_module(name) for name in names}
        config = yaml.safe_load((HERE / "config.yaml").read_text())
        yield SimpleNamespace(config=config, **modules)
    finally:
        sys.path.remove(str(HERE))
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module


@pytest.fixture(scope="module")
def found(study) -> dict[str, tuple[dict, dict, dict]]:
    """Tests, variance ratios and truth of the first features of two scenarios."""
    frame = study.simulate.sheet(study.config)
    out = {}
    for scenario in SCENARIOS:
        data = {name: a[:FEATURES] for name, a in study.simulate.simulate(study.config, scenario).items()}
        out[scenario] = (*study.measure.run(study.config, frame, data["values"]), data)
    return out


@pytest.fixture(scope="module")
def peers(reference) -> pd.DataFrame:
    return pd.read_csv(reference / "calibration.csv.gz")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rates_are_those_of_the_published_table(study, found, scenario):
    """Rejections, coverage and power of 300 features within four Monte Carlo errors of those of 20,000."""
    published = pd.read_csv(ROOT / "reports" / "calibration" / "rates.csv")
    published = published[published["scenario"] == scenario].set_index(["contrast", "method"])
    table = study.tables.rates(found[scenario][0], study.config["level"]).set_index(["contrast", "method"])
    assert set(table.index) == set(published.index)
    for column in ("rejected", "coverage", "power"):
        p = published.loc[table.index, column]
        error = 4 * np.sqrt(p * (1 - p) / FEATURES)
        assert ((table[column] - p).abs() < error).all(), column


def test_published_rates_are_what_the_docs_say():
    """The order of the methods that docs/calibration.md recommends by, on all 20,000 features."""
    table = pd.read_csv(ROOT / "reports" / "calibration" / "rates.csv")
    rate = table.pivot(index=["scenario", "contrast"], columns="method", values="rejected")
    assert (table["features"] == 20000).all()
    assert rate["averaged"].between(0.044, 0.056).all()
    between = rate.xs("between", level="contrast")
    assert (between["kenward-roger"] < 0.05).all()
    assert (between["kenward-roger"] < between["satterthwaite"]).all()
    assert between.loc["icc_0.5", "dream"] > 0.1
    assert between.loc["icc_0.5", "z"] > 0.1
    assert rate.xs("within", level="contrast")["kenward-roger"].between(0.04, 0.055).all()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_tests_of_single_features_are_those_of_r(study, found, peers, scenario):
    """p and df of each feature. Features that lmer leaves beside the boundary are counted, not compared."""
    tests = found[scenario][0]
    part = peers[(peers["scenario"] == scenario) & (peers["feature"] < FEATURES)]
    table = study.tables.beside_peers(tests, part, study.config["level"]).set_index(["contrast", "method"])
    assert set(table["features"]) == {part["feature"].nunique()}
    assert (table["boundary_differs"] <= 2).all()
    assert (table["largest_p_difference_otherwise"] < 2e-4).all()
    assert (table["decisions_differ"] <= table["boundary_differs"]).all()


def test_moderated_variances_are_nearer_to_the_truth(study, found):
    for tests, ratios, truth in found.values():
        table = study.tables.variances(ratios, truth).set_index("variance")
        assert table.loc["group_variance", "rmse_moderated"] < 0.5 * table.loc["group_variance", "rmse_alone"]
        assert table.loc["residual_variance", "rmse_moderated"] < table.loc["residual_variance", "rmse_alone"]
        assert table.loc["group_variance", "estimates_at_zero"] == pytest.approx((tests["theta"] == 0).mean())


def test_tables_of_few_features(study, found):
    """The code of few.csv on two tables; and what the docs say of it."""
    config = study.config | {"few": {"scenarios": [], "tables": {20: 2}}}
    values = found["icc_0.5"][2]["values"]
    table = study.few.few(config, "icc_0.5", study.simulate.sheet(config), values)
    assert len(table) == 4
    plain = found["icc_0.5"][0]["satterthwaite/p_value"][:40, 1] < 0.05
    row = table[(table["method"] == "satterthwaite") & (table["contrast"] == "within")].iloc[0]
    assert row["rejected"] == pytest.approx(plain.mean())
    published = pd.read_csv(ROOT / "reports" / "calibration" / "few.csv")
    averaged = published[published["method"] == "averaged"]
    assert averaged["rejected"].between(0.04, 0.065).all()


def test_table_by_true_correlation_and_figure(study, found, tmp_path):
    tests, _, _ = found["icc_0.5"]
    icc = np.resize([0.0, 0.1, 0.2, 0.45], FEATURES)
    table = study.tables.conditional(tests, icc, 0.05)
    assert table["features"].tolist() == [75] * 8
    one = table[(table["icc"] == "0") & (table["contrast"] == "within")]["z"].iloc[0]
    assert one == pytest.approx((tests["z/p_value"][icc == 0, 1] < 0.05).mean())
    rates = [study.tables.rates(found[s][0], 0.05).assign(scenario=s) for s in SCENARIOS]
    study.tables.figure(pd.concat(rates), tmp_path / "rejections.svg")
    assert "<svg" in (tmp_path / "rejections.svg").read_text()


def test_published_rates_of_generalised_models_are_what_the_docs_say():
    """Advice of docs/calibration.md on Laplace, quadrature and REML, from the published table."""
    table = pd.read_csv(ROOT / "reports" / "calibration" / "generalised.csv")
    assert (table["fitted"] > 1990).all()
    assert table["bias_in_se"].abs().max() < 0.13
    within = table[table["contrast"] == "within"]
    assert within["coverage_z"].between(0.935, 0.97).all()
    between = table[table["contrast"] == "between"].set_index(["family", "groups", "rows", "sd", "method"])
    counts, yes_no = between.loc["nbinom2"], between.loc["binomial"]
    assert counts.loc[12].xs("Laplace", level="method")["coverage_z"].max() < 0.91
    assert counts.loc[12].xs("REML", level="method")["coverage_t"].min() > 0.94
    assert between.loc[(slice(None), 40), "coverage_z"].min() > 0.93
    sd = yes_no.loc[(40, 4, 1.5), "sd_mean"]
    assert sd["Laplace"] < 0.92 and 0.97 < sd["quadrature"] < 1.01
    both = counts["sd_mean"].unstack("method").dropna(subset=["quadrature"])
    assert (both["quadrature"] - both["Laplace"]).abs().max() < 0.011


def test_a_case_of_generalised_models_is_measured_as_published(study):
    """300 features of one case, within four Monte Carlo errors of the published 2,000."""
    case = ("binomial", 12, 4, 1.5)
    own = {**study.config, "generalised": {**study.config["generalised"], "methods": {"Laplace": {}}}}
    found = study.generalised.measure(own, FEATURES, [case]).set_index("contrast")
    published = pd.read_csv(ROOT / "reports" / "calibration" / "generalised.csv")
    same = (published[["family", "groups", "rows", "sd"]] == list(case)).all(axis=1) & (
        published["method"] == "Laplace"
    )
    for contrast, row in published[same].set_index("contrast").iterrows():
        for column in ("coverage_z", "rejected_z"):
            p = row[column]
            assert abs(found.loc[contrast, column] - p) < 4 * np.sqrt(p * (1 - p) / (FEATURES / 2)), column
        # The mean hangs on the few features whose group effects are nearly separated; the median does not.
        assert abs(found.loc[contrast, "sd_median"] - row["sd_median"]) < 0.15
