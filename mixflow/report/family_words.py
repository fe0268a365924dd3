"""Sentences on a generalised model for the methods paragraph: its family tells what it is called."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from mixflow.report.model import ModelView
from mixflow.status import Status

Cite = Callable[..., str]
RESPONSES = {
    "presence": "The response was whether a feature was there in a sample.",
    "nonzero": "Zeros were taken as missing, so that the model speaks of the amount where there is any.",
}


def fitted(model: ModelView, cite: Cite) -> str:
    """What was fitted, to how many samples, by which approximation of the likelihood."""
    scale = model.scale
    mixed = "generalised linear mixed model" if model.is_mixed else "generalised linear model"
    text = f"For each feature a {mixed} ({model.formula}; {scale.family.title} distribution, {scale.link_words} link) "
    text += f"was fitted to {model.n_samples:,} samples by "
    text += "restricted maximum likelihood" if model.method == "REML" else "maximum likelihood"
    return text + (f", {integral(model, cite)}." if model.is_mixed else f" {cite('glmmtmb')}.")


def integral(model: ModelView, cite: Cite) -> str:
    """How the integral over the random effects was approximated, for all features or for those that needed more."""
    laplace = f"with Laplace's approximation of the integral over the random effects {cite('glmmtmb')}"
    points = _points(model)
    if points.max() == 1:
        return laplace
    low, high = int(points[points > 1].min()), int(points.max())
    number = f"{high}" if low == high else f"{low} to {high}"
    quadrature = f"adaptive Gauss-Hermite quadrature over the random effects at {number} points"
    if (points > 1).all():
        return f"with {quadrature} {cite('quadrature')}"
    some = f"{(points > 1).sum():,} of {len(points):,} features, where that was not close enough"
    return f"{laplace} or, for {some}, {quadrature} {cite('quadrature')}"


def _points(model: ModelView) -> np.ndarray:
    """Points of the quadrature of every feature."""
    if "nodes_of_feature" in model.fit:
        return np.asarray(model.fit["nodes_of_feature"].values)
    return np.full(max(len(model.feature_ids), 1), int(model.attr("nodes", 1)))


def prior(model: ModelView, cite: Cite) -> list[str]:
    """The penalty on coefficients, if any, and how many features have it."""
    asked = json.loads(str(model.attr("prior", "null")))
    if not asked:
        return []
    bent = model.status_counts().get(Status.PENALISED, 0)
    jeffreys = asked.get("kind") == "jeffreys"
    sd = f"a normal prior of standard deviation {asked.get('sd', 2.5)} on coefficients of scaled columns"
    kind = f"Jeffreys' prior {cite('firth')}" if jeffreys else sd
    return [f"For {bent:,} features {kind} kept estimates finite."]


def more(model: ModelView, cite: Cite) -> list[str]:
    """Response, dispersion, excess zeros, what an estimate means, features whose simpler family stands."""
    scale, found = model.scale, []
    response = str(model.attr("response", "values"))
    found += [RESPONSES[response]] if response in RESPONSES else []
    if model.attr("trials", ""):
        found.append(f"Values were successes among {model.attr('trials', '')} trials.")
    found += [*_dispersion(model), *_zeros(model, cite), *prior(model, cite)]
    if scale.ratio:
        several = scale.ratio.replace("ratio", "ratios")
        found.append(f"Estimates are log {several}; exponentiated they are {several}.")
    simpler = model.status_counts().get(Status.SIMPLER_FAMILY, 0)
    if simpler:
        found.append(
            f"For {simpler:,} of {len(model.feature_ids):,} features the values showed nothing beyond a simpler "
            "family, whose answer is reported."
        )
    return found


def _dispersion(model: ModelView) -> list[str]:
    spread, formula = model.scale.family.base.spread, str(model.attr("dispersion", ""))
    if not spread:
        return []
    told = f"The distribution's dispersion φ was estimated for each feature ({spread})"
    return [told + (f", log-linear in {formula}." if formula else ".")]


def _zeros(model: ModelView, cite: Cite) -> list[str]:
    formula, family = str(model.attr("zi", "")), model.scale.family
    if not formula:
        return []
    if family.base.without_zero:
        return [
            f"The chance of a zero was modelled apart (a hurdle {cite('hurdle')}), logit-linear in {formula}."
        ]
    return [
        f"Zeros beyond those of the distribution were modelled {cite('inflation')}, logit-linear in {formula}."
    ]
