from __future__ import annotations

from dataclasses import replace

import pytest

from mixflow import resources
from mixflow.study import plan, sheet
from mixflow.study.columns import kept_columns, used_columns
from mixflow.study.config import load


def planned(files):
    return plan.load_plan(load(files.config))


def test_embedded_study():
    found = plan.load_plan(load(resources.root() / "config" / "config.yaml"))
    assert found.names == ("mixed", "mixed.collection_site-fixed", "ignored", "without_kiel")
    beside = found.model("mixed.collection_site-fixed")
    assert beside.formula == "~ AD + age + male + collection_site"
    assert (beside.origin, beside.replaces, beside.compare_to) == ("few-levels", "collection_site", "mixed")
    assert beside.contrasts == found.headline.contrasts and found.headline.compare_to is None
    assert found.n_shards == 1


def test_companion_needs_few_levels(files):
    assert planned(files).names == ("main", "main.site-fixed", "plain")
    for i in range(12):
        files.cell(i + 2, "site", f"site {i % 5}")
    assert planned(files).names == ("main", "plain")


def test_levels_are_counted_among_the_samples_fitted(files):
    for i in range(12):
        files.cell(i + 2, "site", f"site{i // 2}")
    assert planned(files).names == ("main", "plain")
    files.edit('(1 | site)"', '(1 | site)"\n    exclude: {site: [site0, site1]}')
    assert planned(files).names == ("main", "main.site-fixed", "plain")


def test_companion_is_switched_off(files):
    assert planned(files.edit("study: small", "study: small\nfew_levels: off")).names == ("main", "plain")


def test_no_companion_where_the_factor_would_hide_a_column(files):
    for i in range(12):
        files.cell(i + 2, "site", "ABAB"[i % 4] + str(i % 4))
        files.cell(i + 2, "arm", "pd"[i % 2])
    assert planned(files).names == ("main", "plain")


@pytest.mark.parametrize(
    "term", ["(1 | site/patient)", "(age | site)", "(1 | site:arm)", "(1 || site) + site"]
)
def test_no_companion_for_other_terms(files, term):
    files.edit("(1 | site)", term)
    assert planned(files).names == ("main", "plain")


def test_companion_of_a_name_that_needs_backticks(files):
    files.rows[0][3] = "col-site"
    files.write_sheet().edit("(1 | site)", "(1 | `col-site`)").edit("[site]", "[col-site]")
    beside = planned(files).models[1]
    assert beside.name == "main.col-site-fixed" and beside.formula == "~ arm + age + `col-site`"


def test_without_a_sheet_declared_levels_count(files):
    files.edit("  file: sheet.tsv\n", "").edit(
        "    age:", "    site: {type: factor, levels: [a, b]}\n    age:"
    )
    assert planned(files).names == ("main", "main.site-fixed", "plain")
    files.edit("    site: {type: factor, levels: [a, b]}\n", "")
    assert planned(files).names == ("main", "plain")


def test_fitted_frame(files):
    files.column("kind", lambda i: "pool" if i == 0 else "s").edit(
        "  id: sample", "  id: sample\n  role: {column: kind, qc: pool}"
    )
    files.cell(3, "age", "")
    files.edit(
        '    formula: "~ arm"',
        '    formula: "~ arm + age"\n    include: {arm: [drug]}\n    exclude: {site: Ulm}',
    )
    study = load(files.config)
    frame = plan.fitted_frame(sheet.read(study), study.models[1], plan.terms_of(study, study.models[1]))
    assert list(frame.index) == ["S3", "S5", "S7"]
    assert list(frame["arm"].cat.categories) == ["drug"] and list(frame["site"].cat.categories) == [
        "Bonn",
        "Kiel",
    ]


def test_used_and_kept_columns(files):
    study = load(files.config)
    assert used_columns(study) == {"arm", "age", "site"}
    assert kept_columns(study) == ("age", "arm")
    assert kept_columns(replace(study, batch=replace(study.batch, keep=("age",)))) == ("age",)


def test_shards_from_config_and_file_size_only(files, monkeypatch):
    study = load(files.config)
    assert plan.n_shards(study) == 1
    monkeypatch.setattr(plan, "BYTES_PER_SHARD", 50)
    assert plan.n_shards(study) == -(-files.data.stat().st_size // 50)
    files.data.unlink()
    assert plan.n_shards(study) == 1
    assert plan.n_shards(load(files.edit("study: small", "study: small\nshards: 7").config)) == 7


@pytest.mark.parametrize(("n", "of"), [(0, 1), (1, 3), (512, 2), (513, 2), (10_000, 7), (100, 1)])
def test_shards_are_whole_chunks_and_cover_all(n, of):
    slices = [plan.shard_slice(n, i, of) for i in range(1, of + 1)]
    assert [k for part in slices for k in range(part.start, part.stop)] == list(range(n))
    assert all(part.start % plan.CHUNK == 0 for part in slices if part.start < part.stop)


def test_no_such_shard():
    with pytest.raises(ValueError, match="shard 3 of 2"):
        plan.shard_slice(10, 3, 2)
