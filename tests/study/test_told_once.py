"""What the check of a study tells: early, once, and only what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mixflow.study import analyses, config
from mixflow.study.validate import validate

ROWS = ["feature," + ",".join(f"s{i}" for i in range(6))]
ROWS += [f"F{j}," + ",".join(f"{i * j % 5}.5" for i in range(6)) for j in range(4)]
SHEET = ["sample\tarm", *(f"s{i}\t{'pd'[i % 2]}" for i in range(6))]


def write(folder: Path, model: dict | None = None, **keys) -> Path:
    (folder / "table.csv").write_text("\n".join(ROWS))
    (folder / "samples.tsv").write_text("\n".join(SHEET))
    text = {
        "study": "small",
        "data": {"files": "table.csv", "format": "wide", "scale": "log2", **keys.pop("data", {})},
        "samples": {"file": "samples.tsv"},
        "seed": 7,
        "models": {"m": {"formula": "~ arm", **(model or {})}},
        **keys,
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(text, sort_keys=False))
    return folder / "config.yaml"


@pytest.mark.parametrize("asked", [None, "accession"])
def test_proteins_of_a_table_that_names_none_are_told_before_the_run(
    tmp_path: Path, asked: str | None
) -> None:
    summarise = {"to": "protein"} | ({"column": asked} if asked else {})
    path = write(tmp_path, preprocess={"summarise": summarise})
    (problem,) = validate(path, data=True)
    assert problem.column == "preprocess.summarise.column" and problem.file == str(path)
    assert problem.value == (asked or "proteins, protein") and "data.features" in str(problem.remedy)


def test_an_annotation_beside_the_data_may_name_them(tmp_path: Path) -> None:
    (tmp_path / "of.csv").write_text("id,name,accession\nF0,a,P1\nF1,b,P1\nF2,c,P2\nF3,d,P2\n")
    summarise = {"to": "protein", "column": "accession"}
    path = write(tmp_path, data={"features": "of.csv"}, preprocess={"summarise": summarise})
    assert validate(path, data=True) == []


def test_a_missing_relationship_is_told_once(tmp_path: Path) -> None:
    model = {"formula": "~ 1 + (1 | arm)", "relationship": {"arm": "kinship.tsv"}}
    (problem,) = validate(write(tmp_path, model))
    assert problem.column == "models.m.relationship.arm" and "no such file" in problem.message


@pytest.mark.parametrize(("method", "seed"), [("profile", None), ("wald", None), ("bootstrap", 7)])
def test_only_an_analysis_that_draws_has_a_seed(tmp_path: Path, method: str, seed: int | None) -> None:
    study = config.load(write(tmp_path, {"analyses": {"intervals": {"method": method}}}))
    (asked,) = analyses.asked(study, study.models[0])
    assert asked.options.get("seed") == seed
