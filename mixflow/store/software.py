"""Which code made a result: versions of packages, mixflow's own source, its commit."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PACKAGES = (
    "mixflow",
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "zarr",
    "jax",
    "jaxlib",
    "formulaic",
    "snakemake",
)


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on; those not installed are left out."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def environment() -> dict[str, str]:
    """Versions of all packages that mixflow and its requirements need, by name: what a lock file pins."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    waiting = list(PACKAGES)
    while waiting:
        try:
            package = distribution(waiting.pop())
        except PackageNotFoundError:
            continue  # an optional one, or mixflow itself where it runs from a checkout
        name = str(package.metadata["Name"])
        if name not in found:
            found[name] = package.version
            needs = [Requirement(text) for text in package.requires or []]
            waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return {name: found[name] for name in sorted(found, key=str.lower)}


@cache
def source() -> str:
    """sha256 over mixflow's own Python files: the same code, wherever it is installed and whatever git says."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@cache
def git() -> dict[str, str | bool]:
    """Commit of the checkout mixflow runs from, and whether its code was changed since; '' where installed."""
    try:
        _git("ls-files", "--error-unmatch", "errors.py")
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return {"git_commit": "", "git_dirty": False}
    return {"git_commit": commit, "git_dirty": bool(changed)}


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()
