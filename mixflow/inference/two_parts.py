"""One p for two models of the same features: how much there is, and whether there is any.

As MaAsLin 3 joins abundance and prevalence (Nickols and others 2024; `add_joint_signif` in its package): the smaller
of two independent p-values is Beta(1, 2) under the null, so p = 1 - (1 - min p)^2; where one part has no p, the
other's stands alone.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mixflow.inference.multiplicity import benjamini_hochberg

KEYS = ["feature", "contrast"]
OWN, OTHER = "own", "other"


def joint_p(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """P of the smaller of two independent p-values; that of one where the other is NaN."""
    smaller = np.fmin(first, second)
    # 1 - (1 - p)^2 without cancellation
    joint = smaller * (2.0 - smaller)
    alone = np.isnan(first) | np.isnan(second)
    return np.where(alone, smaller, joint)


def joined(own: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """Tests of two models side by side, by feature and contrast; those of ``own`` in their order.

    Both have the columns feature, contrast, estimate, p_value; the result also estimate_other, p_other, p_joint,
    q_joint (Benjamini-Hochberg over features, for each contrast) and ``leading``: which model has the smaller p.
    """
    right = other[[*KEYS, "estimate", "p_value"]].rename(
        columns={"estimate": "estimate_other", "p_value": "p_other"}
    )
    table = own[[*KEYS, "estimate", "p_value"]].rename(
        columns={"estimate": "estimate_own", "p_value": "p_own"}
    )
    table = table.merge(right, on=KEYS, how="left", validate="one_to_one")
    first, second = table["p_own"].to_numpy(float), table["p_other"].to_numpy(float)
    table["p_value"] = joint_p(first, second)
    table["q_value"] = np.nan
    for _, place in table.groupby("contrast", sort=False).indices.items():
        table.loc[place, "q_value"] = benjamini_hochberg(table["p_value"].to_numpy(float)[place])
    leads = np.where(np.isnan(second) | (first <= second), OWN, OTHER)
    table["leading"] = np.where(np.isnan(table["p_value"]), "", leads)
    return table
