"""What a config alone can have wrong beyond its schema: keys that do not fit each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence

from mixflow.errors import MixflowError, Problem
from mixflow.formula.known import quoted
from mixflow.study import family_rules
from mixflow.study.columns import terms_of
from mixflow.study.config import Column, ModelConfig, Study
from mixflow.study.yamlfile import YamlFile, dotted


def check(study: Study) -> list[Problem]:
    """Every problem between keys of the config."""
    parts = (
        _columns, _derive, _role, _id_map, _harmonised, _harmonised_models, _models, _batch,
        family_rules.problems,
    )  # fmt: skip
    return [problem for part in parts for problem in part(study)]


def comment_traps(file: YamlFile) -> list[Problem]:
    """Values that YAML took for a comment: `id: #SampleID` reads as nothing."""
    found = []
    for path, text in file.texts.items():
        row = file.lines[path]
        trap = re.search(r":\s+(#\S.*)$", file.source[row - 1]) if text == "" else None
        if trap:
            found.append(
                Problem(
                    "an unquoted # begins a comment, so there is no value here",
                    file=file.name,
                    row=row,
                    column=dotted(path),
                    value=trap[1],
                    remedy=f'put it between quotes: "{trap[1].split()[0]}"',
                )
            )
    return found


def near(name: str, known: Sequence[str]) -> str:
    """The nearest of `known` and all of them, for a name that is not among them."""
    found = [other for other in known if other.casefold() == name.casefold()]
    found = found or difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return (f"did you mean `{found[0]}`? " if found else "") + f"known: {', '.join(known) or 'none'}"


def _columns(study: Study) -> Iterator[Problem]:
    for column in study.samples.columns.values():
        yield from _column(study, column)


def _column(study: Study, column: Column) -> Iterator[Problem]:
    def problem(key: str, message: str, value: object, remedy: str) -> Problem:
        place = study.place("samples", "columns", column.name, key)
        return Problem(message, **place, value=value, remedy=remedy)

    for key in ("levels", "labels", "reference"):
        value = getattr(column, key)
        if column.type == "number" and value:
            yield problem(key, "a number has no levels", value, f"remove `{key}` or declare `type: factor`")
    for key in ("levels", "labels"):
        names = getattr(column, key) or ()
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield problem(
                key, "this name stands twice", name, "levels and labels must differ from each other"
            )
    if column.labels and not column.levels:
        yield problem(
            "labels", "labels need levels", column.labels, "add `levels: [...]`, one for each label"
        )
    elif column.labels and len(column.labels) != len(column.levels or ()):
        yield problem(
            "labels",
            f"{len(column.labels)} labels for {len(column.levels or ())} levels",
            column.labels,
            "give one label for each level, in the same order",
        )
    yield from _reference(column, problem)


def _reference(column: Column, problem: Callable[..., Problem]) -> Iterator[Problem]:
    known = [*(column.levels or ()), *(column.labels or ())]
    if column.reference is None or column.type == "number":
        return
    if known and column.reference not in known:
        yield problem(
            "reference",
            "the reference is not among the levels",
            column.reference,
            near(column.reference, known),
        )
    elif (
        column.type == "ordered" and known and column.reference not in (known[0], (column.labels or known)[0])
    ):
        yield problem(
            "reference",
            "the reference of an ordered factor is its first level",
            column.reference,
            "put that level first, or declare `type: factor`",
        )


def _derive(study: Study) -> Iterator[Problem]:
    for derived in study.samples.derive:
        place = study.place("samples", "derive", derived.name, "pattern")
        try:
            groups = re.compile(derived.pattern).groups
        except re.error as error:
            yield Problem(
                f"not a regular expression: {error}",
                **place,
                value=derived.pattern,
                remedy="mend the pattern; write it between single quotes",
            )
            continue
        if groups == 0:
            yield Problem(
                "the pattern has no group",
                **place,
                value=derived.pattern,
                remedy="put what is wanted between brackets: 'plate(?P<value>[0-9]+)'",
            )


def _role(study: Study) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for role, values in (study.samples.role.values if study.samples.role else {}).items():
        for value in values:
            if value in seen:
                yield Problem(
                    f"this value means both {seen[value]} and {role}",
                    value=value,
                    **study.place("samples", "role", role),
                    remedy="list it under one role",
                )
            seen[value] = role


def _id_map(study: Study) -> Iterator[Problem]:
    pattern = study.samples.id_map.get("pattern")
    if pattern is None or set(study.samples.id_map) != {"pattern", "replace"}:
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield Problem(
            f"not a regular expression: {error}",
            **study.place("samples", "id_map", "pattern"),
            value=pattern,
            remedy="mend the pattern; write it between single quotes",
        )


def _harmonised(study: Study) -> Iterator[Problem]:
    batch = study.batch
    if batch.fit_on == "harmonised" and not batch.accept_anticonservative:
        yield Problem(
            "p-values from harmonised data are too small (docs/why-fit-raw.md)",
            **study.place("batch", "fit_on"),
            value="harmonised",
            remedy="use `fit_on: raw` with the batch in the formula, or set `accept_anticonservative: true`",
        )
    if batch.fit_on == "harmonised" and batch.method == "none":
        yield Problem(
            "there are no harmonised data with `method: none`",
            **study.place("batch", "fit_on"),
            value="harmonised",
            remedy="use `method: mixed` or `combat`, or `fit_on: raw`",
        )


def _harmonised_models(study: Study) -> Iterator[Problem]:
    """Once harmonised values are accepted, every model keeps the batch."""
    if study.batch.fit_on != "harmonised" or not study.batch.accept_anticonservative:
        return
    for model in study.models:
        try:
            variables = terms_of(study, model).variables
        except MixflowError:
            continue  # validate says what is wrong with it
        absent = [quoted(name) for name in study.batch.factors if name not in variables]
        if absent:
            yield Problem(
                f"a fit of harmonised values keeps the batch in the model: {', '.join(absent)} is missing",
                **study.place("models", model.name, "formula"),
                value=model.formula,
                remedy=" and ".join(f"add `+ {name}` or `+ (1 | {name})`" for name in absent),
            )


def _batch(study: Study) -> Iterator[Problem]:
    batch = study.batch
    if batch.method != "none" and not batch.factors:
        yield Problem(
            "harmonisation needs a batch factor",
            **study.place("batch", "method"),
            value=batch.method,
            remedy="name it in `batch.factors`, or use `method: none`",
        )
    for name in sorted(set(batch.factors) & set(batch.keep or ())):
        yield Problem(
            "a batch factor cannot be kept",
            **study.place("batch", "keep"),
            value=name,
            remedy="list it in `factors` or in `keep`, not in both",
        )


def _models(study: Study) -> Iterator[Problem]:
    names = [model.name for model in study.models]
    folded: dict[str, str] = {}
    for model in study.models:
        if folded.setdefault(model.name.lower(), model.name) != model.name:
            yield Problem(
                "differs from another model by capitals only",
                **study.place("models", model.name),
                value=model.name,
                remedy="rename one: names become files",
            )
        if model.compare_to is not None and (model.compare_to not in names or model.compare_to == model.name):
            yield Problem(
                "there is no such other model",
                **study.place("models", model.name, "compare_to"),
                value=model.compare_to,
                remedy=near(model.compare_to, [n for n in names if n != model.name]),
            )
        if model.df == "kenward-roger" and not model.reml and not model.generalised:
            remedy = "remove `reml: false`, or use `df: satterthwaite`"
            message = "Kenward and Roger's tests stand on restricted likelihood"
            yield Problem(message, **study.place("models", model.name, "df"), value=model.df, remedy=remedy)
        yield from _contrasts(study, model)


def _contrasts(study: Study, model: ModelConfig) -> Iterator[Problem]:
    for title, spec in model.contrasts.items():
        keys = ("models", model.name, "contrasts", title)
        columns = [name for name in spec if name != "at"]
        weights = all(isinstance(spec[name], int | float) for name in columns)
        if not columns or (len(columns) > 1 and not weights):
            yield Problem(
                "a contrast compares one column" if columns else "a contrast names a column",
                **study.place(*keys),
                value=columns or None,
                remedy="write {column: [first, second]}; levels of other columns go under `at:`",
            )
        for name in columns:
            value = spec[name]
            if isinstance(value, list) and value[0] == value[1]:
                yield Problem(
                    "a level compared with itself",
                    **study.place(*keys, name),
                    value=value,
                    remedy="name two different levels",
                )
            elif value == 0 and not isinstance(value, str):
                yield Problem(
                    "a difference of 0",
                    **study.place(*keys, name),
                    value=value,
                    remedy="give the difference of the column, such as 10",
                )
