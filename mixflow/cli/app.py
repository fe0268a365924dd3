"""The commands of mixflow; what they do stands in `mixflow.pipeline`, `mixflow.study` and `mixflow.store`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mixflow.cli import finished
from mixflow.cli.console import tell

app = typer.Typer(
    help="Mixed models for every feature of a table, from raw files to an HTML report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path | None, typer.Argument(help="Config of the study; config.yaml if not given.")]
ConfigFile = Annotated[Path | None, typer.Option("--configfile", help="The same, as Snakemake calls it.")]
Store = Annotated[Path, typer.Argument(help="A store, such as results/STUDY/study.zarr.")]
Model = Annotated[list[str] | None, typer.Option("--model", help="Only this model (may be repeated).")]


def _version(asked: bool) -> None:
    if asked:
        from mixflow import __version__

        tell(f"mixflow {__version__}")
        raise typer.Exit


@app.callback()
def mixflow(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Mixed models for every feature of a table, from raw files to an HTML report."""


@app.command()
def init(
    table: Annotated[Path, typer.Argument(help="Table of measurements.")],
    sheet: Annotated[
        Path | None, typer.Argument(help="Sample sheet; a skeleton is written if not given.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where to write.")] = Path(),
) -> None:
    """Write a commented config for your own files."""
    from mixflow.study.init import init as write

    for path in write(table, sheet, folder):
        tell(f"wrote {path}")


@app.command()
def validate(
    config: Config = None,
    configfile: ConfigFile = None,
    data: Annotated[bool, typer.Option(help="Read the data files too.")] = True,
) -> None:
    """Say everything that is wrong with a study, at once."""
    from mixflow.errors import MixflowError
    from mixflow.pipeline.launch import find_config
    from mixflow.study.validate import validate as problems_of

    path = find_config(config or configfile)
    problems = problems_of(path, data=data)
    if problems:
        raise MixflowError(problems)
    tell(f"{path}: nothing wrong was found")


@app.command()
def ingest(config: Config = None, configfile: ConfigFile = None) -> None:
    """Check a study and read its files into a store."""
    from mixflow.pipeline import launch, local

    local.ingest(launch.study(config or configfile), tell)


@app.command()
def batch(config: Config = None, configfile: ConfigFile = None) -> None:
    """Preprocess, then diagnose batch effects and harmonise."""
    from mixflow.pipeline import launch, local

    local.batch(launch.study(config or configfile), tell)


@app.command()
def fit(config: Config = None, configfile: ConfigFile = None, model: Model = None) -> None:
    """Fit the models."""
    from mixflow.pipeline import launch, local

    local.fit(launch.study(config or configfile), model or [], tell)


@app.command()
def test(config: Config = None, configfile: ConfigFile = None, model: Model = None) -> None:
    """Test the contrasts on the fits (no refit), and assemble the study's store."""
    from mixflow.pipeline import launch, local

    local.test(launch.study(config or configfile), model or [], tell)


@app.command()
def analyse(config: Config = None, configfile: ConfigFile = None, model: Model = None) -> None:
    """Run the analyses of the fits (no refit), and assemble the study's store."""
    from mixflow.pipeline import launch, local

    local.analyse(launch.study(config or configfile), model or [], tell)


@app.command()
def report(
    store: Store,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Show this feature's samples too.")
    ] = None,
    share: Annotated[bool, typer.Option("--share", help="Add a copy for a collaborator, in share/.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; that of the store if not given.")] = None,
) -> None:
    """Write the report of a store: page, tables, figures, workbook."""
    from mixflow.pipeline import report as step

    tell(step.run(store, out or store.parent, feature or [], share))


@app.command()
def info(store: Store) -> None:
    """Say what is in a store."""
    from mixflow.store.info import info as describe

    tell(describe(store))


@app.command()
def verify(store: Store) -> None:
    """Read every byte of a store and say what is not as it was written."""
    from mixflow.store.verify import require

    require(store)
    tell(f"{store}: every file is as it was written")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    context: typer.Context,
    configfile: ConfigFile = None,
    cores: Annotated[str, typer.Option("--cores", "-c", help="Cores to use: a number or all.")] = "all",
) -> None:
    """Run a study with Snakemake: mixflow run [CONFIG] [--cores N] [any options of Snakemake].

    Steps that are done are not done again.
    """
    from mixflow.pipeline import launch, words

    config, extra = words.split(configfile, context.args)
    raise typer.Exit(launch.run(config, cores, extra, tell))


finished.register(app)
