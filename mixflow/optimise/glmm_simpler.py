"""Features with a parameter that has no finite estimate: carried on to the limit.

A quasi-Newton step ends where the likelihood is flat, a little before the limit: a negative binomial's size at a few
thousands, a separated coefficient at -8. Carried far along that direction the answer is the Poisson's, or that of the
rows which are not separated, to rounding, and it is that which is told.
"""

from __future__ import annotations

import numpy as np

from mixflow.design.generalised import Shape, Shared
from mixflow.likelihood.generalised import Sample

FAR = 15.0
"""How far a parameter is carried (columns of unit mean square, log or logit scale): what is left is e^-15 of it."""
LEAST = 1e-8
"""A slope of -2 log-likelihood below this leaves nothing to gain."""
MOST = 3
"""Parameters of one feature that are carried one after the other."""
VANISHED = -12.0
"""log of a scale (outcomes have a spread of about one) at which it is on its way to zero."""


def simpler_directions(
    shape: Shape, hessian: np.ndarray, gradient: np.ndarray, flat: float
) -> tuple[np.ndarray, np.ndarray]:
    """Downhill (N, P), of length 1, among directions of curvature below ``flat`` but those of theta; slope (N,)."""
    fine = np.asarray(np.isfinite(hessian).all(axis=(1, 2)))
    values, vectors = np.linalg.eigh(np.where(fine[:, None, None], hessian, np.eye(shape.n_psi)))
    mass = vectors**2
    wanted = (np.abs(values) <= flat) & (mass[:, shape.theta].sum(axis=1) < 0.5) & fine[:, None]
    along = (vectors * np.where(fine[:, None], gradient, 0.0)[:, :, None]).sum(axis=1) * wanted
    down = -(vectors * along[:, None, :]).sum(axis=2)
    slope = np.sqrt((down**2).sum(axis=1))
    return down / np.maximum(slope, 1e-300)[:, None], slope


def vanishing(shape: Shape, shared: Shared, samples: Sample, psi: np.ndarray) -> np.ndarray:
    """Features whose scale goes to zero: identical values, of which a density may be as high as it likes. (N,).

    Known of Student's t with df to be estimated (Fernandez and Steel 1999, Biometrika 86:153).
    """
    if not shape.family.location_scale or len(shape.coefs) < 2:
        return np.zeros(len(psi), dtype=bool)
    part = slice(shape.starts[1], shape.starts[2])
    beta = (np.asarray(samples.turn[1]) @ psi[:, part, None])[:, :, 0]
    return np.asarray((beta @ np.asarray(shared.X[1]).reshape(-1, shape.coefs[1]).T).min(axis=1) < VANISHED)
