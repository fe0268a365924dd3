"""The copy to share says nothing of persons, places or machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr

from mixflow.report.sections import sections
from mixflow.report.share import OTHER, SUPPRESSED, pseudonyms, shareable, suppressed
from mixflow.report.view import View

SECRET = re.compile(r"run_\d|QC_\d|\bP0\d\d\b|/home|secret|someone|config\.yaml|12 values of 0")


def test_pseudonyms_do_not_follow_the_order_of_the_sheet() -> None:
    ids = [f"patient{i}" for i in range(50)]
    made = pseudonyms(ids)
    assert len(set(made.values())) == 50 and made == pseudonyms(ids[::-1])
    assert [made[i] for i in ids] != sorted(made.values())


def test_the_tree_has_pseudonyms_in_coordinates_and_attributes(tree: xr.DataTree) -> None:
    shared = shareable(tree)
    ids = set(pseudonyms([str(s) for s in tree["data"].to_dataset()["sample"].values]).values())
    assert set(shared["data"].to_dataset()["sample"].values) == ids
    assert set(json.loads(shared["fits/mixed"].attrs["rows"])) <= ids
    assert "notes" not in shared["data"].attrs and "notes" not in shared["batch"].attrs
    assert not SECRET.search(json.dumps(dict(shared["provenance"].attrs)))
    np.testing.assert_array_equal(
        shared["fits/mixed"].to_dataset()["beta"], tree["fits/mixed"].to_dataset()["beta"]
    )


def test_no_file_of_the_copy_names_a_sample_a_path_or_a_command(shared_report: Path) -> None:
    files = [p for p in shared_report.rglob("*") if p.suffix in (".html", ".tsv", ".svg")]
    assert len(files) > 15
    for path in files:
        text = re.sub(
            r'<script type="text/plain" id="numbers">.*?</script>', "", path.read_text(), flags=re.S
        )
        found = SECRET.search(text)
        assert found is None, f"{path.name}: {found.group() if found else ''}"


def test_the_workbook_of_the_copy_names_no_sample(shared_report: Path) -> None:
    book = openpyxl.load_workbook(shared_report / "results.xlsx", read_only=True)
    texts = [str(v) for sheet in book for row in sheet.iter_rows(values_only=True) for v in row]
    assert len(texts) > 5000 and not [t for t in texts if SECRET.search(t)]


def test_the_page_of_the_copy_has_no_values_by_sample(shared_report: Path) -> None:
    page = (shared_report / "report.html").read_text()
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', page, re.S).group(1))  # type: ignore[union-attr]
    assert "values" not in facts["arrays"] and not any("/x" in name for name in facts["arrays"])
    assert facts["share"] is True and "samples" not in facts["axes"][0]
    assert [m["group"] for m in facts["modes"]] == ["site"], "modes of subjects would tell of persons"


def test_pictures_of_the_copy_show_groups_of_five_or_more(shared_view: View) -> None:
    parts = {s.id: s for s in sections(shared_view)}
    components = parts["batch"].pictures["components site"].data
    sizes = shared_view.samples["site"].value_counts()
    assert set(components.columns) >= {"group", "pc1", "pc1_sd"} and "sample" not in components
    assert len(components) <= 2 * len(sizes) + 2
    leaders = parts["feature"].pictures["leaders"].data
    assert list(leaders.columns) == ["feature", "group", "mean"]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[10, 20], [30, 40]], [["10", "20"], ["30", "40"]]),
        ([[3, 20, 9], [30, 40, 50]], [[SUPPRESSED, "20", OTHER], [OTHER, "40", OTHER]]),
        ([[0, 20], [0, 7]], [["0", "20"], ["0", "7"]]),
    ],
)
def test_small_cells_cannot_be_worked_out(counts: list[list[int]], expected: list[list[str]]) -> None:
    assert suppressed(pd.DataFrame(counts)).to_numpy().tolist() == expected


def test_every_row_and_column_with_a_hidden_cell_has_two(tree: xr.DataTree) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = pd.DataFrame(rng.integers(1, 12, (4, 3)))
        hidden = suppressed(counts).isin([SUPPRESSED, OTHER])
        assert not ((counts < 5) & ~hidden).to_numpy().any()
        assert not (hidden.sum(axis=1) == 1).any() and not (hidden.sum(axis=0) == 1).any()
