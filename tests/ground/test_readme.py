"""What the README shows is what the program takes."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.pipeline import steps

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDY = ROOT / "config" / "studies" / "alzheimer-csf"


def test_config_of_the_readme_has_eight_lines_and_is_valid(tmp_path: Path) -> None:
    from mixflow.study.validate import validate

    block = re.search(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    assert block is not None
    assert len(block[1].splitlines()) == 8
    for name in ("proteins.csv", "features.tsv", "samples.tsv"):
        shutil.copy(STUDY / name, tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(block[1], encoding="utf-8")
    assert validate(config) == []


def test_further_keys_of_the_readme_are_those_of_a_model(tmp_path: Path) -> None:
    from mixflow.study.validate import validate

    first, further, _ = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    study = yaml.safe_load(first)
    study["models"]["mixed"] |= yaml.safe_load(textwrap.dedent(further))
    for name in ("proteins.csv", "features.tsv", "samples.tsv"):
        shutil.copy(STUDY / name, tmp_path)
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(study), encoding="utf-8")
    assert validate(config) == []


def test_models_of_counts_in_the_readme_are_valid(tmp_path: Path) -> None:
    from mixflow.study.validate import validate

    models = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)[2])
    sheet = pd.DataFrame({"sample": [f"s{i}" for i in range(24)]})
    sheet = sheet.assign(pregnant=["no", "yes"] * 12, woman=[f"w{i // 2 % 8}" for i in range(24)])
    counts = pd.DataFrame(np.random.default_rng(1).poisson(3, (5, 24)), columns=sheet["sample"])
    text = {"study": "taxa", "data": {"files": "table.tsv", "format": "wide", "scale": "count"}}
    text |= {"samples": {"file": "samples.tsv"}} | models
    assert validate(steps.write(tmp_path, counts.set_axis(list("abcde")), sheet, text)) == []


@pytest.mark.parametrize(
    ("name", "file", "calls"), [("orthodont", "Orthodont__nlme.csv", 2), ("cbpp", "cbpp__lme4.csv", 1)]
)
def test_numbers_of_the_readme_are_those_of_the_program(name: str, file: str, calls: int) -> None:
    """What the comments show is what the calls return."""
    import mixflow

    block = next(b for b in re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL) if name in b)
    known = {"mixflow": mixflow, name: pd.read_csv(ROOT / "tests" / "reference" / "data" / file)}
    shown = re.findall(r"^(?!#)(.+)\n((?:#.*\n)+)", block, flags=re.MULTILINE)
    told = {call for call, _ in shown}
    for line in block.splitlines():
        if not line.startswith("#") and line not in told:
            exec(line, known)
    assert len(shown) == calls
    for call, comment in shown:
        table = eval(call, known)
        columns = comment.splitlines()[0].removeprefix("#").split()
        text = table[columns].round(4).to_string(index=False)
        assert [line.split() for line in text.splitlines()] == [
            line.removeprefix("#").split() for line in comment.splitlines()
        ]


def test_sheet_of_the_readme_is_the_head_of_the_embedded_one() -> None:
    shown = [line.split() for line in README.splitlines() if re.match(r"    (sample  |Sample_0)", line)]
    sheet = [line.split("\t") for line in (STUDY / "samples.tsv").read_text(encoding="utf-8").splitlines()]
    assert shown == sheet[: len(shown)]
    assert len(shown) == 4


def test_commands_of_the_readme_exist() -> None:
    from mixflow.cli.app import app

    named = set(re.findall(r"^    mixflow (\w+)", README, flags=re.MULTILINE))
    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    assert named and named <= known
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    assert set(re.findall(r"^    make (\w+)", README, flags=re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("http")]
    assert [link for link in local if not ((ROOT / page).parent / link).exists()] == []
