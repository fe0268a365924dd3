"""What must hold after a fault: nothing half stands in the place of a whole, and the job run again ends equal."""

from __future__ import annotations

from pathlib import Path

from tests.faults import child, study
from tests.faults.child import Ended
from tests.faults.ledger import Trial

AGAIN = r"run again: mixflow run"


def goes_on(folder: Path, made: study.Job, truth: dict[str, str]) -> None:
    """What a killed or stopped job left is not taken for done; run again it ends as if nothing had been."""
    assert study.half_written(folder, made) == []
    again = child.run(folder, made)
    assert again.code == 0, again.text
    is_equal(folder, made, truth)
    assert study.leftovers(folder) == []


def is_equal(folder: Path, made: study.Job, truth: dict[str, str]) -> None:
    assert study.content(folder, list(made.outputs.values())) == truth


def told(ended: Ended, trial: Trial, *words: str) -> None:
    """It stopped by itself, without a traceback for the user, and said what is wrong and how to go on."""
    assert ended.code > 0, f"it did not stop: {ended.code}\n{ended.text}"
    assert "stopped:" in ended.text, ended.text
    message = ended.text[ended.text.find("stopped:") :]
    assert "Traceback" not in message, ended.text
    trial.stopped(message, *words)
