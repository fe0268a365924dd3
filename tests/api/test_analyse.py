"""`Result.analyse`: the door from Python to every analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.api import Result
from mixflow.derived import ANALYSES
from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.formula import parse
from mixflow.optimise.fitting import fit_features


@pytest.fixture(scope="module")
def result() -> Result:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"g": np.repeat(list("abcdef"), 4), "arm": ["x", "y"] * 12})
    design = build(parse("~ arm + (1 | g)"), frame)
    values = rng.normal(size=(40, 24)) + rng.normal(size=(40, 6))[:, np.repeat(range(6), 4)]
    return Result(fit_features(design, values, list(map(str, range(40)))), design, values)


def test_moderated_tests_of_contrasts_in_words(result):
    table = result.analyse("moderated", {"y vs x": {"arm": ["y", "x"]}}, alpha=0.1)
    assert table["contrast"].unique().tolist() == ["y vs x"]
    plain = result.contrast({"y vs x": {"arm": ["y", "x"]}})
    np.testing.assert_allclose(table["plain_p_value"], plain["p_value"])
    assert (table["conf_high"] - table["conf_low"] < 4 * table["std_error"]).all()


def test_options_reach_the_analysis_and_unknown_words_are_answered(result):
    assert list(result.analyse("moderated", robust=True).columns) == list(ANALYSES["moderated"].columns)
    with pytest.raises(MixflowError, match="moderated"):
        result.analyse("moderatd")
    with pytest.raises(MixflowError, match="trend"):
        result.analyse("moderated", trnd=True)
