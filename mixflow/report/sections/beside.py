"""What generalised models estimate beside the mean: dispersion, excess zeros, the family's own parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.model.unbounded import told
from mixflow.report.model import ModelView
from mixflow.report.pictures.predictors import deviations, parameters
from mixflow.report.section import Section
from mixflow.report.view import View
from mixflow.status import FITTED, Status

INTERCEPT = "(Intercept)"


def sections(view: View) -> list[Section]:
    """The section, where a model has such parameters."""
    models = [model for model in view.models if "more" in model.fit and model.fit.sizes.get("more_par", 0)]
    if not models:
        return []
    table = pd.concat([estimates(view, model) for model in models], ignore_index=True)
    section = Section("beside", {"rows": _rows(table), "simpler": [_simpler(model) for model in models]})
    section.add("parameters", parameters(table[table["model"] == models[0].title]))
    section.tables["dispersion_and_zeros"] = table
    return [section]


def estimates(view: View, model: ModelView) -> pd.DataFrame:
    """A row for each feature and parameter beside mu: on the link scale, and as a reader knows it.

    Where there is no finite estimate it is infinite, without standard error or value, and ``note`` says what is left.
    """
    from mixflow.backend import jnp

    fit, found = model.fit, []
    with np.errstate(invalid="ignore"):
        error = np.sqrt(np.diagonal(fit["more_cov"].values, axis1=1, axis2=2))
    links = {predictor.name: predictor.link for predictor in model.scale.family.predictors}
    pairs = zip(fit["more_component"].values, fit["more_term"].values, strict=True)
    known = told(fit["more"].values, fit["more_cov"].values)
    for i, (component, term) in enumerate(pairs):
        shown = np.isfinite(error[:, i]) & (error[:, i] > 0)
        estimate = np.where(shown, fit["more"].values[:, i], np.nan)
        natural = term == INTERCEPT and component in links
        value = np.asarray(links[component].inverse(jnp.asarray(estimate))) if natural else estimate
        row = {"feature": model.feature_ids, "name": [view.names[f] for f in model.feature_ids]}
        row |= {"model": model.title, "component": str(component), "term": str(term), "estimate": estimate}
        row |= {"std_error": error[:, i], "value": value, "title": _title(model, component, term)}
        row["estimate"], lost = np.where(np.isinf(known[:, i]), known[:, i], estimate), np.isinf(known[:, i])
        row["note"] = np.where(lost, _left(model, str(component)), "").astype(object)
        found.append(pd.DataFrame(row | {"label": _label(component, term, natural)}))
    return pd.concat(found, ignore_index=True)


def _left(model: ModelView, component: str) -> str:
    """What a feature shows whose parameter has no finite estimate."""
    simpler = {"zi": "no such zeros"}.get(component, model.scale.family.base.simpler)
    return "no finite estimate" + (f": {simpler}" if simpler else "")


def _title(model: ModelView, component: str, term: str) -> str:
    what = {"dispersion": "Dispersion φ", "zi": "Excess zeros"}.get(component, term)
    if model.scale.family.base.without_zero and component == "zi":
        what = "Zeros"
    if component == "family" and not model.scale.family.intercept:
        return f"Threshold {term}"
    return what if term == INTERCEPT or component == "family" else f"{what}: {term}"


def _label(component: str, term: str, natural: bool) -> str:
    if natural:
        return {"dispersion": "φ", "zi": "chance of such a zero"}.get(component, term)
    return "estimate" if component == "family" else "estimate on the scale of its link"


def _rows(table: pd.DataFrame) -> list[dict]:
    """Median and middle half of each parameter over features."""
    found = []
    for (model, title), own in table.groupby(["model", "title"], sort=False):
        known = own["value"].to_numpy()[np.isfinite(own["value"])]
        low, middle, high = np.percentile(known, [25, 50, 75]) if len(known) else [np.nan] * 3
        facts = {"model": model, "title": title, "label": own["label"].iloc[0], "n": len(known)}
        found.append(facts | {"of": len(own), "low": low, "median": middle, "high": high})
    return found


def _simpler(model: ModelView) -> dict:
    """How many features show nothing beyond the simpler family, and what φ is in the others."""
    fitted = int(np.isin(model.status, [int(s) for s in FITTED]).sum())
    n = model.status_counts().get(Status.SIMPLER_FAMILY, 0)
    return {"model": model.title, "n": n, "of": fitted, "spread": model.scale.family.base.spread}


def random_effects(view: View, model: ModelView) -> pd.DataFrame:
    """Standard deviation of each random term on the scale of the link: feature, name, term, std_dev."""
    fit = model.fit
    if "variance" not in fit or "component_group" not in fit.coords:
        return pd.DataFrame(columns=["feature", "name", "term", "std_dev"])
    labels = [[str(v) for v in fit[f"component_{part}"].values] for part in ("group", "term", "term_2")]
    found = []
    for i, (group, term, second) in enumerate(zip(*labels, strict=True)):
        if second or group == "Residual":
            continue
        told = view.label(group) + ("" if term in (INTERCEPT, "") else f": {term}")
        with np.errstate(invalid="ignore"):
            sd = np.sqrt(fit["variance"].values[:, i])
        names = [view.names[f] for f in model.feature_ids]
        found.append(pd.DataFrame({"feature": model.feature_ids, "name": names, "term": told, "std_dev": sd}))
    return (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["feature", "term", "std_dev"])
    )


def largest(table: pd.DataFrame, n: int = 5) -> dict[str, dict]:
    """For each random term the median standard deviation, and the features where it is largest."""
    found = {}
    for term, own in table[np.isfinite(table["std_dev"])].groupby("term", sort=False):
        top = own.nlargest(n, "std_dev")
        found[str(term)] = {
            "median": float(own["std_dev"].median()),
            "top": list(zip(top["name"], top["std_dev"].astype(float), strict=True)),
        }
    return found


def picture(view: View, model: ModelView):
    """The picture of `random_effects`."""
    return deviations(model, random_effects(view, model))
