"""Step fits: some fits of a sweep in one job, where the data are so small that a job is mostly its start."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from mixflow.pipeline import fit
from mixflow.pipeline.sweeps import of_config

LOGGER = logging.getLogger(__name__)


def run(config: Path | str, base: str, keys: Sequence[str]) -> str:
    """Fit every shard of the shared fits with the hashes ``keys``."""
    known = json.loads(of_config(config, base, ()).plan_file.read_text(encoding="utf-8"))
    sweeps = of_config(config, base, list(dict.fromkeys(known[key] for key in keys)))
    for key in keys:
        name, model = known[key], sweeps.nodes[key].step.removeprefix("fit ")
        read = {step: Path(path) for step, path in sweeps.fit_inputs(name).items()}
        study = sweeps.workflows[name].study
        for path in map(Path, sweeps.shards(name, model)):
            LOGGER.info("%s", fit.run(study, model, path.stem, read["data"], read.get("batch"), path))
    return f"{len(keys)} fits"
