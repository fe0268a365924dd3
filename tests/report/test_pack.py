"""Numbers that travel to the page come back as they went, to the digits that are promised."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import numpy as np
import pytest

from mixflow.report.pack import STEP, Pack
from mixflow.report.payload import named_features, payload
from mixflow.report.view import View


def planes(data: bytes, width: int) -> bytes:
    return np.frombuffer(data, np.uint8).reshape(width, -1).T.tobytes()


def read(pack_bytes: bytes, told: dict[str, Any]) -> Any:
    """What reports/js/data.js does, in Python."""
    data = pack_bytes[told["at"] : told["at"] + told["n"]]
    if told["kind"] == "json":
        return json.loads(data)
    if told["kind"] == "f4":
        return np.frombuffer(planes(data, 4), "<f4")
    if told["kind"] == "r2":
        rows, cols = told["rows"], told["cols"]
        ends = np.frombuffer(data[: rows * 8], "<f4")
        code = np.frombuffer(planes(data[rows * 8 :], 2), "<u2").reshape(rows, cols)
        value = ends[:rows, None] + code / 65534 * ends[rows:, None]
        return np.where(code == 65535, np.nan, value)
    code = np.frombuffer(planes(data, 2), "<u2").astype(int)
    if told["kind"] == "u2":
        return code
    depth = code & 32767
    value = np.where(code & 32768, -1, 1) * np.exp(told["top"] - (depth - 1) * told["step"])
    return np.where(code == 65535, np.nan, np.where(depth == 0, 0.0, value))


def back(pack: Pack, name: str) -> Any:
    return read(gzip.decompress(base64.b64decode(pack.encoded())), pack.header[name])


def test_floats_and_whole_numbers_come_back() -> None:
    pack = Pack()
    values = np.array([1.5, -2.25, np.nan, 0.0, 1e-30])
    pack.text("first", {"a": "é"})
    pack.floats("x", values)
    pack.small("n", np.array([0, 7, 65535]))
    np.testing.assert_array_equal(back(pack, "x"), values.astype("f4"))
    np.testing.assert_array_equal(back(pack, "n"), [0, 7, 65535])
    assert back(pack, "first") == {"a": "é"}


def test_logs_keep_sign_and_three_digits() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000) * 10.0 ** rng.uniform(-5, 3, 2000)
    values[:3] = [0.0, np.nan, -1e-300]
    pack = Pack()
    pack.logs("x", values)
    found = back(pack, "x")
    assert found[0] == 0 and np.isnan(found[1]) and found[2] == 0
    np.testing.assert_allclose(found[3:], values[3:], rtol=STEP / 2 * 1.01)


@pytest.mark.parametrize("values", [np.full((2, 3), np.nan), np.array([[4.0, 4.0, np.nan]])])
def test_rows_without_spread_come_back(values: np.ndarray) -> None:
    pack = Pack()
    pack.rows("x", values)
    np.testing.assert_array_equal(back(pack, "x"), values)


def test_rows_are_linear_between_their_own_ends() -> None:
    values = np.random.default_rng(1).normal(20, 3, (5, 40))
    values[2, 3] = np.nan
    pack = Pack()
    pack.rows("x", values)
    span = np.nanmax(values, axis=1) - np.nanmin(values, axis=1)
    assert np.nanmax(np.abs(back(pack, "x") - values) / span[:, None]) < 2e-5


def test_the_page_gets_every_result_and_the_named_values(view: View) -> None:
    facts_text, numbers = payload(view)
    facts = json.loads(facts_text)
    data = gzip.decompress(base64.b64decode(numbers))
    frame = view.headline.results("high vs control")
    np.testing.assert_array_equal(
        read(data, facts["arrays"]["m0/c0/estimate"]), frame["estimate"].to_numpy("f4")
    )
    assert ((read(data, facts["arrays"]["m0/c0/status"]) >= 100) == frame["hit"]).all()
    named = named_features(view)
    assert named[0] == "F0007" and [view.headline.feature_ids[i] for i in facts["named"]] == named
    values = read(data, facts["arrays"]["values"])
    expected = view.value[list(view.features.index).index("F0007")][
        [view.sample_ids.index(s) for s in view.headline.rows]
    ]
    np.testing.assert_allclose(values[0], expected, atol=1e-3)
    assert [a["factor"] for a in facts["axes"]] == ["dose", "time"] and facts["axes"][1][
        "paired"
    ] == "subject"
    assert "<" not in facts_text
