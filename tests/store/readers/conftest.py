"""Helpers of the readers' tests: write a small file, and look at the one problem it raises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixflow.errors import MixflowError, Problem
from mixflow.store import readers


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write text or bytes to a file of the test's folder."""

    def write(content: str | bytes, name: str = "table.tsv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def refused() -> Callable[..., Problem]:
    """The first problem with which `readers.read` refuses a file."""

    def refused(path: Path, format: str = "auto", **options: Any) -> Problem:
        with pytest.raises(MixflowError) as caught:
            readers.read([path], format, options)
        return caught.value.problems[0]

    return refused
