"""What the compiled iteration may not contain, and that it does not hang."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from mixflow.backend import jax, jnp
from mixflow.design import build
from mixflow.design.observed import observe
from mixflow.formula import parse
from mixflow.likelihood.exact import Gram
from mixflow.optimise import mapped
from mixflow.optimise.newton import fresh
from mixflow.optimise.prepare import prepare
from tests.optimise.jaxprs import LAPACK, equations_of

N_SAMPLES = 97  # a number that nothing else in the model has


def _kernels() -> Iterator[jax.extend.core.ClosedJaxpr]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=N_SAMPLES)})
    frame["a"] = pd.Categorical([f"a{i}" for i in rng.integers(0, 11, N_SAMPLES)])
    frame["b"] = pd.Categorical([f"b{i}" for i in rng.integers(0, 5, N_SAMPLES)])
    design = build(parse("~ x + (x | a) + (1 | b)"), frame)
    prepared = prepare(design, True)
    y = rng.normal(size=(3, N_SAMPLES))
    arrays = prepared.builder.build(y, observe(y, design.Q, design.R, None))
    gram = Gram(*arrays[:4])
    state = fresh(prepared.layout, np.tile(prepared.layout.start, (3, 1)))
    yield jax.make_jaxpr(mapped._compiled(mapped._advance, prepared.layout))(gram, (state, np.full(3, 6)))
    yield jax.make_jaxpr(mapped._compiled(mapped.summarise, prepared.layout))(gram, state.theta)


def test_no_lapack_and_no_array_as_long_as_the_samples() -> None:
    for kernel in _kernels():
        equations = list(equations_of(kernel.jaxpr))
        assert len(equations) > 100
        assert not {e.primitive.name for e in equations} & LAPACK
        shapes = {n for e in equations for v in e.outvars for n in getattr(v.aval, "shape", ())}
        assert N_SAMPLES not in shapes


def test_float64_throughout() -> None:
    assert jnp.ones(1).dtype == np.float64
    for kernel in _kernels():
        kinds = {
            str(v.aval.dtype)
            for e in equations_of(kernel.jaxpr)
            for v in e.outvars
            if hasattr(v.aval, "dtype")
        }
        assert "float32" not in kinds


@pytest.mark.timeout(240)
def test_two_thousand_features_do_not_deadlock() -> None:
    """jaxlib 0.10 hangs on batched LAPACK calls of one graph; a hang here fails by its time limit."""
    code = (
        "import numpy as np, pandas as pd\n"
        "from mixflow.api import fit_values\n"
        "rng = np.random.default_rng(0)\n"
        "frame = pd.DataFrame({'g': pd.Categorical([f'g{i % 30}' for i in range(120)])})\n"
        "for _ in range(5):\n"
        "    fit = fit_values(rng.normal(size=(2000, 120)), frame, '~ 1 + (1 | g)')\n"
        "assert fit.fitted.all()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
