"""The simulated studies of config/studies, with as many features as a test wants, fitted by their own configs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from mixflow.derived import Subject
from mixflow.inference.contrasts import build
from mixflow.inference.tests import test
from mixflow.optimise.fitting import fit_features
from mixflow.study import config, sheet
from mixflow.study.analyses import asked
from mixflow.study.plan import fitted_frame, load_plan
from mixflow.study.structure import design_of, fit_options

ROOT = Path(__file__).parents[2]


def simulate() -> ModuleType:
    """The module workflows/designs/simulate.py."""
    path = ROOT / "workflows" / "designs" / "simulate.py"
    spec = importlib.util.spec_from_file_location("design_simulate", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Run:
    """One model of a study on ``count`` features: its subject, its tests and the tables of its analyses."""

    def __init__(self, name: str, model: str, count: int) -> None:
        self.study = config.load(ROOT / "config" / "studies" / name / "config.yaml")
        self.plan = load_plan(self.study).model(model)
        simulated = simulate().study(name)
        self.truth, (values, self.drawn) = simulated.truth, simulated.features(count)
        read = sheet.read(self.study)
        frame = fitted_frame(read, self.plan)
        design = design_of(self.study, self.plan, frame)
        ids = np.array([f"f{i:03d}" for i in range(count)], dtype=object)
        fit = fit_features(design, values, ids, reml=self.plan.reml, **fit_options(self.plan))
        contrasts = tuple(build(self.plan.contrasts, design, read.raw_levels))
        self.subject = Subject(fit, design, values, contrasts, self.plan.df, self.study.report.alpha)

    def test(self, name: str) -> dict[str, np.ndarray]:
        """The test of one contrast; arrays (features,)."""
        (contrast,) = [c for c in self.subject.contrasts if c.name == name]
        found: dict[str, Any] = test(
            self.subject.fit, [contrast], df=self.subject.df, design=self.subject.design
        )
        return {key: value[:, 0] for key, value in found.items() if key != "matrix" and value.ndim == 2}

    def table(self, name: str) -> pd.DataFrame:
        """The table of an analysis of the config."""
        (one,) = [each for each in asked(self.study, self.plan) if each.name == name]
        return one.run(self.subject)

    def sd(self, group: str, term: str = "(Intercept)") -> np.ndarray:
        """Estimated standard deviation of a random effect, or of the residual with an empty term."""
        return np.sqrt(self.subject.fit.variance[:, self.subject.fit.components.index((group, term, ""))])
