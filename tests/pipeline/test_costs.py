"""What steps ask of a scheduler: the formula, what earlier runs measured, and more with each attempt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mixflow.pipeline import costs
from mixflow.pipeline.job import USED
from mixflow.pipeline.paths import Paths
from mixflow.study import config as config_module
from mixflow.study.plan import load_plan
from tests.pipeline import tiny

NONE, MIXED = SimpleNamespace(), SimpleNamespace(model="mixed", shard="1-of-2")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(megabytes: float = 0, **changes) -> costs.Costs:
    path = tiny.write(Path.cwd(), **{"shards": 2, **changes})
    if megabytes:
        with Path("table.tsv").open("ab") as table:
            table.truncate(int(megabytes * 1e6))  # its size is all that is looked at
    study = config_module.load(path)
    return costs.Costs(study, load_plan(study), Paths(study.name))


def record(name: str, *uses: tuple[object, float], older: bool = False) -> None:
    path = Paths("tiny").benchmarks / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"max_rss": mb, "s": s}) + "\n" for mb, s in uses))
    moved = Path("table.tsv").stat().st_mtime + (-10 if older else 10)
    os.utime(path, (moved, moved))


def test_each_rule_of_the_workflow_has_its_cost() -> None:
    rules = Path(__file__).parents[2] / "workflows" / "rules"
    text = "".join(path.read_text() for path in rules.glob("*.smk"))
    for step in costs.COSTS:
        assert f'STUDY.costs.asked("{step}")' in text
    assert text.count("rule ") - text.count("rule module") >= len(costs.COSTS)


def test_the_formula_grows_with_the_data_and_a_fit_sees_its_shard_only() -> None:
    def asked(*words, **changes) -> list[int]:
        own = made(*words, **changes)
        asks = own.mem_mb("ingest")(NONE), own.mem_mb("fit")(MIXED), own.runtime("fit")(MIXED)
        return [int(each) for each in asks]

    small, large, one = asked(0), asked(1000), asked(1000, shards=1)
    assert all(a < b for a, b in zip(small, large, strict=True))
    assert large[0] - small[0] == pytest.approx(1000 * costs.COSTS["ingest"].mb_per_mb, abs=50)
    assert one[0] == large[0] and one[1] > 1.8 * large[1] and one[2] > large[2]


def test_what_failed_comes_back_with_twice_as_much() -> None:
    own = made()
    for ask in (own.mem_mb("report"), own.runtime("report")):
        asked = [ask(NONE, attempt=attempt) for attempt in (1, 2, 3)]
        assert asked[1] == pytest.approx(2 * asked[0], rel=0.25) and asked[2] > 1.5 * asked[1]


def test_the_greatest_measured_use_of_all_shards_takes_the_place_of_the_formula() -> None:
    formula = made(100).mem_mb("fit")(MIXED)
    own = made(100)
    record("fit/mixed.1-of-2.jsonl", (700, 60), ("NA", 1))
    record("fit/mixed.2-of-2.jsonl", (2000, 600))
    record("fit/plain.1-of-2.jsonl", (9000, 1))
    assert own.measured("fit", "mixed") == (2000, 600)
    assert own.mem_mb("fit")(MIXED) == 2000 * costs.MARGIN_MB + costs.LAUNCHER_MB != formula
    assert own.runtime("fit")(MIXED) == costs.FLOOR_MINUTES + 20
    assert own.mem_mb("fit")(MIXED, attempt=2) == 2 * own.mem_mb("fit")(MIXED)
    assert own.mem_mb("fit")(SimpleNamespace(model="other")) == formula


def test_the_peak_that_a_step_logged_counts_where_the_benchmark_missed_it() -> None:
    own = made()
    record("gather/mixed.jsonl", (300, 5))
    log = Path("logs/tiny/gather/mixed.log")
    log.parent.mkdir(parents=True)
    log.write_text("12:00:00  " + USED % (3.5, 900) + "\n")
    assert own.measured("gather", "mixed") == (900, 5)


def test_what_was_measured_on_older_data_or_cut_off_is_no_measure() -> None:
    own = made()
    record("ingest.jsonl", (5000, 10), older=True)
    record("check.jsonl")
    Path("benchmarks/tiny/report.jsonl").write_text('{"max_rss": 50')
    os.utime("benchmarks/tiny/report.jsonl", (4e9, 4e9))
    assert [own.measured(step) for step in ("ingest", "check", "report", "batch")] == [None] * 4


def test_compressed_data_count_as_their_text_and_missing_data_are_told_elsewhere() -> None:
    text = made(10).mem_mb("check")(NONE)
    Path("table.tsv").rename("table.tsv.gz")
    packed = tiny.CONFIG["data"] | {"files": "table.tsv.gz"}
    path = Path("config.yaml")
    path.write_text(path.read_text().replace("files: table.tsv", f"files: {packed['files']}"))
    study = config_module.load(path)
    assert costs.Costs(study, load_plan(study), Paths("tiny")).mem_mb("check")(NONE) > 1.5 * text
    Path("table.tsv.gz").unlink()
    assert costs.Costs(study, load_plan(study), Paths("tiny")).mem_mb("check")(NONE) < text


def test_a_generalised_model_is_given_more_time() -> None:
    models = {"mixed": tiny.CONFIG["models"]["mixed"], "presence": {
        "formula": "~ group + (1 | site)", "family": "binomial", "response": "presence"}}  # fmt: skip
    own = made(models=models)
    assert own.runtime("fit")(SimpleNamespace(model="presence")) > 4 * own.runtime("fit")(MIXED)
