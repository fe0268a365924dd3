"""A Fit to and from the group ``fits/<model>``: labels outside, arrays inside, nothing lost on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from mixflow.model.fit import Fit, KenwardRoger
from mixflow.store import generalised, lazy
from mixflow.store.names import encode

DIMS: dict[str, tuple[str, ...]] = {
    "solution": ("coef",),
    "beta_cov": ("coef", "coef_2"),
    "beta_cov_deriv": ("par", "coef", "coef_2"),
    "par_cov": ("par", "par_2"),
    "null_space": ("coef", "coef_2"),
    "theta": ("par_theta",),
    "sigma": (),
    "loglik": (),
    "status": (),
    "n_obs": (),
    "rank": (),
    "n_levels": ("group",),
    "iterations": (),
    "variance": ("component",),
    "share": ("component",),
}
"""Dims after ``feature`` of the arrays of a Fit."""
KR_DIMS = {
    "cov": ("coef", "coef_2"),
    "P": ("vpar", "coef", "coef_2"),
    "W": ("vpar", "vpar_2"),
}
"""Dims after ``feature`` of the arrays of a `KenwardRoger`; variables are ``kr_cov``, ``kr_p``, ``kr_w``."""
DTYPES = {"status": "int8", "n_obs": "int32", "rank": "int32", "n_levels": "int32", "iterations": "int32"}


def to_dataset(fit: Fit, **attrs: Any) -> xr.Dataset:
    """The dataset of the group ``fits/<model>``; ``attrs`` beside those that make the Fit again."""
    arrays = {name: np.asarray(getattr(fit, name), DTYPES.get(name, "float64")) for name in DIMS}
    variables: dict[str, Any] = {name: (("feature", *DIMS[name]), array) for name, array in arrays.items()}
    variables["beta"] = (("feature", "coef"), np.asarray(fit.beta, "float64"))
    return xr.Dataset(
        {**variables, **_modes(fit), **_kenward_roger(fit), **_structure(fit), **generalised.variables(fit)},
        coords=_coords(fit),
        attrs={
            "formula": fit.formula,
            "reml": fit.reml,
            "sigma_known": fit.sigma_known,
            "effects": json.dumps(fit.effect_names),
            **generalised.attributes(fit),
            **attrs,
        },
    )


def from_dataset(group: xr.Dataset) -> Fit:
    """The Fit that `to_dataset` was given: new contrasts are tested on it without a refit."""
    effects = json.loads(group.attrs["effects"])
    groups = _labels(group, "group")
    arrays: dict[str, Any] = {name: group[name].values for name in DIMS}
    return Fit(
        feature_ids=np.asarray(group["feature"].values, dtype=object),
        formula=str(group.attrs["formula"]),
        reml=bool(group.attrs["reml"]),
        sigma_known=bool(group.attrs.get("sigma_known", False)),
        structure_names=_labels(group, "par_structure"),
        structure=group["structure"].values
        if "structure" in group
        else np.zeros((group.sizes["feature"], 0)),
        n_unseen=group["n_unseen"].values if "n_unseen" in group else np.zeros(0, "int32"),
        coef_names=_labels(group, "coef"),
        theta_names=_labels(group, "par_theta"),
        groups=groups,
        components=tuple(zip(*(_labels(group, name) for name in _COMPONENT), strict=True)),
        effect_names={name: tuple((level, column) for level, column in effects[name]) for name in effects},
        modes={name: group[_mode(name)].values for name in groups if _mode(name) in group},
        mode_sds={name: group[_mode(name, "mode_sd")].values for name in groups if _mode(name) in group},
        **arrays,
        **generalised.fields(group),
        kr=_read_kenward_roger(group),
    )


def _kenward_roger(fit: Fit) -> dict[str, Any]:
    if fit.kr is None:
        return {}
    return {
        f"kr_{name.lower()}": (("feature", *dims), np.asarray(getattr(fit.kr, name), "float64"))
        for name, dims in KR_DIMS.items()
    }


def _read_kenward_roger(group: xr.Dataset) -> KenwardRoger | None:
    if "kr_cov" not in group:
        return None
    return KenwardRoger(**{name: group[f"kr_{name.lower()}"].values for name in KR_DIMS})


def join(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Shards of one model, in the order given, as one dataset; they must agree in all but their features."""
    first = parts[0]
    for part in parts[1:]:
        if part.attrs != first.attrs:
            raise ValueError("the shards of a model were written with different settings")
    return lazy.concatenated(parts)


_COMPONENT = ("component_group", "component_term", "component_term_2")


def _mode(group: str, kind: str = "mode") -> str:
    return f"{kind} {encode(group)}"


def _structure(fit: Fit) -> dict[str, Any]:
    if not fit.structure_names:
        return {}
    found: dict[str, Any] = {
        "structure": (("feature", "par_structure"), np.asarray(fit.structure, "float64"))
    }
    if len(fit.n_unseen) == len(fit.status):
        found["n_unseen"] = (("feature",), np.asarray(fit.n_unseen, "int32"))
    return found


def _modes(fit: Fit) -> dict[str, Any]:
    found = {}
    for group in fit.modes:
        dims = ("feature", f"effect {encode(group)}")
        found[_mode(group)] = (dims, np.asarray(fit.modes[group], "float64"))
        found[_mode(group, "mode_sd")] = (dims, np.asarray(fit.mode_sds[group], "float64"))
    return found


def _coords(fit: Fit) -> dict[str, Any]:
    par = (*fit.theta_names, "sigma")
    dims = {
        "feature": fit.feature_ids,
        "coef": fit.coef_names,
        "coef_2": fit.coef_names,
        "par": par,
        "par_2": par,
        "par_theta": fit.theta_names,
        **({"par_structure": fit.structure_names} if fit.structure_names else {}),
        "group": fit.groups,
        **{f"effect {encode(group)}": _effect_labels(fit.effect_names[group]) for group in fit.modes},
    }
    coords: dict[str, Any] = {dim: (dim, _text(labels)) for dim, labels in dims.items()}
    coords |= generalised.coords(fit)
    for i, name in enumerate(_COMPONENT):
        coords[name] = ("component", _text([component[i] for component in fit.components]))
    return coords


def _effect_labels(effects: Sequence[tuple[str, str]]) -> list[str]:
    """``level`` for an intercept, ``level:column`` for a slope."""
    return [level if column in ("", "(Intercept)") else f"{level}:{column}" for level, column in effects]


def _text(labels: Any) -> np.ndarray:
    return np.array([str(label) for label in labels], dtype=object)


def _labels(group: xr.Dataset, name: str) -> tuple[str, ...]:
    return tuple(str(label) for label in group[name].values) if name in group.coords else ()
