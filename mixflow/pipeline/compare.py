"""Step compare: the tests of all combinations of a sweep -> what holds, and which choice matters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from mixflow.pipeline.sweeps import of_config
from mixflow.report.comparison.cube import Space, cubes
from mixflow.report.comparison.page import write
from mixflow.study.study import Study
from mixflow.study.sweep import Sweep

PARTS = ("data", "samples", "preprocess", "batch", "models", "few_levels", "report", "seed")
"""Fields of a study that decide what it says."""


def run(config: Path | str, base: Study, page: Path, folder: Path) -> str:
    """Write the ``page`` of a sweep, and its tables and figures into ``folder``."""
    sweeps = of_config(config, base.name)
    studies = [sweeps.sweep.study(name) for name in sweeps.names]
    space = space_of(sweeps.sweep, base, studies)
    files = {name: Path(sweeps.tests(name)) for name in sweeps.names}
    found = cubes(files, np.array([study.report.alpha for study in studies]), space.reference)
    write(base.title, base.name, space, found, page, folder)
    return f"{len(space.names)} combinations in {page}"


def space_of(sweep: Sweep, base: Study, studies: Sequence[Study]) -> Space:
    """The combinations as the comparison sees them."""
    labels = pd.DataFrame([c.labels for c in sweep.combinations]).rename(columns=sweep.columns)
    own = [i for i, study in enumerate(studies) if is_same(study, base)]
    names = tuple(c.name for c in sweep.combinations)
    keys = {short: key for key, short in sweep.columns.items()}
    return Space(names, labels, keys, own[0] if own else 0, bool(own))


def is_same(study: Study, base: Study) -> bool:
    """Whether two studies ask for the same, whatever is written out and whatever is a default."""
    return all(getattr(study, part) == getattr(base, part) for part in PARTS)
