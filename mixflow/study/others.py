"""Other models of a study that the analyses of a model read: by the option `with`."""

from __future__ import annotations

from collections.abc import Iterator

from mixflow.errors import Problem
from mixflow.study.rules import near
from mixflow.study.study import ModelConfig, Study

OTHER = "with"
"""Option of an analysis that names another model, whose tests it is then given."""


def others(model: ModelConfig) -> list[str]:
    """Names of the models whose tests the analyses of ``model`` read, each once."""
    return list(dict.fromkeys(str(o[OTHER]) for o in model.analyses.values() if OTHER in o))


def check_others(study: Study, model: ModelConfig) -> Iterator[Problem]:
    """Analyses that name a model which is not there, is the model itself, or shares no contrast with it."""
    known = {other.name: other for other in study.models if other.name != model.name}
    for name, options in model.analyses.items():
        if OTHER not in options:
            continue
        place = study.place("models", model.name, "analyses", name, OTHER)
        wanted = str(options[OTHER])
        if wanted not in known:
            yield Problem(
                "there is no such other model", **place, value=wanted, remedy=near(wanted, sorted(known))
            )
        elif not set(model.contrasts) & set(known[wanted].contrasts):
            remedy = (
                f"give both models a contrast of one name; {wanted} has {', '.join(known[wanted].contrasts)}"
            )
            yield Problem("the models share no contrast", **place, value=wanted, remedy=remedy)
