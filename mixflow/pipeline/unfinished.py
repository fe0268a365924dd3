"""Jobs that were ended from outside: a SIGKILL leaves no word, but a log that begins and does not end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

BEGUN = " begins"
LAST_WORDS = ("used: ", "stopped:", "failed; ")
"""How the log of a job ends that ended by itself (`mixflow.pipeline.job`)."""


def times(folders: Sequence[Path]) -> dict[Path, int]:
    """When each log in the folders of a run's studies was last written, to be asked before a run."""
    return {path: path.stat().st_mtime_ns for logs in folders for path in sorted(logs.rglob("*.log"))}


SILENT = (
    "No step's log says why: either what Snakemake said above does, or a job was ended from outside before its first "
    "word, by the system when memory ran out, by a time limit, or with its machine. All that Snakemake saw stands in "
    ".snakemake/log."
)


def told(folders: Sequence[Path], before: dict[Path, int]) -> list[str]:
    """After a run that failed: a sentence for each job whose log was begun since ``before`` and has no end."""
    now = times(folders)
    written = [path for path in now if now[path] != before.get(path)]
    found = [_sentence(path, folders) for path in written if _is_unfinished(path)]
    return found or ([] if any(_says_why(path) for path in written) else [SILENT])


def _says_why(log: Path) -> bool:
    return any(word in log.read_text(encoding="utf-8", errors="replace") for word in LAST_WORDS[1:])


def _is_unfinished(log: Path) -> bool:
    text = log.read_text(encoding="utf-8", errors="replace")
    return BEGUN in text and not any(words in text for words in LAST_WORDS)


def _sentence(log: Path, folders: Sequence[Path]) -> str:
    logs = next(folder for folder in folders if log.is_relative_to(folder))
    job = log.relative_to(logs).with_suffix("").as_posix()
    rule = _rule(job.split("/"))
    return (
        f"{job} was ended from outside, without a word: by the system when memory ran out, by a time limit, or with "
        "its machine. Run again: with fewer jobs at once (--cores), or on a cluster with more memory or time "
        f"(--set-resources {rule}:mem_mb=8000 {rule}:runtime=120)."
    )


def _rule(parts: list[str]) -> str:
    """The rule whose log lies there: in a sweep below `sweep`, by step or by combination."""
    if parts[0] != "sweep" or len(parts) == 1:
        return parts[0]
    name = parts[-1] if parts[-1] in ("assemble", "report") else parts[1]
    return name if name.partition("_")[0] in ("combine", "fits", "compare") else f"sweep_{name}"
