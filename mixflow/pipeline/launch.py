"""Start Snakemake with the packaged workflow; a lock that a killed run left behind is taken away first."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from mixflow import resources
from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import by_command, outcome, unfinished
from mixflow.pipeline.paths import Paths
from mixflow.pipeline.words import shipped_profiles
from mixflow.study import config as config_module
from mixflow.study.config import Study

OWNER = Path(".snakemake/mixflow-run.json")
"""Which process runs the workflow in this working folder: host, pid and when the process began."""
LOCKS = Path(".snakemake/locks")
CONFIGS = (Path("config.yaml"), Path("config/config.yaml"))
"""Where a config is looked for: as `mixflow init` writes it, then as Snakemake workflows have it."""


def find_config(config: Path | None, folder: Path = Path()) -> Path:
    """The config given, else the folder's own; MixflowError where there is none."""
    tried = [config] if config else list(CONFIGS)
    for path in tried:
        if (folder / path).is_file():
            return path
    names = " or ".join(map(str, tried))
    remedy = "name it: mixflow run CONFIG; or write one from your files: mixflow init TABLE [SHEET]"
    raise MixflowError(Problem(f"there is no config {names}", file=str(tried[0]), remedy=remedy))


def study(config: Path | None) -> Study:
    """The study of the config given, else of the working folder."""
    return config_module.load(find_config(config))


def run(config: Path | None, cores: str, extra: Sequence[str], tell: Callable[[str], None]) -> int:
    """Run the workflow in the working folder; the exit code of Snakemake.

    Without ``extra`` words Snakemake is quiet but for errors, and ``tell`` gets where the report is.
    Raises MixflowError where there is no config, it is wrong, or another run holds the folder.
    """
    began, path = time.perf_counter(), find_config(config)
    asked = config_module.load(path)
    paths, made = Paths(asked.name), outcome.of(asked)
    before = made.changed
    words = command(path, cores, extra, by_command.noted(paths))
    if release_stale_lock(Path.cwd(), words):
        tell("A killed run had left a lock: it is removed, and the run goes on where that one stopped.")
    logged = unfinished.times(made.logs)
    code = _call(words)
    if code == 0 and made.changed != before:  # the last step: all that was to run again has run
        by_command.forget(paths)
    seconds = f"{time.perf_counter() - began:.0f} s"
    if code == 0 and made.changed != before:
        tell(f"{made.words}: {made.place} ({seconds})")
    elif code == 0 and before and not extra:
        tell(f"Nothing to do, all is up to date: {made.place} ({seconds})")
    elif code:
        _refuse_beside_another(Path.cwd(), words)
        for sentence in unfinished.told(made.logs, logged):
            tell(sentence)
        tell(f"Stopped. What each step did stands in {paths.logs}; run again to go on from here.")
    return code


def _refuse_beside_another(folder: Path, words: Sequence[str]) -> None:
    """Where two runs began at once, Snakemake lets one go on: the other says so, and leaves it the note of `_call`."""
    living = [pid for pid, is_job in _processes_in(folder) if not is_job]
    if living and any((folder / LOCKS).glob("*")):
        OWNER.write_text(json.dumps(_identity(living[0])), encoding="utf-8")
        raise MixflowError(_locked(folder, words, f"by a run that is still going (process {living[0]})"))


def _call(words: Sequence[str]) -> int:
    """Run Snakemake, with a note on which process holds the folder while it goes."""
    process = subprocess.Popen(words, env={**os.environ, "MIXFLOW_COMMAND": "mixflow run"})
    OWNER.parent.mkdir(exist_ok=True)
    OWNER.write_text(json.dumps(_identity(process.pid)), encoding="utf-8")
    code = _wait(process)
    OWNER.unlink(missing_ok=True)
    return code


def command(config: Path, cores: str, extra: Sequence[str], again: Sequence[str] = ()) -> list[str]:
    """The Snakemake command line, which runs the rules ``again`` too; quiet where the user gave no words."""
    root = resources.root()
    force, extra = by_command.forcing(again, extra)
    words = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile"), "--cores", cores]
    words += [*force, "--rerun-incomplete", "--configfile", str(config)]
    if not extra:  # the profile's settings are for clusters, and Snakemake announces it even when quiet
        return [*words, "--quiet", "all"]
    if not any(word.split("=")[0] == "--profile" for word in extra):
        words += ["--profile", str(root / "config" / "profiles" / "default")]
    return [*words, *shipped_profiles(extra, root / "config" / "profiles")]


def release_stale_lock(folder: Path, words: Sequence[str]) -> bool:
    """Unlock ``folder`` where the run that locked it was killed; True where a lock was taken away.

    Jobs that outlived the killed run are waited for, since they write the same files. A run that lives, or a
    lock that mixflow cannot tell to be dead, raises MixflowError with the way out.
    """
    if "--unlock" in words or not any((folder / LOCKS).glob("*")):
        return False
    owner = _owner(folder)
    if owner is None or owner["host"] != socket.gethostname():
        raise MixflowError(_locked(folder, words, "by a run that mixflow did not start on this machine"))
    living = [pid for pid, is_job in _processes_in(folder) if not is_job]
    if living or (owner["start"] is not None and _identity(owner["pid"]) == owner):
        pid = living[0] if living else owner["pid"]
        raise MixflowError(_locked(folder, words, f"by a run that is still going (process {pid})"))
    while any(is_job for _, is_job in _processes_in(folder)):
        time.sleep(0.5)
    done = subprocess.run([*words, "--unlock"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise MixflowError(Problem(f"the lock of a killed run cannot be removed: {done.stderr.strip()}"))
    return True


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
    """Host, pid and start time of a process (a pid alone is used again); start None where it is dead."""
    import psutil

    try:
        process = psutil.Process(pid)
        start = None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        start = None
    return {"host": socket.gethostname(), "pid": pid, "start": start}


def _processes_in(folder: Path) -> list[tuple[int, bool]]:
    """Processes of Snakemake that work in ``folder``, however started: pid, and whether it is only a job.

    Not this process and those that started it.
    """
    import psutil

    here = str(folder.resolve())
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        is_job = _is_job(words)
        if (
            process.info["cwd"] == here
            and process.info["pid"] not in own
            and (is_job or _is_snakemake(words))
        ):
            found.append((process.info["pid"], is_job))
    return found


def _is_job(words: Sequence[str]) -> bool:
    """Whether a command line is that of one job: a rule's script, or Snakemake started for it."""
    script = len(words) > 1 and any(".snakemake/scripts/" in word for word in words[1:])
    return (script and "python" in Path(words[0]).name) or (
        _is_snakemake(words) and "--mode subprocess" in " ".join(words)
    )


def _is_snakemake(words: Sequence[str]) -> bool:
    """Whether a command line starts Snakemake: `snakemake`, `python snakemake` or `python -m snakemake`."""
    named = any(Path(word).name == "snakemake" for word in words[:2])
    return named or ("-m", "snakemake") in pairwise(words)


def _locked(folder: Path, words: Sequence[str], why: str) -> Problem:
    config = words[words.index("--configfile") + 1] if "--configfile" in words else ""
    again = f"mixflow run {shlex.quote(config)}" if config else "mixflow run"
    return Problem(
        f"the working folder is locked {why}",
        file=str(folder / LOCKS),
        remedy=f"wait for that run; if you know that none is going: {again} --unlock, then {again}",
    )
