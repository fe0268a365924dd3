"""Slots of a model: what the engine fits, and that it says so of what it does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mixflow.covariance import Diagonal, Unstructured
from mixflow.errors import MixflowError
from mixflow.model import Model, RandomEffect
from mixflow.optimise.prepare import require_supported

EFFECT = RandomEffect("g", ("(Intercept)", "x"), Unstructured(2))


def test_roles() -> None:
    assert Model((EFFECT,)).reml
    assert not Model((EFFECT,), beta="profiled").reml
    assert EFFECT.theta_names == ("g.(Intercept)", "g.x.(Intercept)", "g.x")


@pytest.mark.parametrize(
    "model",
    [
        Model((EFFECT,), residual=Diagonal(3)),
        Model((EFFECT,), marginal="laplace"),
        Model((replace(EFFECT, between=Diagonal(5)),)),
    ],
)
def test_what_is_not_there_yet_is_refused_before_anything_is_computed(model: Model) -> None:
    require_supported(Model((EFFECT,)))
    with pytest.raises(MixflowError) as refused:
        require_supported(model)
    assert refused.value.problems[0].remedy
