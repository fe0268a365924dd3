"""Every family from a config to a rendered report: features with gaps, without variation, separated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from mixflow.family import FAMILIES
from mixflow.pipeline.paths import Paths
from mixflow.report import build, onefeature
from mixflow.report.model import ModelView
from mixflow.report.scale import capital
from mixflow.report.view import View
from mixflow.status import FITTED, MEANING, Status
from mixflow.store import zarr_io
from tests.pipeline import steps

pytestmark = [pytest.mark.grid, pytest.mark.timeout(1800)]  # eleven models are compiled in one test
SITE, GROUP = np.repeat(np.arange(6), 4), np.tile([0, 1], 12)
N = len(SITE)
OWN = {"formula": "~ group + (1 | site)", "contrasts": {"b vs a": {"group": ["b", "a"]}}}
FINE = (Status.OK, Status.SINGULAR, Status.SIMPLER_FAMILY)
SEPARATED, LOST, NO_VARIATION = Status.SEPARATION, Status.NOT_ESTIMABLE, Status.NO_VARIATION


def _eta(rng: np.random.Generator) -> np.ndarray:
    return 0.5 * GROUP + rng.normal(0, 0.4, 6)[SITE]


def _counts(rng: np.random.Generator) -> np.ndarray:
    """Counts up to 6: of 10 trials, of categories too."""
    return np.minimum(rng.poisson(1.5 * np.exp(_eta(rng)) * rng.gamma(2, 0.5, N)), 6).astype(float)


def _inside(rng: np.random.Generator) -> np.ndarray:
    """Between 0 and 1, neither reached."""
    p = 1 / (1 + np.exp(-_eta(rng)))
    return np.clip(rng.beta(5 * p, 5 * (1 - p)), 0.02, 0.98)


def _shares(rng: np.random.Generator) -> np.ndarray:
    """Between 0 and 1, both of them reached."""
    y = _inside(rng)
    return np.where(y < 0.25, 0.0, np.where(y > 0.9, 1.0, y))


def _amounts(rng: np.random.Generator) -> np.ndarray:
    """None or some: a sum of so many gamma draws."""
    return np.round(rng.gamma(np.maximum(2.0 * rng.poisson(np.exp(_eta(rng))), 1e-9), 1.0), 3)


def _levels(rng: np.random.Generator) -> np.ndarray:
    """Logarithms of amounts, a few far off."""
    return np.round(5 + 2 * _eta(rng) + 0.7 * rng.standard_t(4, N), 3)


@dataclass(frozen=True)
class Made:
    """A study: how a feature is drawn, what the separated one holds in group b, what is constant, its models."""

    draw: Any
    separated: float
    constant: float
    scale: str
    models: dict[str, dict[str, Any]]


STUDIES = {
    "counts": Made(_counts, 0.0, 2.0, "count", {
        "cumulative": {},
        "poisson": {},
        "nbinom1": {},
        "nbinom2": {},
        "inflated": {"family": "nbinom2", "zi": "~ 1"},
        "truncated_poisson": {"response": "nonzero"},
        "truncated_nbinom1": {"response": "nonzero"},
        "hurdle": {"family": "truncated_nbinom2", "zi": "~ 1"},
        "presence": {"family": "binomial", "response": "presence"},
        "tried": {"family": "binomial", "trials": "tried"},
        "betabinomial": {"trials": "tried"},
    }),
    "shares": Made(_shares, 0.0, 0.0, "proportion", {"ordbeta": {}}),
    "inside": Made(_inside, np.nan, 0.3, "proportion", {"beta": {}, "t": {}, "Gamma": {}, "lognormal": {}}),
    "amounts": Made(_amounts, 0.0, 2.0, "free", {"tweedie": {}}),
    "limits": Made(_levels, 4.0, 4.0, "log2", {"censored": {"limit": "lod"}}),
}  # fmt: skip
"""Keys of each model beside OWN; its name is its family where it names none."""
MODELS = [(study, model) for study, made in STUDIES.items() for model in made.models]


def family(study: str, model: str) -> str:
    return STUDIES[study].models[model].get("family", model)


def table(made: Made) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = {name: made.draw(rng) for name in ("plain", "other", "gaps", "constant", "separated", "last")}
    rows["gaps"][::5] = np.nan
    rows["constant"][:] = made.constant
    rows["separated"][GROUP == 1] = made.separated
    return pd.DataFrame(rows, index=[f"s{i:02d}" for i in range(N)]).T


def write(folder: Path, study: str) -> Path:
    made = STUDIES[study]
    sheet = pd.DataFrame({"sample": [f"s{i:02d}" for i in range(N)], "group": np.array(["a", "b"])[GROUP]})
    sheet = sheet.assign(site=[f"site {i}" for i in SITE], tried=10, lod=4.5)
    types = {"group": {"type": "factor", "levels": ["a", "b"]}, "site": {"type": "factor"}}
    types |= {"tried": {"type": "number"}, "lod": {"type": "number"}}
    models = {name: {"family": name, **OWN, **own} for name, own in made.models.items()}
    models[next(iter(models))]["analyses"] = {"terms": None}
    text = {
        "study": study,
        "data": {"files": "table.tsv", "format": "wide", "scale": made.scale},
        "samples": {"file": "samples.tsv", "id": "sample", "columns": types},
        "preprocess": {"filters": {"near_zero_variance": False}},
        "models": models,
        "few_levels": "off",
    }
    return steps.write(folder, table(made), sheet, text)


@dataclass(frozen=True)
class Done:
    """What a run left: the store as the report sees it, and the folder of the report."""

    view: View
    folder: Path

    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")


class Runs(dict[str, Done]):
    """Each study, run where it is first asked for in the working folder."""

    def __missing__(self, study: str) -> Done:
        folder = Path.cwd() / study
        steps.run(write(folder, study))
        tree = zarr_io.load(Paths(study).store)
        build.build(tree, folder / "report")
        self[study] = Done(View(tree), folder / "report")
        return self[study]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with steps.working_in(tmp_path_factory.mktemp("every")):
        yield Runs()


def ends(model: ModelView) -> dict[str, Status]:
    return dict(zip(model.feature_ids, map(Status, model.status), strict=True))


def model_of(done: Runs, study: str, name: str) -> ModelView:
    return next(m for m in done[study].view.models if m.name == name)


def test_every_family_is_among_them() -> None:
    assert {family(*pair) for pair in MODELS} == set(FAMILIES) - {"gaussian"}


@pytest.mark.parametrize(("study", "name"), MODELS)
def test_each_feature_ends_as_it_must(done: Runs, study: str, name: str) -> None:
    model = model_of(done, study, name)
    found, results = ends(model), model.results("b vs a").set_index("feature")
    for feature in ("plain", "other", "gaps", "last"):
        assert found[feature] in FINE, found
        assert np.isfinite(results.loc[feature, ["estimate", "std_error", "p_value"]].to_numpy(float)).all()
    assert results.loc["gaps", "n_obs"] < results.loc["plain", "n_obs"] or "response" in _keys(study, name)
    if "trials" not in _keys(study, name):  # 2 of 10 everywhere varies within each sample
        assert found["constant"] == NO_VARIATION and np.isnan(results.loc["constant", "estimate"])
    separates = np.isfinite(STUDIES[study].separated) and _keys(study, name).get("response") != "nonzero"
    assert not separates or found["separated"] == SEPARATED, found
    assert np.isnan(results.loc["separated", ["estimate", "std_error", "p_value"]].to_numpy(float)).all()
    assert found["separated"] not in FITTED or results.loc["separated", "status"] == MEANING[LOST].label


def _keys(study: str, name: str) -> dict[str, Any]:
    return STUDIES[study].models[name]


@pytest.mark.parametrize(("study", "name"), MODELS)
def test_each_family_stands_in_the_page_and_in_the_tables(done: Runs, study: str, name: str) -> None:
    model, page = model_of(done, study, name), done[study].page()
    scale = model.scale
    title = str(escape(scale.family.title))
    is_headline = model is done[study].view.headline
    assert f"{title} distribution, " in page if is_headline else f"Its distribution is {title} with" in page
    facts = json.loads(re.findall(r'<script[^>]*id="facts">(.*?)</script>', page, re.S)[0])
    told = next(m for m in facts["models"] if m["name"] == name)
    assert told["scale"] == {
        "estimate": scale.estimate,
        "axis": scale.axis(done[study].view.unit),
        "ratio": capital(scale.ratio),
    }
    assert not scale.ratio or f"log {scale.ratio.replace('ratio', 'ratios')}" in page
    table = pd.read_csv(done[study].folder / f"tables/results_{name}_b-vs-a.tsv", sep="\t").set_index(
        "feature"
    )
    assert list(table.index) == model.feature_ids
    at = model.coefs.index("group[b]")
    for feature in ("plain", "gaps"):
        own = model.fit["beta"].values[model.position[feature], at]
        assert table.loc[feature, "estimate"] == pytest.approx(own, rel=1e-9)
        assert not scale.ratio or table.loc[feature, "ratio"] == pytest.approx(np.exp(own), rel=1e-9)


@pytest.mark.parametrize(("study", "name"), MODELS)
def test_parameters_beside_the_mean_stand_in_a_table(done: Runs, study: str, name: str) -> None:
    model = model_of(done, study, name)
    wanted = [str(term) for term in model.fit["more_term"].values] if "more" in model.fit else []
    path = done[study].folder / "tables/dispersion_and_zeros.tsv"
    table = pd.read_csv(path, sep="\t") if wanted else pd.DataFrame({"model": [], "term": []})
    own = table[table["model"] == name]
    assert list(dict.fromkeys(own["term"])) == list(dict.fromkeys(wanted))
    assert not wanted or own["estimate"].notna().any()


def test_separated_features_are_named(done: Runs) -> None:
    for study in ("counts", "shares", "amounts", "limits"):
        assert "Coefficients without a finite estimate" in done[study].page()
        headline = done[study].view.headline.name
        told = pd.read_csv(done[study].folder / f"tables/status_{headline}.tsv", sep="\t").set_index(
            "feature"
        )
        assert told.loc["separated", "without_finite_estimate"] == "group[b]"


def test_means_of_categories_have_limits_in_the_reference_group_too(done: Runs) -> None:
    view = done["counts"].view
    on = onefeature.axis(view, view.headline, "group")
    for feature in ("plain", "gaps"):
        fit = onefeature.feature(view, view.headline, on, feature).fit
        assert fit is not None and (fit["low"] < fit["mean"]).all() and (fit["mean"] < fit["high"]).all()
        assert (fit["low"] >= 0).all() and (fit["high"] <= 6).all()
