"""Step report: the store of a study, verified -> page, tables, figures and workbook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mixflow.report.build import build
from mixflow.store import atomic, provenance, verify, zarr_io

PAGE = "report.html"
SHARED = "share"
"""Folder of the copy for a collaborator, beside the full report."""


def run(store: Path, out: Path, features: Sequence[str] = (), share: bool = False) -> str:
    """Write the report of ``store`` into the folder ``out``, and with ``share`` a copy into ``out``/share.

    All files are made before any takes its place, so that a report is never half an old one.
    Raises MixflowError where a byte of the store is not what was written.
    """
    clock = provenance.Clock()
    verify.require(store)
    tree = zarr_io.open(store)
    before = provenance.steps(tree)
    told = (before[-1]["config_hash"], before[-1]["seed"]) if before else ("", None)
    made = clock.step("report", [store], *told)
    with atomic.spread(out, last=PAGE) as place:
        build(tree, place, features=list(features), made=made)
        if share:
            build(tree, place / SHARED, features=list(features), share=True, made=made)
    return str(out / PAGE)
