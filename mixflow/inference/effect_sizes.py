"""Effect sizes of two arms from counts, as metafor's `escalc` has them."""

from __future__ import annotations

import numpy as np

MEASURES = {
    "OR": "log odds ratio",
    "RR": "log risk ratio",
    "RD": "risk difference",
    "IRR": "log incidence rate ratio",
    "PLO": "log odds",
    "IRLN": "log incidence rate",
}
"""Measures by metafor's names; the last two are of one arm."""
ON_LOG = ("OR", "RR", "IRR", "IRLN")
"""Measures that are shown as their exponentials."""


def effect_sizes(
    measure: str, treated: tuple[np.ndarray, np.ndarray], control: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and sampling variances (k,) of each study.

    ``treated``, ``control``: events and totals (k,), or events and person-time for rates. A study with an empty
    cell gets 1/2 added to each of its cells (`escalc`'s ``to = "only0"``): enough for a picture, and for a
    normal-normal model where such studies are few; the models on raw counts need no such correction.
    """
    arms = [treated] if control is None else [treated, control]
    if measure in ("IRR", "IRLN"):
        return _rates(arms)
    cells = np.stack([c for events, total in arms for c in (events, total - events)], axis=-1).astype(float)
    cells = cells + 0.5 * (cells == 0).any(axis=-1, keepdims=True)
    a, b = cells[:, 0], cells[:, 1]
    if measure == "PLO":
        return np.log(a / b), 1 / a + 1 / b
    c, d = cells[:, 2], cells[:, 3]
    n, m = a + b, c + d
    if measure == "OR":
        return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d
    if measure == "RR":
        return np.log(a / n / (c / m)), 1 / a - 1 / n + 1 / c - 1 / m
    return a / n - c / m, a * b / n**3 + c * d / m**3


def _rates(arms: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    events = np.stack([np.asarray(e, dtype=float) for e, _ in arms], axis=-1)
    events = events + 0.5 * (events == 0).any(axis=-1, keepdims=True)
    logs = np.log(events / np.stack([np.asarray(t, dtype=float) for _, t in arms], axis=-1))
    return logs[:, 0] - (logs[:, 1] if len(arms) > 1 else 0.0), (1 / events).sum(axis=-1)
