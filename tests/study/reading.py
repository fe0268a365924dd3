"""Reading a sheet, joining it with samples, and what is refused: for the tests of both."""

from __future__ import annotations

import pytest

from mixflow.errors import MixflowError
from mixflow.study import sheet
from mixflow.study.config import load

IDS = [f"S{i}" for i in range(12)]


def read(files, found=None):
    return sheet.read(load(files.config), found)


def refused(files, found=None):
    with pytest.raises(MixflowError) as caught:
        read(files, found)
    return caught.value.problems


def joined(files, ids):
    study = load(files.config)
    return sheet.join(sheet.read(study), ids, study)
