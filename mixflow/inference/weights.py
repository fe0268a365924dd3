"""Prior weights and known variances named by a column."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.design import Design
from mixflow.errors import MixflowError, Problem


def prior_weights(frame: pd.DataFrame, name: str | None, design: Design) -> np.ndarray | None:
    """Column ``name`` of weights for the rows of the design (n,); None without a name."""
    if name is None:
        return None
    if name not in frame:
        remedy = f"Columns: {', '.join(map(str, frame.columns))}."
        raise MixflowError(Problem("There is no such column of weights", column=name, remedy=remedy))
    weights = pd.to_numeric(frame[name]).to_numpy(dtype=float)[design.rows]
    bad = np.flatnonzero(~(weights >= 0) | ~np.isfinite(weights))
    if len(bad):
        raise MixflowError(
            Problem(
                f"A weight must be a number of at least 0 (sample {design.labels[bad[0]]})",
                column=name,
                value=float(weights[bad[0]]),
                remedy="Use 0 to leave a row out.",
            )
        )
    return weights


def inverse_variances(frame: pd.DataFrame, name: str, design: Design) -> np.ndarray:
    """Weights (n,) that are the inverses of the known variances in column ``name``, for the design's rows."""
    variances = prior_weights(frame, name, design)
    assert variances is not None
    if (variances == 0).any():
        label = design.labels[int(np.flatnonzero(variances == 0)[0])]
        remedy = "Leave the row out, or give its variance."
        raise MixflowError(
            Problem(f"A known variance must be positive (row {label})", column=name, value=0, remedy=remedy)
        )
    return 1.0 / variances
