"""`mixflow.meta_analysis`: estimates of studies with known sampling variances, pooled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from mixflow.api.fitting import fit
from mixflow.api.result import Result
from mixflow.design import Design, build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.inference.effect_sizes import MEASURES, ON_LOG
from mixflow.inference.meta import MOMENTS, Pooled, Studies, heterogeneity, pool, tau2_by_moments
from mixflow.inference.weights import inverse_variances
from mixflow.status import MEANING, Status

METHODS = ("REML", "ML", *MOMENTS)
TESTS = ("z", "knapp-hartung")
ROW = "study_number"
"""Grouping factor of the model with one row a study."""


@dataclass(frozen=True, eq=False, repr=False)
class MetaResult:
    """A meta-analysis.

    ``coefficients``: one row for each coefficient; ``heterogeneity``: tau2 and what belongs to it, of several
    levels the variances by their group; ``studies``: what each study says (estimate, limits, weight in percent);
    ``pooled``: estimate, its limits and the prediction interval's (one row; empty where moderators make it depend
    on them); ``model``: the mixed model, None for moment estimators; ``measure``: in words.
    """

    coefficients: pd.DataFrame
    heterogeneity: pd.Series
    studies: pd.DataFrame
    pooled: pd.DataFrame
    method: str
    model: Result | None = None
    measure: str = "estimate"
    on_log: bool = False
    counts: tuple[str, ...] = field(default=())
    """Columns of ``studies`` that hold the raw counts."""

    def __repr__(self) -> str:
        parts = [f"<mixflow meta-analysis of {len(self.studies)} studies ({self.measure}), {self.method}>"]
        told = ", ".join(f"{name} {value:.4g}" for name, value in self.heterogeneity.items())
        parts += [self.coefficients.to_string(index=False), told]
        if len(self.pooled):
            parts.append(self.pooled.to_string(index=False))
        return "\n".join(parts)


def meta_analysis(
    formula: str,
    data: pd.DataFrame,
    *,
    variances: str,
    method: str = "REML",
    test: str = "z",
    study: str | None = None,
    measure: str | None = None,
    level: float = 0.95,
) -> MetaResult:
    """Pool estimates whose sampling variances are known: the normal-normal random-effects model.

    ``formula``: ``"yi ~ 1"``, or with moderators ``"yi ~ dose"``: each row is a study, with an effect of its own.
    Random terms in the formula, as ``"yi ~ 1 + (1 | district/school)"``, are taken instead: several levels.
    ``variances``: column of sampling variances. ``method``: how tau^2 is estimated: REML, ML, DL (DerSimonian and
    Laird), PM (Paule and Mandel); of several levels REML or ML. ``test``: z, or knapp-hartung (t with k - p df, one
    row a study), which few studies need. ``study``: column that names the studies in tables and pictures;
    ``measure``: what the estimates are, in words or as metafor's OR, RR, RD, IRR (log ratios are drawn as ratios).
    Raises MixflowError with every problem.
    """
    _check(method, test)
    terms = parse(formula)
    several, what = (
        bool(terms.random),
        (MEASURES.get(measure or "", measure or "estimate"), measure in ON_LOG),
    )
    if several and (method in MOMENTS or test != "z"):
        remedy = "Use method REML or ML and test z, or leave the random terms out."
        raise MixflowError(Problem(f"{method} and {test} take one row a study", value=formula, remedy=remedy))
    frame = data.assign(**{ROW: np.arange(len(data)).astype(str)})
    design = build(terms, frame)
    if design.rank < len(design.coef_names):
        remedy = f"Leave out {', '.join(design.dependent)}."
        raise MixflowError(Problem("Moderators depend on each other", value=formula, remedy=remedy))
    studies = _studies(frame, variances, design)
    if several:
        return _of_levels(formula, frame, variances, method, study, level, design, studies, what)
    model = None
    if method in MOMENTS:
        tau2 = tau2_by_moments(studies, method)
    else:
        model = _fitted(f"{formula} + (1 | {ROW})", frame, variances, method)
        tau2 = float(model.model.variance[0, 0])
    found = pool(studies, tau2, test == "knapp-hartung")
    spread = pd.Series(heterogeneity(studies, tau2, level))
    return MetaResult(
        coefficient_table(design.coef_names, found, level),
        spread,
        study_table(study_names(frame, study, design.rows), studies.y, studies.v, tau2, level),
        pooled_table(design.coef_names, found, tau2, level),
        method if test == "z" else f"{method}, Knapp-Hartung",
        model,
        *what,
    )


def _check(method: str, test: str) -> None:
    wrong = []
    for name, value, known in (("method", method, METHODS), ("test", test, TESTS)):
        if value not in known:
            remedy = f"Use one of {', '.join(known)}."
            wrong.append(Problem(f"There is no such {name}", column=name, value=value, remedy=remedy))
    if wrong:
        raise MixflowError(wrong)


def _studies(frame: pd.DataFrame, variances: str, design: Design) -> Studies:
    if design.response is None:
        remedy = "Write `estimate ~ 1`."
        raise MixflowError(Problem("The formula names no estimates", value=design.terms.text, remedy=remedy))
    v = 1.0 / inverse_variances(frame, variances, design)
    return Studies(np.asarray(design.response, dtype=float) - design.offset, v, design.X)


def _fitted(formula: str, frame: pd.DataFrame, variances: str, method: str) -> Result:
    """The mixed model; raises where it has no estimate."""
    found = fit(formula, frame, variances=variances, reml=method == "REML", df="z")
    status = Status(found.model.status[0])
    if not found.model.fitted[0]:
        raise MixflowError(Problem(MEANING[status].sentence, value=formula, remedy=MEANING[status].remedy))
    return found


def _of_levels(
    formula: str,
    frame: pd.DataFrame,
    variances: str,
    method: str,
    study: str | None,
    level: float,
    design: Design,
    studies: Studies,
    what: tuple[str, bool],
) -> MetaResult:
    """Several levels of random effects: the Gaussian model's own estimates, tests by z."""
    model = _fitted(formula, frame, variances, method)
    found = Pooled(model.model.solution[0], model.model.beta_cov[0], np.inf)
    own = {
        f"{group}: {term}" + (f", {other}" if other else ""): float(value)
        for (group, term, other), value in zip(model.model.components, model.model.variance[0], strict=True)
        if group != "Residual"
    }
    spread = heterogeneity(studies, 0.0, level)
    total = float(sum(own.values()))
    table = study_table(study_names(frame, study, design.rows), studies.y, studies.v, total, level)
    told = pd.Series({**own, **{name: spread[name] for name in ("Q", "Q_df", "Q_p")}})
    intercepts = all(term == "(Intercept)" for _, term, _ in model.model.components if term)
    pooled = pooled_table(design.coef_names, found, total if intercepts else np.nan, level)
    return MetaResult(
        coefficient_table(design.coef_names, found, level),
        told,
        table,
        pooled,
        f"{method}, several levels",
        model,
    )


def study_names(frame: pd.DataFrame, study: str | None, rows: np.ndarray) -> np.ndarray:
    """Labels of the studies: a column, or their numbers from 1."""
    if study is None:
        return (np.arange(len(frame)) + 1).astype(str)[rows]
    if study not in frame:
        remedy = f"Columns: {', '.join(map(str, frame.columns))}."
        raise MixflowError(Problem("There is no such column", column=study, remedy=remedy))
    return frame[study].astype(str).to_numpy()[rows]


def coefficient_table(names: tuple[str, ...], found: Pooled, level: float) -> pd.DataFrame:
    """Coefficients with tests and limits."""
    se = np.sqrt(np.diag(found.covariance))
    statistic, limit = found.estimate / se, stats.t.isf((1 - level) / 2, found.df)
    return pd.DataFrame({
        "term": names,
        "estimate": found.estimate,
        "std_error": se,
        "df": found.df,
        "statistic": statistic,
        "p_value": 2 * stats.t.sf(np.abs(statistic), found.df),
        "conf_low": found.estimate - limit * se,
        "conf_high": found.estimate + limit * se,
    })  # fmt: skip


def study_table(names: np.ndarray, y: np.ndarray, v: np.ndarray, tau2: float, level: float) -> pd.DataFrame:
    """What each study says by itself, and its weight in the pooled estimate (percent)."""
    limit, weight = stats.norm.isf((1 - level) / 2), 1.0 / (v + tau2)
    return pd.DataFrame({
        "study": names,
        "estimate": y,
        "std_error": np.sqrt(v),
        "conf_low": y - limit * np.sqrt(v),
        "conf_high": y + limit * np.sqrt(v),
        "weight": 100 * weight / weight.sum(),
    })  # fmt: skip


def pooled_table(names: tuple[str, ...], found: Pooled, tau2: float, level: float) -> pd.DataFrame:
    """The pooled estimate with its limits and those of another study's true effect; no row with moderators."""
    columns = ["estimate", "conf_low", "conf_high", "pred_low", "pred_high"]
    if tuple(names) != ("(Intercept)",):
        return pd.DataFrame(columns=columns, dtype=float)
    centre, variance = float(found.estimate[0]), float(found.covariance[0, 0])
    limit = stats.t.isf((1 - level) / 2, found.df)
    near, far = limit * np.sqrt(variance), limit * np.sqrt(variance + tau2)
    return pd.DataFrame([[centre, centre - near, centre + near, centre - far, centre + far]], columns=columns)
