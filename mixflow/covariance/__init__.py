"""theta -> Cholesky factor: one file a structure; knows nothing of y."""

from mixflow.covariance.base import Covariance
from mixflow.covariance.diagonal import Diagonal
from mixflow.covariance.identity import Identity
from mixflow.covariance.unstructured import Unstructured

STRUCTURES: dict[str, type[Covariance]] = {"us": Unstructured, "diag": Diagonal}

__all__ = ["STRUCTURES", "Covariance", "Diagonal", "Identity", "Unstructured"]
