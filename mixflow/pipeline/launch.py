"""Start Snakemake with the packaged workflow; a lock that a killed run left behind is taken away first."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mixflow import resources
from mixflow.errors import MixflowError, Problem

OWNER = Path(".snakemake/mixflow-run.json")
"""Which process runs the workflow in this working folder: host, pid and when the process began."""
LOCKS = Path(".snakemake/locks")
CONFIG = Path("config/config.yaml")


def run(config: Path | None, cores: str, extra: Sequence[str], folder: Path | None = None) -> int:
    """Run the workflow in ``folder`` (default: the working folder); the exit code of Snakemake.

    Raises MixflowError where there is no config, or another run holds the folder.
    """
    place = folder or Path.cwd()
    chosen = _config(config, place)
    words = command(chosen, cores, extra)
    release_stale_lock(place, words)
    process = subprocess.Popen(words, cwd=place, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    owner = place / OWNER
    owner.parent.mkdir(exist_ok=True)
    owner.write_text(json.dumps(_identity(process.pid)), encoding="utf-8")
    code = _wait(process)
    owner.unlink(missing_ok=True)
    return code


def command(config: Path | None, cores: str, extra: Sequence[str]) -> list[str]:
    """The Snakemake command line."""
    root = resources.root()
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--cores", cores]
    words += ["--rerun-incomplete"]
    words += ["--profile", str(root / "config" / "profiles" / "default")] if not _names_profile(extra) else []
    words += list(extra)
    return words + (["--configfile", str(config)] if config else [])


def release_stale_lock(folder: Path, words: Sequence[str]) -> bool:
    """Unlock ``folder`` where the run that locked it was killed; True where a lock was taken away.

    A run that lives, or a lock that mixflow cannot tell to be dead, raises MixflowError with the way out.
    """
    if not any((folder / LOCKS).glob("*")):
        return False
    owner = _owner(folder)
    if owner is None or owner["host"] != socket.gethostname():
        raise MixflowError(_locked(folder, "by a run that mixflow did not start on this machine"))
    if _identity(owner["pid"]) == owner or _snakemake_in(folder):
        raise MixflowError(_locked(folder, f"by a run that is still going (process {owner['pid']})"))
    done = subprocess.run([*words, "--unlock"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise MixflowError(Problem(f"the lock of a killed run cannot be removed: {done.stderr.strip()}"))
    return True


def _config(config: Path | None, folder: Path) -> Path | None:
    """The config given, or None where the folder's own config/config.yaml is meant."""
    chosen = config or CONFIG
    if not (folder / chosen).is_file():
        remedy = "name it with --configfile, or write one: mixflow init TABLE [SHEET]"
        raise MixflowError(Problem("there is no such config file", file=str(chosen), remedy=remedy))
    return config


def _names_profile(extra: Sequence[str]) -> bool:
    return any(word.split("=")[0] in ("--profile", "--workflow-profile") for word in extra)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait to the end; Ctrl-C reaches Snakemake too, which then ends its jobs in order."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _owner(folder: Path) -> dict | None:
    try:
        return json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None


def _identity(pid: int) -> dict:
    """Host, pid and start time of a process (a pid alone is used again); start None where it is gone."""
    import psutil

    try:
        start = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        start = None
    return {"host": socket.gethostname(), "pid": pid, "start": start}


def _snakemake_in(folder: Path) -> bool:
    """Whether any Snakemake of this machine works in ``folder`` (one started without mixflow, say)."""
    import psutil

    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join(process.info["cmdline"] or [])
        if "snakemake" in words and process.info["cwd"] == str(folder.resolve()):
            return True
    return False


def _locked(folder: Path, why: str) -> Problem:
    return Problem(
        f"the working folder is locked {why}",
        file=str(folder / LOCKS),
        remedy="wait for that run; if you know that none is going: mixflow run --unlock, then mixflow run",
    )
