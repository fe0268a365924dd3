"""What is fitted (Model, RandomEffect, Layout) and what comes out (Fit); knows nothing of how."""

from mixflow.model.fit import Fit
from mixflow.model.layout import GroupBlock, Layout
from mixflow.model.model import Model, RandomEffect

__all__ = ["Fit", "GroupBlock", "Layout", "Model", "RandomEffect"]
