"""Families by the names that glmmTMB and R give them."""

from __future__ import annotations

import difflib
from typing import Any

from mixflow.errors import MixflowError, Problem
from mixflow.family.base import Family
from mixflow.family.binomial import Binomial
from mixflow.family.gaussian import Gaussian
from mixflow.family.links import link_named
from mixflow.family.nbinom import NegativeBinomial1, NegativeBinomial2
from mixflow.family.poisson import Poisson

FAMILIES: dict[str, type[Family]] = {
    family.name: family for family in (Gaussian, Binomial, Poisson, NegativeBinomial1, NegativeBinomial2)
}


def named(name: str, link: str | None = None, **options: Any) -> Family:
    """The family of this name with a link of mu (its default where None) and its own options."""
    kind = FAMILIES.get(name)
    if kind is None:
        raise MixflowError(Problem("there is no such family", value=name, remedy=_way_out(name)))
    chosen = link_named(link if link is not None else kind.links[0], kind.links, name)
    return kind(mu=chosen, **options)  # type: ignore[call-arg]


def _way_out(name: str) -> str:
    folded = {known.lower(): known for known in FAMILIES}
    near = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.5)
    known = ", ".join(FAMILIES)
    return (f"did you mean '{folded[near[0]]}'? " if near else "") + f"Families are {known}"
