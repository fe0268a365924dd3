"""The tables of `make size` from figures made up so that the answer is known."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parents[2] / "workflows" / "size"
SIZES = (10_000, 30_000, 100_000)


@pytest.fixture(scope="module")
def modules() -> Iterator[dict[str, ModuleType]]:
    """Scripts of the workflow, which import one another by their bare names."""
    names = ("tables", "page", "measure")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        for name in names:
            sys.modules.pop(name, None)
        yield {name: importlib.import_module(name) for name in names}
        for name in names:
            sys.modules.pop(name, None)


def study(n: int) -> dict[str, Any]:
    """Rules cost 1 s and 1 ms a feature, and 300 MB and 1 kB a feature; a fit of 10,000 features 8 s."""
    rules = ("check", "ingest", "preprocess", "batch", "gather", "assemble", "report")
    jobs = [{"rule": r, "wall": 1.0, "cpu": 1 + n / 1e3, "peak_mb": 300 + n / 1e3} for r in rules]
    jobs += [{"rule": "fit", "wall": 9.0, "cpu": 8.0, "peak_mb": 900.0}] * (n // 10_000)
    sizes = {"input": 3600 * n, "work": 9000 * n, "study.zarr": 8000 * n}
    sizes |= {"report.html": 2_000_000, "results.xlsx": 300 * n, "tables": 500 * n, "figures": 9_000_000}
    return {"wall": 60.0, "cpu": 90.0, "load": [1.0, 2.0], "jobs": jobs, "bytes": sizes}


def cut(count: int, wall: float, cpu: float, chosen: bool = False) -> dict[str, Any]:
    jobs = [{"rule": "fit", "wall": 1.0, "cpu": cpu / count, "peak_mb": 900.0}] * count
    return {"shards": count, "wall": wall, "load": [1.0, 1.0], "jobs": jobs, "chosen": chosen}


CUTS = [cut(2, 11.0, 22.0, chosen=True), cut(1, 20.0, 20.0), cut(2, 10.0, 22.0), cut(8, 14.0, 40.0)]


def test_growth_is_that_of_the_two_largest_studies(modules: dict[str, ModuleType]) -> None:
    tables = modules["tables"]
    by_rule = tables.rules({n: study(n) for n in SIZES})
    grown = tables.growth(by_rule).set_index("rule")
    assert list(grown.index) == list(tables.ORDER)
    assert grown.loc["ingest", "kb_a_feature"] == pytest.approx(1.0)
    assert grown.loc["fit", "kb_a_feature"] == 0 and grown.loc["fit", "peak_mb_30000"] == 900
    own = by_rule[(by_rule["features"] == 100_000) & (by_rule["rule"] == "fit")].iloc[0]
    assert (own["jobs"], own["cpu_s"], own["peak_mb"]) == (10, 80.0, 900.0)


def test_the_price_of_cutting_and_the_choice(modules: dict[str, ModuleType]) -> None:
    table = modules["tables"].shards(CUTS, 30_000)
    assert table["shards"].tolist() == [1, 2, 2, 8] and table["features_each"].tolist()[-1] == 3750
    assert table[table["chosen"]]["over_best"].item() == pytest.approx(1.1)
    assert table["cpu_over_one"].tolist() == pytest.approx([1.0, 1.1, 1.1, 2.0])


def test_a_million_features_on_paper(modules: dict[str, ModuleType]) -> None:
    tables, runs = modules["tables"], {n: study(n) for n in SIZES}
    asked = {"features": 1_000_000, "nodes": 100, "node_cores": 32}
    found = tables.paper(runs, tables.rules(runs), asked, 36_000_000).set_index("rule")
    assert found.loc["fit", "jobs"] == 100  # of 10,000 features, 3.6 kB each
    assert found.loc["fit", "cpu_hours"] * 3600 == pytest.approx(800)
    assert found.loc["fit", "hours"] * 3600 == pytest.approx(8)  # one wave
    assert found.loc["gather", "hours"] * 3600 == pytest.approx(1001)
    assert found.loc["gather", "peak_gb"] == pytest.approx(1.3)
    assert tables.disk_gb(runs, 1_000_000)["study.zarr"] == pytest.approx(8.0)


def test_the_page_is_written_from_files_alone(
    modules: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load((HERE / "config.yaml").read_text())
    config |= {"work": "work", "page": "size.md", "tables": "tables"}
    (tmp_path / "work").mkdir()
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    told = {"seconds": 2.5, "heap_mb": 40, "errors": [], "rows": 80, "elements": 12_000}
    for name, content in {"shards": CUTS, "browser": told, **{f"study-{n}": study(n) for n in SIZES}}.items():
        (tmp_path / "work" / f"{name}.json").write_text(json.dumps(content))
    modules["page"].main("config.yaml")
    text = (tmp_path / "size.md").read_text()
    assert "took 1.10 times the shortest wall time" in text and "no errors" in text and "was calm" in text
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == {
        "studies", "rules", "growth", "shards", "paper",
    }  # fmt: skip


def test_jobs_are_read_from_logs_and_benchmarks(modules: dict[str, ModuleType], tmp_path: Path) -> None:
    from mixflow.pipeline import job

    for folder, suffix, content in (
        ("logs", "log", "12:00:00  " + job.USED % (2.25, 311) + "\n"),
        ("benchmarks", "jsonl", '{"s": 4.5, "max_rss": 1}\n'),
    ):
        path = tmp_path / folder / "study" / "fit" / f"mixed.1-of-2.{suffix}"
        path.parent.mkdir(parents=True)
        path.write_text(content)
    found = modules["measure"].jobs(tmp_path)
    assert found == [{"rule": "fit", "wall": 4.5, "cpu": 2.2, "peak_mb": 311.0}]
