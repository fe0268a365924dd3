"""Signal drift within a batch: how much of each feature's variance follows the order of injection.

The instrument's response moves smoothly as samples are measured (Dunn et al. 2011, Nat. Protoc. 6:1060).
Every feature is fitted by ``~ batch + s(order, by = batch)``: one curve a batch, all with one smoothing
parameter, so that short batches borrow from long ones. QC samples are of one material, so their drift is the
instrument's alone; in study samples it is mixed with whatever biology follows the order.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.design import build
from mixflow.errors import MixflowError, Problem
from mixflow.formula import parse
from mixflow.inference.joint import Henderson
from mixflow.inference.multiplicity import benjamini_hochberg
from mixflow.inference.refit import Fitted
from mixflow.inference.smooths import block_test, parts, rows_at
from mixflow.optimise.fitting import fit_features
from mixflow.status import MEANING, Status

LEAST = 5
"""Samples with different places in a batch below which no curve is fitted to it."""
MOST_COLUMNS = 8
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


def drift(
    values: NDArray[np.float64],
    frame: pd.DataFrame,
    order: str,
    batch: str | None,
    *,
    is_qc: NDArray[np.bool_] | None = None,
    feature_ids: NDArray[np.object_] | None = None,
) -> pd.DataFrame:
    """Drift of every row of ``values`` (feature, sample), one row a feature (see `COLUMNS`).

    ``frame`` has one row a sample; ``order``: its column with the order of measurement, counted from the
    start of each batch here; ``batch``: its column with the batch, None for a single one. ``is_qc``
    (sample,): the pooled QC samples, used alone where every batch has at least 5 of them at different places.
    Raises MixflowError where no batch has enough samples, or the order is not a number.
    """
    fitted, used = fit_drift(values, frame, order, batch, is_qc=is_qc, feature_ids=feature_ids)
    fit, design = fitted.fit, fitted.design
    plain = fit_features(
        build(parse(_formula(design.frame, None)), design.frame), fitted.values, fit.feature_ids
    )
    numbers = np.full((3, len(values)), np.nan)
    equations, curves = Henderson(fitted), parts(design)
    fixed = np.concatenate([part.fixed for part in curves])
    for i in np.flatnonzero(fit.fitted).tolist():
        effects = equations.joint(i)
        own = np.concatenate([fixed, effects.place[curves[0].basis.name].ravel()])
        numbers[:, i] = block_test(effects, own)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(1 - fit.sigma**2 / plain.sigma**2, 0, 1)
    good = fit.fitted & plain.fitted
    p = np.where(good, numbers[2], np.nan)
    return pd.DataFrame({
        "feature": fit.feature_ids,
        "share": np.where(good, share, np.nan),
        "edf": numbers[0],
        "statistic": numbers[1],
        "p_value": p,
        "q_value": benjamini_hochberg(p),
        "n_obs": fit.n_obs,
        "used": used,
        "status": [MEANING[Status(s)].label for s in fit.status],
    })  # fmt: skip


def fit_drift(
    values: NDArray[np.float64],
    frame: pd.DataFrame,
    order: str,
    batch: str | None,
    *,
    is_qc: NDArray[np.bool_] | None = None,
    feature_ids: NDArray[np.object_] | None = None,
) -> tuple[Fitted, str]:
    """The fits behind `drift` (columns of their design: ``order``, ``batch``) and which samples they used."""
    table, used = _chosen(_table(frame, order, batch), is_qc)
    sizes = table.groupby("batch", observed=True)["order"].nunique()
    kept = table[table["batch"].isin(sizes.index[sizes >= LEAST])]
    if not len(kept):
        remedy = f"Drift needs a batch with at least {LEAST} samples at different places."
        raise MixflowError(
            Problem("No batch has enough samples", column=order, value=int(sizes.max()), remedy=remedy)
        )
    k = int(min(MOST_COLUMNS, sizes[sizes >= LEAST].min() - 1))
    design = build(parse(_formula(kept, k)), kept)
    rows = kept.index.to_numpy()[design.rows]
    ids = np.arange(len(values)).astype(str).astype(object) if feature_ids is None else feature_ids
    chosen = np.asarray(values, dtype=float)[:, rows]
    return Fitted(fit_features(design, chosen, ids, modes=False), design, chosen), used


def curve(fitted: Fitted, feature: int, points: int = 50) -> pd.DataFrame:
    """Drift of one feature of `fit_drift` by batch: batch, order (from its start), estimate, std_error."""
    effects, tables = Henderson(fitted).joint(feature), []
    frame = fitted.design.frame
    for part in parts(fitted.design):
        own = frame["order"] if not part.label else frame.loc[frame["batch"] == part.label, "order"]
        x = np.linspace(0, float(own.max()), points)
        rows = rows_at(part, effects, x)
        se = np.sqrt(((rows @ effects.cov) * rows).sum(axis=1))
        row = {"batch": part.label, "order": x, "estimate": rows @ effects.effects, "std_error": se}
        tables.append(pd.DataFrame(row))
    return pd.concat(tables, ignore_index=True)


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


def _chosen(table: pd.DataFrame, is_qc: NDArray[np.bool_] | None) -> tuple[pd.DataFrame, str]:
    """The QC samples if every batch has enough of them, else all samples."""
    if is_qc is None or not np.any(is_qc):
        return table, "all samples"
    qc = table[np.asarray(is_qc, dtype=bool)[table.index.to_numpy()]]
    places = qc.groupby("batch")["order"].nunique().reindex(table["batch"].unique(), fill_value=0)
    enough = places.min() >= LEAST
    return (qc, "QC samples") if enough else (table, "all samples")
