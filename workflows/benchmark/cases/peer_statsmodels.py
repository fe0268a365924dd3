"""statsmodels' MixedLM on a case with one random intercept.

peer_statsmodels.py FOLDER formula count repetitions cores seed OUT
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels
from statsmodels.formula.api import mixedlm


def fit(task: tuple[pd.DataFrame, np.ndarray, str]) -> bool:
    """One feature; whether it could be fitted."""
    sheet, y, fixed = task
    data = sheet.assign(y=y)[np.isfinite(y)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            mixedlm("y " + fixed, data, groups=data["group"]).fit(reml=True).summary()
        except np.linalg.LinAlgError:
            return False
    return True


def main(folder: str, formula: str, count: str, repetitions: str, cores: str, seed: str, out: str) -> None:
    """Time the repetitions, other features each time."""
    sheet = pd.read_csv(Path(folder) / "rows.csv")
    values = np.fromfile(Path(folder) / "values.f64", "<f8").reshape(-1, len(sheet))
    order = np.random.default_rng(int(seed)).permutation(len(values))
    fixed, size, runs = formula.split(" + (")[0], int(count), []
    with multiprocessing.get_context("fork").Pool(int(cores)) as pool:
        pool.map(fit, [(sheet, values[0], fixed)] * int(cores))
        for r in range(int(repetitions)):
            rows = order[np.arange(r * size, (r + 1) * size) % len(order)]
            start = time.perf_counter()
            fine = pool.map(fit, [(sheet, values[i], fixed) for i in rows], chunksize=4)
            runs.append(
                {"seconds": time.perf_counter() - start, "features": size, "failed": fine.count(False)}
            )
    report = {
        "peer": "statsmodels",
        "package": "statsmodels",
        "version": statsmodels.__version__,
        "runs": runs,
    }
    Path(out).write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
