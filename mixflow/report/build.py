"""A study's store -> report.html, tables/, results.xlsx and figures/."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from mixflow.errors import MixflowError, Problem
from mixflow.report import carried, html, tables
from mixflow.report.section import Section
from mixflow.report.sections import sections
from mixflow.report.share import shareable
from mixflow.report.view import View


def build(
    tree: xr.DataTree,
    out: Path,
    *,
    features: list[str] | None = None,
    share: bool = False,
    made: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write the report of a study into ``out`` and give the paths written, the page first.

    ``features`` (ids or names) get their values by sample into the page, beside those named in the config
    and the top ones of each contrast. ``share`` makes the copy for a collaborator (`mixflow.report.share`).
    ``made`` is the record of the step that calls this (`mixflow.store.provenance`); the page carries it.

    Raises:
        MixflowError: the store has no data or no fitted model, or a wanted feature is not in it.
    """
    view = prepared(tree, features or [], share)
    parts = sections(view)
    out.mkdir(parents=True, exist_ok=True)
    listed = tables.write_tsv(parts, out / "tables")
    beside = [*listed, tables.write_workbook(parts, out / "results.xlsx")]
    beside += write_figures(parts, out / "figures")
    page = out / "report.html"
    _write(page, html.render(view, parts, carried.text(view, listed, made)))
    return [page, *beside]


def page(tree: xr.DataTree, *, features: list[str] | None = None, share: bool = False) -> str:
    """The HTML page alone, as text."""
    view = prepared(tree, features or [], share)
    return html.render(view, sections(view), carried.text(view))


def prepared(tree: xr.DataTree, features: list[str], share: bool) -> View:
    """The view of ``tree`` that the sections read, with the wanted features named."""
    view = View(shareable(tree) if share else tree, share=share)
    _ = view.headline  # a store without a fit has no report, and says so
    known = set(view.features.index) | set(view.names.values())
    asked = [str(f) for f in [*view.settings["features"], *features]]
    missing = [f for f in asked if f not in known]
    if missing:
        raise MixflowError(
            [
                Problem(
                    "the store has no such feature",
                    column="report.features",
                    value=f,
                    remedy="give its id or its name as the results table has it",
                )
                for f in missing
            ]
        )
    return dataclasses.replace(view, features_wanted=tuple(asked))


def write_figures(parts: list[Section], folder: Path) -> list[Path]:
    """Every picture as SVG and PDF at 89 and 183 mm with its data; each once."""
    pictures = {p.name: p for section in parts for p in section.pictures.values()}
    return [path for picture in pictures.values() for path in picture.save(folder)]


def _write(path: Path, text: str) -> None:
    """At once or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
