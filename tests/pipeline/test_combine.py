"""What a combination of a sweep leaves beside its stores."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mixflow.pipeline import combine
from mixflow.pipeline.setup import Workflow
from mixflow.study import config
from tests.pipeline import tiny


def test_the_config_of_a_combination_finds_its_files_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, away = tmp_path / "home", tmp_path / "away" / "deep"
    (home / "raw").mkdir(parents=True)
    away.mkdir(parents=True)
    mixed = {**tiny.CONFIG["models"]["mixed"], "relationship": {"site": "kin.csv"}}
    monkeypatch.chdir(home)
    path = tiny.write(Path(), models={"mixed": mixed}, data={**tiny.CONFIG["data"], "data_root": "raw"})
    sites = [f"site {i}" for i in range(6)]
    rows = [",".join([a, *(str(int(a == b)) for b in sites)]) for a in sites]
    Path("raw/kin.csv").write_text("\n".join([",".join(["", *sites]), *rows]) + "\n")
    here = config.load(path)
    standing = combine._standing(Workflow(here))
    (away / "config.yaml").write_text(yaml.safe_dump(standing, sort_keys=False))
    monkeypatch.chdir(away)
    there = config.load("config.yaml")
    assert there.data.files[0] == home / "table.tsv" and there.samples.file == home / "samples.tsv"
    assert there.headline.relationship == {"site": home / "raw" / "kin.csv"}
    assert combine._standing(Workflow(there)) == standing
