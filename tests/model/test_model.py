"""Slots of a model."""

from __future__ import annotations

from mixflow.covariance import Unstructured
from mixflow.model import Model, RandomEffect

EFFECT = RandomEffect("g", ("(Intercept)", "x"), Unstructured(2))


def test_roles() -> None:
    assert Model((EFFECT,)).reml
    assert not Model((EFFECT,), beta="profiled").reml
    assert EFFECT.theta_names == ("g.(Intercept)", "g.x.(Intercept)", "g.x")
