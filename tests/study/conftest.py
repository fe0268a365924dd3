"""A small study on disk that tests spoil one piece at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """\
study: small
data:
  files: data.csv
  scale: log2
samples:
  file: sheet.tsv
  id: sample
  columns:
    arm: {type: factor, levels: [p, d], labels: [placebo, drug], reference: placebo}
    age: {type: number}
batch:
  factors: [site]
models:
  main:
    formula: "~ arm + age + (1 | site)"
    contrasts:
      effect: {arm: [drug, placebo]}
  plain:
    formula: "~ arm"
"""
SHEET = [
    ["sample", "arm", "age", "site", "patient"],
    *(
        [f"S{i}", "pd"[i % 2], f"{30 + i}.5", ["Bonn", "Kiel", "Ulm"][i // 4 % 3], f"P{i // 2}"]
        for i in range(12)
    ),
]


class Files:
    """The study's folder; `edit` replaces text that must be there, `cell` one cell of the sheet."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = folder / "config.yaml"
        self.sheet = folder / "sheet.tsv"
        self.data = folder / "data.csv"
        self.config.write_text(CONFIG, encoding="utf-8")
        self.rows = [list(row) for row in SHEET]
        self.write_sheet()
        ids = [row[0] for row in SHEET[1:]]
        lines = [f"{name},{10 + i},{12 - i / 3:.3f}" for i, name in enumerate(ids)]
        self.data.write_text("\n".join(["sample,F1,F2", *lines]) + "\n", encoding="utf-8")

    def edit(self, old: str, new: str) -> Files:
        text = self.config.read_text(encoding="utf-8")
        assert old in text
        self.config.write_text(text.replace(old, new, 1), encoding="utf-8")
        return self

    def cell(self, row: int, column: str, value: str) -> Files:
        """Line `row` of the sheet, as an editor counts."""
        self.rows[row - 1][self.rows[0].index(column)] = value
        return self.write_sheet()

    def column(self, name: str, values: Callable[[int], str]) -> Files:
        self.rows = [[*row, name if i == 0 else values(i - 1)] for i, row in enumerate(self.rows)]
        return self.write_sheet()

    def write_sheet(self, delimiter: str = "\t", name: str = "sheet.tsv") -> Files:
        text = "\n".join(delimiter.join(row) for row in self.rows) + "\n"
        (self.folder / name).write_text(text, encoding="utf-8")
        return self


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)
