"""Features seen in one group only are counted over the rows of the headline model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from mixflow.pipeline.seen import one_group_table
from mixflow.study import config
from mixflow.study import sheet as sheets
from tests.pipeline import tiny


def table(folder: Path, unit: str | None = None, **headline: Any) -> xr.Dataset:
    """The table of a feature seen in cases, and in the one control s00 of `site 0`."""
    models = {"mixed": {**tiny.CONFIG["models"]["mixed"], **headline}}
    samples = {
        **tiny.CONFIG["samples"],
        **({"unit": {"column": unit, "allow_repeats": True}} if unit else {}),
    }
    study = config.load(tiny.write(folder, models=models, samples=samples))
    sheet = sheets.read(study)
    raw = np.where(sheet.frame["group"].astype(str) == "case", 1.0, np.nan)[None, :]
    raw[0, 0] = 1.0
    data = xr.Dataset(
        {"raw": (("feature", "sample"), raw)},
        {"feature": np.array(["P0"], object), "sample": np.asarray(sheet.frame.index, object)},
        {"scale": "log2"},
    )
    return one_group_table(study, data, sheet)


def test_rows_that_the_headline_leaves_out_are_not_counted(tmp_path: Path) -> None:
    assert table(tmp_path / "all").sizes["only"] == 0, "s00 has it too"
    found = table(tmp_path / "fewer", exclude={"site": ["site 0"]})
    assert found["level"].values.tolist() == ["case"] and found.attrs["note"] == ""
    counts = [int(found[name].item()) for name in ("n_observed", "n_level", "n_other")]
    assert counts == [10, 10, 10]
    assert found["p_value"].item() == pytest.approx(2 / 184756)  # 2 of the choose(20, 10) tables


def test_p_is_withheld_where_a_unit_has_several_samples(tmp_path: Path) -> None:
    found = table(tmp_path, unit="site", exclude={"site": ["site 0"]})
    assert found["n_observed"].item() == 10 and np.isnan(found["p_value"].item())
    assert "several samples come from one site" in found.attrs["note"]
