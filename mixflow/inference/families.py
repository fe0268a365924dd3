"""Which family describes each feature best: the same model by several families, compared by AIC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mixflow.design import Design
from mixflow.errors import MixflowError, Problem
from mixflow.family import Family, named
from mixflow.family.registry import FAMILIES
from mixflow.family.zeros import with_zeros
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.refit import same_rows
from mixflow.model import Fit
from mixflow.optimise.generalised import fit_generalised
from mixflow.status import MEANING, Status

COLUMNS = {
    "feature": "feature",
    "family": "family, and its predictor of zeros where it has one",
    "loglik": "log-likelihood at the optimum, with all constants",
    "n_parameters": "free parameters",
    "aic": "Akaike's criterion: smaller is better",
    "delta": "AIC above that of the feature's best family; below 2 they are hardly told apart",
    "weight": "Akaike weight: share of exp(-delta / 2) among the feature's families",
    "best": "yes for the feature's best family",
    "n_best": "features for which this family is best",
    "status": "how the fit ended",
}


def compare(fits: Mapping[str, Fit]) -> pd.DataFrame:
    """Fits of the same values by several families, side by side; a row for each feature and family.

    Log-likelihoods hold all constants, so that discrete families (or continuous ones) of the same values can be
    compared (Burnham and Anderson 2002, section 2.6). A family that was not fitted counts for nothing.
    """
    names, first = list(fits), next(iter(fits.values()))
    usable = np.column_stack([fit.fitted & np.isfinite(fit.loglik) for fit in fits.values()])
    aic = np.column_stack([np.where(fit.fitted, fit.aic, np.nan) for fit in fits.values()])
    with np.errstate(invalid="ignore"):
        least = np.where(usable, aic, np.inf).min(axis=1, keepdims=True)
        delta = np.where(usable, aic - least, np.nan)
        evidence = np.where(usable, np.exp(-delta / 2), 0.0)
        weight = np.where(usable, evidence / evidence.sum(axis=1, keepdims=True), np.nan)
    best = usable & (np.arange(len(names)) == np.where(usable, aic, np.inf).argmin(axis=1)[:, None])
    columns = {
        "loglik": np.column_stack([np.where(fit.fitted, fit.loglik, np.nan) for fit in fits.values()]),
        "n_parameters": np.column_stack(
            [np.where(fit.fitted, fit.n_parameters, np.nan) for fit in fits.values()]
        ),
        "aic": aic,
        "delta": delta,
        "weight": weight,
    }
    n, count = usable.shape
    status = np.column_stack([[MEANING[Status(s)].label for s in fit.status] for fit in fits.values()])
    return pd.DataFrame(
        {
            "feature": np.repeat(first.feature_ids, count),
            "family": np.tile(np.array(names, dtype=object), n),
            **{name: array.ravel() for name, array in columns.items()},
            "best": np.where(best.ravel(), "yes", ""),
            "n_best": np.tile(best.sum(axis=0), n),
            "status": status.ravel().astype(object),
        }
    )


def among(outcome: FittedFamily, families: Sequence[str], zi: bool = False) -> pd.DataFrame:
    """The model of ``outcome`` by other families too, its own first; see `compare`.

    ``zi``: each family with zero inflation of its own too, where it takes any. Formulas of dispersion and zeros
    are the model's own where it has them, else one intercept. Raises MixflowError for a family of other columns.
    """
    fits = {title(outcome.family): outcome.fit}
    for family in _wanted(outcome, families, zi):
        if title(family) not in fits:
            fits[title(family)] = _fitted(outcome, family)
    return compare(fits)


def title(family: Family) -> str:
    """Name of a family in tables: ``nbinom2``, ``nbinom2 + zi``."""
    part = getattr(family, "part", None)
    return f"{part.name} + zi" if part is not None else family.name


def _wanted(outcome: FittedFamily, families: Sequence[str], zi: bool) -> list[Family]:
    own = getattr(outcome.family, "part", outcome.family)
    found: list[Family] = []
    for name in families:
        links = FAMILIES[name].links if name in FAMILIES else ()
        link = own.predictors[0].link.name
        family = named(name, link if link in links else None)
        if family.columns != own.columns or family.name == "cumulative":
            remedy = "Compare families of the same kind of outcome."
            message = f"{name} is fitted to other columns than {own.name}"
            raise MixflowError(Problem(message, column="among", value=name, remedy=remedy))
        found.append(family)
        if zi and takes_zeros(family):
            found.append(with_zeros(family))
    return found


def takes_zeros(family: Family) -> bool:
    """Whether `with_zeros` has an answer."""
    try:
        with_zeros(family)
    except MixflowError:
        return False
    return True


def _fitted(outcome: FittedFamily, family: Family) -> Fit:
    one = same_rows("~ 1", outcome.design)
    designs: dict[str, Design] = {p.name: outcome.designs.get(p.name, one) for p in family.predictors}
    problem = next(filter(None, (family.problems(y[~np.isnan(y).any(axis=1)]) for y in outcome.y)), None)
    if problem:
        raise MixflowError(Problem(problem, column="among", value=family.name))
    return fit_generalised(
        designs,
        family,
        outcome.y,
        outcome.fit.feature_ids,
        weights=outcome.weights,
        **{"modes": False, **outcome.options},
    )
