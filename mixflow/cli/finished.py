"""The commands about finished runs: replay, diff, crate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixflow.cli.console import tell

if TYPE_CHECKING:
    from mixflow.runs.origin import Origin

Run = Annotated[Path, typer.Argument(help="report.html, study.zarr, or a folder of results.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    for command in (replay, diff, crate):
        app.command()(command)


def replay(
    run: Run,
    into: Annotated[
        Path | None, typer.Option("--into", help="Folder to write; replay-STUDY if not given.")
    ] = None,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--inputs", help="Look for input files here, by content (may be repeated)."),
    ] = None,
    go: Annotated[bool, typer.Option("--run", help="Run it too, then compare.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing: compare what was run there.")
    ] = False,
    cores: Annotated[str, typer.Option("--cores", "-c", help="Cores to use: a number or all.")] = "all",
) -> None:
    """Write a folder in which a finished run can be made again; with --run make it, and compare byte for byte.

    Exit code 0: equal (or only written), 1: something is wrong, 3: the results differ.
    """
    from mixflow.runs import origin, replay

    known = origin.read(run)
    if check:
        folder = into or (run.parent if run.name == replay.RECORD else Path(f"replay-{known.study}"))
        raise typer.Exit(_compared(known, folder))
    made = replay.prepare(known, into or Path(f"replay-{known.study}"), inputs or [])
    tell(f"{made.folder}: config, {replay.LOCK}, {replay.SCRIPT}, {replay.RECORD}")
    for need in made.needed:
        tell(f"input {need}")
    for sentence in replay.other_software(known):
        tell(f"other software: {sentence}")
    if not go:
        tell(f"To make it again: sh {made.folder / replay.SCRIPT}; or: mixflow replay {run} --run")
        raise typer.Exit(1 if made.missing else 0)
    replay.execute(made, cores)
    raise typer.Exit(_compared(known, made.folder))


def diff(
    before: Run,
    after: Run,
    top: Annotated[int, typer.Option("--top", help="Features named for each contrast.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_tsv: Annotated[bool, typer.Option("--tsv", help="Print tab-separated rows.")] = False,
) -> None:
    """Say what changed between two runs: config, inputs, code, packages, machine, and their results."""
    import json

    from mixflow.cli import differences
    from mixflow.runs import diff as module
    from mixflow.runs import origin

    found = module.diff(origin.read(before), origin.read(after), top)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
    elif as_tsv:
        typer.echo("\n".join(differences.tsv(found)))
    else:
        differences.show(found)


def _compared(known: Origin, folder: Path) -> int:
    """Tell what differs from the origin; the exit code."""
    from mixflow.pipeline.paths import Paths
    from mixflow.runs import equal, replay

    results = folder / Paths(known.study).results
    arrays = replay.record(known)["arrays"]
    verdicts = equal.compare(known, results, arrays)
    others = [verdict for verdict in verdicts if verdict.state != equal.EQUAL]
    for kind in ("table", "array"):
        these = [verdict for verdict in verdicts if verdict.kind == kind]
        if these:
            same = sum(verdict.state == equal.EQUAL for verdict in these)
            tell(f"{same} of {len(these)} {kind}s are equal, byte for byte")
    for verdict in others:
        tell(
            f"  {verdict.kind} {verdict.name}: {verdict.state}{'; ' if verdict.detail else ''}{verdict.detail}"
        )
    if others:
        tell(f"What changed: mixflow diff {known.path} {results}")
    return 3 if others else 0


def crate(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder or .zip; STUDY.crate.zip if not given.")
    ] = None,
    author: Annotated[
        str, typer.Option("--author", help="Who is responsible: a name, or an ORCID as URL.")
    ] = "",
    license: Annotated[str, typer.Option("--license", help="Licence of the results, as URL.")] = "",
    with_inputs: Annotated[bool, typer.Option("--with-inputs", help="Pack the input files too.")] = False,
    inputs: Annotated[
        list[Path] | None,
        typer.Option("--inputs", help="Look for input files here, by content (may be repeated)."),
    ] = None,
    snakemake_report: Annotated[
        bool, typer.Option("--snakemake-report", help="Add Snakemake's own report (zip).")
    ] = False,
) -> None:
    """Export a finished run as a Workflow Run RO-Crate: results, workflow, config, provenance."""
    from mixflow.runs import crate as module
    from mixflow.runs import origin

    known = origin.read(run)
    if snakemake_report:
        tell(f"wrote {module.snakemake_report(known)}")
    place = out or Path(f"{known.study}.crate.zip")
    told = module.Told(author, license)
    tell(f"wrote {module.write(known, place, told, with_inputs, inputs or [])}")
