"""Step batch: diagnosis of the batch factors, and harmonised values for pictures and export."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.harmonise import Diagnosis, associate, combat, diagnose, refuse_aliased, remove_modes
from mixflow.harmonise.columns import refuse_missing
from mixflow.pipeline import drift, record, sheets
from mixflow.slices import Sliced, blocks
from mixflow.store import lazy, provenance, zarr_io
from mixflow.study.columns import fixed_columns, kept_columns, terms_of
from mixflow.study.config import Study
from mixflow.study.sheet import Sheet

LOGGER = logging.getLogger(__name__)


def run(study: Study, data: Path, out: Path) -> str:
    """Diagnose and harmonise the kept features of the store ``data`` and write the group `batch` to ``out``.

    Raises MixflowError where a batch factor is exactly aliased with a column of the model.
    """
    clock = provenance.Clock()
    tree = zarr_io.open(data)
    sheet = sheets.from_tree(tree)
    kept = zarr_io.group(tree, "data")
    rows = np.flatnonzero(kept["kept"].values)
    fitted = lazy.of(kept["value"], rows)
    kept = kept.isel(feature=rows)
    check_aliasing(study, sheet)
    values, notes = harmonised(study, fitted, sheet)
    role = sheet.role
    found = diagnose(
        fitted,
        sheet.frame,
        study.batch.factors,
        kept_columns(study),
        scale=kept.attrs["value_scale"],
        after=values,
        is_sample=(role == "sample").to_numpy(),
        is_qc=(role == "qc").to_numpy(),
    )
    drifting = drift.find(study, kept, sheet)
    notes = [*found.sentences, *notes, *drifting.notes]
    group = to_dataset(study, found, values, kept).assign(drifting.variables).assign_attrs(drifting.attrs)
    groups = {"batch": group.assign_attrs(notes=json.dumps(notes))}
    if drifting.curves is not None:
        groups["batch/drift_curves"] = drifting.curves
    steps = record.group(study, "batch", clock, [data], provenance.steps(tree))
    zarr_io.write(xr.DataTree.from_dict(groups | {"provenance": steps}), out)
    for note in notes:
        LOGGER.info("%s", note)
    return f"{len(study.batch.factors)} batch factor(s), method {study.batch.method}"


def check_aliasing(study: Study, sheet: Sheet) -> None:
    """Refuse a batch factor that says the same as a column of the headline model or of `batch.keep`."""
    samples = sheet.frame[(sheet.role == "sample").to_numpy()]
    model = fixed_columns(terms_of(study, study.headline))
    wanted = {*kept_columns(study), *model} - set(study.batch.factors)
    columns = [name for name in samples.columns if name in wanted]
    refuse_aliased(
        associate(samples[list(study.batch.factors)], samples[columns]), columns, study.batch.method
    )


def harmonised(study: Study, values: Sliced, sheet: Sheet) -> tuple[np.ndarray | Sliced | None, list[str]]:
    """Values (feature, sample) with the batch removed as configured, and sentences; None for `none`."""
    if study.batch.method == "none":
        return None, []
    fitted = (sheet.role == "sample").to_numpy()
    keep = sheet.frame[list(kept_columns(study))]
    if study.batch.method == "combat":
        return _combat(np.asarray(values), batch_of(sheet.frame, study.batch.factors), keep, fitted, sheet)
    return _mixed(study, values, sheet, fitted)


def batch_of(frame: pd.DataFrame, factors: tuple[str, ...]) -> pd.Series:
    """One batch for each combination of the batch factors: ComBat knows a single one."""
    if len(factors) == 1:
        return frame[factors[0]]
    text = frame[list(factors)].astype(object)
    joined = text.apply(lambda row: " / ".join(map(str, row)), axis=1).where(text.notna().all(axis=1))
    return joined.rename(" / ".join(factors))


def _combat(
    values: np.ndarray, batch: pd.Series, keep: pd.DataFrame, fitted: np.ndarray, sheet: Sheet
) -> tuple[np.ndarray, list[str]]:
    done = combat(values, batch, keep, fit_on=fitted, samples=list(sheet.frame.index))
    return done.values, list(done.notes)


def _mixed(study: Study, values: Sliced, sheet: Sheet, fitted: np.ndarray) -> tuple[Sliced, list[str]]:
    """Each feature's fit of `~ keep + (1 | factor)`; the conditional modes of the factors are taken out.

    Of the fits, made block by block, only the modes are kept.
    """
    from mixflow.design import build
    from mixflow.formula import parse
    from mixflow.formula.known import quoted
    from mixflow.optimise.fitting import fit_features

    factors = study.batch.factors
    frame = sheet.frame[fitted]
    refuse_missing(frame[list(factors)], "batch.factors")
    fixed = [quoted(name) for name in kept_columns(study)]
    formula = "~ " + " + ".join([*(fixed or ["1"]), *(f"(1 | {quoted(name)})" for name in factors)])
    index: dict[str, np.ndarray] = {}
    found: dict[str, list[np.ndarray]] = {name: [] for name in factors}
    lost, design = 0, build(parse(formula), frame)
    for part in blocks(*values.shape):
        ids = np.arange(part.start, part.stop).astype(str).astype(object)
        fit = fit_features(design, values[part][:, fitted][:, design.rows], ids)
        levels = {name: [level for level, _ in fit.effect_names[name]] for name in factors}
        index = {name: pd.Index(levels[name]).get_indexer(sheet.frame[name].astype(str)) for name in factors}
        lost += int((~fit.fitted).sum())
        for name in factors:
            found[name].append(fit.modes[name])
    modes = {name: np.concatenate(parts) for name, parts in found.items()}

    def read(start: int, stop: int) -> np.ndarray:
        own = {name: mode[start:stop] for name, mode in modes.items()}
        return remove_modes(values.read(start, stop), own, index)

    corrected = Sliced(values.shape, "float64", read)
    notes = [f"Conditional modes of {', '.join(factors)} from {formula} were removed."]
    return corrected, notes + ([f"{lost} feature(s) without a fit were not harmonised."] if lost else [])


def to_dataset(
    study: Study, found: Diagnosis, values: np.ndarray | Sliced | None, kept: xr.Dataset
) -> xr.Dataset:
    """The group `batch`; dims as declared in the schema."""
    shown = {"unit": kept.attrs["unit"]}
    dims = ("feature", "sample")
    matrix = lazy.variable(dims, values, shown) if isinstance(values, Sliced) else (dims, values, shown)
    tied = found.association
    variables: dict[str, Any] = {
        "share": (("feature", "factor"), found.share),
        "share_after": (("feature", "factor"), found.share_after),
        "pc_before": (("sample", "pc"), found.before.scores),
        "pc_before_share": (("pc",), found.before.share),
        "association": (("batch_factor", "column"), tied.strength),
        "association_p": (("batch_factor", "column"), tied.p_value),
        "aliased": (("batch_factor", "column"), tied.aliased),
        "harmonised": None if values is None else matrix,
        "cv_before": (("feature",), found.cv_before),
        "cv_after": (("feature",), found.cv_after),
    }
    if found.after is not None:
        n_pc = found.before.scores.shape[1]
        variables["pc_after"] = (("sample", "pc"), _widened(found.after.scores, n_pc))
        variables["pc_after_share"] = (("pc",), _widened(found.after.share[None, :], n_pc)[0])
    return xr.Dataset(
        {name: entry for name, entry in variables.items() if _given(entry)},
        coords=_labels(found, kept),
        attrs={
            "method": study.batch.method,
            "factors": json.dumps(list(study.batch.factors)),
            "fit_on": study.batch.fit_on,
            "pc_note": found.before.note,
        },
    )


def _labels(found: Diagnosis, kept: xr.Dataset) -> dict[str, np.ndarray]:
    return {
        "feature": kept["feature"].values,
        "sample": kept["sample"].values,
        "factor": _text(found.factors),
        "batch_factor": _text(found.association.batch_factors),
        "column": _text(found.association.columns),
        "pc": _text([f"PC{i + 1}" for i in range(found.before.scores.shape[1])]),
    }


def _given(entry: Any) -> bool:
    return entry is not None and (isinstance(entry, xr.Variable) or entry[1] is not None)


def _widened(array: np.ndarray, columns: int) -> np.ndarray:
    """The first ``columns`` columns, NaN where there are fewer."""
    out = np.full((len(array), columns), np.nan)
    width = min(columns, array.shape[1])
    out[:, :width] = array[:, :width]
    return out


def _text(labels: list[str]) -> np.ndarray:
    return np.array(labels, dtype=object)
