"""The made-up study, its report in full and as a copy to share: each made once."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

from mixflow.report import carried, html, tables
from mixflow.report.build import prepared
from mixflow.report.section import Section
from mixflow.report.sections import sections
from mixflow.report.view import View
from tests.report import synthetic_analyses
from tests.report.synthetic import study


@pytest.fixture(scope="session")
def tree() -> xr.DataTree:
    made = study()
    ids = [str(i) for i in made["fits/mixed"]["feature"].values]
    asked = {"r2": (synthetic_analyses.r2(ids), {}), "terms": (synthetic_analyses.terms(ids), {"type": 3})}
    options = {"slope": "age", "by": "dose"}
    asked |= {"slopes_by": (synthetic_analyses.made_up("slopes_by", ids[:15]), options)}
    return synthetic_analyses.add(made, "mixed", asked)


@pytest.fixture(scope="session")
def view(tree: xr.DataTree) -> View:
    return prepared(tree, [], share=False)


@pytest.fixture(scope="session")
def shared_view(tree: xr.DataTree) -> View:
    return prepared(tree, [], share=True)


@pytest.fixture(scope="session")
def parts(view: View) -> dict[str, Section]:
    return {section.id: section for section in sections(view)}


def written(view: View, out: Path) -> Path:
    """Page, tables and workbook, without the figures, which take longest."""
    made = sections(view)
    (out / "report.html").write_text(html.render(view, made, carried.text(view)), encoding="utf-8")
    tables.write_tsv(made, out / "tables")
    tables.write_workbook(made, out / "results.xlsx")
    return out


@pytest.fixture(scope="session")
def report(tree: xr.DataTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the full report, without figures."""
    return written(prepared(tree, ["GENE9"], share=False), tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def shared_report(shared_view: View, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the copy to share, without figures."""
    return written(shared_view, tmp_path_factory.mktemp("share"))
