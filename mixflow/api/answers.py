"""What a generalised result answers beyond its coefficients: predictions, means on both scales, simulations, checks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from mixflow.api.means import MarginalMeans
from mixflow.api.result import Result
from mixflow.derived import Subject
from mixflow.inference import families, family_prediction, family_r2, residual_checks
from mixflow.inference.contrasts import Contrast
from mixflow.inference.family_mean_tests import family_mean_contrasts, family_means
from mixflow.inference.family_simulate import simulate
from mixflow.inference.generalised import FittedFamily


@dataclass(frozen=True, eq=False)
class FamilyMeans(MarginalMeans):
    """Means on the link scale and on that of the response; ``offset`` as `family_means` has it."""

    outcome: FittedFamily
    offset: float | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row for each feature and level (or combination of levels), on both scales."""
        name = self.factors if isinstance(self.factors, str) else ":".join(self.factors)
        found = family_means(self.outcome, self.factors, self.at, self.offset)
        return found.rename(columns={"name": name})

    def contrast(self, method: str | Sequence[str], adjust: str = "none") -> pd.DataFrame:
        """Contrasts by emmeans' words on the link scale, and as rate or odds ratios."""
        found = family_mean_contrasts(
            self.model,
            self.design,
            self.outcome.family,
            self.factors,
            method,
            at=self.at,
            adjust=adjust,
        )
        return found.rename(columns={"name": "contrast"})


class Answers(Result):
    """Methods of a generalised result that stand on its `outcome`."""

    @property
    @abstractmethod
    def outcome(self) -> FittedFamily:
        """The fit beside all that made it."""

    def means(
        self,
        factors: str | Sequence[str],
        at: Mapping[str, Any] | None = None,
        offset: float | None = None,
    ) -> FamilyMeans:
        """Estimated marginal means on the link scale and on that of the response (rates, probabilities).

        Other factors weigh equally, numbers stand at their mean or where ``at`` puts them. The offset stands at
        the means of its variables; ``offset=0`` gives rates per unit of exposure. `pairs` gives ratios too.
        """
        return FamilyMeans(self.model, self.design, factors, dict(at or {}), self.df, self.outcome, offset)

    def predict(
        self,
        new_data: pd.DataFrame | None = None,
        std_error: bool = False,
        groups: str = "known",
        level: float = 0.95,
        *,
        type: str = "response",
    ) -> pd.DataFrame:
        """Predicted values: features in rows, or a tidy table with ``std_error`` and limits.

        ``type``: ``response`` (mean, zero inflation counted in; probabilities of the categories of a cumulative
        model) or ``link``. ``groups``: ``known`` (conditional modes of known levels, 0 for new ones), ``none``
        (u = 0) or ``average`` (population-averaged). See `mixflow.inference.family_prediction.predict`.
        """
        found = family_prediction.predict(
            self.outcome, new_data, type=type, groups=groups, std_error=std_error, level=level
        )
        if std_error:
            return family_prediction.table(self.outcome, found)
        wide = found.estimate.reshape(len(found.estimate), -1)
        labels = found.labels
        if len(found.names) > 1:
            labels = pd.MultiIndex.from_product([labels, found.names], names=["row", "category"])
        return pd.DataFrame(wide, index=pd.Index(self.model.feature_ids, name="feature"), columns=labels)

    def simulate(self, seed: int, replicates: int = 1, conditional: bool = False) -> pd.DataFrame:
        """New outcomes from the fit: rows (feature, replicate), columns the samples; successes of a binomial.

        Random effects are drawn afresh; ``conditional`` keeps them at their modes.
        """
        drawn = simulate(self.outcome, seed, replicates, conditional=conditional)[..., 0]
        names = ["feature", "replicate"]
        rows = pd.MultiIndex.from_product([self.model.feature_ids, range(replicates)], names=names)
        return pd.DataFrame(drawn.reshape(len(rows), -1), index=rows, columns=list(self.design.frame.index))

    def quantile_residuals(self, simulations: int = 250, seed: int = 1) -> pd.DataFrame:
        """Randomised quantile residuals (features in rows), uniform on (0, 1) where the model holds."""
        found = residual_checks.quantile_residuals(self.outcome, simulations, seed)
        index = pd.Index(self.model.feature_ids, name="feature")
        return pd.DataFrame(found, index=index, columns=list(self.design.frame.index))

    def residual_checks(self, simulations: int = 100, seed: int = 1) -> pd.DataFrame:
        """Tests of distribution, dispersion, zeros and outliers (`mixflow.inference.residual_checks.COLUMNS`)."""
        return residual_checks.residual_checks(self.outcome, simulations, seed)

    def families(self, among: Sequence[str], zi: bool = False) -> pd.DataFrame:
        """The model by other families too, compared by AIC (`mixflow.inference.families.COLUMNS`)."""
        return families.among(self.outcome, among, zi)

    def r2(self) -> pd.DataFrame:
        """Nakagawa's marginal and conditional R2 on the latent scale (`mixflow.inference.family_r2.COLUMNS`)."""
        return family_r2.r2(self.outcome)

    def _subject(self, contrasts: Sequence[Contrast], alpha: float) -> Subject:
        asked, seen = tuple(contrasts), self.outcome
        return Subject(self.model, self.design, self.values, asked, "z", alpha, generalised=seen)


def compare_families(
    formula: str, data: Any, families: Sequence[str], *, zi: bool = False, **options: Any
) -> pd.DataFrame:
    """The same model by several families, compared by AIC for every feature (`inference.families.COLUMNS`).

    ``zi``: each also with zero inflation, where it takes any. ``options``: of `mixflow.fit`. E.g.
    ``compare_families("~ arm + offset(log(reads)) + (1 | subject)", store, ["poisson", "nbinom2"])``.
    """
    from mixflow.api.fitting import fit  # fitting stands on results, and so on this module

    first = fit(formula, data, family=families[0], **options)
    assert isinstance(first, Answers)
    return first.families(families, zi)
