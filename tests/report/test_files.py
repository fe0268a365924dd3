"""What is written beside the page: tables, workbook, figures with their data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xarray as xr

from mixflow.report.build import build
from mixflow.report.pictures.base import WIDTHS_MM
from mixflow.report.pictures.svg import for_page
from mixflow.report.section import Section
from mixflow.report.tables import sheet_names
from mixflow.report.view import View


def test_results_are_complete_in_the_table(report: Path, tree: xr.DataTree) -> None:
    table = pd.read_csv(report / "tables/results_mixed_high-vs-control.tsv", sep="\t", dtype={"name": str})
    tests = tree["tests/mixed"].to_dataset().sel(contrast="high vs control")
    assert list(table["feature"]) == list(tests["feature"].values)
    for column in ("estimate", "std_error", "df", "statistic", "p_value", "q_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(table[column], tests[column].values, rtol=1e-12)
    assert set(table["status"]) == {"ok", "not estimable"}
    assert list(table.columns[-2:]) == ["n_obs", "protein"]


def test_every_model_and_contrast_has_its_table(report: Path) -> None:
    names = {p.stem for p in (report / "tables").glob("results_*.tsv")}
    assert names == {
        f"results_{m}_{c}"
        for m in ("mixed", "site-fixed", "ignored", "without-Delft")
        for c in ("high-vs-control", "low-vs-control", "week-4-vs-baseline")
    }


def test_names_like_dates_and_formulas_stay_text_in_the_workbook(report: Path) -> None:
    book = openpyxl.load_workbook(report / "results.xlsx")
    listed = {row[1].value: row[0].value for row in book["contents"].iter_rows(min_row=2)}
    sheet = book[listed["results_mixed_high-vs-control"]]
    head = [c.value for c in sheet[1]]
    cells = {row[0].value: row for row in sheet.iter_rows(min_row=2)}
    march, formula = cells["F0001"][head.index("name")], cells["F0002"][head.index("name")]
    assert (march.value, march.data_type, march.number_format) == ("2-Mar", "s", "@")
    assert (formula.value, formula.data_type) == ("=SUM(A1)", "s")
    assert cells["F0001"][head.index("estimate")].data_type == "n"
    assert len(cells) == len(pd.read_csv(report / "tables/results_mixed_high-vs-control.tsv", sep="\t"))


def test_sheet_names_are_short_unique_and_legal() -> None:
    names = ["results_" + "a" * 40, "results_" + "a" * 41, "a/b:c", "A/B:C", "contents"]
    made = sheet_names(names)
    assert len({v.lower() for v in made.values()}) == 5
    assert all(len(v) <= 31 and not set(v) & set("[]:*?/\\") for v in made.values())
    assert made["contents"] != "contents"


@pytest.fixture(scope="module")
def bare(tree: xr.DataTree) -> xr.DataTree:
    """A study of one model and one contrast without batch, QC samples, provenance or other optional parts."""
    data = (
        tree["data"]
        .to_dataset()
        .drop_vars(["value", "kept", "dropped_by", "size_factor"])
        .isel(feature=slice(30))
    )
    ids = data["feature"].values
    samples = tree["data/samples"].to_dataset(inherit=False).drop_vars(["role"])
    return xr.DataTree.from_dict(
        {
            "data": data.assign_attrs(transform="none", normalise="none", scale="free").drop_attrs(
                deep=False
            ),
            "data/samples": samples,
            "fits/ignored": tree["fits/ignored"].to_dataset().sel(feature=ids[:25]),
            "tests/ignored": tree["tests/ignored"].to_dataset().sel(feature=ids[:25]).isel(contrast=[0]),
        }
    )


def test_build_writes_page_tables_workbook_and_figures(bare: xr.DataTree, tmp_path: Path) -> None:
    written = build(bare, tmp_path)
    assert written[0] == tmp_path / "report.html" and all(p.stat().st_size > 0 for p in written)
    assert set(written) == {p for p in tmp_path.rglob("*") if p.is_file()}, "no half-written file stays"
    names = {p.name.split("_89mm")[0] for p in written if p.name.endswith("_89mm.svg")}
    assert {"volcano_high-vs-control", "p_values_high-vs-control", "missingness", "distributions"} <= names
    text = written[0].read_text()
    assert "No batch factor was declared" in text and "has no random effects" in text
    for name in names:
        assert len(pd.read_csv(tmp_path / f"figures/{name}.tsv", sep="\t")) > 0
        for width in WIDTHS_MM:
            told = float(
                (tmp_path / f"figures/{name}_{width}mm.svg").read_text().split('width="')[1].split("pt")[0]
            )
            assert told == pytest.approx(width / 25.4 * 72, rel=1e-3)
            assert (tmp_path / f"figures/{name}_{width}mm.pdf").read_bytes().startswith(b"%PDF")


def test_pictures_are_the_same_each_time(view: View, parts: dict[str, Section], tmp_path: Path) -> None:
    picture = parts["results"].pictures["p high-vs-control"]
    first, second = picture.save(tmp_path / "a"), picture.save(tmp_path / "b")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert picture.inline() == picture.inline()


def test_svg_for_the_page_has_own_ids_a_description_and_the_colours_of_the_page() -> None:
    drawn = (
        '<?xml version="1.0"?><svg width="10pt" height="5pt" viewBox="0 0 10 5"><metadata>x</metadata>'
        '<g id="unused"><path id="m" d="M 1.23456 2" style="fill: #0a0b0c"/></g>'
        '<use xlink:href="#m" style="stroke: #d55e00"/></svg>'
    )
    made = for_page(drawn, 'a "quoted" <alt>', "p")
    assert 'role="img" aria-label="a &quot;quoted&quot; &lt;alt&gt;"' in made
    assert 'id="p-m"' in made and 'href="#p-m"' in made and "unused" not in made and "metadata" not in made
    assert "M 1.23 2" in made and "currentColor" in made and "var(--up)" in made
    assert "10pt" not in made
