"""Which rules the single commands ran (`mixflow ingest`): Snakemake does not know with which settings.

The next `mixflow run` runs them again, and forgets them once its report is made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mixflow.errors import MixflowError, Problem
from mixflow.pipeline.paths import Paths

FORCERUN = ("--forcerun", "-R")


def note(paths: Paths, *rules: str) -> None:
    """Remember, before they write, that a command runs these rules."""
    from mixflow.store import atomic

    paths.by_command.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(paths.by_command, json.dumps(list(dict.fromkeys([*noted(paths), *rules]))))


def noted(paths: Paths) -> list[str]:
    """The rules that commands ran; MixflowError where the record cannot be read."""
    path = paths.by_command
    if not path.is_file():
        return []
    try:
        return [str(rule) for rule in json.loads(path.read_text(encoding="utf-8"))]
    except (json.JSONDecodeError, TypeError) as error:
        remedy = "delete it, then: mixflow run --forceall"
        raise MixflowError(Problem("this record cannot be read", file=str(path), remedy=remedy)) from error


def forcing(rules: Sequence[str], extra: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words for Snakemake that run ``rules`` again, and the user's words ``extra``, in whose list they join.

    Snakemake takes the last list only, so there is one.
    """
    place = next((i + 1 for i, word in enumerate(extra) if word in FORCERUN), None)
    if not rules or place is None:
        return ["--forcerun", *rules] if rules else [], list(extra)
    return [], [*extra[:place], *rules, *extra[place:]]


def forget(paths: Paths) -> None:
    """The outputs are Snakemake's again."""
    paths.by_command.unlink(missing_ok=True)
