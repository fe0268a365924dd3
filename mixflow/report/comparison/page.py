"""A comparison as one HTML file that needs nothing beside it, with its tables and figures in a folder."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from mixflow import resources
from mixflow.report.build import write_figures
from mixflow.report.comparison.cube import Cube, Space
from mixflow.report.comparison.sections import sections
from mixflow.report.html import _environment
from mixflow.report.section import Section
from mixflow.report.tables import write_tsv, write_workbook
from mixflow.store import atomic

LARGEST = 3_000_000
"""Bytes of a table that the page itself carries for download."""


def write(title: str, study: str, space: Space, cubes: list[Cube], page: Path, folder: Path) -> None:
    """Write ``page``, and tables, figures and a workbook into ``folder``."""
    words = yaml.safe_load((resources.root() / "reports" / "comparison.yaml").read_text(encoding="utf-8"))
    parts = sections(space, cubes)
    for part in parts:
        part.words, part.template = words[part.id], f"comparison/{part.id}"
    folder.mkdir(parents=True, exist_ok=True)
    write_tsv(parts, folder / "tables")
    write_workbook(parts, folder / "comparison.xlsx")
    write_figures(parts, folder / "figures")
    atomic.write_text(page, render(title, study, space, parts, folder.name))


def render(title: str, study: str, space: Space, parts: list[Section], folder: str) -> str:
    """The page as text."""
    root = resources.root() / "reports"
    scripts = "\n".join(
        (root / "js" / name).read_text(encoding="utf-8")
        for name in ("theme.js", "navigation.js", "comparison.js")
    )
    facts: dict[str, Any] = {
        "title": title,
        "study": study,
        "space": space,
        "sections": parts,
        "folder": folder,
        "download": _download(parts),
    }
    style = "".join((root / name).read_text(encoding="utf-8") for name in ("style.css", "comparison.css"))
    page = _environment(root).get_template("comparison.html.j2")
    return page.render(**facts, style=Markup(style), script=Markup(scripts))


def _download(parts: list[Section]) -> str:
    """The one table as an address that a link can carry; '' where it would be too large."""
    table = next(part.tables["comparison"] for part in parts if "comparison" in part.tables)
    text = table.to_csv(sep="\t", index=False, lineterminator="\n", na_rep="NA").encode()
    if len(text) > LARGEST:
        return ""
    return "data:text/tab-separated-values;base64," + base64.b64encode(text).decode("ascii")
