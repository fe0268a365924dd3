"""A fit beside its design and data: tidy tables, contrasts, means, predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.api.analyse import analyse, subject_of
from mixflow.api.means import MarginalMeans
from mixflow.derived import Subject
from mixflow.design import Design
from mixflow.inference import contrasts as words
from mixflow.inference import intervals, lrt, prediction, r2, smooths, variances
from mixflow.inference.contrasts import Contrast
from mixflow.inference.df import SATTERTHWAITE
from mixflow.inference.refit import Fitted, Recipe
from mixflow.inference.simulate import simulate
from mixflow.inference.terms import term_tests
from mixflow.inference.tests import test
from mixflow.model import Fit
from mixflow.status import MEANING, Status
from mixflow.store import fits, zarr_io

TIDY = (
    "estimate",
    "std_error",
    "df",
    "statistic",
    "p_value",
    "q_value",
    "conf_low",
    "conf_high",
)


@dataclass(frozen=True, eq=False)
class Result:
    """What `mixflow.fit` returns: ``model`` numbers, ``design`` samples, ``values`` what was fitted.

    ``recipe``: weights and options, with which the values can be fitted again. ``df``: method for degrees of
    freedom where none is named (`mixflow.inference.df`).
    """

    model: Fit
    design: Design
    values: np.ndarray
    recipe: Recipe = field(default_factory=Recipe)
    df: str = SATTERTHWAITE

    @property
    def fitted(self) -> Fitted:
        """The fit as inference needs it."""
        return Fitted(self.model, self.design, self.values, self.recipe)

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """One row for each feature and coefficient, with df by the result's method and 95 % limits."""
        return self._table(words.build_coefficients(self.design), "term")

    @cached_property
    def variance_components(self) -> pd.DataFrame:
        """Variances, covariances and their standard deviations and correlations, absolute."""
        fit, n = self.model, len(self.model.feature_ids)
        place = {c: i for i, c in enumerate(fit.components)}
        rows = []
        for (group, term, term_2), i in place.items():
            variance = fit.variance[:, i]
            row = {"feature": fit.feature_ids, "group": group, "term": term, "term_2": term_2}
            sd, correlation = np.full(n, np.nan), np.full(n, np.nan)
            if term_2:
                both = fit.variance[:, place[group, term, ""]] * fit.variance[:, place[group, term_2, ""]]
                with np.errstate(divide="ignore", invalid="ignore"):
                    correlation = variance / np.sqrt(both)
            else:
                sd = np.sqrt(variance)
            rows.append(pd.DataFrame(row | {"variance": variance, "std_dev": sd, "correlation": correlation}))
        names = ["feature", "group", "term", "term_2", "variance", "std_dev", "correlation"]
        return _by_feature(rows, fit.feature_ids) if rows else pd.DataFrame(columns=names)

    @cached_property
    def structure(self) -> pd.DataFrame:
        """Natural parameters of structured covariances: correlations rho and phi, ratios of standard deviations."""
        fit = self.model
        rows = [
            pd.DataFrame({"feature": fit.feature_ids, "parameter": name, "estimate": fit.structure[:, i]})
            for i, name in enumerate(fit.structure_names)
        ]
        columns = ["feature", "parameter", "estimate"]
        return _by_feature(rows, fit.feature_ids) if rows else pd.DataFrame(columns=columns)

    @cached_property
    def random_effects(self) -> pd.DataFrame:
        """Conditional modes with their conditional standard deviations; smooths are in `smooths`."""
        fit, rows = self.model, []
        curves = {basis.name for basis in self.design.smooths}
        for group, names in ((g, n) for g, n in fit.effect_names.items() if g not in curves):
            for i, (level, term) in enumerate(names):
                row = {"feature": fit.feature_ids, "group": group, "level": level, "term": term}
                numbers = {"estimate": fit.modes[group][:, i], "std_error": fit.mode_sds[group][:, i]}
                rows.append(pd.DataFrame(row | numbers))
        columns = ["feature", "group", "level", "term", "estimate", "std_error"]
        return _by_feature(rows, fit.feature_ids) if rows else pd.DataFrame(columns=columns)

    def smooths(self, points: int = 50) -> pd.DataFrame:
        """Each smooth on a grid, with 95 % pointwise limits (`mixflow.inference.smooths.CURVE_COLUMNS`)."""
        return smooths.curves(self.fitted, points)

    @cached_property
    def smooth_edf(self) -> pd.DataFrame:
        """Effective df, variance and tests of each smooth (`mixflow.inference.smooths.EDF_COLUMNS`)."""
        return smooths.smooth_edf(self.fitted)

    @property
    def loglik(self) -> pd.Series:
        """Log-likelihood, restricted where REML."""
        return self._series(self.model.loglik, "loglik")

    @property
    def aic(self) -> pd.Series:
        """Akaike's criterion."""
        return self._series(self.model.aic, "aic")

    @property
    def bic(self) -> pd.Series:
        """Schwarz's criterion, with the number of observed values."""
        return self._series(self.model.bic, "bic")

    @property
    def n_obs(self) -> pd.Series:
        """Observed values used."""
        return self._series(self.model.n_obs, "n_obs")

    @property
    def status(self) -> pd.Series:
        """How each fit ended, as a word; `mixflow.status.MEANING` has the sentences."""
        return self._series([MEANING[Status(s)].label for s in self.model.status], "status")

    def contrast(
        self, spec: Mapping[str, Mapping[str, Any]], df: str | None = None, adjust: str = "within"
    ) -> pd.DataFrame:
        """Test contrasts given in words or as weights on exact coefficient names; nothing is fitted again.

        E.g. ``{"B vs A": {"condition": ["B", "A"]}}``, ``{"Days": {"Days": 1}}``,
        ``{"any": {"dose": "omnibus"}}``. ``df``: the result's own method where not named.
        """
        asked = [c for name, entry in spec.items() for c in self._words(name, entry)]
        return self._table(asked, "contrast", adjust, df)

    def means(self, factors: str | Sequence[str], at: Mapping[str, Any] | None = None) -> MarginalMeans:
        """Estimated marginal means of a factor, or of the combinations of several.

        Other factors weigh equally, numbers stand at their mean or where ``at`` puts them.
        """
        return MarginalMeans(self.model, self.design, factors, dict(at or {}), self.df)

    def predict(
        self,
        new_data: pd.DataFrame | None = None,
        std_error: bool = False,
        groups: str = "known",
        level: float = 0.95,
    ) -> pd.DataFrame:
        """Predicted values (features in rows) with the conditional modes of known levels, 0 for new ones.

        NaN where the feature's own rows cannot estimate the fixed part. ``groups``: ``new`` (every group drawn
        anew) and ``none`` (the fixed part alone) leave the modes out. ``std_error``: a tidy table instead, with
        standard errors and limits (see `mixflow.inference.prediction.table`).
        """
        if std_error:
            return prediction.table(self.fitted, new_data, groups, level)
        rows = prediction.rows_of(self.design, new_data)
        values = prediction.point(self.model, rows, groups)
        return pd.DataFrame(
            values, index=pd.Index(self.model.feature_ids, name="feature"), columns=rows.labels
        )

    def simulate(self, seed: int, replicates: int = 1, conditional: bool = False) -> pd.DataFrame:
        """New values from the fit: rows (feature, replicate), columns the samples, NaN where not observed.

        Random effects and residuals are drawn afresh; ``conditional`` keeps random effects at their modes.
        """
        drawn = simulate(self.fitted, seed, replicates, conditional=conditional)
        names = ["feature", "replicate"]
        rows = pd.MultiIndex.from_product([self.model.feature_ids, range(replicates)], names=names)
        return pd.DataFrame(drawn.reshape(len(rows), -1), index=rows, columns=list(self.design.frame.index))

    def anova(self, other: Result) -> pd.DataFrame:
        """Likelihood-ratio test against a nested fit of the same values, for every feature.

        Columns: `mixflow.inference.lrt.COLUMNS`. Either may be the simpler one; REML fits whose fixed parts
        differ are fitted again by ML.
        """
        return lrt.compare(self.fitted, other.fitted)

    def confint(
        self, method: str = "wald", level: float = 0.95, *, replicates: int = 500, seed: int = 1
    ) -> pd.DataFrame:
        """Limits of standard deviations, correlations, structures and coefficients, tidy.

        ``method``: wald, profile (as lme4's `confint`) or bootstrap (parametric, ``replicates`` by ``seed``).
        """
        limits = intervals.confint
        return limits(self.fitted, method, level, replicates=replicates, seed=seed, df=self.df)

    def slopes(self, group: str, term: str, level: float = 0.95) -> pd.DataFrame:
        """Interval and test of a random slope's sd and of its correlation with the intercept.

        Columns: `mixflow.inference.variances.COLUMNS`. Do slopes differ; do those who start high gain less?
        """
        return variances.slopes(self.fitted, group, term, level)

    def r2(self) -> pd.DataFrame:
        """Nakagawa's marginal and conditional R2 (columns: `mixflow.inference.r2.COLUMNS`)."""
        return r2.r2(self.fitted)

    def analyse(
        self,
        name: str,
        contrasts: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        alpha: float = 0.05,
        **options: Any,
    ) -> pd.DataFrame:
        """An analysis as a config's ``analyses`` has it (docs/analyses.md), e.g. ``analyse("moderated")``.

        ``contrasts``: those that it looks at, as in `contrast`; ``options``: the analysis's own.
        """
        asked = [c for key, entry in (contrasts or {}).items() for c in self._words(key, entry)]
        return analyse(self._subject(asked, alpha), name, options)

    def _subject(self, contrasts: Sequence[Contrast], alpha: float) -> Subject:
        return subject_of(self.fitted, contrasts, self.df, alpha)

    def save(self, path: str | Path) -> Path:
        """Write the fit as a store with the one group ``fits/model``."""
        group = fits.to_dataset(self.model)
        return zarr_io.write(xr.DataTree.from_dict({"fits/model": group}), Path(path))

    def __repr__(self) -> str:
        fit = self.model
        kind = "REML" if fit.reml else "ML"
        done = f"{int(fit.fitted.sum())} of {len(fit.status)} features fitted"
        return f"<mixflow fit by {kind}: {fit.formula}; {done}>\n{self.coefficients}"

    def _words(self, name: str, entry: Mapping[str, Any]) -> list[Contrast]:
        weights = set(entry) <= set(self.design.coef_names)
        numbers = all(isinstance(value, int | float) for value in entry.values())
        if weights and numbers:
            return words.from_weights({name: entry}, self.design)
        return words.build({name: entry}, self.design)

    def terms(self, type: int = 3, df: str | None = None) -> pd.DataFrame:
        """F tests of the fixed part's terms: type 1 (in order), 2 (as if later ones were absent) or 3."""
        return term_tests(self.model, self.design, type, df or self.df, self.fitted.observed)

    def _table(
        self, contrasts: list[Contrast], label: str, adjust: str = "within", df: str | None = None
    ) -> pd.DataFrame:
        found = test(self.model, contrasts, adjust=adjust, df=df or self.df, design=self.design)
        rows = []
        for kind, names, prefix in (("t", TIDY, ""), ("F", TIDY, "f_")):
            of_kind = [c for c in contrasts if c.kind == kind]
            rows += [self._rows(found, c, i, label, names, prefix) for i, c in enumerate(of_kind)]
        return _by_feature(rows, self.model.feature_ids)

    def _rows(
        self,
        found: dict[str, np.ndarray],
        c: Contrast,
        i: int,
        label: str,
        names: tuple[str, ...],
        prefix: str,
    ) -> pd.DataFrame:
        row: dict[str, Any] = {"feature": self.model.feature_ids, label: c.name}
        if prefix:
            row["df_num"] = found["f_df1"][:, i]
        for name in names:
            source = "f_df2" if prefix and name == "df" else prefix + name
            row[name] = found[source][:, i] if source in found else np.nan
        row["status"] = [MEANING[Status(s)].label for s in found[prefix + "status"][:, i]]
        return pd.DataFrame(row)

    def _series(self, values: Any, name: str) -> pd.Series:
        return pd.Series(values, index=pd.Index(self.model.feature_ids, name="feature"), name=name)


def _by_feature(rows: list[pd.DataFrame], ids: np.ndarray) -> pd.DataFrame:
    """Tables of one row a feature, interleaved so that a feature's rows stand together."""
    n = len(ids)
    order = np.arange(len(rows) * n).reshape(len(rows), n).T.ravel()
    return pd.concat(rows, ignore_index=True).iloc[order].reset_index(drop=True)
