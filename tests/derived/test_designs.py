"""The study configs of the designs: valid, as their generator writes them, and their truths come back.

Each bound is 3 standard errors of the mean over features, or 3 binomial ones of a coverage.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from mixflow.inference import tests as wald
from mixflow.inference.contrasts import build_coefficients
from mixflow.study.validate import validate
from tests.derived.designs import ROOT, Run, simulate
from tests.derived.subjects import of_frame

NAMES = ("crossover", "cluster-trial", "stepped-wedge", "test-retest", "hospitals")
COUNT = {"crossover": 60, "stepped-wedge": 100}


@cache
def run(name: str, model: str = "main") -> Run:
    """The model on simulated features, fitted once."""
    return Run(name, model, COUNT.get(name, 200))


def recovered(estimates: np.ndarray, truth: float, label: str) -> None:
    """The mean over features is the truth within 3 standard errors."""
    good = np.asarray(estimates)[np.isfinite(estimates)]
    z = (good.mean() - truth) / (good.std(ddof=1) / np.sqrt(len(good)))
    assert abs(z) < 3, f"{label}: mean {good.mean():.4f}, truth {truth:.4f}, z {z:.1f}"


def covered(low: np.ndarray, high: np.ndarray, truth: np.ndarray | float, level: float = 0.95) -> None:
    """The share of features whose limits hold the truth is the level within 3 standard errors."""
    inside = (np.asarray(low) <= truth) & (truth <= np.asarray(high))
    assert np.isfinite(low).all()
    assert abs(inside.mean() - level) < 3 * np.sqrt(level * (1 - level) / len(inside)), inside.mean()


@pytest.mark.parametrize("name", NAMES)
def test_files_are_those_of_the_generator_and_the_config_is_valid(name: str) -> None:
    module, folder = simulate(), ROOT / "config" / "studies" / name
    for file, text in module.files(module.study(name)).items():
        assert (folder / file).read_text(encoding="utf-8") == text, file
    assert validate(folder / "config.yaml", data=True) == []


def test_crossover_ratio_learning_and_memory() -> None:
    one, truth = run("crossover"), run("crossover").truth
    found, learning = one.test("test vs reference"), one.test("learning")
    ratio = one.drawn["log_ratio"]
    recovered(found["estimate"] - ratio, 0, "ratio")
    covered(found["conf_low"], found["conf_high"], ratio)
    recovered(learning["estimate"], truth["learning"], "learning")
    covered(learning["conf_low"], learning["conf_high"], truth["learning"])
    recovered(one.subject.fit.structure[:, 0], truth["rho"], "rho")
    recovered(one.sd("subject") ** 2, truth["sd_subject"] ** 2, "subject")
    recovered(one.sd("Residual", "") ** 2, truth["sd_residual"] ** 2, "residual")


def test_crossover_calls_the_equivalent_and_seldom_those_on_the_bound() -> None:
    one = run("crossover")
    table = one.table("equivalence")
    on_bound = one.drawn["log_ratio"] > 0.2
    assert (table["equivalent"][~on_bound] == "yes").all()
    assert (table["equivalent"][on_bound] == "yes").mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / on_bound.sum())
    ends = np.log(table[["conf_low", "conf_high"]].to_numpy())
    covered(ends[:, 0], ends[:, 1], one.drawn["log_ratio"], 0.90)


def test_crossover_with_subject_by_period_effects_that_remember_and_a_residual() -> None:
    """Two values in each period: subject, subject:period as AR(1), and the single values' residual together."""
    rng, count = np.random.default_rng(17), 24
    subject, period = np.repeat(np.arange(24), 12), np.tile(np.repeat(np.arange(6), 2), 24)
    visits = rng.normal(size=(count, 24, 6))
    for t in range(1, 6):
        visits[:, :, t] = 0.6 * visits[:, :, t - 1] + 0.8 * visits[:, :, t]
    treated = (subject + period) % 2
    noise = rng.normal(size=(count, 24))[:, subject] + 0.5 * rng.normal(size=(count, 288))
    values = 0.3 * treated + 0.1 * period + visits[:, subject, period] + noise
    values[rng.random(values.shape) < 0.08] = np.nan
    frame = pd.DataFrame({"treated": treated * 1.0, "period": period * 1.0})
    frame = frame.assign(subject=[f"p{i}" for i in subject], visit=[f"v{t}" for t in period])
    one = of_frame("~ treated + period + (1 | subject) + ar1(visit + 0 | subject)", frame, values)
    found = wald.test(one.fit, build_coefficients(one.design))
    recovered(found["estimate"][:, 1], 0.3, "treatment")
    covered(found["conf_low"][:, 1], found["conf_high"][:, 1], 0.3)
    recovered(one.fit.sigma**2, 0.25, "residual")
    both = one.fit.variance[:, :2].sum(
        axis=1
    )  # six periods hardly tell a long memory from the subject's level
    recovered(both, 2.0, "subject and subject:period")


def test_cluster_trial_effect_and_correlation() -> None:
    one, truth = run("cluster-trial"), run("cluster-trial").truth
    effect = one.test("effect")
    recovered(effect["estimate"], truth["effect"], "effect")
    covered(effect["conf_low"], effect["conf_high"], truth["effect"])
    assert effect["df"].max() < 24  # practices, not patients
    icc = one.table("icc")
    recovered(icc["icc"].to_numpy(), truth["icc"], "icc")
    covered(icc["conf_low"], icc["conf_high"], truth["icc"])
    told = one.table("design_effect")
    recovered(
        told["design_effect"].to_numpy(), 1 + (told["effective_size"].mean() - 1) * truth["icc"], "effect"
    )


def test_stepped_wedge_effect_and_how_it_differs() -> None:
    one, truth = run("stepped-wedge"), run("stepped-wedge").truth
    effect = one.test("effect")
    recovered(effect["estimate"], truth["effect"], "effect")
    covered(effect["conf_low"], effect["conf_high"], truth["effect"])
    recovered(one.sd("clinic") ** 2, truth["sd_cluster"] ** 2, "clinic")
    recovered(one.sd("clinic", "treated") ** 2, truth["sd_effect"] ** 2, "effect of clinics")
    recovered(one.sd("Residual", "") ** 2, truth["sd_residual"] ** 2, "residual")
    alike = run("stepped-wedge", "alike").test("effect")
    assert np.median(alike["std_error"] / effect["std_error"]) < 0.95  # one effect for all is too sure


def test_retest_consistency_has_exact_limits() -> None:
    one, truth = run("test-retest", "consistency"), run("test-retest", "consistency").truth
    table = one.table("icc")
    assert set(table["method"]) == {"exact"}
    covered(table["conf_low"], table["conf_high"], truth["consistency"])
    recovered(one.sd("patient") ** 2, truth["var_patient"], "patient")
    recovered(table["sem"].to_numpy() ** 2, truth["var_residual"], "error of measurement")


def test_retest_agreement_counts_devices_as_error() -> None:
    one, truth = run("test-retest", "agreement"), run("test-retest", "agreement").truth
    table = one.table("icc").query("status == 'ok'")
    recovered(table["icc"].to_numpy(), truth["agreement"], "agreement")
    covered(table["conf_low"], table["conf_high"], truth["agreement"])
    share = one.table("partition").groupby("source")["share"].mean()
    np.testing.assert_allclose(share["patient"], one.table("icc")["icc"].mean(), rtol=1e-9)


def test_hospitals_effects_and_small_ones_pulled_in() -> None:
    one, truth = run("hospitals"), run("hospitals").truth
    for name, step in (("age", 10), ("severity", 1)):
        found = one.test(name)
        recovered(found["estimate"], step * truth[name], name)
        covered(found["conf_low"], found["conf_high"], step * truth[name])
    recovered(one.sd("hospital") ** 2, truth["sd_hospital"] ** 2, "hospital")
    table = one.table("benchmarking")
    feature, level = (table[c].str[1:].astype(int) for c in ("feature", "level"))
    table["truth"] = one.drawn["hospital"][feature, level]
    error = {c: ((table[c] - table["truth"]) ** 2).mean() for c in ("raw", "shrunken")}
    assert error["shrunken"] < 0.5 * error["raw"]
    inside = table["truth"].between(table["conf_low"], table["conf_high"])
    assert 0.92 < inside.mean() < 0.96  # second-order limits; conditional standard deviations alone give 0.90
    small = table["n"] <= 4
    highest = table.groupby("feature")["raw"].idxmax(), table.groupby("feature")["shrunken"].idxmax()
    assert small[highest[0]].mean() > 0.4 > 0.1 > small[highest[1]].mean()
