"""The page docs/why-fit-raw.md shows the numbers of its script, and the script shows what the page claims."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("why_fit_raw", DOCS / "figures/why_fit_raw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_the_numbers_of_the_script():
    table = pd.read_csv(DOCS / "figures/why_fit_raw.csv")
    page = (DOCS / "why-fit-raw.md").read_text(encoding="utf-8").replace("`", "").replace("*", "")
    rows = {cells[1].strip(): cells[2:5] for line in page.splitlines() if len(cells := line.split("|")) == 6}
    for method, part in table.groupby("analysis"):
        shown = [float(cell.strip().removesuffix(" %")) for cell in rows[str(method)]]
        assert shown == part["rejected_percent"].tolist()
    assert table["standard_error"].max() <= 0.14


def test_harmonised_values_reject_too_often_and_raw_values_do_not(script):
    rates = np.array(script.rejected(np.random.default_rng(1), (8, 5, 2)))
    raw, _, combat, combat_with_batch, _ = rates
    assert 0.04 < raw < 0.06
    assert 0.09 < combat < 0.13
    assert raw < combat_with_batch < combat


def test_its_t_test_is_scipys(script):
    from scipy import stats

    y = np.random.default_rng(2).normal(size=(3, 12))
    group = np.arange(12) % 2 == 0
    X = np.column_stack([np.ones(12), group])
    np.testing.assert_allclose(
        script.p_values(y, X), stats.ttest_ind(y[:, group], y[:, ~group], axis=1).pvalue
    )
