"""`preprocess.level` in the store: `data` holds the sums, `data/members` says what was summed to what."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import xarray as xr

from mixflow.preprocess import level
from mixflow.store import frames
from mixflow.store.readers.taxa import Taxa, taxa_at
from mixflow.study.config import Study

MEMBERS = "data/members"


def summed(study: Study, data: xr.Dataset, annotation: pd.DataFrame) -> dict[str, xr.Dataset]:
    """The groups `data`, `data/features` and `data/members` with the features summed to the level asked for.

    ``data``: the group with `raw`; ``annotation``: of its features, in their order.
    """
    wanted = str(study.preprocess.level)
    level.check(study.raw["preprocess"], data.attrs["scale"])
    taxa = taxa_at(annotation, wanted)
    ids = np.array(taxa.names, dtype=object)
    notes = [*json.loads(data.attrs["notes"]), _note(wanted, taxa)]
    raw = level.summed(data["raw"].values, taxa.of, len(ids))
    return {
        "data": xr.Dataset(
            {"raw": (("feature", "sample"), raw, data["raw"].attrs)},
            coords={"feature": ids, "sample": data["sample"].values},
            attrs={**data.attrs, "level": wanted, "notes": json.dumps(notes)},
        ),
        "data/features": frames.dataset(_described(taxa), "feature"),
        MEMBERS: xr.Dataset(
            {"summed_to": ("member", ids[taxa.of])}, coords={"member": data["feature"].values}
        ),
    }


def _described(taxa: Taxa) -> pd.DataFrame:
    """Annotation of the sums: name, the ranks above, how many features were summed."""
    table = taxa.paths.set_axis(list(taxa.names), axis=0).drop(columns="name", errors="ignore")
    table.insert(0, "name", list(taxa.names))
    return table.assign(n_summed=np.bincount(taxa.of, minlength=len(taxa.names)).astype(float))


def _note(wanted: str, taxa: Taxa) -> str:
    nameless = [i for i, known in enumerate(taxa.known) if not known]
    told = f"{len(taxa.of):,} features were summed to {len(taxa.names):,} at level {wanted}"
    if not nameless:
        return f"{told}."
    count = int(np.isin(taxa.of, nameless).sum())
    return (
        f"{told}; {count:,} of them without a name there became {len(nameless):,} called after the deepest "
        f"name that they have, with '(unclassified {wanted})'."
    )
