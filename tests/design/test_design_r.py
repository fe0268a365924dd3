"""X, random-effect columns and codings are those of R (tests/reference/model_matrix.R)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mixflow.design import Design, build
from mixflow.formula import parse

CASES = json.loads((Path(__file__).parents[1] / "reference" / "model_matrix.json").read_text())


def r_frame() -> pd.DataFrame:
    frame = pd.DataFrame(CASES["frame"])
    for name, levels in CASES["levels"].items():
        frame[name] = pd.Categorical(frame[name], levels)
    return frame.astype({"u": "float64"})


def plain(names: tuple[str, ...]) -> list[str]:
    """Our names as R writes them."""
    return [name.replace("[", "").replace("]", "").replace(" ** ", "^").replace(" / ", "/") for name in names]


def design_of(text: str, **options: Any) -> Design:
    return build(parse(text), r_frame(), **options)


@pytest.mark.parametrize("case", CASES["fixed"], ids=lambda case: case["formula"])
def test_x_is_rs(case: dict[str, Any]) -> None:
    design = design_of(case["formula"])
    expected = np.array(case["matrix"])
    assert design.rows.tolist() == case["rows"]
    if "%in%" in case["formula"]:  # R codes it with a dependent column, we do not: the same space
        both = np.hstack([expected, design.X])
        assert np.linalg.matrix_rank(both) == np.linalg.matrix_rank(expected) == design.rank
        return
    np.testing.assert_allclose(design.X, expected, rtol=1e-13, atol=1e-13)
    if "contr." not in case["formula"]:  # R numbers the columns of a coding, we name them
        assert plain(design.coef_names) == case["names"]


@pytest.mark.parametrize("case", CASES["codings"], ids=lambda case: f"{case['formula']} {case['coding']}")
def test_codings_are_rs(case: dict[str, Any]) -> None:
    design = design_of(case["formula"], contrasts={"a": case["coding"]})
    np.testing.assert_allclose(design.X, np.array(case["matrix"]), atol=1e-13)
    assert all("contr" not in name and "`" not in name for name in design.coef_names)


def dense(columns: np.ndarray, index: np.ndarray, levels: int) -> np.ndarray:
    """Z (n, levels x k) of a random term, columns of one level side by side."""
    z = np.zeros((len(columns), levels, columns.shape[1]))
    z[np.arange(len(columns)), index] = columns
    return z.reshape(len(columns), -1)


@pytest.mark.parametrize("case", CASES["random"], ids=lambda case: case["formula"])
def test_random_columns_are_lme4s(case: dict[str, Any]) -> None:
    design = design_of(case["formula"])
    ours = {(frozenset(t.factors), tuple(plain(t.terms))): t for t in design.random}
    assert len(ours) == len(case["blocks"])
    for block in case["blocks"]:
        factors = frozenset(block["group"].replace("(", "").replace(")", "").split(":"))
        term = ours[factors, tuple(block["terms"])]
        assert {frozenset(level.split(":")) for level in term.levels} == {
            frozenset(level.split(":")) for level in block["levels"]
        }
        theirs = np.array(block["z"])
        z = dense(term.Z, term.index, len(term.levels))
        order = [
            [frozenset(b.split(":")) for b in block["levels"]].index(frozenset(v.split(":")))
            for v in term.levels
        ]
        k = term.Z.shape[1]
        columns = [place * k + j for place in order for j in range(k)]
        np.testing.assert_allclose(z, theirs[:, columns], atol=1e-13)
