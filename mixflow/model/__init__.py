"""What is fitted (Model, RandomEffect) and what comes out (Fit); knows nothing of how."""

from mixflow.model.fit import Fit, KenwardRoger
from mixflow.model.model import Model, RandomEffect

__all__ = ["Fit", "KenwardRoger", "Model", "RandomEffect"]
