"""Signal drift within a batch: how much of each feature's variance follows the order of injection.

The instrument's response moves smoothly as samples are measured (Dunn et al. 2011, Nat. Protoc. 6:1060).
Every feature is fitted by ``~ batch + s(order, by = batch)``: one curve a batch, all with one smoothing
parameter, so that short batches borrow from long ones. QC samples are of one material, so their drift is the
instrument's alone; in study samples it is mixed with whatever biology follows the order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.design import build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.inference.joint import ALIASED, Henderson, Joint
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.refit import Fitted
from mixflow.inference.smooths import block_test, parts, rows_at
from mixflow.optimise.fitting import fit_features
from mixflow.status import MEANING, Status

LEAST = 5
"""Samples with different places in a batch below which no curve is fitted to it."""
MOST_COLUMNS = 8
QC, ALL = "QC samples", "all samples"
COLUMNS = {
    "feature": "number of the feature in the values given, or its id",
    "share": "share of the variance within batches that drift explains (fall of the residual variance)",
    "edf": "effective degrees of freedom of all curves together; one a batch if they are straight",
    "statistic": "Wald statistic of all curves together",
    "p_value": "p that no batch drifts (Wood 2013)",
    "q_value": "Benjamini-Hochberg over the features of p_value",
    "n_obs": "observed values used",
    "used": "which samples were used: QC samples where every batch has enough of them, else all",
    "status": "how the fit ended",
}


class TooFewSamples(MixflowError):
    """No batch has samples enough for a curve."""


@dataclass(frozen=True, eq=False)
class Drift:
    """The fits of ``~ batch + s(order, by = batch)`` to every feature; `table` and `curve` read them.

    ``used``: which samples; ``batches``: those with a curve; ``left_out``: those with fewer than 5 samples at
    different places.
    """

    fitted: Fitted
    used: str
    batches: tuple[str, ...]
    left_out: tuple[str, ...]

    def table(self) -> pd.DataFrame:
        """Drift of every feature, one row each (see `COLUMNS`)."""
        fit, design = self.fitted.fit, self.fitted.design
        plain = fit_features(
            build(parse(_formula(design.frame, None)), design.frame), self.fitted.values, fit.feature_ids
        )
        good = fit.fitted & plain.fitted
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip(1 - fit.sigma**2 / plain.sigma**2, 0, 1)
        edf, statistic, p = np.where(good, self._tests(), np.nan)
        return pd.DataFrame({
            "feature": fit.feature_ids,
            "share": np.where(good, share, np.nan),
            "edf": edf,
            "statistic": statistic,
            "p_value": p,
            "q_value": benjamini_hochberg(p),
            "n_obs": fit.n_obs,
            "used": self.used,
            "status": [MEANING[Status(s)].label for s in fit.status],
        })  # fmt: skip

    def curve(self, feature: int, points: int = 50) -> pd.DataFrame:
        """Drift of one feature by batch: batch, order (from its start), estimate, std_error.

        Each curve has mean zero over the samples of its batch: the level of a batch is no drift.
        """
        effects, tables = Henderson(self.fitted).joint(feature), []
        frame = self.fitted.design.frame
        for part in parts(self.fitted.design):
            own = frame["order"] if not part.label else frame.loc[frame["batch"] == part.label, "order"]
            x = np.linspace(0, float(own.max()), points)
            rows = rows_at(part, effects, x) - rows_at(part, effects, own.to_numpy()).mean(axis=0)
            se = np.sqrt(((rows @ effects.cov) * rows).sum(axis=1))
            row = {"batch": part.label or self.batches[0], "order": x, "estimate": rows @ effects.effects}
            tables.append(pd.DataFrame(row | {"std_error": se}))
        return pd.concat(tables, ignore_index=True)

    def _tests(self) -> NDArray[np.float64]:
        """Effective df, Wald statistic and p of all curves together. (3, N)."""
        numbers = np.full((3, len(self.fitted.fit.status)), np.nan)
        equations, curves = Henderson(self.fitted), parts(self.fitted.design)
        fixed = np.concatenate([part.fixed for part in curves])
        for i in np.flatnonzero(self.fitted.fit.fitted).tolist():
            effects = equations.joint(i)
            own = np.concatenate([fixed, effects.place[curves[0].basis.name].ravel()])
            level = np.setdiff1d(np.arange(self.fitted.design.X.shape[1]), fixed)
            numbers[:, i] = block_test(_without(level, effects), own)
        return numbers


def drift(
    values: NDArray[np.float64],
    frame: pd.DataFrame,
    order: str,
    batch: str | None,
    *,
    is_qc: NDArray[np.bool_] | None = None,
    feature_ids: NDArray[np.object_] | None = None,
) -> Drift:
    """Curves of every row of ``values`` (feature, sample) along the order of measurement, by batch.

    ``frame`` has one row a sample; ``order``: its column with the order of measurement, counted from the
    start of each batch here; ``batch``: its column with the batch, None for a single one. ``is_qc``
    (sample,): the pooled QC samples, used alone where every batch has at least 5 of them at different places.
    Raises TooFewSamples where no batch has enough samples, MixflowError where the order is not a number.
    """
    found = _samples(frame, order, batch, is_qc)
    k = min(MOST_COLUMNS, found.fewest - 1)
    design = build(parse(_formula(found.table, k)), found.table)
    rows = found.table.index.to_numpy()[design.rows]
    ids = np.arange(len(values)).astype(str).astype(object) if feature_ids is None else feature_ids
    chosen = np.asarray(values, dtype=float)[:, rows]
    fit = fit_features(design, chosen, ids, modes=False)
    return Drift(Fitted(fit, design, chosen), found.used, found.batches, found.left_out)


def _without(level: NDArray[np.int_], effects: Joint) -> Joint:
    """The effects with all columns orthogonal to those of the batches' levels, numbered ``level``.

    A curve and the level of its batch trade off; the test truncates by variance (Wood 2013), so a level known
    badly would take the place of the curve. Effective df stay: levels are not penalised.
    """
    q, size, _ = np.linalg.svd(effects.root[:, level], full_matrices=False)
    q = q[:, size > ALIASED * size.max(initial=0.0)]  # a batch without values has no level
    return replace(effects, root=effects.root - q @ (q.T @ effects.root))


class _Samples(NamedTuple):
    """The samples of the fits: ``table`` (`_table`) of batches with enough, ``fewest`` places in one."""

    table: pd.DataFrame
    used: str
    batches: tuple[str, ...]
    left_out: tuple[str, ...]
    fewest: int


def _samples(frame: pd.DataFrame, order: str, batch: str | None, is_qc: NDArray[np.bool_] | None) -> _Samples:
    table = _table(frame, order, batch)
    known = tuple(dict.fromkeys(table["batch"]))
    table, used = _chosen(table, is_qc)
    places = _places(table)
    if not (places >= LEAST).any():
        remedy = f"Drift needs a batch with at least {LEAST} samples at different places."
        most = int(places.max()) if len(places) else 0
        raise TooFewSamples(Problem("No batch has enough samples", column=order, value=most, remedy=remedy))
    places = places[places >= LEAST]
    batches = tuple(name for name in known if name in places.index)
    left_out = tuple(name for name in known if name not in places.index)
    return _Samples(table[table["batch"].isin(batches)], used, batches, left_out, int(places.min()))


def _formula(table: pd.DataFrame, k: int | None) -> str:
    several = "batch" in table and table["batch"].nunique() > 1
    smooth = "" if k is None else f" + s(order, k = {k}{', by = batch' if several else ''})"
    return ("~ batch" if several else "~ 1") + smooth


def _table(frame: pd.DataFrame, order: str, batch: str | None) -> pd.DataFrame:
    """``order`` from the start of the ``batch``, rows numbered; without those that lack one."""
    for name in (order, *([batch] if batch else [])):
        if name not in frame:
            known = f"Columns: {', '.join(map(str, frame.columns))}."
            raise MixflowError(Problem("There is no column of this name", column=name, remedy=known))
    if not pd.api.types.is_numeric_dtype(frame[order]):
        remedy = "Give the number of the injection, or the time as a number."
        raise MixflowError(Problem("The order of measurement is a number", column=order, remedy=remedy))
    label = frame[batch].astype(object).to_numpy() if batch else np.full(len(frame), "one", dtype=object)
    table = pd.DataFrame({"order": frame[order].to_numpy(dtype=float), "batch": label}).dropna()
    table["batch"] = table["batch"].astype(str)
    start = table.groupby("batch")["order"].transform("min")
    return table.assign(order=table["order"] - start)


def _places(table: pd.DataFrame) -> pd.Series:
    """Different places in the order of each batch."""
    return table.groupby("batch")["order"].nunique()


def _chosen(table: pd.DataFrame, is_qc: NDArray[np.bool_] | None) -> tuple[pd.DataFrame, str]:
    """The QC samples if every batch that can be tested has enough of them, else all samples."""
    if is_qc is None or not np.any(is_qc):
        return table, ALL
    qc, places = table[np.asarray(is_qc, dtype=bool)[table.index.to_numpy()]], _places(table)
    enough = _places(qc).reindex(places.index[places >= LEAST], fill_value=0) >= LEAST
    return (qc, QC) if len(enough) and enough.all() else (table, ALL)
