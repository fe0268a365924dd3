"""A folder in which a finished run can be made again: config, inputs, lock file, command, what must come out."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline.paths import Paths
from mixflow.runs import inputs as inputs_module
from mixflow.runs import origin as origin_module
from mixflow.runs.inputs import Needed
from mixflow.runs.origin import Origin
from mixflow.store import atomic, software

RECORD, LOCK, SCRIPT, INPUTS = "replay.json", "requirements.lock", "replay.sh", "inputs"


@dataclass(frozen=True)
class Replay:
    """What was written: the ``folder``, its ``config`` (relative to it), and the inputs with their places."""

    run: Origin
    folder: Path
    config: Path
    needed: tuple[Needed, ...]

    @property
    def missing(self) -> list[Needed]:
        """Inputs that are not at hand."""
        return [need for need in self.needed if need.found is None]

    @property
    def results(self) -> Path:
        """Where the new results lie."""
        return self.folder / Paths(self.run.study).results


def prepare(run: Origin, folder: Path, looked_in: Sequence[Path] = ()) -> Replay:
    """Write config, links to the inputs, lock file, command and record into ``folder``.

    Where all paths of the run were relative the folder is laid out as the run was, and the config is the same to
    the byte of its hash; else the inputs lie in `inputs` and the config names them there.
    Raises MixflowError where ``folder`` holds something else than an earlier replay: its files could be replaced.
    """
    _require_free(folder)
    needed = tuple(inputs_module.needed(run, looked_in))
    folder.mkdir(parents=True, exist_ok=True)
    if _is_within(run):
        config, places = Path(run.facts["config_file"]), {need.path: Path(need.path) for need in needed}
        content = run.config
    else:
        config, places = Path("config.yaml"), _gathered(needed)
        content = renamed(run, places)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    atomic.write_text(folder / config, text)
    for need in needed:
        if need.found is not None:
            _link(need.found, folder / places[need.path])
    atomic.write_text(folder / LOCK, lock(run.environment))
    atomic.write_text(folder / SCRIPT, script(run, config))
    (folder / SCRIPT).chmod(0o755)
    atomic.write_text(folder / RECORD, json.dumps(record(run), indent=1))
    return Replay(run, folder, config, needed)


def _require_free(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).is_file():
        remedy = "name a new folder: --into FOLDER"
        message = "a replay needs a folder of its own, and this one holds other files"
        raise MixflowError(Problem(message, file=str(folder), remedy=remedy))


def _is_within(run: Origin) -> bool:
    """Whether config and inputs all lay below the working folder, by relative paths."""
    paths = [Path(path) for path in (run.facts["config_file"], *run.inputs)]
    return all(not path.is_absolute() and ".." not in path.parts for path in paths)


def _gathered(needed: Sequence[Needed]) -> dict[str, Path]:
    """A place in `inputs` for each path; files of one name lie in folders of their own."""
    names = [Path(need.path).name for need in needed]
    return {
        need.path: Path(INPUTS) / (f"{i + 1}" if names.count(name) > 1 else "") / name
        for i, (need, name) in enumerate(zip(needed, names, strict=True))
    }


def renamed(run: Origin, places: Mapping[str, Path]) -> dict[str, Any]:
    """The config with its files named where ``places`` has them."""
    content = json.loads(json.dumps(run.config))
    content["data"]["data_root"] = "."
    for key, paths in run.facts["files"].items():
        part, name, *more = key.split(".", 2)
        new = [str(places[path]) for path in ([paths] if isinstance(paths, str) else paths)]
        if part == "models":
            kind, group = more[0].split(".", 1)
            content[part][name][kind][group] = new[0]
        elif name != "options":  # what the reader's options name lies beside the data, by name
            content[part][name] = new if isinstance(content[part][name], list) else new[0]
    return content


def _link(found: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.resolve() != found.resolve():
        place.unlink(missing_ok=True)
        place.symlink_to(found.resolve())


def lock(environment: Mapping[str, str]) -> str:
    """A requirements file that pins every package of the run; mixflow and Python in comments."""
    pins = {name: number for name, number in environment.items() if name not in ("python", "mixflow")}
    lines = [f"# Python {environment.get('python', '?')}, mixflow {environment.get('mixflow', '?')}"]
    return "\n".join([*lines, *(f"{name}=={pins[name]}" for name in sorted(pins, key=str.lower))]) + "\n"


def script(run: Origin, config: Path) -> str:
    """The command that makes the run again and says whether its tables are the same."""
    last = run.steps[-1]
    commit = f", commit {last['git_commit']}" if last["git_commit"] else ""
    changed = ", which had changes that no commit holds" if last["git_dirty"] else ""
    return f"""#!/bin/sh
# Makes {run.study} again and says whether its tables are the same, byte for byte.
# It was made by mixflow {run.environment.get("mixflow", "?")}{commit}{changed}.
# With the packages of that run (Python {run.environment.get("python", "?")}):
#   python -m venv .venv && .venv/bin/pip install -r {LOCK} && .venv/bin/pip install --no-deps mixflow
#   (or mixflow's source at that commit), then: PATH="$PWD/.venv/bin:$PATH" sh {SCRIPT}
set -eu
cd "$(dirname "$0")"
mixflow run {shlex.quote(str(config))} --cores all
mixflow replay {RECORD} --check
"""


def record(run: Origin) -> dict[str, Any]:
    """All that the run told of itself, and what must come out: tables and arrays by sha256."""
    tree = run.tree
    arrays = run.facts.get("arrays", {}) if tree is None else origin_module.arrays(tree)
    kept = {"path": str(run.path.resolve()), "folder": str(run.folder.resolve()) if run.folder else ""}
    return {**run.facts, "tables": run.expected, "arrays": arrays, "origin": run.facts.get("origin", kept)}


def execute(replay: Replay, cores: str) -> None:
    """Run the workflow in the folder; raises MixflowError where inputs are missing or the run stops."""
    if replay.missing:
        remedy = "name the folders to look in: --inputs FOLDER"
        raise MixflowError(Problem(f"an input is missing: {need}", remedy=remedy) for need in replay.missing)
    words = [sys.executable, "-m", "mixflow.cli", "run", str(replay.config), "--cores", cores]
    code = subprocess.run(words, cwd=replay.folder, env=dict(os.environ)).returncode
    if code:
        remedy = f"its logs: {replay.folder / Paths(replay.run.study).logs}"
        raise MixflowError(
            Problem(f"the run stopped with code {code}", file=str(replay.folder), remedy=remedy)
        )


def other_software(run: Origin) -> list[str]:
    """What of the code is another here than it was then: sentences, none where all is the same."""
    then, now = run.environment, {**software.environment(), **software.versions()}
    other = {name: (number, now.get(name)) for name, number in then.items() if now.get(name) != number}
    told = [f"{name} was {was}, is {new or 'not installed'}" for name, (was, new) in sorted(other.items())]
    codes = {step["code"] for step in run.steps if step["code"]}
    commits = sorted({step["git_commit"][:12] for step in run.steps if step["git_commit"]})
    if codes != {software.source()}:
        git = software.git()
        here = str(git["git_commit"])[:12] or "installed package"
        here += ", with changes" if git["git_dirty"] else ""
        told.append(f"mixflow's code was {', '.join(commits) or 'not recorded'}, is {here}")
    return told
