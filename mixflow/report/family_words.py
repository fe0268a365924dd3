"""Sentences on a generalised model for the methods paragraph: its family tells what it is called."""

from __future__ import annotations

from collections.abc import Callable

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
    """How the integral over the random effects was approximated."""
    nodes = int(model.attr("nodes", 1))
    if nodes == 1:
        return f"with Laplace's approximation of the integral over the random effects {cite('glmmtmb')}"
    return f"with adaptive Gauss-Hermite quadrature over the random effects at {nodes} points {cite('quadrature')}"


def more(model: ModelView, cite: Cite) -> list[str]:
    """Response, dispersion, excess zeros, what an estimate means, features whose simpler family stands."""
    scale, found = model.scale, []
    response = str(model.attr("response", "values"))
    found += [RESPONSES[response]] if response in RESPONSES else []
    if model.attr("trials", ""):
        found.append(f"Values were successes among {model.attr('trials', '')} trials.")
    found += [*_dispersion(model), *_zeros(model, cite)]
    if scale.ratio:
        found.append(f"Estimates are log {scale.ratio}s; exponentiated they are {scale.ratio}s.")
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
