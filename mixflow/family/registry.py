"""Families by the names that glmmTMB and R give them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family
from mixflow.family.betabinomial import BetaBinomial
from mixflow.family.binomial import Binomial
from mixflow.family.censored import CensoredGaussian
from mixflow.family.cumulative import Cumulative
from mixflow.family.gaussian import Gaussian
from mixflow.family.links import link_named
from mixflow.family.nbinom import NegativeBinomial1, NegativeBinomial2
from mixflow.family.poisson import Poisson
from mixflow.family.positive import Gamma, LogNormal
from mixflow.family.proportions import Beta, OrderedBeta
from mixflow.family.student import StudentT
from mixflow.family.truncated import (
    TruncatedNegativeBinomial1,
    TruncatedNegativeBinomial2,
    TruncatedPoisson,
)
from mixflow.family.tweedie import Tweedie
from mixflow.family.zeros import with_zeros

FAMILIES: dict[str, type[Family]] = {
    family.name: family
    for family in (
        Gaussian, StudentT, CensoredGaussian, Binomial, BetaBinomial, Cumulative, Poisson, NegativeBinomial1,
        NegativeBinomial2, TruncatedPoisson, TruncatedNegativeBinomial1, TruncatedNegativeBinomial2, Gamma,
        LogNormal, Tweedie, Beta, OrderedBeta,
    )
}  # fmt: skip

_ALSO_KNOWN = {
    "normal": "gaussian",
    "bernoulli": "binomial",
    "logistic": "binomial",
    "negbin": "nbinom2",
    "negative_binomial": "nbinom2",
    "nb": "nbinom2",
    "ordinal": "cumulative",
    "clmm": "cumulative",
    "tobit": "censored",
    "student": "t",
    "zip": "poisson",
    "zinb": "nbinom2",
    "hurdle": "truncated_nbinom2",
}
"""Words of other packages, for the remedy."""


def named(name: str, link: str | None = None, zi: bool = False, **options: Any) -> Family:
    """The family of this name: ``link`` of mu (its default where None), ``zi`` for a predictor of excess zeros.

    ``options`` are those of ``cumulative``: ``levels`` (how many categories), ``thresholds`` and ``labels``. A name,
    a link or an option that is not there raises MixflowError naming the nearest.
    """
    kind = FAMILIES.get(name)
    if kind is None:
        raise MixflowError(Problem("there is no such family", value=name, remedy=_way_out(name)))
    unknown = set(options) - ({"levels", "thresholds", "labels"} if kind is Cumulative else set())
    if unknown:
        raise MixflowError(
            Problem(f"the family {name} has no option {sorted(unknown)[0]}", remedy="leave it out")
        )
    chosen = link_named(link if link is not None else kind.links[0], kind.links, name)
    family = kind(mu=chosen, **options)  # type: ignore[call-arg]
    return with_zeros(family) if zi else family


def stored(name: str, link: str, components: Sequence[str]) -> Family:
    """The family of a stored fit: ``components`` names the predictor of each coefficient beside mu.

    Those called ``family`` are the family's own parameters, by which the categories are known; thresholds are
    taken as flexible.
    """
    own = {"levels": list(components).count("family") + 1} if FAMILIES.get(name) is Cumulative else {}
    return named(name, link, zi="zi" in components, **own)


def _way_out(name: str) -> str:
    folded = {known.lower(): known for known in FAMILIES} | _ALSO_KNOWN
    near = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.5)
    return (f"did you mean '{folded[near[0]]}'? " if near else "") + f"Families are {', '.join(FAMILIES)}"
