"""A small study whose features show every ending: complete, with gaps, singular, and not to be fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.design import Design, build
from mixflow.formula import parse
from mixflow.inference.refit import Fitted, Recipe
from mixflow.optimise.fitting import fit_features

IDS = np.array(["whole", "gaps", "singular", "constant", "one level", "steep"], dtype=object)


def study(n_levels: int = 12, per_level: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    """Frame (x, subject, w) and values (6, n)."""
    rng = np.random.default_rng(11)
    subject = np.repeat(np.arange(n_levels), per_level)
    x = np.tile(np.linspace(-1, 1, per_level), n_levels)
    b = rng.normal(size=(6, n_levels, 2)) * [1.0, 0.8]
    y = 2 + 0.5 * x + b[:, subject, 0] + b[:, subject, 1] * x + rng.normal(size=(6, len(x)))
    y[1, rng.random(len(x)) < 0.25] = np.nan
    y[2] = (2 + 0.5 * x + rng.normal(size=len(x))).round(6)
    for level in range(n_levels):  # no spread between subjects beyond what the residual gives
        y[2, subject == level] -= y[2, subject == level].mean() - 2
    y[3] = 1.0
    y[4, subject > 0] = np.nan
    y[5] += 3 * b[5, subject, 1] * x
    frame = pd.DataFrame({"x": x, "subject": subject.astype(str), "w": rng.uniform(0.5, 2, len(x))})
    return frame, y


def fitted(
    formula: str = "~ x + (x | subject)",
    reml: bool = True,
    features: list[int] | None = None,
    weights: np.ndarray | None = None,
) -> Fitted:
    """The study fitted, or some of its features in the order given."""
    frame, y = study()
    chosen = list(range(len(y))) if features is None else features
    design: Design = build(parse(formula), frame)
    found = fit_features(design, y[chosen], IDS[chosen], reml=reml, weights=weights)
    return Fitted(found, design, y[chosen], Recipe(weights))
