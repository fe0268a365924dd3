"""How Snakemake's generated unit tests compare two stores: every byte but what provenance says of time and place.

Snakemake's `common.OutputChecker` compares file by file with `cmp` and is made to be overridden.
"""

from __future__ import annotations

import filecmp
import json
from pathlib import Path
from typing import Any

VOLATILE = ("started", "seconds", "command", "host", "code", "git_commit", "git_dirty")
"""What a step's record says of this one run (the code is another while someone works on it)."""
PLACES = ("config_file", "files")
"""Paths: a generated test works in a folder of its own, its config stays where it was."""


def compare_files(_: Any, expected: Path, generated: Path, __: Any = None) -> None:
    """Fail where ``generated`` is not ``expected``."""
    place = (Path(expected).parent.name, Path(expected).name)
    if place[1] == ".snakemake_timestamp":
        return
    if place == ("provenance", "zarr.json"):
        same = _provenance(expected) == _provenance(generated)
    elif place[1] == "manifest.json":
        same = _listed(expected) == _listed(generated)
    else:
        same = filecmp.cmp(expected, generated, shallow=False)
    assert same, f"{generated} is not {expected}"


def _provenance(path: Path) -> dict[str, Any]:
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    steps = json.loads(content["attributes"].pop("steps"))
    assert all(content["attributes"].pop(key) for key in PLACES)
    assert all(step[key] is not None for step in steps for key in VOLATILE)
    return {**content, "steps": [{k: v for k, v in step.items() if k not in VOLATILE} for step in steps]}


def _listed(path: Path) -> dict[str, Any]:
    files = json.loads(Path(path).read_text(encoding="utf-8"))["files"]
    del files["provenance/zarr.json"]
    return files
