"""A finished run as a Workflow Run RO-Crate: what ran, on what, with what, and what came out, for archives.

Profiles: RO-Crate 1.1, Workflow RO-Crate 1.0, Process and Workflow Run Crate 0.5 (Leo et al. 2024, PLoS ONE 19(9):
e0309210, https://www.researchobject.org/workflow-run-crate/).
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from mixflow import resources
from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import launch
from mixflow.runs import inputs as inputs_module
from mixflow.runs import replay
from mixflow.runs.origin import PAGE, STORE, TABLES, Origin
from mixflow.store import atomic

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
SHA256 = "https://w3id.org/ro/terms/workflow-run#sha256"
"""The context of RO-Crate 1.1 has no such term; the Workflow Run profiles define it."""
README = """# {title}

A run of mixflow on the study `{study}`, as a Workflow Run RO-Crate: `report.html` holds the results, `tables/` and
`study.zarr` the numbers, `provenance.json` every step with its time, machine, versions and inputs (by sha256),
`ro-crate-metadata.json` the same for programs.

To make it again with the same inputs: `mixflow replay study.zarr --inputs FOLDER_OF_THE_INPUTS --run`.
"""
SNAKEMAKE_REPORT = "snakemake-report.zip"
METADATA = "ro-crate-metadata.json"
FORMATS = {
    ".md": "text/markdown",
    ".html": "text/html",
    ".tsv": "text/tab-separated-values",
    ".csv": "text/csv",
    ".zip": "application/zip",
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Told:
    """What the run cannot know: who is responsible (name or ORCID), and the licence of the results (URL)."""

    author: str = ""
    license: str = ""


def write(
    run: Origin, out: Path, told: Told, with_inputs: bool = False, looked_in: Sequence[Path] = ()
) -> Path:
    """Write the crate of ``run`` as the folder ``out``, or as a zip where its name ends in .zip.

    Inputs are named by checksum, size and name; ``with_inputs`` packs them too. Raises MixflowError where the
    store is not at hand, an input to pack is not, or ``out`` holds something else than an older crate.
    """
    if run.store is None or run.folder is None:
        remedy = "name the results folder, or its study.zarr"
        raise MixflowError(Problem("a crate needs the store of the run", file=str(run.path), remedy=remedy))
    _require_free(out)
    needed = inputs_module.needed(run, looked_in)
    lost = [need for need in needed if need.found is None]
    if with_inputs and lost:
        remedy = "name the folders to look in: --inputs FOLDER"
        raise MixflowError(Problem(f"an input is missing: {need}", remedy=remedy) for need in lost)
    with TemporaryDirectory() as folder, atomic.replaced(out) as temporary:
        crate = _crate(run, told, needed if with_inputs else [], Path(folder))
        if out.suffix == ".zip":
            crate.write_zip(temporary.with_suffix(".zip"))
            temporary.with_suffix(".zip").replace(temporary)
        else:
            crate.write(temporary)
    return out


def _require_free(out: Path) -> None:
    """A folder is replaced as a whole: only one that is empty, or that is a crate itself."""
    if out.is_dir() and any(out.iterdir()) and not (out / METADATA).is_file():
        remedy = "name a new folder or a .zip: --out FOLDER/STUDY.crate.zip"
        message = "a crate takes the place of a whole folder, and this one holds other files"
        raise MixflowError(Problem(message, file=str(out), remedy=remedy))


def snakemake_report(run: Origin) -> Path:
    """Let Snakemake write its own report into the results folder, where `write` finds it.

    Raises MixflowError where the folder in which the study was run is not at hand.
    """
    results = (run.folder or run.path.parent).resolve()
    home = results.parents[1]
    config = Path(run.facts["config_file"])
    if not ((home / config).is_file() and (home / ".snakemake").is_dir()):
        remedy = "run this where the study was run, or leave out --snakemake-report"
        raise MixflowError(
            Problem("this is not the folder in which the study was run", file=str(home), remedy=remedy)
        )
    place = results / SNAKEMAKE_REPORT
    words = launch.command(config, "1", ["--report", str(place)])
    done = subprocess.run(words, cwd=home, capture_output=True, text=True)
    if done.returncode or not place.is_file():
        remedy = "bring the study up to date first: mixflow run"
        said = (done.stderr or done.stdout).strip()[-500:]
        raise MixflowError(Problem(f"Snakemake wrote no report: {said}", file=str(place), remedy=remedy))
    return place


def _crate(run: Origin, told: Told, packed: Sequence[inputs_module.Needed], folder: Path) -> Any:
    """The crate in memory; ``folder`` takes the small files that are written for it."""
    from rocrate.rocrate import ROCrate

    crate = ROCrate(gen_preview=False, version="1.1")
    _root(crate, run, told)
    workflow = _workflow(crate, run, folder)
    given = _given(crate, run, packed, folder)
    made = _made(crate, run, folder)
    _readme(crate, run, folder)
    _parameters(crate, workflow, given, "input")
    _parameters(crate, workflow, made, "output")
    _action(crate, run, workflow, told, [entity for _, entity in given], [entity for _, entity in made])
    return crate


def _root(crate: Any, run: Origin, told: Told) -> None:
    from rocrate.model import ContextEntity

    crate.name = f"{run.facts.get('title') or run.study}: a run of mixflow"
    crate.description = f"Study {run.study}: results, workflow, config and provenance of a run of mixflow."
    crate.datePublished = _times(run)[1]
    crate.metadata.extra_terms["sha256"] = SHA256
    _license(crate, told)
    for uri, (name, version) in PROFILES.items():
        crate.add(ContextEntity(crate, uri, {"@type": "CreativeWork", "name": name, "version": version}))
    crate.root_dataset["conformsTo"] = [{"@id": uri} for uri in PROFILES]


def _license(crate: Any, told: Told) -> None:
    from rocrate.model import ContextEntity

    if told.license.startswith(("http://", "https://")):
        facts = {"@type": "CreativeWork", "name": told.license.rstrip("/").rpartition("/")[2]}
        crate.license = crate.add(ContextEntity(crate, told.license, facts))
    else:
        crate.license = told.license or "No licence was given: ask the authors before you use the results."


def _workflow(crate: Any, run: Origin, folder: Path) -> Any:
    """The Snakefile as main entity, with the rules and scripts that it includes, and mixflow itself."""
    from rocrate.model import ContextEntity, SoftwareApplication

    root, versions = resources.root(), run.environment
    workflow = crate.add_workflow(
        root / "Snakefile", "Snakefile", main=True, lang="snakemake", lang_version=versions.get("snakemake")
    )
    workflow["encodingFormat"] = "text/x-snakemake"
    workflow["name"] = "mixflow: from a raw table to a report"
    crate.add(ContextEntity(crate, WORKFLOW, {"@type": "CreativeWork", "name": "ComputationalWorkflow"}))
    workflow["conformsTo"] = {"@id": WORKFLOW}
    parts = [
        crate.add_dataset(root / "workflows" / part, f"workflows/{part}") for part in ("rules", "scripts")
    ]
    for part, name in zip(parts, ("rules", "scripts of the rules"), strict=True):
        part["name"] = name
        part["description"] = f"The {name} of the workflow, as the mixflow that wrote this crate has them."
    version = versions.get("mixflow", "?")
    facts = {"name": "mixflow", "softwareVersion": version}
    tool = crate.add(SoftwareApplication(crate, f"#mixflow-{version}", properties=facts))
    workflow["version"] = version
    lock = folder / replay.LOCK
    lock.write_text(replay.lock(versions), encoding="utf-8")
    locked = crate.add_file(
        lock, lock.name, properties={"name": "versions of all packages", "encodingFormat": "text/plain"}
    )
    workflow["hasPart"] = [tool, *parts]
    workflow["softwareRequirements"] = [tool, locked]
    return workflow


def _given(
    crate: Any, run: Origin, packed: Sequence[inputs_module.Needed], folder: Path
) -> list[tuple[str, Any]]:
    """Config and inputs: (name of the parameter, entity)."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(run.config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    found = [("config", _file(crate, config, "config.yaml", "config of the study, with all defaults"))]
    at_hand = {need.path: need.found for need in packed}
    for i, (path, entry) in enumerate(run.inputs.items()):
        facts = {"name": Path(path).name, "sha256": entry["sha256"]}
        facts |= {"contentSize": str(entry["bytes"])} if entry["bytes"] is not None else {}
        facts |= {"encodingFormat": FORMATS.get(Path(path).suffix, "application/octet-stream")}
        place = f"inputs/{i + 1}/{Path(path).name}"
        if at_hand.get(path) is not None:
            entity = crate.add_file(at_hand[path], place, properties=facts)
        else:
            entity = crate.add_file(_named(entry["sha256"]), properties=facts, validate_url=False)
        found.append((run.named.get(path, Path(path).name), entity))
    return found


def _named(sha256: str) -> str:
    """A URI for content that is not in the crate (RFC 6920: named by its hash)."""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode("ascii").rstrip("=")
    return f"ni:///sha-256;{digest}"


def _made(crate: Any, run: Origin, folder: Path) -> list[tuple[str, Any]]:
    """Store, report, tables, workbook and provenance: (name of the parameter, entity)."""
    assert run.store is not None and run.folder is not None  # `write` has seen to it
    record = folder / "provenance.json"
    told = {**replay.record(run), "origin": {}}  # this machine's folders are nobody's business
    record.write_text(json.dumps(told, indent=1), encoding="utf-8")
    found = [
        ("provenance", _file(crate, record, record.name, "steps, versions, machines; sha256 of all results"))
    ]
    store = crate.add_dataset(run.store, STORE)
    store["name"], store["description"] = (
        "store of the study",
        "data, fits, tests and provenance (Zarr version 3)",
    )
    found.append(("store", store))
    if (run.folder / TABLES).is_dir():
        tables = crate.add_dataset(run.folder / TABLES, TABLES)
        tables["name"], tables["description"] = "tables", "every table of the report as tab-separated text"
        found.append(("tables", tables))
    beside = {
        PAGE: "report",
        "results.xlsx": "all tables as a workbook",
        SNAKEMAKE_REPORT: "Snakemake's own report",
    }
    there = [(name, said) for name, said in beside.items() if (run.folder / name).is_file()]
    return found + [(name, _file(crate, run.folder / name, name, said)) for name, said in there]


def _readme(crate: Any, run: Origin, folder: Path) -> None:
    """What the crate is and how to make its results again, for a reader without tools."""
    path = folder / "README.md"
    path.write_text(
        README.format(title=run.facts.get("title") or run.study, study=run.study), encoding="utf-8"
    )
    readme = _file(crate, path, path.name, "what this is and how to make it again")
    readme["about"] = crate.root_dataset


def _file(crate: Any, path: Path, place: str, name: str) -> Any:
    kind = FORMATS.get(path.suffix, "application/octet-stream")
    facts = {"name": name, "encodingFormat": kind, "contentSize": str(path.stat().st_size)}
    return crate.add_file(path, place, properties=facts)


def _parameters(crate: Any, workflow: Any, entities: Sequence[tuple[str, Any]], side: str) -> None:
    """What the workflow takes and gives, each with the entity that stood there in this run."""
    from rocrate.model import ContextEntity

    for name, entity in _numbered(entities):
        kind = "Dataset" if entity.id.endswith("/") else "File"
        facts = {
            "@type": "FormalParameter",
            "additionalType": kind,
            "name": name,
            "conformsTo": {"@id": PARAMETER},
        }
        parameter = crate.add(ContextEntity(crate, f"#{side}-{name}", facts))
        entity["exampleOfWork"] = parameter
        parameter["workExample"] = entity
        workflow.append_to(side, parameter)


def _numbered(entities: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Names that stand several times (a list of data files) with a number: each is a parameter of its own."""
    names = [name for name, _ in entities]
    for i, (name, entity) in enumerate(entities):
        yield (f"{name}-{names[: i + 1].count(name)}" if names.count(name) > 1 else name), entity


def _action(crate: Any, run: Origin, workflow: Any, told: Told, given: list, made: list) -> None:
    """The run itself."""
    from rocrate.model import ContextEntity, Person

    began, ended = _times(run)
    commit = next((step["git_commit"] for step in reversed(run.steps) if step["git_commit"]), "")
    code = f"; code of commit {commit}" if commit else ""
    facts = {
        "name": f"mixflow run of {run.study}",
        "description": f"{len(run.steps)} steps{code}; seed {run.config.get('seed')}",
        "startTime": began,
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    action = crate.add_action(workflow, identifier="#run", object=given, result=made, properties=facts)
    if told.author:
        orcid = told.author.startswith("https://orcid.org/")
        person = crate.add(Person(crate, told.author if orcid else "#author", {"name": told.author}))
        action["agent"] = person
        crate.root_dataset["author"] = person
    crate.root_dataset["mentions"] = action
    crate.add(ContextEntity(crate, PARAMETER, {"@type": "CreativeWork", "name": "FormalParameter"}))


def _times(run: Origin) -> tuple[str, str]:
    """When the first step began and the last one ended, ISO 8601."""
    began = [datetime.fromisoformat(step["started"]) for step in run.steps]
    ended = [t + timedelta(seconds=float(s["seconds"])) for t, s in zip(began, run.steps, strict=True)]
    return min(began).isoformat(), max(ended).isoformat(timespec="seconds")
