"""Sentences of the methods paragraph: proteins, residual structures, degrees of freedom, analyses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mixflow.formula.residual import parse_residual
from mixflow.report import family_words
from mixflow.report.model import ModelView
from mixflow.report.view import View

Cite = Callable[..., str]
SHARED = "shared by several proteins"
DF = {
    "satterthwaite": ("Satterthwaite degrees of freedom", ("satterthwaite", "lmertest")),
    "kenward-roger": ("Kenward-Roger's adjusted covariance and degrees of freedom", ("kenward",)),
    "containment": ("containment degrees of freedom", ()),
    "residual": ("residual degrees of freedom", ()),
}
CORRELATED = {
    "ar1": "follow a first-order autoregressive process",
    "ou": "follow an autoregressive process in continuous time",
    "cs": "are equally correlated",
    "us": "have an unstructured covariance",
}
ANALYSES = {
    "moderated": ("moderated tests (empirical Bayes of the residual variances)", ("limma", "smyth")),
    "averaged_tests": ("tests averaged over a prior of the variance ratios", ()),
    "moderated_components": ("variance components moderated across features", ()),
    "terms": ("F tests of terms", ()),
    "lrt": ("likelihood-ratio tests, of a variance against the boundary mixture", ("stram",)),
    "r2": ("marginal and conditional R2", ("nakagawa",)),
    "partition": ("variance partition", ("hoffman",)),
    "icc": ("intraclass correlations", ("shrout",)),
    "equivalence": ("two one-sided tests of equivalence", ("schuirmann",)),
    "intervals": ("confidence intervals of variance components", ()),
    "slopes": ("tests of random-slope variances and correlations", ()),
    "slopes_by": ("slopes at values of a moderator", ()),
    "means": ("estimated marginal means", ()),
    "design_effect": ("design effects", ()),
    "benchmarking": ("risk-adjusted comparison of groups", ()),
    "smooths": ("smooth curves", ()),
    "smooth_edf": ("tests of smooths", ("wood",)),
}


def df_words(method: str, cite: Cite) -> str:
    """'Wald t tests with Satterthwaite degrees of freedom [1, 2]'."""
    if method.lower() == "z":
        return "Wald z tests (normal approximation)"
    words, keys = DF.get(method.lower(), DF["residual"])
    return f"Wald t tests with {words}" + (f" {cite(*keys)}" if keys else "")


def level(view: View) -> list[str]:
    """Which level of their annotation the features were summed to."""
    wanted, members = str(view.data.attrs.get("level") or ""), view.group("data/members")
    if not wanted or members is None:
        return []
    return [f"Raw values of {members.sizes['member']:,} features were summed to their {wanted} first."]


def proteins(view: View, cite: Cite) -> list[str]:
    """How precursors became proteins, and what became of those of several proteins."""
    precursors = view.group("data/precursors")
    if precursors is None:
        return []
    kept, reasons = precursors["kept"].values.astype(bool), precursors["dropped_by"].values.astype(str)
    text = f"{int(kept.sum()):,} precursors were assigned to {len(view.features):,} proteins"
    shared = int((reasons == SHARED).sum())
    text += (
        f"; {shared:,} shared by several proteins {'was' if shared == 1 else 'were'} set aside"
        if shared
        else ""
    )
    own = [m for m in view.models if m.attr("rows_fitted", False)]
    table = [m for m in view.models if not m.attr("rows_fitted", False)]
    found = [text + "."]
    if own:
        which = "" if not table else f" in model {' and '.join(m.title for m in own)}"
        found.append(f"Each protein was fitted to its own rows, one a precursor and run{which}.")
    if table or not own:
        which = "" if not own else f" in model {' and '.join(m.title for m in table)}"
        found.append(
            f"Precursors were summarised to proteins by Tukey's median polish {cite('tukey')}{which}."
        )
    return found


def drift(view: View, cite: Cite) -> list[str]:
    """How signal drift was looked for; nothing where it was not, or could not be."""
    if view.drift.empty or view.batch is None:
        return []
    order, batch, used = (str(view.batch.attrs[f"drift_{key}"]) for key in ("order", "batch", "used"))
    curve, within = (
        ("a penalised spline", "") if not batch else (f"penalised splines by {batch}", f" within {batch}")
    )
    return [f"Signal drift{within} was tested in {used} by {curve} along {order} {cite('wood')}."]


def structure(model: ModelView) -> list[str]:
    """Residual correlation, residual variances by a formula, relationships; estimates over features."""
    found = []
    residual, dispersion = str(model.attr("residual", "")), str(model.attr("dispersion", ""))
    if residual:
        term = parse_residual(residual)
        along = f" along {term.position}" if term.position else ""
        unit = ":".join(term.group)
        found.append(f"Residuals of one {unit} {CORRELATED[term.structure]}{along} ({residual}).")
    if dispersion and model.scale.linear:
        found.append(f"The residual variance was modelled as log-linear ({dispersion}).")
    related = model.attr("relationship", [])
    weights, variances = str(model.attr("weights", "")), str(model.attr("variances", ""))
    if weights:
        what = "residual variance of a sample was inversely proportional to"
        what = what if model.scale.linear else "log-likelihood of a sample was multiplied by"
        found.append(f"The {what} {weights}.")
    if variances:
        found.append(f"Residual variances were known ({variances}) and not estimated.")
    if related:
        found.append(f"Levels of {' and '.join(related)} were related by a given matrix.")
    told = estimates(model)
    return [*found, f"Estimates over features, median and middle half: {'; '.join(told)}."] if told else found


def others(view: View, cite: Cite) -> list[str]:
    """Models beside the headline whose family, structure or df method is another one, each in a sentence."""
    keys = ("residual", "dispersion", "relationship", "weights", "variances", "family", "link", "zi")
    keys += ("response", "trials", "nodes")
    headline = [view.headline.df_method, *(view.headline.attr(key, "") for key in keys)]
    found = []
    for model in view.models[1:]:
        if [model.df_method, *(model.attr(key, "") for key in keys)] == headline:
            continue
        told = [] if model.scale.linear else [_family(model, cite), *family_words.more(model, cite)]
        told += structure(model)
        words = DF.get(model.df_method.lower(), ("",))[0]
        if words and model.contrasts and model.is_mixed and model.df_method != view.headline.df_method:
            told.append(f"Its tests have {words}.")
        if told:
            found.append(f"Model '{model.title}' ({model.formula}) was fitted beside it. {' '.join(told)}")
    return found


def _family(model: ModelView, cite: Cite) -> str:
    """'Its distribution is negative binomial with the log link, with Laplace's approximation ...'."""
    how = f", {family_words.integral(model, cite)}" if model.is_mixed else ""
    return f"Its distribution is {model.scale.family.title} with the {model.scale.link_words} link{how}."


def estimates(model: ModelView) -> list[str]:
    """'Residual ar1 0.42 (0.31 to 0.55)' of each parameter of the model's structures."""
    if "structure" not in model.fit:
        return []
    found = []
    for name, values in zip(model.fit["par_structure"].values, model.fit["structure"].values.T, strict=True):
        known = values[np.isfinite(values)]
        if len(known):
            low, median, high = np.percentile(known, [25, 50, 75])
            place, parameter = str(name).split(".", 1)
            words = f"{parameter} of the residuals" if place == "Residual" else f"{parameter} of {place}"
            found.append(f"{words} {median:.3g} ({low:.3g} to {high:.3g})")
    return found


def analyses(names: list[str], cite: Cite) -> list[str]:
    """'Further analyses: R2 [7]; variance partition [8].'"""
    told = []
    for name in dict.fromkeys(names):
        words, keys = ANALYSES.get(name, (name.replace("_", " "), ()))
        told.append(words + (f" {cite(*keys)}" if keys else ""))
    return [f"Further analyses: {'; '.join(told)}."] if told else []
