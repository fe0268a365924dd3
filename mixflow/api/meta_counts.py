"""`mixflow.meta_counts`: meta-analysis on raw counts, by exact likelihoods without a continuity correction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mixflow.api.generalised import GeneralisedResult, fit_family
from mixflow.api.meta import MetaResult, coefficient_table, pooled_table, study_names, study_table
from mixflow.design import Design, build
from mixflow.errors import MixflowError, Problem
from mixflow.family.hypergeometric import Hypergeometric, terms_of
from mixflow.formula import parse
from mixflow.inference.effect_sizes import MEASURES, ON_LOG, effect_sizes
from mixflow.inference.meta import Pooled, Studies, typical_variance
from mixflow.inference.refit import Recipe
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import MEANING, Status

MODELS = {
    "UM.FS": "unconditional, fixed study intercepts",
    "UM.RS": "unconditional, random study intercepts",
    "CM.EL": "conditional on the margins, exact likelihood",
    "CM.AL": "conditional on the number of events, binomial approximation",
}
CODINGS = {0.5: (0.5, -0.5), 1.0: (1.0, 0.0), 0.0: (0.0, 1.0)}
"""The column that the random treatment effect multiplies, in the treated and in the control arm."""
TAKES = {"OR": tuple(MODELS), "IRR": ("UM.FS", "UM.RS", "CM.EL"), "PLO": ("UM.FS",), "IRLN": ("UM.FS",)}
NODES = 7


@dataclass(frozen=True)
class _Arms:
    """Events and totals (or person-time) of the studies that are analysed, moderators (k, p) and their names."""

    treated: tuple[np.ndarray, np.ndarray]
    control: tuple[np.ndarray, np.ndarray] | None
    x: np.ndarray
    terms: tuple[str, ...]

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """The moderators as numeric columns."""
        return {f"x{i}": column for i, column in enumerate(self.x.T)}


def meta_counts(
    data: pd.DataFrame,
    treated: tuple[str, str],
    control: tuple[str, str] | None = None,
    *,
    measure: str = "OR",
    model: str = "UM.FS",
    coding: float = 0.5,
    correlated: bool = False,
    moderators: str = "~ 1",
    nagq: int | None = None,
    study: str | None = None,
    level: float = 0.95,
) -> MetaResult:
    """Pool studies from the counts of their arms, as generalised mixed models (metafor's rma.glmm).

    ``treated``, ``control``: columns of events and of totals, or of events and person-time for rates. ``measure``:
    OR (odds ratio) or IRR (incidence rate ratio), of one arm PLO (log odds) or IRLN (log rate). ``model``: UM.FS
    (an intercept for each study), UM.RS (random intercepts), CM.EL (conditional: 2 x 2 tables given their margins;
    for rates a binomial), CM.AL (its approximation for rare events). ``coding``: of the random treatment effect in
    unconditional models: 1/2 (+1/2 and -1/2, so that both arms vary alike), 1 (the treated arm varies), 0 (the
    control arm varies); ``correlated``: with the random intercepts of UM.RS. ``nagq``: quadrature points, 7 where
    one random effect a study allows it, else 1 (Laplace). Maximum likelihood and z tests. Studies without any
    event, or with nothing but events, in both arms say nothing of the effect and are left out, with their number
    in ``heterogeneity``. Raises MixflowError with every problem.
    """
    _check(measure, model, coding, control)
    arms, names, dropped = _read(data, treated, control, measure, moderators, study)
    found = _fit(arms, measure, model, coding, correlated, nagq)
    effects = [found.model.coef_names.index(f"x{i}") for i in range(arms.x.shape[1])]
    pooled = Pooled(
        found.model.solution[0, effects], found.model.beta_cov[0][np.ix_(effects, effects)], np.inf
    )
    own = _variances(found)
    tau2 = own.pop("tau2")
    y, v = effect_sizes(measure, arms.treated, arms.control)
    typical = typical_variance(Studies(y, v, arms.x)) if len(y) > arms.x.shape[1] else np.nan
    spread = {"tau2": tau2, "tau": float(np.sqrt(tau2)), "I2": 100 * tau2 / (tau2 + typical)}
    spread |= {"H2": tau2 / typical + 1, **own, "studies_without_information": float(dropped)}
    table, counted = _with_counts(study_table(names, y, v, tau2, level), arms)
    return MetaResult(
        coefficient_table(arms.terms, pooled, level),
        pd.Series(spread),
        table,
        pooled_table(arms.terms, pooled, tau2, level),
        _words(measure, model, found),
        found,
        MEASURES[measure],
        measure in ON_LOG,
        counted,
    )


def _words(measure: str, model: str, found: GeneralisedResult) -> str:
    how = "Laplace" if found.model.nodes == 1 else f"quadrature, {found.model.nodes} points"
    return f"{model} ({MODELS[model]}), {how}" if measure in ("OR", "IRR") else f"random intercepts, {how}"


def _check(measure: str, model: str, coding: float, control: object) -> None:
    wrong = []
    if measure not in TAKES:
        remedy = f"Use one of {', '.join(TAKES)}; other measures go through mixflow.meta_analysis."
        wrong.append(
            Problem("There is no such measure on raw counts", column="measure", value=measure, remedy=remedy)
        )
    elif model not in TAKES[measure]:
        remedy = f"Models of {measure}: {', '.join(TAKES[measure])}."
        wrong.append(Problem("The measure has no such model", column="model", value=model, remedy=remedy))
    if measure in TAKES and (control is None) != (measure in ("PLO", "IRLN")):
        remedy = "OR and IRR compare `treated` with `control`; PLO and IRLN have one arm."
        wrong.append(
            Problem("Arms and measure do not go together", column="control", value=measure, remedy=remedy)
        )
    if coding not in CODINGS:
        wrong.append(
            Problem("There is no such coding", column="coding", value=coding, remedy="Use 0.5, 1 or 0.")
        )
    if wrong:
        raise MixflowError(wrong)


def _read(
    data: pd.DataFrame,
    treated: tuple[str, str],
    control: tuple[str, str] | None,
    measure: str,
    moderators: str,
    study: str | None,
) -> tuple[_Arms, np.ndarray, int]:
    """The studies that can be analysed, their names, and how many say nothing of the effect."""
    names = [*treated, *(control or ())]
    wrong = [Problem("There is no such column", column=n) for n in names if n not in data]
    if wrong:
        raise MixflowError(wrong)
    design = build(parse(moderators), data)
    columns = [pd.to_numeric(data[name]).to_numpy(dtype=float)[design.rows] for name in names]
    seen = np.asarray(np.isfinite(np.stack(columns)).all(axis=0))
    rates = measure in ("IRR", "IRLN")
    _check_counts([(names[i], columns[i], columns[i + 1]) for i in range(0, len(names), 2)], rates, seen)
    told = seen.copy()
    if control is not None:
        events = columns[0] + columns[2]
        told &= (events > 0) & (rates | (events < columns[1] + columns[3]))
    pairs = [(columns[i][told], columns[i + 1][told]) for i in range(0, len(columns), 2)]
    arms = _Arms(pairs[0], pairs[1] if control else None, design.X[told], design.coef_names)
    return arms, study_names(data, study, design.rows)[told], int((seen & ~told).sum())


def _check_counts(arms: list[tuple[str, np.ndarray, np.ndarray]], rates: bool, seen: np.ndarray) -> None:
    wrong = []
    for name, events, total in arms:
        bad = (events < 0) | (events != np.floor(events)) | (total <= 0)
        bad |= (not rates) & ((events > total) | (total != np.floor(total)))
        for row in np.flatnonzero(bad & seen)[:3]:
            message = f"Events must be whole numbers, not more than the total (study {row + 1}, total {total[row]:g})"
            wrong.append(
                Problem(message, column=name, value=float(events[row]), remedy="Correct the counts.")
            )
    if wrong:
        raise MixflowError(wrong)


def _fit(
    arms: _Arms, measure: str, model: str, coding: float, correlated: bool, nagq: int | None
) -> GeneralisedResult:
    """The generalised model of the arms; its coefficients x0, x1, ... are the effect and its moderators."""
    fixed = " + ".join(arms.columns)
    if measure == "OR" and model == "CM.EL":
        found = _exact(arms, fixed, nagq or NODES)
    elif model.startswith("UM") and arms.control is not None:
        frame, family = _long(arms, measure, CODINGS[coding])
        random = "(0 + arm | study)" if model == "UM.FS" else "(1 | study) + (0 + arm | study)"
        random = "(1 + arm | study)" if correlated and model == "UM.RS" else random
        first = "0 + study" if model == "UM.FS" else "1"
        nodes = nagq or (NODES if model == "UM.FS" else 1)
        found = _general(f"{first} + {fixed} + {random}", frame, family, nodes)
    else:
        frame, family = _one_row(arms, measure)
        found = _general(f"0 + {fixed} + (1 | study)", frame, family, nagq or NODES)
    status = Status(found.model.status[0])
    if not found.model.fitted[0]:
        raise MixflowError(Problem(MEANING[status].sentence, value=model, remedy=MEANING[status].remedy))
    return found


def _general(right: str, frame: pd.DataFrame, family: str, nodes: int) -> GeneralisedResult:
    left = "cbind(events, others)" if family == "binomial" else "events"
    none: dict[str, Any] = {"link": None, "dispersion": None, "zi": None, "weights": None, "contrasts": None}
    return fit_family(f"{left} ~ {right} + offset(shift)", frame, family, nagq=nodes, **none)


def _long(arms: _Arms, measure: str, coding: tuple[float, float]) -> tuple[pd.DataFrame, str]:
    """Two rows a study, treated first; the moderators act in the treated arm."""
    assert arms.control is not None
    k, pairs = len(arms.x), zip(arms.treated, arms.control, strict=True)
    events, total = (np.stack(pair, axis=1).ravel() for pair in pairs)
    first = np.tile([1.0, 0.0], k)
    table: dict[str, Any] = {"study": np.repeat([f"s{i + 1}" for i in range(k)], 2), "events": events}
    table |= {name: np.repeat(column, 2) * first for name, column in arms.columns.items()}
    table |= {"arm": np.tile(coding, k)}
    if measure == "IRR":
        return pd.DataFrame(table | {"shift": np.log(total)}), "poisson"
    return pd.DataFrame(table | {"others": total - events, "shift": 0.0}), "binomial"


def _one_row(arms: _Arms, measure: str) -> tuple[pd.DataFrame, str]:
    """A row a study: one arm, or the treated arm's share of all events with the exposures as an offset."""
    events, total = arms.treated
    table: dict[str, Any] = {
        "study": [f"s{i + 1}" for i in range(len(events))],
        "events": events,
        **arms.columns,
    }
    if arms.control is not None:
        return pd.DataFrame(
            table | {"others": arms.control[0], "shift": np.log(total / arms.control[1])}
        ), "binomial"
    if measure == "IRLN":
        return pd.DataFrame(table | {"shift": np.log(total)}), "poisson"
    return pd.DataFrame(table | {"others": total - events, "shift": 0.0}), "binomial"


def _exact(arms: _Arms, fixed: str, nodes: int) -> GeneralisedResult:
    """2 x 2 tables given their margins."""
    assert arms.control is not None
    (a, n1), (c, n2) = arms.treated, arms.control
    frame = pd.DataFrame({"study": [f"s{i + 1}" for i in range(len(a))], **arms.columns})
    design: Design = build(parse(f"~ 0 + {fixed} + (1 | study)"), frame)
    y = np.stack([a, n1, n2, a + c], axis=-1)[None]
    family, ids = Hypergeometric(terms=terms_of(y)), np.array(["events"], dtype=object)
    found = fit_generalised({"mu": design}, family, y, ids, nodes=nodes)
    own = {"designs": {"mu": design}, "family": family, "y": y}
    return GeneralisedResult(found, design, y[:, :, 0], Recipe(None), "z", **own)


def _variances(found: GeneralisedResult) -> dict[str, float]:
    """tau2 (of the effect), and with random study intercepts their variance and correlation with the effect."""
    table = found.variance_components
    covariance = table[table["term_2"].fillna("") != ""]
    single = table[table["term_2"].fillna("") == ""].set_index("term")["variance"]
    if len(single) == 1:
        return {"tau2": float(single.iloc[0])}
    out = {"tau2": float(single["arm"]), "sigma2": float(single["(Intercept)"])}
    return out | ({"correlation": float(covariance["correlation"].iloc[0])} if len(covariance) else {})


def _with_counts(table: pd.DataFrame, arms: _Arms) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table of studies with the counts behind each effect."""
    pairs = {"treated": arms.treated} | ({} if arms.control is None else {"control": arms.control})
    told = {
        f"{name}_{what}": pair[i]
        for name, pair in pairs.items()
        for i, what in enumerate(("events", "total"))
    }
    return table.assign(**told), tuple(told)
