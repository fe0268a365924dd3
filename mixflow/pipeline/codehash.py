"""A hash of the code that a step runs: Snakemake does not see edits of an imported package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path

_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(mixflow[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+(mixflow[\w.]*))",
    re.MULTILINE,
)
PACKAGE = Path(__file__).resolve().parents[1]


def of(*names: str) -> str:
    """Hash of the modules ``names`` (dotted) and of all modules of mixflow that they import."""
    digest = hashlib.sha256()
    for name in sorted(closure(*names)):
        digest.update(name.encode() + b"\0" + _file(name).read_bytes())
    return digest.hexdigest()[:16]


def of_files(folder: Path, skip: Collection[str] = ()) -> str:
    """Hash of every file below ``folder`` (templates, style), without its subfolders ``skip``."""
    digest = hashlib.sha256()
    for path in sorted(
        p for p in folder.rglob("*") if p.is_file() and p.relative_to(folder).parts[0] not in skip
    ):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def closure(*names: str) -> set[str]:
    """``names`` and every module of mixflow that they import, directly or not, also inside functions."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imports(name))
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """Modules of mixflow that the module ``name`` imports, with the packages they lie in."""
    targets: set[str] = set()
    for source, members, plain in _IMPORT.findall(_file(name).read_text(encoding="utf-8")):
        targets.add(source or plain)
        targets.update(f"{source}.{member}" for member in re.findall(r"\w+", members) if source)
    parents = {".".join(t.split(".")[:i]) for t in targets for i in range(2, t.count(".") + 1)}
    return frozenset(target for target in targets | parents if target != "mixflow" and _is_module(target))


def _is_module(name: str) -> bool:
    place = _place(name)
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def _file(name: str) -> Path:
    place = _place(name)
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _place(name: str) -> Path:
    return PACKAGE.joinpath(*name.split(".")[1:])
