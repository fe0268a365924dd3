"""Keys of a generalised model that do not fit each other: told from the config alone, without jax."""

from __future__ import annotations

from collections.abc import Iterator

from mixflow.errors import Problem
from mixflow.study.study import ModelConfig, Study

YES_NO = ("binomial", "betabinomial")
COUNTS = ("poisson", "nbinom1", "nbinom2", "truncated_poisson", "truncated_nbinom1", "truncated_nbinom2")
WHOLE = (*YES_NO, "cumulative", *COUNTS)
"""Families of counts, yes/no and categories: a transform would leave none of them."""
NEEDS_FAMILY = {
    "link": None,
    "zi": None,
    "nagq": 1,
    "thresholds": None,
    "trials": None,
    "limit": None,
    "prior": None,
}
"""Keys that a linear mixed model has not, and their values where they are not asked for."""


def problems(study: Study) -> Iterator[Problem]:
    """What is wrong with the keys of each model that say which family of which response is fitted."""
    for model in study.models:
        yield from of(study, model)


def of(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """The same of one model."""
    yield from _generalised(study, model) if model.generalised else _gaussian(study, model)


def _problem(study: Study, model: ModelConfig, key: str, message: str, remedy: str) -> Problem:
    value = study.raw["models"][model.name][key]
    return Problem(message, **study.place("models", model.name, key), value=value, remedy=remedy)


def _gaussian(study: Study, model: ModelConfig) -> Iterator[Problem]:
    for key, absent in NEEDS_FAMILY.items():
        if getattr(model, key) != absent and (key, getattr(model, key)) != ("link", "identity"):
            remedy = "name the family, for example `family: nbinom2`, or leave the key out"
            yield _problem(study, model, key, "a linear mixed model (family: gaussian) has none", remedy)
    if model.response == "presence":
        remedy = "add `family: binomial`"
        yield _problem(study, model, "response", "presence is yes or no, not a Gaussian value", remedy)


def _generalised(study: Study, model: ModelConfig) -> Iterator[Problem]:
    written = study.raw["models"][model.name]
    for key in ("residual", "variances"):
        if written[key]:
            message = f"a model with family {model.family} takes no `{key}`"
            remedy = (
                "leave it out; for overdispersion add (1 | sample) or `dispersion`" if key == "residual" else
                "leave it out, or use family: gaussian"
            )  # fmt: skip
            yield _problem(study, model, key, message, remedy)
    if written["df"] not in (None, "z"):
        message = "tests of a generalised model are z tests"
        yield _problem(study, model, "df", message, "remove `df`, or write `df: z`")
    yield from _response(study, model)
    yield from _prepared(study, model)


def _response(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """Keys that only some families have."""
    if model.trials and model.family not in YES_NO:
        remedy = f"leave it out, or use family: {' or '.join(YES_NO)}"
        yield _problem(study, model, "trials", f"family {model.family} has no trials", remedy)
    elif model.trials and model.response == "presence":
        message = "presence is one trial for each sample"
        yield _problem(study, model, "trials", message, "leave `trials` out, or use response: values")
    if model.thresholds and model.family != "cumulative":
        remedy = "leave it out, or use family: cumulative"
        yield _problem(study, model, "thresholds", f"family {model.family} has no thresholds", remedy)
    if model.response == "presence" and model.family != "binomial":
        remedy = "use `family: binomial`, or response: values"
        yield _problem(study, model, "response", f"presence is yes or no, not {model.family}", remedy)
    if model.family == "censored" and not model.limit:
        remedy = "add `limit:` and the column of the sample sheet that says it"
        yield _problem(study, model, "family", "censored values need a detection limit", remedy)
    if model.limit and model.family != "censored":
        remedy = "leave it out, or use family: censored"
        yield _problem(study, model, "limit", f"family {model.family} has no limits", remedy)


def _prepared(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """Counts are fitted as they are."""
    if model.response == "presence":
        return
    for key in ("transform", "normalise"):
        value = getattr(study.preprocess, key)
        if model.family in WHOLE and value != "none":
            message = f"family {model.family} needs the values as counted, and preprocess.{key} is {value}"
            remedy = (
                f"set preprocess.{key}: none; how much was counted in a sample goes into the formula: "
                "offset(log(library_size))"
            )
            yield _problem(study, model, "family", message, remedy)
    if study.batch.fit_on == "harmonised":
        message = f"harmonised values are continuous: no outcome of family {model.family}"
        remedy = "use batch.fit_on: raw with the batch in the formula"
        yield Problem(message, **study.place("batch", "fit_on"), value="harmonised", remedy=remedy)
