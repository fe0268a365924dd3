"""Random moments that are the same in every run of the suite."""

from __future__ import annotations

import random

SEED = 20261121
"""From which all random moments follow; another number gives other moments."""


def moments(*names: object) -> random.Random:
    """A stream of random numbers of its own for each test."""
    return random.Random(f"{SEED} {' '.join(map(str, names))}")
