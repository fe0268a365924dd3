"""The comparison of a sweep on made-up tests whose answer is known."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mixflow.report.comparison import frames
from mixflow.report.comparison.cube import Cube, Space, cubes
from mixflow.report.comparison.page import write
from mixflow.report.comparison.shares import TOGETHER, shares

N = 40


@pytest.fixture(scope="module")
def space() -> Space:
    rows = list(itertools.product(["none", "median"], ["small", "large"], ["z", "t"]))
    labels = pd.DataFrame(rows, columns=["normalise", "model", "df"])
    names = tuple(",".join(f"{k}={v}" for k, v in zip(labels, row, strict=True)) for row in rows)
    keys = {"normalise": "preprocess.normalise", "model": "models.mixed.formula", "df": "models.mixed.df"}
    return Space(names, labels, keys, 0, True)


@pytest.fixture(scope="module")
def found(space: Space, tmp_path_factory: pytest.TempPathFactory) -> list[Cube]:
    """`model` shifts estimates by 1, `normalise` by 2, `df` doubles p; feature 0 is called everywhere."""
    folder, files = tmp_path_factory.mktemp("tests"), {}
    for name, row in zip(space.names, space.labels.itertuples(index=False), strict=True):
        estimate = np.linspace(-1, 1, N) + 1.0 * (row.model == "large") + 2.0 * (row.normalise == "median")
        p = np.full(N, 0.5)
        p[0] = 1e-8
        p[1] = 1e-6 if row.model == "small" else 0.3
        p = p * (1 if row.df == "z" else 0.5)
        table = pd.DataFrame(
            {"feature": [f"P{i}" for i in range(N)], "name": [f"gene {i}" for i in range(N)]}
        )
        table = table.assign(
            model="mixed", contrast="case vs control", estimate=estimate, std_error=0.5, p_value=p
        )
        table = table.assign(
            q_value=p * 10, fit_status=["singular" if i % 10 == 0 else "ok" for i in range(N)]
        )
        table.loc[[2, 3], "fit_status"] = ["separation", "no convergence"]
        if row.normalise == "median":  # a filter that kept one feature less
            table = table.iloc[:-1]
        files[name] = folder / f"{name}.tsv"
        table.to_csv(files[name], sep="\t", index=False, na_rep="NA")
    return cubes(files, np.full(len(space.names), 0.05), space.reference)


def test_calls_overlap_and_rank_correlation(found: list[Cube]) -> None:
    (cube,) = found
    assert cube.always == 1 and list(cube.names[cube.ever]) == ["gene 0", "gene 1"]
    assert cube.share[:3].tolist() == [1.0, 0.5, 0.0]
    assert cube.jaccard[0] == 1 and cube.correlation[0] == pytest.approx(1)
    # model = large without normalisation: P0 turns from -1 to 0, which has no direction; P1 is not called
    assert cube.jaccard[2] == 0
    # normalised: both are called, in the other direction
    assert cube.jaccard[4] == 0 and cube.turned[:2].tolist() == [True, True]


def test_shares_of_variance_are_those_of_an_analysis_of_variance(found: list[Cube], space: Space) -> None:
    table = shares(found[0], space).pivot(index="key", columns="outcome", values="share")
    # shifts of 1 and 2: variances in the ratio 1 : 4, additive
    assert table.loc["model", "estimate"] == pytest.approx(0.2, abs=1e-6)
    assert table.loc["normalise", "estimate"] == pytest.approx(0.8, abs=1e-6)
    assert table.loc["df", "estimate"] == pytest.approx(0, abs=1e-6)
    assert table.loc[TOGETHER, "estimate"] == pytest.approx(0, abs=1e-6)
    assert table.loc["model", "hit"] == pytest.approx(1, abs=1e-6)
    assert np.allclose(table.sum(), 1, atol=1e-5)


def test_shares_of_unbalanced_combinations_sum_to_r_squared(found: list[Cube], space: Space) -> None:
    some = [0, 1, 2, 4, 7]
    labels = space.labels.iloc[some].reset_index(drop=True)
    part = Space(tuple(space.names[i] for i in some), labels, space.keys, 0, True)
    cube = found[0]
    rows = {
        n: getattr(cube, n)[some]
        for n in ("there", "estimate", "std_error", "p_value", "q_value", "status", "alpha")
    }
    own = Cube(cube.model, cube.contrast, cube.features, cube.names, reference=0, **rows)
    table = shares(own, part).set_index(["outcome", "key"])["share"]
    assert table["estimate"].sum() == pytest.approx(1, abs=1e-5)
    assert table["estimate"][TOGETHER] == pytest.approx(0, abs=1e-5)  # the shifts are additive
    assert table["estimate"]["normalise"] > table["estimate"]["model"] > 0


def test_tables_by_combination_value_and_feature(found: list[Cube], space: Space) -> None:
    table = frames.comparison(space, found)
    assert len(table) == 8 and table["hits"].tolist() == [2, 2, 1, 1, 2, 2, 1, 1]
    assert table["fits: not kept"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert table["fits: singular"].tolist() == [4] * 8
    by_value = frames.by_value(space, found[0]).set_index(["key", "value"])
    assert by_value.loc[("model", "small"), "hits"] == 2 and by_value.loc[("model", "large"), "hits"] == 1
    # what a filter left out did not fail, and a separated fit stands
    assert by_value["failed"].tolist() == [1] * 6 and by_value["singular"].tolist() == [4] * 6
    features = frames.features(found[0])
    assert features["name"].tolist()[:2] == ["gene 0", "gene 1"]
    assert frames.keys_where(space, found[0], 1) == "model = large"


def test_the_page_stands_alone_and_the_same_tests_give_the_same_bytes(
    found: list[Cube], space: Space, tmp_path: Path
) -> None:
    pages = []
    for name in ("first", "second"):
        page = tmp_path / name / "comparison.html"
        write("A study", "study", space, found, page, tmp_path / name / "comparison")
        pages.append(page.read_text())
    assert pages[0] == pages[1]
    page = pages[0]
    assert "<b>1</b> of 2 features called anywhere are called in every combination" in page
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page
    assert page.count("mixflow.navigation = ") == page.count("mixflow.theme = ") == 1
    assert page.count("<svg") == page.count('role="img"') >= 6
    assert 'download="study-comparison.tsv"' in page
    made = {path.name for path in (tmp_path / "first" / "comparison").rglob("*") if path.is_file()}
    assert {"comparison.tsv", "comparison.xlsx", "features_1.tsv", "importance_1_89mm.svg"} <= made
