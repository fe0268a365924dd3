"""What the steps of a sweep ask of a scheduler: more for more in a job, what was measured, and more by attempt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mixflow.pipeline import costs, setup, sweeps
from mixflow.pipeline.sweepcosts import EACH_MB
from mixflow.study import config as config_module
from tests.pipeline import tiny

MIXED = tiny.CONFIG["models"]["mixed"]
PRESENCE = {"formula": "~ group + (1 | site)", "family": "binomial", "response": "presence"}
ALL = SimpleNamespace()


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(models: dict | None = None, **swept) -> sweeps.Sweeps:
    sweep = swept or {
        "preprocess.normalise": ["none", "median"],
        "models.mixed.df": ["satterthwaite", "residual"],
    }
    path = tiny.write(Path.cwd(), models=models or {"mixed": MIXED}, sweep=sweep)
    found = sweeps.load(setup.Workflow(config_module.load(path)))
    assert found is not None
    return found


def record(name: str, mb: float, seconds: float) -> None:
    path = Path("benchmarks/tiny/sweep") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"max_rss": mb, "s": seconds}) + "\n")
    later = Path("table.tsv").stat().st_mtime + 10
    os.utime(path, (later, later))


def test_a_batch_asks_more_for_more_and_twice_as_much_when_tried_again() -> None:
    own = made()
    (keys,) = own.fit_batches
    one, all_ = own.costs.fits_mb(keys[:1]), own.costs.fits_mb(keys * 5)
    assert all_(ALL) - one(ALL) == pytest.approx(9 * EACH_MB["fits"], abs=50)
    assert (
        own.costs.fits_runtime(keys * 5)(ALL) > own.costs.fits_runtime(keys[:1])(ALL) >= costs.FLOOR_MINUTES
    )
    for step in ("combine", "compare", "check"):
        asks = [own.costs.all_mb(step, own.names), own.costs.all_runtime(step, own.names)]
        for ask in asks:
            assert ask(ALL, attempt=2) > 1.6 * ask(ALL) and ask(ALL, attempt=3) > 2.5 * ask(ALL)
        assert own.costs.all_runtime(step, own.names * 200)(ALL) > asks[1](ALL)


def test_shared_steps_ask_as_those_of_a_study_until_they_were_measured() -> None:
    own = made()
    node = next(each for each in own.nodes.values() if each.step == "fit mixed")
    job = SimpleNamespace(node=node.key, model="mixed", shard="1-of-1")
    alone = own.workflows[node.combination].costs
    assert own.costs.mem_mb("fit")(job) == alone.mem_mb("fit")(job)
    assert own.costs.runtime("fit")(job, attempt=2) == alone.runtime("fit")(job, attempt=2)
    record(f"fit/{node.key}.mixed.1-of-1.jsonl", 3000, 600)
    record(f"fit/{node.key}.other.1-of-1.jsonl", 9000, 6000)
    again = made()
    assert again.costs.mem_mb("fit")(job) == 3000 * costs.MARGIN_MB + costs.LAUNCHER_MB
    assert again.costs.runtime("fit")(job) == costs.FLOOR_MINUTES + 20
    one = SimpleNamespace(combination=own.names[0])
    assert again.costs.mem_mb("report")(one) == again.workflows[own.names[0]].costs.mem_mb("report")(one)


def test_what_a_batch_was_measured_at_counts_but_no_less_than_the_formula() -> None:
    formula = made().costs.all_mb("combine", made().names)(ALL)
    record("combine_1.jsonl", 50, 1)
    assert made().costs.all_mb("combine", made().names)(ALL) == formula
    record("combine_2.jsonl", 5000, 1)
    assert made().costs.all_mb("combine", made().names)(ALL) == 5000 * costs.MARGIN_MB + costs.LAUNCHER_MB


def test_generalised_models_of_one_combination_are_given_more_time() -> None:
    plain = made()
    slow = made(
        models={"mixed": MIXED, "presence": PRESENCE}, **{"models.mixed.df": ["satterthwaite", "residual"]}
    )
    (few,), (many,) = plain.fit_batches, slow.fit_batches
    assert slow.costs.fits_runtime(many)(ALL) > 4 * plain.costs.fits_runtime(few)(ALL)
    assert slow.costs.all_runtime("combine", slow.names)(ALL) > 4 * plain.costs.all_runtime(
        "combine", plain.names
    )(ALL)
