"""Confidence intervals of variance components, correlations and coefficients, as an analysis."""

from __future__ import annotations

import pandas as pd

from mixflow.derived.analysis import Analysis, Subject, register
from mixflow.inference.intervals import METHODS, confint
from mixflow.inference.quantities import COLUMNS


def run(
    subject: Subject, *, method: str = "profile", level: float = 0.95, replicates: int = 500, seed: int = 1
) -> pd.DataFrame:
    """Limits of every quantity of every feature."""
    fitted = subject.generalised or subject.fitted
    return confint(fitted, method, level, replicates=replicates, seed=seed, df=subject.df)


register(
    Analysis(
        name="intervals",
        title="Confidence intervals of variance components and coefficients",
        purpose="Shows for every feature how well its standard deviations, correlations and effects are known.",
        help=(
            "Profile limits are those values at which twice the log-likelihood (maximum likelihood, as R's lme4) "
            "has fallen by the chi-squared quantile; zero is the lower limit of a standard deviation where the "
            "likelihood never falls so far. Bootstrap limits are quantiles of the estimates from values "
            "simulated with the fitted model. Wald limits rest on standard errors and are poor for variances "
            "of few groups."
        ),
        run=run,
        options={
            "method": {"enum": list(METHODS), "description": "profile (default), bootstrap or wald."},
            "level": {
                "type": "number",
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 1,
                "description": "Confidence level, 0.95 by default.",
            },
            "replicates": {
                "type": "integer",
                "minimum": 20,
                "description": "Simulated data sets of each feature (bootstrap), 500 by default.",
            },
            "seed": {
                "type": "integer",
                "minimum": 0,
                "description": "Seed of the bootstrap, the study's by default.",
                "where": {"method": "bootstrap"},
            },
        },
        columns=COLUMNS
        | {
            "replicates": "bootstrap: simulated data sets",
            "failed": "bootstrap: those without an estimate",
        },
        models=("gaussian", "generalised"),
    )
)
