"""What is in a store, as text for a terminal."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mixflow.status import MEANING, Status
from mixflow.store import manifest, provenance, zarr_io


def info(path: Path | str) -> str:
    """Describe the store ``path``: study, groups with their variables, statuses, tests and steps."""
    tree = zarr_io.open(path)
    parts = [_head(Path(path), tree), *(_group(node) for node in tree.subtree if node.data_vars)]
    parts += [_statuses(name, group) for name, group in _models(tree, "fits")]
    parts += [_calls(name, group) for name, group in _models(tree, "tests")]
    parts.append(_steps(tree))
    return "\n\n".join(part for part in parts if part)


def _head(path: Path, tree: xr.DataTree) -> str:
    size = sum(file.stat().st_size for file in manifest.files(path).values())
    attrs = tree["provenance"].attrs if "provenance" in tree.children else {}
    study = f"{attrs.get('study', '')}: {attrs.get('title', '')}".strip(": ") or "a mixflow store"
    return f"{study}\n{path}  ({size / 1e6:.1f} MB, schema version {tree.attrs.get('schema_version', '?')})"


def _group(node: xr.DataTree) -> str:
    group = node.to_dataset(inherit=False)
    dims = ", ".join(f"{dim} {size}" for dim, size in node.to_dataset().sizes.items())
    lines = [f"{node.path.strip('/')}  ({dims})"]
    for name, array in group.data_vars.items():
        dtype = "text" if array.dtype.kind == "O" else str(array.dtype)
        lines.append(f"  {name!s:<24} {' x '.join(map(str, array.dims)):<32} {dtype}")
    return "\n".join(lines)


def _models(tree: xr.DataTree, kind: str) -> list[tuple[str, xr.Dataset]]:
    names = tree.children[kind].children if kind in tree.children else ()
    return [(f"{kind}/{name}", zarr_io.group(tree, f"{kind}/{name}")) for name in names]


def _statuses(name: str, group: xr.Dataset) -> str:
    counts = Counter(group["status"].values.tolist())
    lines = [f"statuses of {name}: {group.attrs.get('formula', '')}"]
    lines += [f"  {count:>7}  {MEANING[Status(code)].label}" for code, count in sorted(counts.items())]
    return "\n".join(lines)


def _calls(name: str, group: xr.Dataset) -> str:
    alpha = float(group.attrs.get("alpha", 0.05))
    q_value = group["q_value"].values
    lines = [f"features with q < {alpha:g} in {name}"]
    for i, contrast in enumerate(group["contrast"].values):
        hits, tested = int(np.sum(q_value[:, i] < alpha)), int(np.isfinite(q_value[:, i]).sum())
        lines.append(f"  {hits:>7}  {contrast}  ({tested} tested)")
    return "\n".join(lines)


def _steps(tree: xr.DataTree) -> str:
    lines = [
        f"  {step['started']}  {step['seconds']:>8.1f} s  {step['step']}"
        f"  ({_version(step)}, config {step['config_hash'][:12]})"
        for step in provenance.steps(tree)
    ]
    return "\n".join(["steps", *lines]) if lines else ""


def _version(step: dict[str, Any]) -> str:
    dirty = " with changes" if step["git_dirty"] else ""
    commit = f", commit {step['git_commit'][:12]}{dirty}" if step["git_commit"] else ""
    return f"mixflow {step['versions'].get('mixflow', '?')}{commit}"
