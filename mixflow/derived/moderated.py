"""Moderated tests as an analysis: limma's empirical Bayes beside the tests that each feature gives alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.errors import MixflowError, Problem
from mixflow.inference.contrasts import Contrast, build_coefficients
from mixflow.inference.hat_df import hat_df
from mixflow.inference.moderation import moderated
from mixflow.inference.saturated import filled
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "contrast": "contrast; coefficients where the model has no contrasts",
    "estimate": "estimated contrast, in units of the fitted values; empty for a joint test",
    "std_error": "moderated standard error",
    "df": "moderated (denominator) degrees of freedom",
    "statistic": "moderated t, or F of a joint test",
    "p_value": "two-sided p of the moderated test",
    "q_value": "Benjamini-Hochberg q of the moderated test, within the contrast",
    "conf_low": "lower end of the moderated confidence interval",
    "conf_high": "upper end of the moderated confidence interval",
    "plain_std_error": "standard error of the feature alone",
    "plain_df": "degrees of freedom of the feature alone",
    "plain_statistic": "t or F of the feature alone",
    "plain_p_value": "p of the feature alone",
    "plain_q_value": "q of the features alone, within the contrast",
    "s2": "residual variance of the feature alone",
    "rdf": "degrees of freedom on which it rests",
    "s2_prior": "variance that a feature like this one has on average",
    "df_prior": "degrees of freedom that this knowledge is worth; inf where all features share one variance",
    "s2_post": "moderated residual variance",
    "status": "how the test ended",
}
T = ("std_error", "df", "statistic", "p_value", "q_value")
F = {"df": "f_df2", "statistic": "f_statistic", "p_value": "f_p_value", "q_value": "f_q_value"}
VARIANCES = ("s2", "rdf", "s2_prior", "df_prior", "s2_post")


def run(
    subject: Subject,
    trend: bool = False,
    robust: bool = False,
    likelihood: bool = False,
    rule: str = "information",
) -> pd.DataFrame:
    """Every contrast of every feature, moderated and alone."""
    asked = subject.contrasts or tuple(build_coefficients(subject.design))
    fit, values = subject.fit, subject.values
    if rule == "dream" and subject.feature_of_row is not None:
        remedy = "Use rule: information, the default."
        message = "dream's degrees of freedom are not worked out for features with rows of their own"
        raise MixflowError(Problem(message, column="rule", value=rule, remedy=remedy))
    rdf = hat_df(fit, subject.design, values, subject.recipe.weights) if rule == "dream" else None
    found = moderated(
        fit,
        asked,
        df=subject.df,
        design=subject.design,
        covariate=mean_abundance(values, subject.feature_of_row, len(fit.status)) if trend else None,
        robust=robust,
        likelihood=likelihood,
        rule=rule,
        rdf=rdf,
        level=1 - subject.alpha,
        saturated=filled(fit, subject.design, values, subject.recipe.weights, subject.feature_of_row),
    )
    parts = [_rows(fit.feature_ids, contrast, found, asked) for contrast in asked]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def mean_abundance(values: np.ndarray, feature_of_row: np.ndarray | None = None, n: int = 0) -> np.ndarray:
    """Mean of each feature's observed values, NaN where there is none. (N, n) -> (N,).

    Where features have rows of their own: ``values`` (row,), each one's feature, and the number ``n`` of them.
    """
    if feature_of_row is not None:
        count = np.bincount(feature_of_row, minlength=n)
        total = np.bincount(feature_of_row, values, minlength=n)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    seen = np.isfinite(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _rows(
    ids: np.ndarray, contrast: Contrast, found: dict[str, Any], asked: Sequence[Contrast]
) -> pd.DataFrame:
    """The rows of one contrast."""
    place = [c.name for c in asked if c.kind == contrast.kind].index(contrast.name)
    single = contrast.kind == "t"
    pick = lambda arrays, name: arrays[name if single else F[name]][:, place]  # noqa: E731
    table = pd.DataFrame({"feature": ids, "contrast": contrast.name})
    nan = np.full(len(ids), np.nan)
    for name in ("estimate", "conf_low", "conf_high"):
        table[name] = found[name][:, place] if single else nan
    for name in T:
        known = single or name in F
        table[name] = pick(found, name) if known else nan
        table[f"plain_{name}"] = pick(found["plain"], name) if known else nan
    for name in VARIANCES:
        table[name] = found[name]
    status = found["status" if single else "f_status"][:, place]
    table["status"] = [MEANING[Status(int(code))].label for code in status]
    return table


register(
    Analysis(
        name="moderated",
        title="Moderated tests",
        purpose="Tests every contrast with residual variances that borrow strength from all features.",
        help=(
            "The residual variance of each feature is drawn towards that of the others, the more the fewer "
            "degrees of freedom it rests on (limma's empirical Bayes: Smyth 2004; trend by mean abundance, "
            "robust against outlying features: Phipson et al. 2016). Comparisons within groups gain degrees "
            "of freedom; comparisons between groups gain only where they rest on the residual variance. The "
            "columns plain_* are the tests of each feature alone. In a linear model a feature with as many values "
            "as coefficients has no variance of its own: its moderated tests take the prior's."
        ),
        run=run,
        options={
            "trend": {
                "type": "boolean",
                "default": False,
                "description": "the prior variance follows each feature's mean value",
            },
            "robust": {
                "type": "boolean",
                "default": False,
                "description": "features with outlying variances are drawn less",
            },
            "likelihood": {
                "type": "boolean",
                "default": False,
                "description": "fit the prior by maximum likelihood: better where degrees of freedom differ much",
            },
            "rule": {
                "enum": ["information", "dream"],
                "default": "information",
                "description": "how the prior enters the degrees of freedom: dream adds them to all tests",
            },
        },
        columns=COLUMNS,
        own_rows=True,
    )
)
