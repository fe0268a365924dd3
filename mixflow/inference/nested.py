"""Whether one model is a special case of another, and whether it lies on the other's boundary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixflow.covariance import Covariance, Known
from mixflow.design import Design
from mixflow.errors import MixflowError, Problem, Problems

SPAN = 1e-8
"""A column whose remainder after projection is below this share of it lies in the span."""


@dataclass(frozen=True)
class Nesting:
    """``same_fixed``: the fixed parts have the same columns, so that restricted likelihoods can be compared.

    ``boundary``: the null hypothesis sets one variance to zero, so that the statistic is a mixture of
    chi-squared with one df less and the full df, in equal parts. ``several``: more than one variance is set
    to zero, and the mixture is not known: the plain chi-squared is conservative.
    """

    same_fixed: bool
    boundary: bool
    several: bool


@dataclass(frozen=True, eq=False)
class _Block:
    """Columns (n, k) of one group with a covariance of their own."""

    group: str
    index: np.ndarray
    Z: np.ndarray
    covariance: str
    within: Covariance | None


def nesting(null: Design, full: Design) -> Nesting:
    """How ``null`` is nested in ``full``; raises with every reason why it is not."""
    problems = Problems()
    try:
        require_same_rows(null, full)
    except MixflowError as error:
        problems.extend(error)
        problems.raise_if_any()
    if not _in_span(null.X, full.X):
        remedy = "Every fixed term of the simpler model must be part of the other one."
        problems.add(
            "The models are not nested: the fixed parts",
            value=(null.terms.text, full.terms.text),
            remedy=remedy,
        )
    if not np.allclose(null.offset, full.offset, rtol=1e-12, atol=0):
        problems.add("The models have different offsets", remedy="Use the same offset in both.")
    places = [_place(block, _blocks(full)) for block in _blocks(null)]
    for block, place in zip(_blocks(null), places, strict=True):
        if place is None:
            message = f"The models are not nested: the random effects of '{block.group}'"
            remedy = "Every random term of the simpler model must be part of the other one."
            problems.add(message, value=(null.terms.text, full.terms.text), remedy=remedy)
    if not _residual_nested(null, full):
        remedy = "The simpler model must have the same residual structure, or none."
        problems.add("The models are not nested: the residual side", remedy=remedy)
    problems.raise_if_any()
    same = null.X.shape == full.X.shape and np.allclose(null.X, full.X, rtol=1e-12, atol=1e-12)
    zeroed, several = _zeroed(null, full, [place for place in places if place is not None])
    return Nesting(same, zeroed == 1 and not several, several or zeroed > 1)


def require_same_rows(null: Design, full: Design) -> None:
    """Raise unless both designs use the same samples in the same order."""
    if null.labels == full.labels:
        return
    apart = set(null.labels) ^ set(full.labels)
    message = "The models were not fitted to the same rows"
    remedy = (
        "Leave out, before both fits, the rows with a missing value in a column that either formula names."
    )
    value = f"{len(null.labels)} and {len(full.labels)} rows; in one only: {', '.join(sorted(apart)[:5])}"
    raise MixflowError(Problem(message, value=value, remedy=remedy))


def _blocks(design: Design) -> list[_Block]:
    """Random terms as blocks of correlated columns: independent columns are blocks of their own."""
    found = []
    for term in design.random:
        parts = [term.Z] if term.covariance != "diag" else [term.Z[:, [j]] for j in range(term.Z.shape[1])]
        kind = "us" if term.covariance == "diag" else term.covariance
        found += [_Block(term.group, np.asarray(term.index), z, kind, term.within) for z in parts]
    return found


def _place(block: _Block, among: list[_Block]) -> int | None:
    """Number of the block of the larger model that contains this one."""
    for number, other in enumerate(among):
        if not _same_partition(block.index, other.index):
            continue
        plain = other.within is None and not isinstance(block.within, Known)
        if other.covariance == "us" and plain and _in_span(block.Z, other.Z):
            return number
        if (
            other.covariance == block.covariance
            and other.within == block.within
            and other.Z.shape == block.Z.shape
            and np.allclose(other.Z, block.Z)
        ):
            return number
    return None


def _zeroed(null: Design, full: Design, places: list[int]) -> tuple[int, bool]:
    """How many variances the null hypothesis sets to zero, and whether in a way without a known mixture.

    One effect added to k correlated ones frees a variance and k covariances: 0.5 chi2_k + 0.5 chi2_(k + 1)
    (Stram and Lee 1994, Biometrics 50:1171, case 3), only where those k were one block before.
    """
    zeroed, several = 0, False
    small = _blocks(null)
    for number, block in enumerate(_blocks(full)):
        inside = [small[i] for i, place in enumerate(places) if place == number]
        width = sum(part.Z.shape[1] for part in inside)
        gained = block.Z.shape[1] - width if block.covariance == "us" else int(not inside)
        zeroed += gained
        several |= gained > 0 and len(inside) > 1
    return zeroed, several


def _residual_nested(null: Design, full: Design) -> bool:
    """The same residual structure in both, or none in the simpler one (no boundary: rho = 0, equal sds)."""
    a, b = null.residual, full.residual
    if a is None:
        return True
    if b is None or (a.correlation is not None and a.correlation != b.correlation):
        return False
    alike = a.correlation is None or (_same_partition(a.unit, b.unit) and np.array_equal(a.where, b.where))
    return alike and (
        not a.dispersion.shape[1] or (b.dispersion.shape[1] > 0 and _in_span(a.dispersion, b.dispersion))
    )


def _same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two level numberings group the rows alike."""
    pairs = len(np.unique(np.column_stack([a, b]), axis=0))
    return pairs == len(np.unique(a)) == len(np.unique(b))


def _in_span(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether every column of ``a`` is a combination of those of ``b``."""
    size = np.linalg.norm(a, axis=0)
    basis = _basis(b)
    left = a - basis @ (basis.T @ a)
    return bool((np.linalg.norm(left, axis=0) <= SPAN * np.maximum(size, 1e-300)).all())


def _basis(b: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns, each scaled to length one first."""
    length = np.linalg.norm(b, axis=0)
    u, s, _ = np.linalg.svd(b / np.where(length > 0, length, 1.0), full_matrices=False)
    return u[:, s > 1e-9 * max(s.max(initial=0.0), 1e-300)]
