"""Points by feature: what makes a feature need quadrature, and that its neighbours have no say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mixflow.design import build
from mixflow.errors import MixflowError
from mixflow.family import named
from mixflow.formula import parse
from mixflow.optimise.generalised import fit_generalised
from mixflow.optimise.glmm_nodes import shift


def test_a_shift_is_counted_in_standard_errors():
    hessian = np.array([np.diag([8.0, 2.0]), np.diag([8.0, 1e-9]), np.full((2, 2), np.nan)])
    gradient = np.array([[4.0, 0.5], [0.0, 5.0], [0.0, 0.0]])
    # Newton's steps 0.5 and 0.25 over errors sqrt(2 / 8) and 1; a flat direction has no error to move by
    np.testing.assert_allclose(shift(hessian, gradient), [1.0, 0.0, 0.0])


def _features() -> tuple[pd.DataFrame, np.ndarray]:
    """Yes/no with a large variance of the groups, then counts of 40 trials with a small one, then yes/no again."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(30), 5)
    table = pd.DataFrame({"g": g.astype(str), "x": rng.normal(size=len(g))})
    found = []
    for trials, sd in ((1, 4.0), (40, 0.4), (1, 4.0)):
        p = 1 / (1 + np.exp(-(0.3 * table["x"] + sd * rng.normal(size=30)[g])))
        yes = rng.binomial(trials, p).astype(float)
        found.append(np.stack([yes, trials - yes], axis=-1))
    return table, np.array(found)


@pytest.mark.grid
def test_only_features_that_need_it_get_points_whatever_stands_beside_them():
    table, y = _features()
    designs = {"mu": build(parse("~ x + (1 | g)"), table)}
    ids = np.array(["large", "small", "large again"])
    whole = fit_generalised(designs, named("binomial"), y, ids, nodes="auto")
    assert whole.nodes_of_feature[1] == 1
    assert (whole.nodes_of_feature[[0, 2]] > 1).all()  # as many as each needs, 25 and 9 here
    alone = fit_generalised(designs, named("binomial"), y[[0]], ids[[0]], nodes="auto")
    assert alone.nodes_of_feature[0] == whole.nodes_of_feature[0]
    for name in ("solution", "theta", "loglik", "beta_cov"):
        np.testing.assert_array_equal(getattr(alone, name)[0], getattr(whole, name)[0])
    again = fit_generalised(designs, named("binomial"), y, ids, nodes=whole.nodes_of_feature)
    np.testing.assert_allclose(again.loglik, whole.loglik, atol=1e-5)
    np.testing.assert_allclose(again.solution, whole.solution, atol=1e-4)


def test_points_for_crossed_groups_are_refused():
    table, y = _features()
    designs = {
        "mu": build(parse("~ (1 | g) + (1 | h)"), table.assign(h=[str(i % 4) for i in range(len(table))]))
    }
    with pytest.raises(MixflowError, match="one grouping factor"):
        fit_generalised(designs, named("binomial"), y, np.array(["a", "b", "c"]), nodes=np.array([1, 9, 1]))
