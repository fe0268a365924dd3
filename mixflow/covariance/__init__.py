"""theta -> Cholesky factor: one file a structure; knows nothing of y."""

from mixflow.covariance.base import Covariance
from mixflow.covariance.combination import Combination, Neighbours, Spread
from mixflow.covariance.correlation import (
    AR1,
    CompoundSymmetry,
    Correlation,
    OrnsteinUhlenbeck,
    UnstructuredByVisit,
)
from mixflow.covariance.diagonal import Diagonal
from mixflow.covariance.homogeneous import Homogeneous
from mixflow.covariance.identity import Identity
from mixflow.covariance.known import Known
from mixflow.covariance.pooled import Pooled
from mixflow.covariance.residual import Residual
from mixflow.covariance.structured import Structured
from mixflow.covariance.unstructured import Unstructured

STRUCTURES: dict[str, type[Covariance]] = {"us": Unstructured, "diag": Diagonal}

__all__ = [
    "AR1",
    "STRUCTURES",
    "Combination",
    "CompoundSymmetry",
    "Correlation",
    "Covariance",
    "Diagonal",
    "Homogeneous",
    "Identity",
    "Known",
    "Neighbours",
    "OrnsteinUhlenbeck",
    "Pooled",
    "Residual",
    "Spread",
    "Structured",
    "Unstructured",
    "UnstructuredByVisit",
]
