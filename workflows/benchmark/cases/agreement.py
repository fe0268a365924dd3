"""Whether mixflow and a peer of a generalised case give the same log-likelihoods, estimates and standard errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SAME = 1e-3
"""Log-likelihoods closer than this are of the same optimum."""


def table(cases: Mapping[str, Any], folder: Path, names: Mapping[str, str]) -> str:
    """Markdown: one row for each case and peer that gave answers."""
    lines = [
        "| model | peer | features | same optimum | peer lower | peer higher | largest difference in SE | of SE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, case in cases.items():
        own = json.loads((folder / name / "mixflow.json").read_text()).get("answers", {})
        for peer in case["peers"]:
            runs = json.loads((folder / name / f"{peer}.json").read_text()).get("runs", [])
            pairs = compared(own, runs)
            if len(pairs):
                lines.append(f"| {case['title']} | {names[peer]} | {told(pairs)} |")
    return "\n".join(lines)


def compared(own: Mapping[str, Any], runs: list[dict[str, Any]]) -> np.ndarray:
    """(features, 2, numbers): ours and theirs, of features with answers of both."""
    theirs = {
        row: answer
        for run in runs
        for row, answer in zip(run.get("rows", []), run.get("answers", []), strict=True)
    }
    found = [(own[str(row)], answer) for row, answer in theirs.items() if str(row) in own]
    plain = [p for p in found if all(isinstance(v, int | float) for side in p for v in side)]
    return np.array(plain, dtype=float)


def told(pairs: np.ndarray) -> str:
    """The cells of a row."""
    gap = pairs[:, 0, 0] - pairs[:, 1, 0]
    ours, theirs = pairs[np.abs(gap) < SAME].swapaxes(0, 1)
    half = (pairs.shape[2] - 1) // 2
    errors = ours[:, 1 + half :]
    moved = np.abs(ours[:, 1 : 1 + half] - theirs[:, 1 : 1 + half]) / errors
    ratio = np.abs(theirs[:, 1 + half :] / errors - 1.0)
    counts = f"{len(gap)} | {len(ours)} | {(gap >= SAME).sum()} | {(gap <= -SAME).sum()}"
    return f"{counts} | {moved.max(initial=0.0):.2g} | {ratio.max(initial=0.0):.2g}"
