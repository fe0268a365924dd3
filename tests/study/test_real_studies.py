"""The three domains by config alone: their raw files, sheets and models pass every check before a fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixflow.study import plan, sheet
from mixflow.study.config import load
from mixflow.study.validate import validate

ROOT = Path(__file__).parents[2]
HMP2 = """\
study: hmp2
data: {{data_root: {root}/microbiome, files: hmp2_maaslin2_taxonomy.tsv, format: wide, scale: proportion}}
samples:
  file: hmp2_maaslin2_metadata.tsv
  columns:
    diagnosis: {{type: factor, levels: [nonIBD, UC, CD]}}
    age: {{type: number}}
    antibiotics: {{type: factor, levels: [no, yes], labels: [without, with]}}
  unit: subject
preprocess: {{normalise: total_sum, transform: asin_sqrt}}
models:
  main:
    formula: "~ diagnosis + dysbiosisnonIBD + dysbiosisUC + dysbiosisCD + antibiotics + age
      + (1 | site) + (1 | subject)"
    contrasts: {{UC: {{diagnosis: [UC, nonIBD]}}, drug: {{antibiotics: [with, without]}}}}
"""
CPTAC = """\
study: cptac
data: {{data_root: {root}/proteomics, files: cptac_study6_peptides200.txt.gz}}
samples:
  file: cptac_study6_peptides200_annotation.tsv
  columns: {{condition: {{type: factor, levels: [6A, 6B, 6C, 6D, 6E]}}}}
preprocess: {{transform: log2, normalise: median}}
batch: {{factors: lab}}
models:
  peptides: {{formula: ~ condition + (1 | lab), min_values: 4, contrasts:
    {{steps: {{condition: all pairs}}}}}}
"""
CCR1 = """\
study: ccr1
data: {{data_root: {root}/radiomics, files: ccr1_ct_phantom_pyradiomics.csv.gz}}
samples:
  derive:
    cartridge: {{from: ROI, pattern: '^(?P<value>.+)_[0-9]+$'}}
    position: {{from: ROI, pattern: '_(?P<value>[0-9]+)$'}}
  columns:
    cartridge: {{type: factor}}
    position: {{type: factor}}
models:
  main: {{formula: ~ 1 + (1 | Patient) + (1 | cartridge) + (1 | cartridge:position)}}
"""


def study_of(text, shared_data, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(text.format(root=shared_data), encoding="utf-8")
    return config


def test_microbiome(shared_data, tmp_path):
    config = study_of(HMP2, shared_data, tmp_path)
    found = {(p.column, p.value) for p in validate(config, data=True)}
    assert ("antibiotics", "No") in found and ("antibiotics", "Yes") in found  # levels are text as it stands
    config.write_text(config.read_text().replace("[no, yes]", "[No, Yes]"))
    assert validate(config, data=True) == []
    assert plan.load_plan(load(config)).names == ("main",)


def test_proteomics(shared_data, tmp_path):
    config = study_of(CPTAC, shared_data, tmp_path)
    assert validate(config, data=True) == []
    assert plan.load_plan(load(config)).names == ("peptides", "peptides.lab-fixed")


def test_radiomics(shared_data, tmp_path):
    from mixflow.store import readers

    config = study_of(CCR1, shared_data, tmp_path)
    assert validate(config, data=True) == []
    study = load(config)
    assert plan.load_plan(study).names == ("main",)
    found = sheet.read(study, readers.read(study.data.files, study.data.format).samples)
    assert found.frame["cartridge"].nunique() == 10 and len(found.frame) == 2080


@pytest.mark.parametrize("name", ["romero", "dietswap", "muscat", "hmp2-prevalence"])
def test_generalised_studies_of_the_project(shared_data, monkeypatch, name):
    """docs/generalised.md: counts, presence and pseudo-bulk by config alone."""
    monkeypatch.chdir(ROOT)
    assert (ROOT / "../shared/data").resolve() == shared_data
    config = ROOT / "config" / "studies" / name / "config.yaml"
    assert validate(config, data=True) == []
    assert load(config).headline.generalised
