"""Which word of `mixflow run` is the config, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixflow.errors import MixflowError
from mixflow.pipeline.words import split


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.yaml", "b.yml"):
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    ("line", "config", "rest"),
    [
        ("a.yaml -n", "a.yaml", "-n"),
        ("other.yaml -n", "other.yaml", "-n"),
        ("-n a.yaml", "a.yaml", "-n"),
        ("-n b.yml -R fit", "b.yml", "-n -R fit"),
        ("stores a.yaml", "a.yaml", "stores"),
        ("--forcerun fit", None, "--forcerun fit"),
        ("--report-metadata a.yaml -n", None, "--report-metadata a.yaml -n"),
        ("-n --report-metadata a.yaml b.yml", "b.yml", "-n --report-metadata a.yaml"),
        ("--profile=a.yaml -n", None, "--profile=a.yaml -n"),
    ],
)
def test_the_config_is_the_one_yaml_file_that_no_option_takes(
    line: str, config: str | None, rest: str
) -> None:
    assert split(None, line.split()) == (Path(config) if config else None, rest.split())


def test_with_configfile_all_words_are_snakemake_s() -> None:
    assert split(Path("b.yml"), ["-n", "a.yaml"]) == (Path("b.yml"), ["-n", "a.yaml"])


@pytest.mark.parametrize("line", ["-n a.yaml b.yml", "-n none.yaml", "-R fit a.yaml", "-q a.yaml"])
def test_where_it_is_not_clear_the_config_is_to_come_first(line: str) -> None:
    with pytest.raises(MixflowError) as caught:
        split(None, line.split())
    assert "name the config first" in (caught.value.problems[0].remedy or "")
