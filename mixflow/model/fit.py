"""What a fit leaves behind: enough for every later test, so that a new contrast never refits."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mixflow.status import FITTED

CANCELLED = 1e-8
"""A sum smaller than this share of the sizes of its terms is zero."""


@dataclass(frozen=True)
class KenwardRoger:
    """What Kenward and Roger's tests need; r variance parameters (natural ones: variances, covariances).

    ``cov``: adjusted covariance of beta; ``P``: X' dV^-1/dgamma X in the coordinates of beta; ``W``: covariance
    of the variance parameters from the expected information (Kenward and Roger 1997, Biometrics 53:983).
    """

    cov: np.ndarray  # (N, p, p)
    P: np.ndarray  # (N, r, p, p)
    W: np.ndarray  # (N, r, r)


@dataclass(frozen=True)
class Fit:
    """Estimates of one model for N features, p coefficients, q variance parameters; arrays on the host.

    ``solution`` is one solution of the normal equations for every coefficient; ``beta`` is the same with
    NaN where the coefficient is not estimable. A contrast L is estimable iff ``L null_space`` is zero.
    Covariance parameters are ``par`` = (theta, sigma), theta the relative Cholesky factor as in lme4.
    """

    feature_ids: np.ndarray
    formula: str
    reml: bool
    coef_names: tuple[str, ...]
    theta_names: tuple[str, ...]
    groups: tuple[str, ...]
    components: tuple[tuple[str, str, str], ...]
    effect_names: dict[str, tuple[tuple[str, str], ...]]

    solution: np.ndarray  # (N, p)
    beta_cov: np.ndarray  # (N, p, p)
    beta_cov_deriv: np.ndarray  # (N, q + 1, p, p)
    par_cov: np.ndarray  # (N, q + 1, q + 1)
    null_space: np.ndarray  # (N, p, p)
    theta: np.ndarray  # (N, q)
    sigma: np.ndarray  # (N,)
    loglik: np.ndarray  # (N,)
    status: np.ndarray  # (N,) int8
    n_obs: np.ndarray  # (N,) int32
    rank: np.ndarray  # (N,) int32
    n_levels: np.ndarray  # (N, groups) int32
    iterations: np.ndarray  # (N,) int32
    variance: np.ndarray  # (N, components)
    share: np.ndarray  # (N, components)
    modes: dict[str, np.ndarray] = field(default_factory=dict)  # group -> (N, effects)
    mode_sds: dict[str, np.ndarray] = field(default_factory=dict)
    kr: KenwardRoger | None = None
    structure_names: tuple[str, ...] = ()  # natural parameters of structured covariances: rho, sd ratios
    structure: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (N, len(structure_names))
    sigma_known: bool = False
    n_unseen: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    """(N,) parameters of the residual side of which no row of the feature speaks; of length 0: none anywhere."""
    family: str = "gaussian"
    link: str = "identity"
    nodes: int = 1  # of the quadrature; 1 is Laplace's approximation, or exact
    more_names: tuple[
        tuple[str, str], ...
    ] = ()  # (predictor, name) of coefficients beside mu, the family's own
    more: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # (N, len(more_names))
    more_cov: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    more_rank: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))  # (N,) how many are free
    free: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    """(N, o) the family's own parameters on the scale on which they are free."""
    nodes_of_feature: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    """(N,) points of the quadrature by feature, 1 for Laplace; of length 0 where the likelihood is exact."""
    joint_cov: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))
    """(N, P, P) of (beta of all predictors, theta, free) of a generalised model, for what hangs on several."""

    @property
    def beta(self) -> np.ndarray:
        """Coefficients, NaN where not estimable. (N, p)."""
        return np.where(self.estimable, self.solution, np.nan)

    @property
    def estimable(self) -> np.ndarray:
        """Which coefficients each feature's own rows can estimate. Bool (N, p)."""
        return ~(self.null_space != 0).any(axis=2)

    def can_estimate(self, rows: np.ndarray) -> np.ndarray:
        """Which combinations l' beta each feature's own rows can estimate: those with l' N = 0.

        ``rows`` (r, p) -> bool (N, r). What is left of a cancellation is judged against its terms, so the
        units of the columns do not matter.
        """
        fine = np.ones((len(self.null_space), len(rows)), dtype=bool)
        for i in np.flatnonzero((self.null_space != 0).any(axis=(1, 2))):
            left = np.abs(rows @ self.null_space[i])
            fine[i] = (left <= CANCELLED * (np.abs(rows) @ np.abs(self.null_space[i]))).all(axis=1)
        return fine

    @property
    def fitted(self) -> np.ndarray:
        """Features whose estimates are numbers. Bool (N,)."""
        return np.isin(self.status, [int(status) for status in FITTED])

    @property
    def n_parameters(self) -> np.ndarray:
        """Free parameters counted by AIC: rank, theta and sigma, less those no row of the feature speaks of. (N,)."""
        unseen = self.n_unseen if len(self.n_unseen) else 0
        more = self.more_rank if len(self.more_rank) else 0
        return self.rank + self.theta.shape[1] + (not self.sigma_known) - unseen + more

    @property
    def aic(self) -> np.ndarray:
        """Akaike's criterion (of the restricted likelihood where REML, as R's AIC of lmer). (N,)."""
        return -2 * self.loglik + 2 * self.n_parameters

    @property
    def bic(self) -> np.ndarray:
        """Schwarz's criterion, with the number of observed values (as R's BIC of lmer). (N,)."""
        return -2 * self.loglik + np.log(np.maximum(self.n_obs, 1)) * self.n_parameters
