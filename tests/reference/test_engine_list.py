"""The grid is what the issue asks for, every case has R's answer, and the page of the docs is current."""

from __future__ import annotations

from tests.reference import reference_page
from tests.reference.engine import CASES, DISAGREEMENTS, HERE, by_r


def test_the_grid_is_large_enough() -> None:
    assert len(CASES) >= 60
    assert len({case["data"] for case in CASES.values()}) >= 15
    for structure in {case["structure"] for case in CASES.values()}:
        assert any(c["state"] == "unbalanced" for c in CASES.values() if c["structure"] == structure)


def test_every_case_has_an_answer_from_r() -> None:
    assert {path.stem for path in (HERE / "engine").glob("*.json")} == {*CASES, "versions"}
    assert [name for name in CASES if "error" in by_r(name)] == []


def test_disagreements_name_cases_and_inferences_of_the_list() -> None:
    for key in DISAGREEMENTS:
        name, inference = key.rsplit(".", 1)
        assert reference_page.asked(CASES[name], inference)


def test_the_page_is_current() -> None:
    assert reference_page.PAGE.read_text() == reference_page.page()
