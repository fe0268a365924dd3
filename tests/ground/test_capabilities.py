"""docs/capabilities.md claims what a test proves: every row names one, and it exists."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
CASES = {
    case["id"]
    for case in json.loads((ROOT / "tests" / "reference" / "engine_cases.json").read_text(encoding="utf-8"))[
        "cases"
    ]
}
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[(\w+)\])?`")


def _rows() -> list[list[str]]:
    """The four cells of every row of the page's tables, without heads and rules."""
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in rows if row[0] != "what"]


@cache
def _functions(path: str) -> frozenset[str]:
    return frozenset(
        re.findall(r"^def (test_\w+)\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_row_has_four_cells_and_a_proof_or_a_no() -> None:
    rows = _rows()
    assert len(rows) > 100
    assert [row for row in rows if len(row) != 4] == []
    unproved = [row[0] for row in rows if not NAMED.search(row[3]) and not re.match(r"no\b", row[2])]
    assert unproved == []


def test_proofs_are_written_so_that_they_can_be_found() -> None:
    odd = [row[3] for row in _rows() if NAMED.sub("", row[3]).strip(", ")]
    assert odd == []


@pytest.mark.parametrize("path", sorted({path for path, _, _ in NAMED.findall(PAGE)}))
def test_named_tests_exist(path: str) -> None:
    named = {(name, case) for file, name, case in NAMED.findall(PAGE) if file == path}
    assert {name for name, _ in named} - _functions(path) == set()
    assert {case for _, case in named if case} - CASES == set()


@pytest.mark.parametrize("page", sorted(p.name for p in (ROOT / "docs").glob("*.md")))
def test_links_of_the_pages_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not (ROOT / "docs" / link).exists()] == []
