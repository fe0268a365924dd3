"""A penalty on the coefficients of mu, for features that are separated, or for all: what it is, and when it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mixflow.backend import jax, jnp
from mixflow.design import Design
from mixflow.design.generalised import Shape, Shared
from mixflow.errors import Problems
from mixflow.family import Family
from mixflow.likelihood.generalised import Effects, Sample
from mixflow.likelihood.penalty import JEFFREYS, NORMAL, penalty
from mixflow.optimise.glmm_prepare import Generalised

CANONICAL = {"binomial": "logit", "poisson": "log"}
"""Families whose observed information is the expected one, by their link."""


@dataclass(frozen=True)
class Prior:
    """``kind``: normal (with its ``sd``, columns centred and scaled) or jeffreys; ``everywhere``: not only where
    a feature is separated.
    """

    kind: str = NORMAL
    sd: float = 2.5
    everywhere: bool = False

    @classmethod
    def of(cls, words: Mapping[str, object] | None) -> Prior | None:
        """From ``{"sd": 2.5}`` or ``{"kind": "jeffreys"}``, either with ``"features": "all"`` or "separated"."""
        if words is None:
            return None
        given = {"kind": NORMAL, "sd": 2.5, "features": "separated"} | dict(words)
        problems = Problems()
        remedy = 'Write for example prior={"sd": 2.5} or prior={"kind": "jeffreys", "features": "all"}.'
        for key in sorted(set(given) - {"kind", "sd", "features"}):
            problems.add("A prior has no such key", column="prior", value=key, remedy=remedy)
        if given["kind"] not in (NORMAL, JEFFREYS):
            problems.add("Unknown kind of prior", column="prior", value=given["kind"], remedy=remedy)
        sd = given["sd"]
        if not isinstance(sd, int | float) or isinstance(sd, bool) or not 0 < sd < np.inf:
            problems.add("The sd of a prior is a positive number", column="prior", value=sd, remedy=remedy)
        if given["features"] not in ("separated", "all"):
            problems.add("A prior is for all features, or the separated ones", column="prior",
                         value=given["features"], remedy=remedy)  # fmt: skip
        problems.raise_if_any()
        return cls(str(given["kind"]), float(str(sd)), given["features"] == "all")


def penalised(prepared: Generalised, prior: Prior) -> Generalised:
    """The model with the penalty in its likelihood."""
    shape = replace(prepared.shape, penalty=prior.kind)
    rows = (jnp.asarray(_rows(prepared.designs[0], prior.sd)),) if prior.kind == NORMAL else ()
    return replace(prepared, shape=shape, shared=prepared.shared._replace(penalty=rows))


def _rows(design: Design, sd: float) -> np.ndarray:
    """Rows (p, p) that give (coefficient x its column's sd / prior sd) from beta of the kernels; 0 of a constant."""
    spread = design.X.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(design.X).max(axis=0, initial=0.0), spread, 0.0)
    return (spread / sd)[:, None] * np.linalg.pinv(design.R) * np.sqrt(len(design.X))


def penalty_at(shape: Shape, shared: Shared, sample: Sample, at: tuple[jax.Array, Effects]) -> jax.Array:
    """What the penalty adds to -2 log-likelihood of one feature."""
    return penalty(shape, shared, sample, at[0])


def check_options(
    designs: Mapping[str, Design], family: Family, nodes: int, reml: bool, prior: Prior | None
) -> None:
    """Raise for options that exclude each other."""
    problems = Problems()
    if reml and nodes > 1:
        remedy = "Use nagq=1 with reml=True, or maximum likelihood with quadrature."
        problems.add("beta is integrated by Laplace's approximation alone", column="reml", remedy=remedy)
    if reml and prior is not None:
        remedy = "Give one of them."
        problems.add("A prior and reml=True exclude each other", column="prior", remedy=remedy)
    if prior is not None and prior.kind == JEFFREYS:
        remedy = 'Use prior={"sd": 2.5}.'
        if any(design.random for design in designs.values()):
            message = "Jeffreys' penalty is for models without random effects"
            problems.add(message, column="prior", remedy=remedy)
        if CANONICAL.get(family.name) != family.predictors[0].link.name:
            message = "Jeffreys' penalty takes binomial (logit) and poisson (log)"
            problems.add(message, column="prior", value=family.name, remedy=remedy)
    problems.raise_if_any()
