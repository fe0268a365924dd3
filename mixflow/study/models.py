"""Models, contrasts, batch and unit of a config met with the sheet: what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mixflow.errors import MixflowError, Problem
from mixflow.study import analyses, families, family_rules, order, precision, rows
from mixflow.study.columns import fixed_columns, kept_columns, structure_columns
from mixflow.study.plan import fitted_frame
from mixflow.study.rules import near
from mixflow.study.sheet import Sheet
from mixflow.study.structure import design_of
from mixflow.study.study import ModelConfig, Study

if TYPE_CHECKING:
    from mixflow.formula import Terms


def check_sheet(study: Study, read: Sheet, bad: Collection[str | None] = ()) -> list[Problem]:
    """Problems of models, batch and unit met with the sheet; models of `bad` columns by names only."""
    problems = [*_named_columns(study, read), *order.problems(study, read, bad)]
    for model in study.models:
        problems += _model(study, model, read, bad)
    return problems


def collect(problems: list[Problem], step: Callable[[], Any]) -> Any:
    """What `step` returns; its problems are collected."""
    try:
        return step()
    except MixflowError as error:
        problems.extend(error.problems)
        return None


def _named_columns(study: Study, read: Sheet) -> Iterator[Problem]:
    """Columns that batch and filters name: they exist, and batch factors are factors."""
    known = list(read.frame.columns)
    named = [(("batch", "factors"), name) for name in study.batch.factors]
    named += [(("batch", "keep"), name) for name in study.batch.keep or ()]
    by = study.preprocess.filters.min_observed_by
    named += [(("preprocess", "filters", "min_observed_by", "factor"), by.factor)] if by else []
    within = study.preprocess.reference_within
    named += [(("preprocess", "reference", "within"), within)] if within else []
    for keys, name in named:
        if name not in known:
            yield Problem(
                "the sheet has no such column", **study.place(*keys), value=name, remedy=near(name, known)
            )
        elif keys[-1] in ("factors", "factor") and read.columns[name].kind == "number":
            yield Problem(
                "a number cannot be used as a factor here",
                **study.place(*keys),
                value=name,
                remedy=f"declare samples.columns.{name}: {{type: factor}}",
            )


def _model(study: Study, model: ModelConfig, read: Sheet, bad: Collection[str | None]) -> list[Problem]:
    from mixflow.formula import parse

    place = study.place("models", model.name, "formula")
    problems = list(_chosen(study, model, read))
    terms = collect(problems, lambda: parse(model.formula, columns=rows.columns(study, read.frame)))
    problems = [p if p.file else _placed(p, place, model.formula) for p in problems]
    used = frozenset() if terms is None else terms.variables | structure_columns(model)
    if model.generalised:
        problems += families.check(study, model, rows.columns(study, read.frame))
    unknown = list(analyses.check(study, model))
    if terms is not None and not problems and not used & set(bad):
        problems += _response(study, model, terms)
        problems += _met(study, model, terms, read, analysed=not unknown)
    return [*problems, *unknown]


def _response(study: Study, model: ModelConfig, terms: Terms) -> list[Problem]:
    if terms.response is None:
        return []
    place = study.place("models", model.name, "formula")
    remedy = "leave the left side empty: every feature is fitted"
    return [Problem("a study's formula has no response", **place, value=terms.response, remedy=remedy)]


def _chosen(study: Study, model: ModelConfig, read: Sheet) -> Iterator[Problem]:
    """`include` and `exclude` name columns and levels that exist."""
    for key, chosen in (("include", model.include), ("exclude", model.exclude)):
        for name, levels in chosen.items():
            place = study.place("models", model.name, key, name)
            if name not in read.columns:
                remedy = near(name, list(read.columns))
                yield Problem("the sheet has no such column", **place, value=name, remedy=remedy)
                continue
            column = read.columns[name]
            for level in levels:
                if column.kind == "number":
                    if not _is_number(level):
                        yield Problem(
                            "the column is a number", **place, value=level, remedy="name numbers here"
                        )
                elif column.level(level) is None:
                    remedy = near(level, column.levels)
                    yield Problem("the column has no such level", **place, value=level, remedy=remedy)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _met(study: Study, model: ModelConfig, terms: Terms, read: Sheet, analysed: bool) -> list[Problem]:
    """The model met with the samples that it fits: design, contrasts, unit, batch; its analyses if wished."""
    place = study.place("models", model.name, "formula")
    frame = fitted_frame(read, model, terms)
    if not len(frame):
        remedy = "check include, exclude, samples.role and empty cells of the sheet"
        return [Problem("no sample is left to fit", **place, value=model.formula, remedy=remedy)]
    samples = frame
    problems = list(precision.check(study, model, read, frame))
    if rows.reads_rows(study, model):
        problems += rows.problems(study, model, read.frame)
    absent = any(not path.is_file() for path in model.relationship.values())  # told with the other files
    if problems or absent:
        return problems
    if rows.reads_rows(study, model):
        frame = rows.rehearsed(samples)
    problems: list[Problem] = []
    design = collect(problems, lambda: design_of(study, model, frame))
    problems = [p if p.file else _placed(p, place, model.formula) for p in problems]
    if design is None:
        return problems
    if model.generalised and not problems and not any(family_rules.of(study, model)):
        problems += families.rehearse(study, model, frame)
    for name, spec in model.contrasts.items():
        problems += _contrast(study, model, name, spec, design, read)
    return [
        *problems,
        *_unit(study, model, terms, samples),
        *_batch(study, model, terms, samples, design.dependent),
        *(_analysed(study, model, frame, read) if analysed and model.analyses else ()),
    ]


def _analysed(study: Study, model: ModelConfig, frame: pd.DataFrame, read: Sheet) -> list[Problem]:
    """Columns that options of analyses name; then each analysis tried on the model without features."""
    unknown = [*analyses.check_columns(study, model, list(read.frame.columns))]
    if rows.reads_rows(study, model):
        unknown += analyses.of_rows(study, model)
    return unknown or [*analyses.rehearse(study, model, frame, read.raw_levels)]


def _placed(problem: Problem, place: dict[str, Any], value: Any) -> Problem:
    """The problem at its key of the config; a column that it named goes into the message."""
    named = problem.column if problem.column and not problem.column.isdigit() else None  # digits: a character
    message = f"{problem.message} (column {named})" if named else problem.message
    remedy = problem.remedy or "write the formula as ~ AD + age + (1 | site); see config/README.md"
    shown = next(v for v in (problem.value, named, value) if v is not None)
    return replace(problem, message=message, **place, value=shown, remedy=remedy)


def _contrast(
    study: Study, model: ModelConfig, name: str, spec: Any, design: Any, read: Sheet
) -> list[Problem]:
    from mixflow.inference.contrasts import build

    problems: list[Problem] = []
    collect(problems, lambda: build({name: spec}, design, read.raw_levels))
    place = study.place("models", model.name, "contrasts", name)
    return [_placed(problem, place, spec) for problem in problems]


def _unit(study: Study, model: ModelConfig, terms: Terms, frame: pd.DataFrame) -> list[Problem]:
    """The independent unit repeats and no term of the model says so."""
    unit = study.samples.unit
    if unit is None or study.samples.allow_repeats or unit not in frame or not frame[unit].duplicated().any():
        return []
    if unit in fixed_columns(terms) or any(_same_groups(frame, term.group, unit) for term in terms.random):
        return []
    from mixflow.formula.known import quoted

    twice = frame[unit][frame[unit].duplicated()].iloc[0]
    remedy = (
        f"add (1 | {quoted(unit)}) to the formula, or, if the repeats are meant, write "
        f"samples.unit: {{column: {unit}, allow_repeats: true}}"
    )
    counts = f"{frame[unit].nunique()} units, {len(frame)} samples"
    message = f"'{unit}' is the independent unit and repeats ({counts}), "
    return [
        Problem(
            f"{message}but the formula has no term for it",
            **study.place("models", model.name, "formula"),
            value=str(twice),
            remedy=remedy,
        )
    ]


def _same_groups(frame: pd.DataFrame, group: tuple[str, ...], unit: str) -> bool:
    """Whether a random term groups the samples as the unit does (`site:subject`, subjects nested)."""
    if group == (unit,):
        return True
    codes = frame.groupby(list(group), observed=True).ngroup()
    pairs = pd.DataFrame({"group": codes, "unit": frame[unit].astype(str)}).drop_duplicates()
    return bool(not pairs["group"].duplicated().any() and not pairs["unit"].duplicated().any())


def _batch(
    study: Study, model: ModelConfig, terms: Terms, frame: pd.DataFrame, dependent: tuple[str, ...]
) -> list[Problem]:
    """A batch factor that says the same as a column of the design is refused, by name."""
    from mixflow.harmonise.association import associate, refuse_aliased

    factors = [name for name in study.batch.factors if name in frame]
    wanted = [name for name in sorted({*fixed_columns(terms), *_kept(study)} - set(factors)) if name in frame]
    problems: list[Problem] = []
    if factors and wanted:
        found = associate(frame[factors], frame[wanted])
        collect(problems, lambda: refuse_aliased(found, wanted, study.batch.method))
    place = study.place("batch", "factors")
    out = [replace(problem, file=place["file"], row=place["row"]) for problem in problems]
    fixed = [name for name in factors if name in fixed_columns(terms)]
    if dependent and fixed and not out:
        out.append(
            Problem(
                f"batch factor {' and '.join(fixed)} is aliased with other fixed effects: these coefficients "
                "cannot be told from the others",
                **study.place("models", model.name, "formula"),
                value=", ".join(dependent),
                remedy="take a column out, or write the batch as (1 | batch)",
            )
        )
    return out


def _kept(study: Study) -> tuple[str, ...]:
    try:
        return kept_columns(study) if study.batch.method != "none" else ()
    except MixflowError:  # the headline's formula cannot be read: told at its own place
        return ()
