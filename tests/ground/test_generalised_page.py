"""docs/generalised.md: its code runs, and the numbers that it shows are those that come out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from mixflow.family import FAMILIES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "generalised.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CLOSE = 0.0016
"""Three decimals are shown, and R's numbers agree to a thousandth of a standard error."""


def shown(block: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Expressions and the rows of the comment below each, heading first."""
    for call, comment in re.findall(r"^(?!#)(.+)\n((?:#.*\n)+)", block, flags=re.MULTILINE):
        yield call, [line.removeprefix("#").split() for line in comment.splitlines()]


def run(block: str, known: dict) -> None:
    calls = {call for call, _ in shown(block)}
    for line in block.splitlines():
        if line and not line.startswith("#") and line not in calls:
            exec(line, known)


def test_every_family_has_an_example() -> None:
    missing = [name for name in FAMILIES if f"`{name}`" not in PAGE and name != "gaussian"]
    assert missing == []
    assert sum("mixflow.fit(" in block for block in BLOCKS) >= 12


def test_models_of_the_page_are_those_of_the_config() -> None:
    from mixflow.study.schema import schema

    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    known = schema()["$defs"]["model"]["properties"]
    for model in yaml.safe_load(text)["models"].values():
        assert set(model) <= set(known)


def test_pictures_and_links_of_the_page_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target


@pytest.mark.grid
@pytest.mark.parametrize("number", range(1, len(BLOCKS)))
def test_code_runs_and_gives_the_numbers_shown(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block stands on what the first one imports and on tables that earlier ones read."""
    monkeypatch.chdir(ROOT)
    known: dict = {}
    exec(BLOCKS[0], known)
    for block in BLOCKS[1:number]:
        run(
            "\n".join(
                line for line in block.splitlines() if "read_csv" in line or line.startswith("names =")
            ),
            known,
        )
    run(BLOCKS[number], known)
    for call, (heading, *rows) in shown(BLOCKS[number]):
        table = eval(call, known)[heading]
        assert list(table["term"]) == [row[0] for row in rows]
        told = np.array([[float(cell) for cell in row[1:]] for row in rows])
        np.testing.assert_allclose(table[heading[1:]].to_numpy(float), told, atol=CLOSE)
    fits = [value for value in known.values() if hasattr(value, "coefficients")]
    assert fits and all(np.isfinite(fit.model.loglik).all() for fit in fits)
