"""Scaling by reference channels: the pooled sample that stands in every TMT run makes the runs comparable.

As MSstatsTMT (Huang et al. 2020, Mol Cell Proteomics 19:1706): on the log scale a feature's mean over the
reference channels of a run is taken from all its channels of that run, and the median of these means over the
runs, the feature's overall level, is added back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mixflow.errors import MixflowError, Problem
from mixflow.preprocess.median_polish import nan_median
from mixflow.preprocess.rollup import ADDITIVE
from mixflow.preprocess.scales import Mask, Values

COLUMN = "preprocess.reference"


def check(config: Mapping[str, Any], scale: str) -> None:
    """Refuse a `preprocess.reference` without the column of the runs, or on a scale without differences."""
    spec = config.get("reference")
    if not spec:
        return
    if not isinstance(spec, Mapping) or not spec.get("within"):
        remedy = "Write reference: {within: Run}, the column of the sample sheet that names the run."
        raise MixflowError(
            Problem("Nothing says within what to scale.", column=COLUMN, value=spec, remedy=remedy)
        )
    if scale not in ADDITIVE:
        message = f"References are subtracted on a log scale, but the values are on the scale '{scale}'."
        raise MixflowError(
            Problem(message, column=COLUMN, value=scale, remedy="Set preprocess.transform: log2.")
        )


def referenced(
    value: Values,
    config: Mapping[str, Any],
    is_reference: Mask | None,
    sheet: pd.DataFrame | None,
    samples: Sequence[str] | None,
    notes: list[str],
) -> Values:
    """``value`` scaled as `preprocess.reference` says, which is added to ``notes``; unchanged without the key.

    ``is_reference`` (sample,): role is `reference`; ``sheet`` rows = samples, with the column `within`.
    """
    if not config.get("reference"):
        return value
    within = config["reference"]["within"]
    if sheet is None or within not in sheet.columns:
        known = "" if sheet is None else ", ".join(map(str, sheet.columns))
        message, remedy = "No such column in the sample sheet.", f"Known: {known}."
        raise MixflowError(Problem(message, column=f"{COLUMN}.within", value=within, remedy=remedy))
    roles = np.zeros(value.shape[1], dtype=bool) if is_reference is None else np.asarray(is_reference, bool)
    scaled, said = scale_by_reference(value, sheet[within].to_numpy(dtype=object), roles, samples)
    notes += said
    return scaled


def scale_by_reference(
    value: Values, within: Sequence[str], is_reference: Mask, samples: Sequence[str] | None = None
) -> tuple[Values, list[str]]:
    """Bring the reference channels of all runs together, feature by feature.

    ``value`` (feature, sample) on a log scale, NaN missing; ``within`` (sample,) the run of each sample;
    ``is_reference`` (sample,). Values of a feature in a run in which none of its references was measured have
    nothing to be scaled by: they become NaN, and a note counts them. Raises MixflowError for a run without
    reference channels.
    """
    codes, runs = pd.factorize(np.asarray(within, dtype=object))
    _refuse_runs(codes, runs, np.asarray(is_reference, dtype=bool), samples)
    level = np.stack(
        [_mean(value[:, (codes == run) & is_reference]) for run in range(len(runs))], axis=1
    )  # (feature, run)
    scaled = value - level[:, codes] + nan_median(level)[:, None]
    lost = int((~np.isnan(value) & np.isnan(scaled)).sum())
    notes = [
        f"Each feature was scaled within {len(runs)} runs by its mean over the {int(is_reference.sum())} "
        "reference channels; its median level over the runs was added back."
    ]
    if lost:
        notes.append(f"{lost} values stand in a run without a reference value of that feature: set missing.")
    return scaled, notes


def _mean(values: Values) -> NDArray[np.float64]:
    """Mean of each row's values, NaN where there is none."""
    seen = ~np.isnan(values)
    count = seen.sum(axis=1)
    total = np.where(seen, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)


def _refuse_runs(
    codes: NDArray[np.int64], runs: NDArray[np.object_], is_reference: Mask, samples: Sequence[str] | None
) -> None:
    if (codes < 0).any():
        where = int(np.flatnonzero(codes < 0)[0])
        named = f"sample {samples[where]}" if samples is not None else f"sample #{where + 1}"
        raise MixflowError(
            Problem(f"No run is given for {named}.", column=f"{COLUMN}.within", remedy="Fill the cell.")
        )
    lacking = [str(run) for k, run in enumerate(runs) if not is_reference[codes == k].any()]
    if lacking:
        shown = ", ".join(lacking[:5]) + (" ..." if len(lacking) > 5 else "")
        raise MixflowError(
            Problem(
                f"{len(lacking)} run(s) have no reference channel: {shown}.",
                column=COLUMN,
                value=lacking[0],
                remedy="Say by samples.role which channels are references, or leave this key out.",
            )
        )
