"""Sections on the results: contrasts, features seen in one group, variance, a single feature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mixflow.model.unbounded import told
from mixflow.report import onefeature
from mixflow.report.model import ModelView
from mixflow.report.payload import named_features
from mixflow.report.pictures.base import Picture
from mixflow.report.pictures.feature import leaders as leader_pictures
from mixflow.report.pictures.variance import partition
from mixflow.report.pictures.volcano import p_histogram, volcano
from mixflow.report.scale import capital, with_ratio
from mixflow.report.section import Section
from mixflow.report.sections import beside
from mixflow.report.share import SMALLEST_CELL, SUPPRESSED
from mixflow.report.story import contrast_rows, explained, leaders, slug
from mixflow.report.view import View
from mixflow.status import MEANING, Status

STATIC_ROWS = 12
STATIC_FEATURES = 6
ONE_GROUP_ROWS = 25
OMNIBUS = ["f_statistic", "f_df1", "f_df2", "f_p_value", "f_q_value"]


def results(view: View) -> Section:
    """A volcano, a histogram and a table for each contrast of the headline model; omnibus tests."""
    model = view.headline
    section = Section("results")
    blocks, axis = [], model.scale.axis(view.unit)
    for row in contrast_rows(model):
        frame = model.results(row.contrast.name)
        section.add(
            f"volcano {row.slug}",
            volcano(frame, row.slug, row.contrast.name, row.contrast.text, axis, model.alpha),
        )
        section.add(f"p {row.slug}", p_histogram(frame, row.slug, row.contrast.name))
        top = with_ratio(frame[np.isfinite(frame["log10_p"])].nsmallest(STATIC_ROWS, "log10_p"), model.scale)
        blocks.append({"row": row, "top": top.to_dict("records"), "not_tested": _not_tested(frame)})
    section.facts = {
        "blocks": blocks,
        "model": model,
        "omnibus": _omnibus(view, section),
        "fit_on": _fit_on(view),
        "ratio": capital(model.scale.ratio),
    }
    for each in view.models:
        for row in contrast_rows(each):
            section.tables[f"results_{each.name}_{row.slug}"] = tidy(view, each, row.contrast.name)
    return section


def tidy(view: View, model: ModelView, contrast: str) -> pd.DataFrame:
    """Results of a contrast with the feature annotation, columns after broom."""
    frame = with_ratio(model.results(contrast).drop(columns=["status_code", "hit"]), model.scale)
    frame.insert(2, "contrast", contrast)
    extra = view.features.drop(columns=["name"]).reindex(frame["feature"]).reset_index(drop=True)
    clashes = {c: f"annotation_{c}" for c in extra.columns if c in frame.columns}
    return pd.concat([frame, extra.rename(columns=clashes)], axis=1)


def _not_tested(frame: pd.DataFrame) -> list[tuple[str, int]]:
    """Labels and numbers of the statuses that stand in place of a test."""
    codes = frame.loc[~np.isfinite(frame["p_value"]), "status_code"].value_counts()
    return [(MEANING[Status(int(code))].label, int(n)) for code, n in codes.items()]


def _fit_on(view: View) -> str:
    return "raw" if view.batch is None else str(view.batch.attrs.get("fit_on", "raw"))


def _omnibus(view: View, section: Section) -> list[dict[str, Any]]:
    model = view.headline
    if model.tests is None or "f_p_value" not in model.tests:
        return []
    found = []
    for i, name in enumerate(model.tests["omnibus"].values):
        frame = pd.DataFrame(
            {"feature": model.feature_ids, "name": [view.names[f] for f in model.feature_ids]}
        )
        for column in OMNIBUS:
            frame[column] = model.tests[column].values[:, i]
        frame["status"] = [MEANING[Status(int(code))].label for code in model.tests["f_status"].values[:, i]]
        section.tables[f"omnibus_{name}"] = frame
        hits = int((frame["f_q_value"] < model.alpha).sum())
        top = frame[np.isfinite(frame["f_p_value"])].nsmallest(STATIC_ROWS, "f_p_value")
        found.append(
            {
                "name": str(name),
                "hits": hits,
                "tested": int(np.isfinite(frame["f_p_value"]).sum()),
                "top": top.to_dict("records"),
            }
        )
    return found


def one_group(view: View) -> Section:
    """Features seen in one group only: counts and an exact test, compared factors first."""
    shown = view.one_group.copy()
    if view.share:
        for column in ("n_observed", "n_level", "n_other"):
            counts = shown[column].astype(int)
            shown[column] = counts.astype(str).where((counts == 0) | (counts >= SMALLEST_CELL), SUPPRESSED)
    compared = [c.factor for c in view.headline.contrasts]
    order = sorted(shown["factor"].unique(), key=lambda f: f not in compared)
    tables = [(f, shown[shown["factor"] == f]) for f in order]
    facts = [{"factor": f, "n": len(t), "rows": t.head(ONE_GROUP_ROWS).to_dict("records")} for f, t in tables]
    stored = view.group("data/one_group")
    note = "" if stored is None else str(stored.attrs.get("note", ""))
    section = Section("onegroup", {"factors": facts, "note": note})
    section.tables["seen_in_one_group"] = shown
    return section


def variance(view: View) -> Section:
    """Shares of the variance over features."""
    model = view.headline
    section = Section(
        "variance", {"explained": explained(view, model), "model": model, "top": _top_shares(view, model)}
    )
    section.add("partition", partition(model))
    if not model.scale.linear:
        section.add("deviations", beside.picture(view, model))
        section.facts["deviations"] = beside.largest(beside.random_effects(view, model))
    for each in view.models:
        section.tables[f"variance_components_{each.name}"] = components(view, each)
        if "structure" in each.fit:
            section.tables[f"structure_{each.name}"] = structure(view, each)
    return section


def _top_shares(view: View, model: ModelView, n: int = 5) -> dict[str, list[tuple[str, float]]]:
    return {
        group: [(view.names[str(f)], float(v)) for f, v in model.shares[group].dropna().nlargest(n).items()]
        for group in model.groups
        if group in model.shares
    }


def components(view: View, model: ModelView) -> pd.DataFrame:
    """Variance components of all features: feature, name, group, term, term_2, variance, share."""
    fit = model.fit
    n, k = fit["variance"].shape
    labels = {c: [str(v) for v in fit[f"component_{c}"].values] for c in ("group", "term", "term_2")}
    frame = pd.DataFrame({"feature": np.repeat(model.feature_ids, k)})
    frame["name"] = [view.names.get(f, f) for f in frame["feature"]]
    for name, values in labels.items():
        frame[name] = values * n
    frame["variance"] = fit["variance"].values.ravel()
    frame["share"] = fit["share"].values.ravel()
    return frame


def structure(view: View, model: ModelView) -> pd.DataFrame:
    """Parameters of residual and random structures of all features: feature, name, parameter, estimate."""
    names = [str(name) for name in model.fit["par_structure"].values]
    values = model.fit["structure"].values
    frame = pd.DataFrame({"feature": np.repeat(model.feature_ids, len(names))})
    frame["name"] = [view.names.get(f, f) for f in frame["feature"]]
    frame["parameter"], frame["estimate"] = names * len(values), values.ravel()
    return frame


def feature(view: View) -> Section:
    """The view of one feature: static pictures of the leaders, filled by the page's script for all others."""
    model = view.headline
    facts = {"n_named": len(named_features(view)), "not_fitted": _not_fitted(view)}
    section = Section("feature", facts | {"own_rows": bool(model.attr("rows_fitted", False))})
    section.add("leaders", _leading(view, model))
    for each in view.models:
        if each is model or "more" in each.fit:
            section.tables[f"coefficients_{each.name}"] = coefficients(view, each)
    return section


def _leading(view: View, model: ModelView) -> Picture | None:
    """Pictures of the features named in the config and of the leaders of the first contrast."""
    known = onefeature.factors(view, model)
    if not known:
        return None
    wanted = {str(f) for f in view.settings["features"]}
    chosen = [f for f in named_features(view) if f in wanted or view.names[f] in wanted]
    name = model.contrasts[0].name if model.contrasts else view.label(known[0])
    chosen += list(leaders(model, name, STATIC_FEATURES)["feature"]) if model.contrasts else []
    chosen = list(dict.fromkeys([*chosen, *named_features(view)]))[:STATIC_FEATURES]
    on = onefeature.axis(view, model, known[0])
    return leader_pictures([onefeature.feature(view, model, on, f) for f in chosen], name, slug(name))


def _not_fitted(view: View) -> list[str]:
    """Features of `report.features` that have no fit."""
    fitted = set(view.headline.feature_ids)
    known = fitted | {view.names[f] for f in fitted}
    return [str(f) for f in view.settings["features"] if str(f) not in known]


def coefficients(view: View, model: ModelView) -> pd.DataFrame:
    """Coefficients of all features: feature, name, term, estimate, std_error.

    Of a generalised model also those of its other predictors and the family's own parameters, by ``component``.
    """
    fit = model.fit
    beta, error = fit["beta"].values, _errors(fit["beta_cov"].values)
    terms, components = list(model.coefs), ["mu"] * beta.shape[1]
    if "more" in fit:
        beta = np.hstack([beta, told(fit["more"].values, fit["more_cov"].values)])
        error = np.hstack([error, _errors(fit["more_cov"].values)])
        terms += [str(term) for term in fit["more_term"].values]
        components += [str(component) for component in fit["more_component"].values]
    n, k = beta.shape
    frame = pd.DataFrame({"feature": np.repeat(model.feature_ids, k)})
    frame["name"] = [view.names.get(f, f) for f in frame["feature"]]
    if "more" in fit:
        frame["component"] = components * n
    frame["term"], frame["estimate"], frame["std_error"] = terms * n, beta.ravel(), error.ravel()
    return frame


def _errors(covariance: np.ndarray) -> np.ndarray:
    """Standard errors (feature, k) from covariances."""
    with np.errstate(invalid="ignore"):
        return np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
