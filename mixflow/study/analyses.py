"""Analyses that a config asks for: known, with options that they take, tried on the model without data."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mixflow.errors import MixflowError, Problem
from mixflow.study import families, precision, schema
from mixflow.study.others import check_others, others
from mixflow.study.rules import near
from mixflow.study.structure import design_of, fit_options
from mixflow.study.study import ModelConfig, Study
from mixflow.study.yamlfile import YamlFile

if TYPE_CHECKING:
    import pandas as pd

    from mixflow.derived import Analysis, Subject

LOGGER = logging.getLogger(__name__)
ALIAS = "analysis"
"""Option that names the analysis where the table has another name."""
COLUMN = "column"
"""`format` in the schema of an option (text, or a list of it) that names a column of the sample sheet."""
SEED = "seed"
Labels = Mapping[str, Mapping[str, str]]
"""Column -> level as it stands in the sheet -> as it is shown."""


@dataclass(frozen=True)
class Asked:
    """An analysis as configured: the ``name`` of its table, and what to run with which options."""

    name: str
    analysis: Analysis
    options: dict[str, Any]

    def run(self, subject: Subject) -> pd.DataFrame:
        """Its table; ValueError where the first column is not `feature` (a defect of the analysis)."""
        table = self.analysis.run(subject, **self.options)
        if not len(table.columns) or table.columns[0] != "feature":
            raise ValueError(f"analysis '{self.analysis.name}' gave a table without `feature` in front")
        return table


def asked(study: Study, model: ModelConfig) -> list[Asked]:
    """The analyses of a model, in the order of the config; the study's seed where one takes a seed.

    Raises MixflowError with every unknown analysis and every option that it does not take.
    """
    problems = list(check(study, model))
    if problems:
        raise MixflowError(problems)
    return [_asked(study, name, options) for name, options in model.analyses.items()]


def _asked(study: Study, name: str, options: Mapping[str, Any]) -> Asked:
    analysis = _registry()[options.get(ALIAS, name)]
    given = {key: _as_text(value, analysis.options[key]) for key, value in options.items() if key != ALIAS}
    if SEED in analysis.options and _draws(analysis, given):
        given.setdefault(SEED, study.seed)
    return Asked(name, analysis, given)


def _draws(analysis: Analysis, given: Mapping[str, Any]) -> bool:
    """Whether the analysis draws random numbers with these options: those that its seed is for (`where`)."""
    return all(given.get(key) == value for key, value in analysis.options[SEED].get("where", {}).items())


def check(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """Analyses that are unknown, and options that their schema does not allow, each at its line."""
    registry = _registry() if model.analyses else {}
    for i, (name, options) in enumerate(model.analyses.items()):
        keys = ("models", model.name, "analyses", name)
        if keys not in study.lines:  # a list of names
            keys = (*keys[:3], str(i))
        wanted = str(options.get(ALIAS, name))
        if wanted not in registry:
            place = study.place(*keys, *([ALIAS] if ALIAS in options else []))
            remedy = near(wanted, sorted(registry))
            yield Problem("there is no such analysis", **place, value=wanted, remedy=remedy)
            continue
        yield from _kind(study, keys, model, registry[wanted])
        yield from _options(study, keys, registry[wanted], options)
    yield from check_others(study, model)


def _kind(study: Study, keys: tuple[str, ...], model: ModelConfig, analysis: Analysis) -> Iterator[Problem]:
    """An analysis that does not take this kind of model."""
    kind = "generalised" if model.generalised else "gaussian"
    if kind in analysis.models:
        return
    known = sorted(name for name, other in _registry().items() if kind in other.models)
    yield Problem(
        f"this analysis takes no model with family {model.family}",
        **study.place(*keys),
        value=analysis.name,
        remedy=f"leave it out; analyses of such models: {', '.join(known)}",
    )


def _options(
    study: Study, keys: tuple[str, ...], analysis: Analysis, options: Mapping[str, Any]
) -> Iterator[Problem]:
    part = {
        "type": "object",
        "description": analysis.purpose,
        "properties": dict(analysis.options),
        "required": list(analysis.required),
        "additionalProperties": False,
    }
    known = analysis.options
    given = {
        key: _as_text(value, known[key]) if key in known else value
        for key, value in options.items()
        if key != ALIAS
    }
    file = YamlFile(str(study.path), study.raw, dict(study.lines))
    for _, problem in schema.part_problems(given, part, file, keys):
        yield problem


def _as_text(value: Any, part: Mapping[str, Any]) -> Any:
    """Numbers as text where the option takes text only: levels such as 1 and 2."""
    kinds = {branch.get("type") for branch in part.get("anyOf", [part])}
    if isinstance(value, list):
        return [_as_text(item, part.get("items", {})) for item in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number and kinds == {"string"} else value


def check_columns(study: Study, model: ModelConfig, known: list[str]) -> Iterator[Problem]:
    """Options that name a column which the sheet does not have."""
    for each in asked(study, model):
        for key, value in each.options.items():
            part = each.analysis.options[key]
            names = value if isinstance(value, list) else [value]
            if COLUMN not in (part.get("format"), part.get("items", {}).get("format")):
                continue
            for name in names:
                if name not in known:
                    place = study.place("models", model.name, "analyses", each.name, key)
                    remedy = near(str(name), known)
                    yield Problem("the sheet has no such column", **place, value=name, remedy=remedy)


def of_rows(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """Analyses that cannot be made of a model whose features have rows of their own."""
    for each in asked(study, model):
        if not each.analysis.own_rows:
            known = [name for name, analysis in _registry().items() if analysis.own_rows]
            remedy = (
                f"ask for it of a model of the protein table; of rows there are: {', '.join(sorted(known))}"
            )
            message = "this analysis reads one value a feature and sample, and the model reads precursors"
            place = study.place("models", model.name, "analyses", each.name)
            yield Problem(message, **place, value=each.analysis.name, remedy=remedy)


def rehearse(study: Study, model: ModelConfig, frame: pd.DataFrame, labels: Labels) -> Iterator[Problem]:
    """Run each analysis on the model fitted to no features: what its options cannot mean is told before data.

    ``frame``: the rows that the model fits; ``labels``: of the levels, by column. An analysis that cannot run
    without features is left to the run itself, with a line in the log.
    """
    try:
        subject = _with_others(_without_features(study, model, frame, labels), model)
    except MixflowError:
        return  # told at its own place: the model itself, or a contrast, is wrong
    for each in asked(study, model):
        try:
            each.run(subject)
        except MixflowError as error:
            yield from placed(study, model, each.name, error)
        except Exception as error:
            LOGGER.warning("analysis %s could not be tried without features: %r", each.name, error)


def _with_others(subject: Subject, model: ModelConfig) -> Subject:
    """The subject with no tests of each model that its analyses name."""
    import pandas as pd

    none = pd.DataFrame(columns=["feature", "contrast", "estimate", "p_value"])
    return replace(subject, others=dict.fromkeys(others(model), none))


def _without_features(study: Study, model: ModelConfig, frame: pd.DataFrame, labels: Labels) -> Subject:
    import numpy as np

    from mixflow.derived import Subject
    from mixflow.inference.contrasts import build
    from mixflow.optimise.fitting import fit_features

    if model.generalised:
        return _generalised_without_features(study, model, frame, labels)
    design = design_of(study, model, frame)
    none = np.zeros((0, len(design.rows)))
    recipe = precision.recipe(model, frame, design)
    options = {**recipe.options, **fit_options(model)}
    fit = fit_features(design, none, [], reml=model.reml, weights=recipe.weights, **options)
    contrasts = tuple(build(model.contrasts, design, labels))
    return Subject(fit, design, none, contrasts, model.df, study.report.alpha, recipe)


def _generalised_without_features(
    study: Study, model: ModelConfig, frame: pd.DataFrame, labels: Labels
) -> Subject:
    import numpy as np

    from mixflow.derived import Subject
    from mixflow.inference.contrasts import build
    from mixflow.inference.refit import Recipe

    none = np.zeros((0, len(families.designs_of(study, model, frame)["mu"].rows)))
    found = families.fitted_family(study, model, frame, none, [])
    contrasts = tuple(build(model.contrasts, found.design, labels))
    recipe, alpha = Recipe(found.weights), study.report.alpha
    return Subject(found.fit, found.design, none, contrasts, model.df, alpha, recipe, generalised=found)


def placed(study: Study, model: ModelConfig, name: str, error: MixflowError) -> list[Problem]:
    """The problems of an analysis at its option in the config, or at its name."""
    keys = ("models", model.name, "analyses", name)
    options = model.analyses[name]
    return [
        replace(
            p,
            message=p.message if p.column in options or not p.column else f"{p.message} ({p.column})",
            **study.place(*keys, *([p.column] if p.column in options else [])),
        )
        for p in error.problems
    ]


def _registry() -> Mapping[str, Analysis]:
    from mixflow.derived import ANALYSES

    return ANALYSES
