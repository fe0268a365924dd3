"""Moderated variance components, and the tests that average over them, as analyses."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.derived.moderated import mean_abundance
from mixflow.inference.contrasts import build_coefficients
from mixflow.inference.moderate_components import moderate_components
from mixflow.inference.tests import test
from mixflow.status import MEANING, Status

TREND = {
    "trend": {
        "type": "boolean",
        "default": False,
        "description": "the prior residual variance follows each feature's mean value",
    }
}
HELP = (
    "Variance ratios have a prior of any shape, with zero as a value like any other; residual variances have "
    "limma's. Both are fitted to all features by marginal likelihood, and each feature's values are weighed "
    "against them (docs/moderating-components.md). What the feature alone says stands beside it."
)
COMPONENTS = {
    "feature": "feature",
    "group": "grouping factor; Residual for the residual variance",
    "term": "random effect",
    "variance": "moderated variance, in squared units of the fitted values",
    "plain_variance": "variance as estimated from the feature alone",
}
TESTS = {
    "feature": "feature",
    "contrast": "contrast; coefficients where the model has no contrasts",
    "estimate": "estimated contrast, averaged over the variance ratios, in units of the fitted values",
    "std_error": "standard error: within and between variance ratios",
    "p_value": "two-sided p, averaged over the variance ratios",
    "q_value": "Benjamini-Hochberg q, within the contrast",
    "conf_low": "lower end of the confidence interval",
    "conf_high": "upper end of the confidence interval",
    "plain_std_error": "standard error of the feature alone",
    "plain_p_value": "p of the feature alone",
    "plain_q_value": "q of the features alone, within the contrast",
    "status": "how the test ended",
}


def _moderate(subject: Subject, trend: bool, tested: bool) -> tuple[dict[str, Any], tuple]:
    asked = subject.contrasts or tuple(build_coefficients(subject.design))
    single = tuple(c for c in asked if c.kind == "t") if tested else ()
    covariate = mean_abundance(subject.values) if trend else None
    found = moderate_components(
        subject.fit,
        subject.design,
        subject.values,
        single,
        covariate=covariate,
        weights=subject.recipe.weights,
        level=1 - subject.alpha,
    )
    return found, single


def run_components(subject: Subject, trend: bool = False) -> pd.DataFrame:
    """Every variance of every feature, moderated and alone."""
    if not len(subject.fit.status):
        return pd.DataFrame(columns=list(COMPONENTS))
    found, _ = _moderate(subject, trend, tested=False)
    parts = []
    for k, (group, term, _) in enumerate(subject.fit.components):
        part = pd.DataFrame({"feature": subject.fit.feature_ids, "group": group, "term": term})
        part["variance"], part["plain_variance"] = found["variance"][:, k], subject.fit.variance[:, k]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def run_tests(subject: Subject, trend: bool = False) -> pd.DataFrame:
    """Every t contrast of every feature, averaged over the variance ratios and alone."""
    if not len(subject.fit.status):
        return pd.DataFrame(columns=list(TESTS))
    found, asked = _moderate(subject, trend, tested=True)
    plain = test(subject.fit, asked, level=1 - subject.alpha, df=subject.df, design=subject.design)
    parts = []
    for k, contrast in enumerate(asked):
        part = pd.DataFrame({"feature": subject.fit.feature_ids, "contrast": contrast.name})
        for name in ("estimate", "std_error", "p_value", "q_value", "conf_low", "conf_high"):
            part[name] = found[name][:, k]
        for name in ("std_error", "p_value", "q_value"):
            part[f"plain_{name}"] = plain[name][:, k]
        part["status"] = [MEANING[Status(int(code))].label for code in found["status"][:, k]]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)[list(TESTS)]


register(
    Analysis(
        name="moderated_components",
        title="Moderated variance components",
        purpose="Estimates each feature's variances with what all features say about how large they are.",
        help=HELP,
        run=run_components,
        options=TREND,
        columns=COMPONENTS,
    )
)
register(
    Analysis(
        name="averaged_tests",
        title="Tests averaged over the variance components",
        purpose="Tests every contrast without pretending that a feature's variance ratios are known.",
        help=HELP + " Rejections hold on average over features, not for each of them.",
        run=run_tests,
        options=TREND,
        columns=TESTS,
    )
)
