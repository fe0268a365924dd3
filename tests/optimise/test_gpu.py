"""Fits on an NVIDIA card are those of the processor within a stated tolerance (docs/clusters.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.backend import jax
from mixflow.design import build
from mixflow.formula import parse
from mixflow.optimise.fitting import fit_features


def cards() -> list:
    try:
        return jax.devices("gpu")
    except RuntimeError:
        return []


@pytest.mark.skipif(
    not cards(), reason="no NVIDIA card with jax[cuda12] here: GPU and processor are not compared"
)
def test_fits_on_a_card_are_those_of_the_processor() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"x": rng.normal(size=60), "g": np.repeat(list("abcdefghijkl"), 5)})
    values = rng.normal(size=(300, 12))[:, np.repeat(np.arange(12), 5)] + rng.normal(size=(300, 60))
    design = build(parse("~ x + (1 | g)"), frame)
    ids = [f"f{i}" for i in range(300)]
    found = []
    for device in (jax.devices("cpu")[0], cards()[0]):
        with jax.default_device(device):
            found.append(fit_features(design, values, ids))
    cpu, gpu = found
    error = np.sqrt(np.einsum("fii->fi", cpu.beta_cov))
    assert (np.abs(gpu.beta - cpu.beta) <= 1e-6 * error).all()
    np.testing.assert_array_equal(gpu.status, cpu.status)
    np.testing.assert_allclose(gpu.loglik, cpu.loglik, rtol=1e-8)
