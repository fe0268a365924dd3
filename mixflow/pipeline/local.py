"""The steps of a study in this process, for the commands; files lie where the workflow puts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline import by_command
from mixflow.pipeline.paths import Paths
from mixflow.study.config import Study
from mixflow.study.others import others
from mixflow.study.plan import Plan, load_plan

Tell = Callable[[str], None]
"""Takes a sentence for the user."""


def ingest(study: Study, tell: Tell) -> None:
    """Check the study and read its files."""
    from mixflow.pipeline import check
    from mixflow.pipeline import ingest as step

    paths = Paths(study.name)
    by_command.note(paths, "check", "ingest")
    tell(check.run(study, paths.checked))
    tell(step.run(study, paths.raw))


def batch(study: Study, tell: Tell) -> None:
    """Preprocess, then diagnose and harmonise."""
    from mixflow.pipeline import batch as step
    from mixflow.pipeline import preprocess

    paths = Paths(study.name)
    raw = _needed(paths.raw, "ingest")
    by_command.note(paths, "preprocess", "batch")
    tell(preprocess.run(study, raw, paths.data))
    tell(step.run(study, paths.data, paths.batch))


def fit(study: Study, models: Sequence[str], tell: Tell) -> None:
    """Fit the models named (all if none), shard by shard."""
    from mixflow.pipeline import fit as step

    paths, plan = Paths(study.name), load_plan(study)
    data, harmonised = _fitted_from(study, paths)
    chosen = _chosen(plan, models)
    by_command.note(paths, "fit")
    for model in chosen:
        for shard, out in _shards(paths, plan, model):
            tell(step.run(study, model, shard, data, harmonised, out))


def test(study: Study, models: Sequence[str], tell: Tell) -> None:
    """Test the contrasts of the models named (all if none) on their fits, and assemble the study's store."""
    from mixflow.pipeline import gather

    paths, plan = Paths(study.name), load_plan(study)
    data, harmonised = _fitted_from(study, paths)
    chosen = _chosen(plan, models)
    by_command.note(paths, "gather", "assemble")
    for model in chosen:
        shards = [_needed(out, "fit") for _, out in _shards(paths, plan, model)]
        tell(gather.run(study, model, shards, data, paths.model(model), harmonised))
    _assemble(study, tell)


def analyse(study: Study, models: Sequence[str], tell: Tell) -> None:
    """Run the analyses of the models named (all that have any if none), and assemble the study's store."""
    from mixflow.pipeline import analyse as step

    paths, plan = Paths(study.name), load_plan(study)
    data, harmonised = _fitted_from(study, paths)
    chosen = [name for name in _chosen(plan, models) if plan.model(name).analyses]
    if not chosen:
        remedy = "name some under models.<model>.analyses, for example: analyses: {r2: }"
        raise MixflowError(Problem("the config asks for no analyses of these models", remedy=remedy))
    by_command.note(paths, "analyse", "assemble")
    for model in chosen:
        gathered = _needed(paths.model(model), "test")
        beside = [_needed(path, "test") for path in _beside(paths, plan, model)]
        tell(step.run(study, model, gathered, data, paths.analyses(model), harmonised, beside))
    _assemble(study, tell)


def _beside(paths: Paths, plan: Plan, model: str) -> list[Path]:
    """The stores of the models that the analyses of a model name."""
    return [paths.model(name) for name in others(plan.model(model))]


def _assemble(study: Study, tell: Tell) -> None:
    """All models, with those analyses that were made from the fits and tests as they are now."""
    from mixflow.pipeline import assemble
    from mixflow.pipeline.analyse import is_current

    paths, plan = Paths(study.name), load_plan(study)
    stores = [_needed(paths.model(model), "test") for model in plan.names]
    having = [model.name for model in plan.models if model.analyses]
    made_from = {name: [paths.model(name), *_beside(paths, plan, name)] for name in having}
    current = [name for name in having if is_current(paths.analyses(name), *made_from[name])]
    data, batch = _needed(paths.data, "batch"), _needed(paths.batch, "batch")
    tell(assemble.run(study, data, batch, stores, paths.store, [paths.analyses(name) for name in current]))
    left = [name for name in having if name not in current]
    if left:
        tell(f"Without the analyses of {', '.join(left)}; for these: mixflow analyse")


def _shards(paths: Paths, plan: Plan, model: str) -> list[tuple[str, Path]]:
    count = plan.n_shards
    return [(f"{i}-of-{count}", paths.shard(model, i, count)) for i in range(1, count + 1)]


def _fitted_from(study: Study, paths: Paths) -> tuple[Path, Path | None]:
    harmonised = study.batch.fit_on == "harmonised"
    return _needed(paths.data, "batch"), _needed(paths.batch, "batch") if harmonised else None


def _needed(path: Path, command: str) -> Path:
    """``path``, which the command named makes; MixflowError where it is not there."""
    if not path.exists():
        remedy = f"run first: mixflow {command}; or everything at once: mixflow run"
        raise MixflowError(Problem("an earlier step was not run", file=str(path), remedy=remedy))
    return path


def _chosen(plan: Plan, models: Sequence[str]) -> list[str]:
    unknown = [name for name in models if name not in plan.names]
    if unknown:
        remedy = f"models of this study: {', '.join(plan.names)}"
        raise MixflowError(Problem("there is no such model", value=name, remedy=remedy) for name in unknown)
    return list(models) or list(plan.names)
