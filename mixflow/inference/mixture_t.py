"""Mixtures of Student's t: what is left of a contrast when theta is averaged over."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

STEPS, CLOSE = 80, 1e-11
"""Most steps towards a quantile, and the part of its first bracket at which it is there."""

NORMAL = 1e10
"""Degrees of freedom that stand for infinitely many."""


class MixtureT(NamedTuple):
    """r mixtures for each of N features: ``weight`` (N, G), ``centre``, ``scale`` (N, G, r), ``df`` (N,)."""

    weight: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    df: np.ndarray

    def cdf(self, x: np.ndarray) -> np.ndarray:
        """P(X <= x). (N, r) -> (N, r)."""
        z = (x[:, None] - self.centre) / self.scale
        if np.isinf(self.df).all():
            return np.einsum("ng,ngr->nr", self.weight, special.ndtr(z))
        return np.einsum("ng,ngr->nr", self.weight, special.stdtr(self._df(), z))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x. (N, r) -> (N, r)."""
        df = self._df()
        z2 = ((x[:, None] - self.centre) / self.scale) ** 2
        top = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - np.log(np.pi * df) / 2
        top = np.where(df > 1e8, -np.log(2 * np.pi) / 2, top)
        each = np.exp(top - (df + 1) / 2 * np.log1p(z2 / df)) / self.scale
        return np.einsum("ng,ngr->nr", self.weight, each)

    def two_sided(self) -> np.ndarray:
        """Twice the smaller tail beyond zero. (N, r)."""
        zero = np.zeros((len(self.weight), self.centre.shape[2]))
        below = self.cdf(zero)
        above = self._replace(centre=-self.centre).cdf(zero)  # by symmetry: no digits are lost in 1 - p
        return np.minimum(1.0, 2 * np.minimum(below, above))

    def quantile(self, p: float) -> np.ndarray:
        """x with P(X <= x) = p. (N, r). Newton's steps, and halves of the bracket where they leave it."""
        each = self.centre + self.scale * special.stdtrit(self._df(), p)
        low, high = each.min(axis=1), each.max(axis=1)
        close = CLOSE * (np.abs(low) + np.abs(high))
        x = np.einsum("ng,ngr->nr", self.weight, each)
        todo = np.arange(len(x))
        for _ in range(STEPS):
            part = MixtureT(*(a[todo] for a in self))
            new, low[todo], high[todo] = part._closer(p, x[todo], low[todo], high[todo])
            far = (np.abs(new - x[todo]) > close[todo]).any(axis=1)
            x[todo] = new
            todo = todo[far]
            if not len(todo):
                break
        return x

    def _closer(
        self, p: float, x: np.ndarray, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The next x on the way to the quantile, and its bracket."""
        off = self.cdf(x) - p
        low, high = np.where(off < 0, x, low), np.where(off < 0, high, x)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - off / self.density(x)
        return np.where((new > low) & (new < high), new, (low + high) / 2), low, high

    def heaviest(self, least: float) -> MixtureT:
        """Without the components that weigh less than ``least`` in a feature; weights sum to 1 again."""
        kept = np.where(self.weight > least, self.weight, 0.0)
        most = int((kept > 0).sum(axis=1).max(initial=1))
        top = np.argsort(-kept, axis=1, kind="stable")[:, :most]
        pick = lambda a: np.take_along_axis(a, top[:, :, None], axis=1)  # noqa: E731
        weight = np.take_along_axis(kept, top, axis=1) / kept.sum(axis=1, keepdims=True)
        return MixtureT(weight, pick(self.centre), pick(self.scale), self.df)

    def _df(self) -> np.ndarray:
        return np.where(np.isinf(self.df), NORMAL, self.df)[:, None, None]
