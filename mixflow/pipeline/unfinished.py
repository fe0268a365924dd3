"""Jobs that were ended from outside: a SIGKILL leaves no word, but a log that begins and does not end."""

from __future__ import annotations

from pathlib import Path

BEGUN = " begins"
LAST_WORDS = ("used: ", "stopped:", "failed; ")
"""How the log of a job ends that ended by itself (`mixflow.pipeline.job`)."""


def times(logs: Path) -> dict[Path, int]:
    """When each log of a study was last written, to be asked before a run."""
    return {path: path.stat().st_mtime_ns for path in sorted(logs.rglob("*.log"))}


def told(logs: Path, before: dict[Path, int]) -> list[str]:
    """A sentence for each job whose log was begun since ``before`` and has no end."""
    now = times(logs)
    return [_sentence(path, logs) for path in now if now[path] != before.get(path) and _is_unfinished(path)]


def _is_unfinished(log: Path) -> bool:
    text = log.read_text(encoding="utf-8", errors="replace")
    return BEGUN in text and not any(words in text for words in LAST_WORDS)


def _sentence(log: Path, logs: Path) -> str:
    job = log.relative_to(logs).with_suffix("").as_posix()
    return (
        f"{job} was ended from outside, without a word: by the system when memory ran out, by a time limit, or with "
        "its machine. Run again: with fewer jobs at once (--cores), or on a cluster with more memory or time "
        f"(--set-resources {job.partition('/')[0]}:mem_mb=8000 {job.partition('/')[0]}:runtime=120)."
    )
