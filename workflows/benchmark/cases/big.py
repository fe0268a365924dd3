"""Big things, each in a process of its own: big.py WHAT CONFIG OUT, WHAT one of insteval, million, stream, warm."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))
import machine

INSTEVAL = Path("../shared/data/classic/InstEval__lme4.csv.gz")
INSTEVAL_FORMULA = "y ~ C(service) + (1 | s) + (1 | d) + (1 | dept:service)"


def main(what: str, config_file: str, out: str) -> None:
    """Measure one of them and write what was seen."""
    config = yaml.safe_load(Path(config_file).read_text())
    machine.pin(config["cores"], blas_threads=config["cores"])
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str((Path(config["work"]) / "jax-cache").resolve())
    work = Path(config["work"]) / "big"
    work.mkdir(parents=True, exist_ok=True)
    before = machine.load()
    measured = {"insteval": insteval, "million": million, "stream": stream, "warm": warm}[what]
    report = measured(work, config["seed"])
    own, children = machine.peak_mb(), machine.peak_mb(resource.RUSAGE_CHILDREN)
    report |= {"peak_mb": max(own, children), "load": [before, machine.load()]}
    Path(out).write_text(json.dumps(report))


def one(formula: str, frame: pd.DataFrame) -> dict[str, Any]:
    """Seconds and answer of one fit by `mixflow.fit` with its table of coefficients."""
    import mixflow

    start = time.perf_counter()
    fit = mixflow.fit(formula, frame)
    fit.coefficients  # noqa: B018 -- the tests are part of what is timed
    seconds = time.perf_counter() - start
    variances = fit.variance_components.set_index("group")["variance"].to_dict()
    return {
        "seconds": seconds,
        "rows": len(frame),
        "loglik": float(fit.loglik.iloc[0]),
        "variances": variances,
        "evaluations": int(fit.model.iterations[0]),
        "status": str(fit.status.iloc[0]),
    }


def insteval(work: Path, seed: int) -> dict[str, Any]:
    """73,421 ratings, students and lecturers crossed."""
    return one(INSTEVAL_FORMULA, pd.read_csv(INSTEVAL))


def million(work: Path, seed: int) -> dict[str, Any]:
    """1,000,000 rows with three crossed factors of 50,000, 2,000 and 200 levels; the truth is known."""
    rng = np.random.default_rng(seed)
    n, levels, sds = 1_000_000, (50_000, 2_000, 200), (0.5, 0.7, 0.3)
    frame = pd.DataFrame({name: rng.integers(0, q, n) for name, q in zip("abc", levels, strict=True)})
    frame["x"] = rng.normal(size=n)
    y = 1.0 + 0.2 * frame["x"].to_numpy() + rng.normal(size=n)
    for name, q, sd in zip("abc", levels, sds, strict=True):
        y += sd * rng.normal(size=q)[frame[name]]
    frame["y"] = y
    truth = {name: sd**2 for name, sd in zip("abc", sds, strict=True)} | {"Residual": 1.0}
    return one("y ~ x + (1 | a) + (1 | b) + (1 | c)", frame) | {"truth": truth}


def stream(work: Path, seed: int) -> dict[str, Any]:
    """100,000 features x 200 samples from Zarr, fitted in shards of whole chunks, beside 10,000 of them."""
    import streaming

    return streaming.measure(work, seed)


def warm(work: Path, seed: int) -> dict[str, Any]:
    """Seconds from the start of a process to the first fits of a shard, compilation cached; the second run."""
    import subprocess

    code = (
        "import time, numpy as np, pandas as pd\n"
        "from mixflow.api import fit_values\n"
        "from mixflow.store import zarr_io\n"
        "n = 120; frame = pd.DataFrame({'x': np.arange(n) % 2.0, 'g': np.arange(n) // 4})\n"
        "y = np.random.default_rng(0).normal(size=(512, n))\n"
        "fit = fit_values(y, frame, '~ x + (1 | g)'); print(int(fit.fitted.sum()))\n"
    )
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - start)
    return {"seconds": float(np.median(seconds[1:])), "first": seconds[0], "features": 512}


if __name__ == "__main__":
    main(*sys.argv[1:])
