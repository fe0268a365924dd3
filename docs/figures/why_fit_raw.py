"""How often true null hypotheses are rejected when harmonised values are fitted (docs/why-fit-raw.md).

Run in the project's folder: python docs/figures/why_fit_raw.py
Writes why_fit_raw.csv and why_fit_raw.svg beside itself and prints the table. Takes about ten seconds.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from mixflow.harmonise import combat

HERE = Path(__file__).parent
SEED, STUDIES, FEATURES, LEVEL = 20261120, 20, 5000, 0.05
DESIGNS = {"balanced (5, 5, 5)": (5, 5, 5), "unbalanced (8, 5, 2)": (8, 5, 2), "more so (9, 5, 1)": (9, 5, 1)}
METHODS = (
    "raw, ~ condition + batch",
    "raw, ~ condition",
    "ComBat keeping condition, ~ condition",
    "ComBat keeping condition, ~ condition + batch",
    "ComBat keeping nothing, ~ condition",
)


def p_values(values: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Two-sided t tests of the second column of X (sample, p) for all rows of values (feature, sample)."""
    Q, R = np.linalg.qr(X)
    beta = np.linalg.solve(R, Q.T @ values.T)
    df = X.shape[0] - X.shape[1]
    variance = ((values.T - X @ beta) ** 2).sum(axis=0) / df * np.linalg.inv(R.T @ R)[1, 1]
    return 2 * stats.t.sf(np.abs(beta[1]) / np.sqrt(variance), df)


def rejected(rng: np.random.Generator, cases: tuple[int, int, int]) -> list[float]:
    """Fraction of null features rejected by each method in one study of three batches of ten samples."""
    batch = np.repeat(range(3), 10)
    condition = np.concatenate([np.arange(10) < n for n in cases]).astype(float)
    values = rng.normal(size=(FEATURES, 30)) + rng.normal(size=(FEATURES, 3))[:, batch]
    labels, keep = pd.Series(batch, name="batch"), pd.DataFrame({"condition": condition})
    kept, plain = combat(values, labels, keep).values, combat(values, labels).values
    alone = np.column_stack([np.ones(30), condition])
    with_batch = np.column_stack([alone, np.eye(3)[batch][:, 1:]])
    pairs = ((values, with_batch), (values, alone), (kept, alone), (kept, with_batch), (plain, alone))
    return [float((p_values(y, X) < LEVEL).mean()) for y, X in pairs]


def simulate() -> pd.DataFrame:
    """Rejections in percent, and their standard error over studies, for each design and method."""
    rows = []
    for number, (design, cases) in enumerate(DESIGNS.items()):
        rng = np.random.default_rng([SEED, number])
        rates = 100 * np.array([rejected(rng, cases) for _ in range(STUDIES)])
        error = rates.std(axis=0, ddof=1) / np.sqrt(STUDIES)
        rows += [
            (design, m, round(r, 1), round(e, 2))
            for m, r, e in zip(METHODS, rates.mean(axis=0).tolist(), error.tolist(), strict=True)
        ]
    return pd.DataFrame(
        rows, columns=["cases in batches 1-3", "analysis", "rejected_percent", "standard_error"]
    )


def draw(table: pd.DataFrame) -> Figure:
    """One row for each analysis, one mark for each design, a line at the level of the test."""
    mpl.rcParams.update({"svg.hashsalt": "mixflow", "svg.fonttype": "none", "font.size": 8})
    figure = Figure(figsize=(6.0, 2.4), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(100 * LEVEL, color="0.5", lw=1)
    for (design, part), mark, colour in zip(
        table.groupby("cases in batches 1-3", sort=False),
        "osD",
        ("#4477AA", "#CC6677", "#AA3377"),
        strict=True,
    ):
        axes.plot(part["rejected_percent"], range(len(METHODS)), mark, color=colour, label=design)
    axes.set_yticks(range(len(METHODS)), METHODS)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("true null hypotheses rejected at the 5 % level (%)")
    axes.legend(title="cases in three batches of 10", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Write the table and the figure, print the table."""
    table = simulate()
    table.to_csv(HERE / "why_fit_raw.csv", index=False)
    draw(table).savefig(HERE / "why_fit_raw.svg", metadata={"Date": None})
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
