"""What a Fit of a generalised model has beyond a Gaussian one, to and from the group ``fits/<model>``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mixflow.model.fit import Fit

COMPONENT, TERM = "more_component", "more_term"
DIMS: dict[str, tuple[str, ...]] = {
    "more": ("more_par",),
    "more_cov": ("more_par", "more_par_2"),
    "more_rank": (),
    "nodes_of_feature": (),
    "free": ("free_par",),
    "joint_cov": ("joint_par", "joint_par_2"),
}
"""Dims after ``feature``."""


def variables(fit: Fit) -> dict[str, Any]:
    """Coefficients of the predictors beside mu and the family's own parameters; none of a linear mixed model."""
    if not _is(fit):
        return {}
    return {
        name: (
            ("feature", *dims),
            np.asarray(getattr(fit, name), "float64" if dims else "int32"),
        )
        for name, dims in DIMS.items()
    }


def _is(fit: Fit) -> bool:
    return fit.family != "gaussian" or bool(fit.more_names)


def coords(fit: Fit) -> dict[str, Any]:
    """Labels: predictor (or `family`) and name of each of ``more``, the names of all parameters jointly."""
    if not _is(fit):
        return {}
    more = [f"{component}: {name}" for component, name in fit.more_names]
    free = [f"free {k + 1}" for k in range(fit.free.shape[1])]
    beside = [
        label for label, (component, _) in zip(more, fit.more_names, strict=True) if component != "family"
    ]
    joint = [*(f"mu: {name}" for name in fit.coef_names), *beside, *fit.theta_names, *free]
    labels = {
        "more_par": more,
        "more_par_2": more,
        "free_par": free,
        "joint_par": joint,
        "joint_par_2": joint,
    }
    return {
        **{dim: (dim, _text(names)) for dim, names in labels.items()},
        COMPONENT: ("more_par", _text([component for component, _ in fit.more_names])),
        TERM: ("more_par", _text([name for _, name in fit.more_names])),
    }


def attributes(fit: Fit) -> dict[str, Any]:
    """Family, link of mu, and points of the quadrature."""
    return {"family": fit.family, "link": fit.link, "nodes": fit.nodes}


def fields(group: xr.Dataset) -> dict[str, Any]:
    """The arguments of a Fit that `variables`, `coords` and `attributes` were made from."""
    found: dict[str, Any] = {
        "family": str(group.attrs.get("family", "gaussian")),
        "link": str(group.attrs.get("link", "identity")),
        "nodes": int(group.attrs.get("nodes", 1)),
    }
    if "more" not in group:
        return found
    names = zip(group[COMPONENT].values, group[TERM].values, strict=True)
    found["more_names"] = tuple((str(component), str(name)) for component, name in names)
    return found | {name: group[name].values for name in DIMS}


def _text(labels: Sequence[str]) -> np.ndarray:
    return np.array(labels, dtype=object)
