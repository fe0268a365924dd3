"""Does a generalised model describe its values? Randomised quantile residuals and tests by simulation.

DHARMa's idea (Hartig 2022, R package; Dunn and Smyth 1996, J. Comput. Graph. Stat. 5:236; Gelman and Hill 2006,
section 8.3): data are drawn from the fitted model with new random effects, and each value is ranked among its
draws. A residual by the family's distribution function at the conditional modes would be too small by what the
modes have taken up. Every check is a statistic of the data, standardised by the same statistic of simulated data
sets, so that it allows for rows that hang together. Estimated parameters fit their own data too well for that
comparison alone (p of 0.9 at the median); so the model is fitted to data simulated from some of the features'
fits too, and the standardised statistics of these null features are what p is read from: prepivoting (Beran 1988,
J. Am. Stat. Assoc. 83:687), with one distribution for all features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mixflow.family import Family
from mixflow.family.cumulative import Cumulative
from mixflow.family.tweedie import Tweedie
from mixflow.family.zeros import Hurdle
from mixflow.inference.family_simulate import simulate, values_of
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.random_numbers import host_stream
from mixflow.status import MEANING, Status

NUMBERS = 2**23
"""Simulated numbers that are held at once."""

SIMULATIONS = 100
"""Data sets that standardise a feature's statistics."""

NULLS = (400, 1000)
"""Least and most null features: as many as features were fitted, within these."""

TIES = 2**21
"""Number of the stream that breaks ties of a feature's ranks."""

APART = 2**20
"""Numbers of the replicates that are fitted as null features begin here."""

WITHIN = 0.75
"""Share of a group's levels among the rows up to which residuals are compared within its levels."""

UNIFORMITY, DISPERSION, ZEROS, OUTLIERS = "uniformity", "dispersion", "zeros", "outliers"

COLUMNS = {
    "feature": "feature",
    "check": "uniformity (Kolmogorov-Smirnov), dispersion, zeros or outliers",
    "statistic": (
        "uniformity: distance of the residuals from the uniform distribution; dispersion and zeros: observed "
        "over expected (1 as the model has it); outliers: share of values beyond all simulated ones"
    ),
    "p_value": "p by simulation, two-sided for dispersion and zeros; at least 1 / (number of null features + 1)",
    "q_value": "Benjamini-Hochberg over features, for each check",
    "meaning": "what it says where p is below 0.05",
    "status": "how the fit ended",
}

QUANTILE_COLUMNS = {
    "feature": "feature",
    "expected": "quantile that the model expects: that of the uniform distribution",
    "residual": "quantile of the feature's residuals (0 to 1)",
    "low": "lower limit of 95 % of data sets simulated from the model",
    "high": "upper limit",
    "status": "how the fit ended",
}
PLACES = np.linspace(0.025, 0.975, 20)

WORDS = {
    UNIFORMITY: ("values are not distributed as the model has it",) * 2,
    DISPERSION: ("values vary less than the model expects", "values vary more than the model expects"),
    ZEROS: ("fewer zeros than the model expects", "more zeros than the model expects"),
    OUTLIERS: ("more values beyond all simulated ones than expected",) * 2,
}
FINE = "as the model expects"
ALPHA = 0.05


def residual_checks(outcome: FittedFamily, simulations: int = SIMULATIONS, seed: int = 1) -> pd.DataFrame:
    """Tests of every feature, one row for each check (see `COLUMNS`); NaN where the feature was not fitted."""
    names = checks_of(outcome.family)
    statistic, score = _scores(outcome, names, simulations, seed)
    null = _scores(null_features(outcome, seed), names, simulations, seed)[1]
    p = np.column_stack([_p_value(n, a, b) for n, a, b in zip(names, score.T, null.T, strict=True)])
    return _table(outcome, names, statistic, p)


def _table(
    outcome: FittedFamily, names: tuple[str, ...], statistic: np.ndarray, p: np.ndarray
) -> pd.DataFrame:
    fit, count = outcome.fit, len(names)
    said = [
        _said(name, p_one, more)
        for row, high in zip(p, statistic > 1, strict=True)
        for name, p_one, more in zip(names, row, high, strict=True)
    ]
    return pd.DataFrame(
        {
            "feature": np.repeat(fit.feature_ids, count),
            "check": np.tile(np.array(names, dtype=object), len(p)),
            "statistic": statistic.ravel(),
            "p_value": p.ravel(),
            "q_value": np.column_stack([benjamini_hochberg(column) for column in p.T]).ravel(),
            "meaning": said,
            "status": np.repeat([MEANING[Status(s)].label for s in fit.status], count),
        }
    )


def null_features(outcome: FittedFamily, seed: int) -> FittedFamily:
    """The model fitted to data simulated from it, of features in turn until there are enough."""
    run = np.flatnonzero(outcome.fit.fitted)
    total = int(np.clip(len(run), *NULLS)) if len(run) else 0
    copies = -(-total // max(len(run), 1))
    drawn = [simulate(outcome.take(run), seed, [APART + copy])[:, 0] for copy in range(copies)]
    y = np.concatenate(drawn)[:total] if drawn else outcome.y[:0]
    rows = np.tile(run, max(copies, 1))[:total]
    again = replace(outcome, options={**outcome.options, "modes": True})
    fit = again.fit_values(y, rows)
    ids = np.array([f"{name} null {i}" for i, name in enumerate(fit.feature_ids)], dtype=object)
    return replace(outcome.take(rows), fit=replace(fit, feature_ids=ids), y=y)


def _scores(
    outcome: FittedFamily, names: tuple[str, ...], simulations: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Statistics as reported and standardised ones, of each feature and check. (N, c) each."""
    shape = (len(outcome.fit.status), len(names))
    statistic, score, within = np.full(shape, np.nan), np.full(shape, np.nan), _within(outcome)
    for i, ranked in ranks(outcome, simulations, seed):
        for j, name in enumerate(names):
            statistic[i, j], score[i, j] = ranked.check(name, within)
    return statistic, score


def _p_value(name: str, score: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of null scores at least as far out."""
    null = np.sort(null[np.isfinite(null)])
    count = len(null) + 1
    upper = (1 + len(null) - np.searchsorted(null, score, side="left")) / count
    if name in (DISPERSION, ZEROS):
        lower = (1 + np.searchsorted(null, score, side="right")) / count
        upper = np.minimum(1.0, 2 * np.minimum(upper, lower))
    return np.where(np.isfinite(score), upper, np.nan)


def quantile_residuals(outcome: FittedFamily, simulations: int = SIMULATIONS, seed: int = 1) -> np.ndarray:
    """Randomised quantile residuals, uniform on (0, 1) where the model holds. (N, n), NaN where missing."""
    out = np.full(outcome.observed.shape, np.nan)
    for i, ranked in ranks(outcome, simulations, seed):
        out[i, ranked.rows] = ranked.uniform[0]
    return out


def quantiles(outcome: FittedFamily, simulations: int = SIMULATIONS, seed: int = 1) -> pd.DataFrame:
    """Quantiles of every feature's residuals beside the uniform ones (see `QUANTILE_COLUMNS`)."""
    fit, count = outcome.fit, len(PLACES)
    found = np.full((len(fit.status), 3, count), np.nan)
    for i, ranked in ranks(outcome, simulations, seed):
        own = np.quantile(ranked.uniform, PLACES, axis=1)
        found[i, 0], found[i, 1:] = own[:, 0], np.quantile(own[:, 1:], [0.025, 0.975], axis=1)
    return pd.DataFrame(
        {
            "feature": np.repeat(fit.feature_ids, count),
            "expected": np.tile(PLACES, len(fit.status)),
            **{name: found[:, k].ravel() for k, name in enumerate(("residual", "low", "high"))},
            "status": np.repeat([MEANING[Status(s)].label for s in fit.status], count),
        }
    )


def checks_of(family: Family) -> tuple[str, ...]:
    """Checks that say something of a family: zeros only of values that may be zero."""
    counts = family.discrete and not family.without_zero and family.columns == ("y",)
    zero = (counts and not isinstance(family, Cumulative)) or isinstance(family, Tweedie | Hurdle)
    return (UNIFORMITY, DISPERSION, *([ZEROS] if zero else []), OUTLIERS)


def _said(name: str, p: float, high: bool) -> str:
    if not np.isfinite(p):
        return ""
    return WORDS[name][int(high)] if p < ALPHA else FINE


@dataclass(frozen=True, eq=False)
class Ranked:
    """One feature: ``values`` (R + 1, r) of the data, first, and of R simulations, at the ``rows`` observed.

    ``uniform`` (R + 1, r): rank of each value among those of its row, ties at random, over their number.
    """

    rows: np.ndarray
    values: np.ndarray
    uniform: np.ndarray

    def check(self, name: str, within: np.ndarray | None) -> tuple[float, float]:
        """The statistic as reported, and standardised by the simulations; NaN where these are all alike."""
        found = self._statistic(name, within)
        mean, sd = float(found[1:].mean()), float(found[1:].std())
        if name == UNIFORMITY:
            told = float(found[0])
        elif name == OUTLIERS:
            told = float(found[0]) / len(self.rows)
        else:
            told = float(found[0]) / mean if mean > 0 else np.nan
        return told, (float(found[0]) - mean) / sd if sd > 0 else np.nan

    def _statistic(self, name: str, within: np.ndarray | None) -> np.ndarray:
        """Of the data, first, and of each simulation. (R + 1,)."""
        if name == UNIFORMITY:
            return _distance(self.uniform)
        if name == OUTLIERS:
            return _beyond(self.values)
        return (self.values == 0).sum(axis=1) if name == ZEROS else self._spread(within)

    def _spread(self, within: np.ndarray | None) -> np.ndarray:
        """Sum of squares of standardised residuals, of deviations from their level's mean where there are levels."""
        e = self.values - self.values.mean(axis=0)
        sd = self.values.std(axis=0)
        e = np.where(sd > 0, e / np.where(sd > 0, sd, 1.0), 0.0)
        if within is not None:
            level = np.unique(within[self.rows], return_inverse=True)[1]
            count = np.bincount(level)
            means = np.stack([np.bincount(level, weights=row) for row in e]) / count
            e = e - means[:, level]
        return (e**2).sum(axis=1)


def ranks(outcome: FittedFamily, simulations: int, seed: int) -> Iterator[tuple[int, Ranked]]:
    """The number of each fitted feature, its data and simulations."""
    run, n = np.flatnonzero(outcome.fit.fitted), outcome.y.shape[1]
    size = max(1, NUMBERS // max(simulations * n * outcome.y.shape[2], 1))
    for first in range(0, len(run), size):
        part = outcome.take(run[first : first + size])
        drawn = values_of(part.family, simulate(part, seed, simulations))
        own = values_of(part.family, part.y)
        for i, feature in enumerate(run[first : first + size]):
            rows = np.flatnonzero(part.observed[i])
            values = np.concatenate([own[i][None, rows], drawn[i][:, rows]])
            noise = host_stream(seed, str(part.fit.feature_ids[i]), TIES).random(values.shape)
            yield int(feature), Ranked(rows, values, _ranked(values, noise))


def _ranked(values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Ranks within columns over their number, the middle of each step; ties in the order of the noise."""
    order = np.lexsort((noise, values), axis=0)
    rank = np.empty(values.shape)
    np.put_along_axis(rank, order, np.arange(len(values))[:, None] + 0.5, axis=0)
    return rank / len(values)


def _distance(uniform: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distance of each row's values from the uniform distribution."""
    own = np.sort(uniform, axis=1)
    steps = np.arange(own.shape[1] + 1) / own.shape[1]
    return np.maximum((steps[1:] - own).max(axis=1), (own - steps[:-1]).max(axis=1))


def _beyond(values: np.ndarray) -> np.ndarray:
    """How many values of each data set lie beyond those of all others, at the same row."""
    total = np.zeros(len(values))
    for end in (values.min(axis=0), values.max(axis=0)):
        at = values == end
        total += (at & (at.sum(axis=0) == 1)).sum(axis=1)
    return total


def _within(outcome: FittedFamily) -> np.ndarray | None:
    """Level of each row in the finest group whose levels have several rows; None without one. (n,).

    Between levels the random effects explain any spread; too much of it within levels is what tells a Poisson
    model from a negative binomial one.
    """
    n = outcome.y.shape[1]
    groups = [
        t for d in outcome.designs.values() for t in d.random if len(t.levels) <= WITHIN * n and t.factors
    ]
    if not groups:
        return None
    return np.asarray(max(groups, key=lambda t: len(t.levels)).index)
