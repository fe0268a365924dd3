"""What a model's group says of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from mixflow.pipeline import facts, fit, ingest, preprocess
from mixflow.pipeline.paths import Paths
from mixflow.study import config
from tests.pipeline import tiny

PATHS = Paths("tiny")


def test_a_reference_is_a_level_that_the_rows_used_still_have(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = config.load(tiny.write(Path.cwd(), models={"fixed": {"formula": "~ site + age"}}))
    ingest.run(study, PATHS.raw)
    preprocess.run(study, PATHS.raw, PATHS.data)
    task = fit.load_task(study, "fixed", PATHS.data, None)
    whole = facts.attributes(study, task)
    assert json.loads(whole["references"]) == {"site": "site 0"} and whole["n_samples"] == 24
    frame = task.frame.assign(age=task.frame["age"].where(task.frame["site"] != "site 0", np.nan))
    told = facts.attributes(study, replace(task, frame=frame))
    assert json.loads(told["references"]) == {"site": "site 1"} and told["n_samples"] == 20
