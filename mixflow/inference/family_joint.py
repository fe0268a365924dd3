"""Fixed and random effects of mu of one feature of a generalised model together: as `joint`, with rows' information.

At the mode the posterior of (beta, u) is taken as normal with precision C'WC + S, C = [X, Z Lambda], W the observed
information of each row by the predictor of mu (Wood 2017, Generalized Additive Models, sections 6.9 and 6.10); other
predictors, theta and the family's own parameters are held at their estimates. (mgcv takes the expected information
where the link is not canonical: its standard errors of a negative binomial's curves differ by a few per cent.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from mixflow.inference.family_rows import FamilyRows, Piece, family_rows, fixed_predictors, modes_part
from mixflow.inference.generalised import FittedFamily
from mixflow.inference.joint import Joint, inverse_of
from mixflow.inference.mode_errors import loadings, row_slopes


@dataclass(frozen=True, eq=False)
class FamilyHenderson:
    """What the equations of all features of a fit share; `joint` solves those of one."""

    fitted: FittedFamily

    @cached_property
    def rows(self) -> FamilyRows:
        return family_rows(self.fitted)

    def joint(self, feature: int) -> Joint:
        """The effects of the feature of this number, which must have been fitted."""
        one = self.fitted.take(np.array([feature]))
        x, seen = self.rows.X[0], one.observed[0]
        p = x.shape[1]
        place, factors = self._places(one.fit.theta, p)
        lam = block_diag(*(np.kron(np.eye(len(own)), factors[name]) for name, own in place.items()))
        z = loadings(self.rows, 0, np.ones(len(x))) @ lam
        random = modes_part(one, self.rows)
        first, second = row_slopes(one, (fixed_predictors(one, self.rows) + random)[0])
        w = np.maximum(second[seen, 0, 0], 0.0)
        c = np.hstack([x, np.asarray(z)])[seen]
        white = np.sqrt(w)[:, None] * c
        cross = white.T @ white
        # u by a Newton step from the modes: it needs no inverse of Lambda, which may be singular.
        pull = c[:, p:].T @ (w * random[0, seen, 0] - first[seen, 0])
        u = np.linalg.solve(cross[p:, p:] + np.eye(len(pull)), pull)
        cov = inverse_of(cross + np.diag(np.repeat([0.0, 1.0], [p, len(u)])))
        effects = np.concatenate([one.fit.solution[0], u])
        root = np.asarray(np.linalg.qr(white, mode="r"))
        return Joint(effects, cov, cov @ cross, root, int(seen.sum()), place, factors, scale_known=True)

    def _places(self, theta: np.ndarray, p: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """By group in the order of the effects: their numbers after the p coefficients, Lambda of one level."""
        place: dict[str, np.ndarray] = {}
        parts: dict[str, list[Piece]] = {}
        for piece in self.rows.pieces:
            parts.setdefault(piece.group.name, []).append(piece)
        factors = {}
        for name, pieces in parts.items():
            group, start = pieces[0].group, pieces[0].start
            width = group.n_levels * group.size
            place[name] = p + start + np.arange(width).reshape(group.n_levels, -1)
            factors[name] = block_diag(*(own.effect.factor_many(theta[:, own.part])[0] for own in pieces))
        return place, factors
