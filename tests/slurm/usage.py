"""What jobs of a `Node` asked for and used: memory is watched from outside, the rest is Slurm's own record."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psutil

from tests.slurm.node import Node

STEP = re.compile(r"slurmstepd: \[(\d+)[._]")
COLUMNS = ("id", "rule", "CPUs", "asked MB", "used MB", "asked min", "used s", "state")


@contextmanager
def watched(node: Node, every: float = 0.5) -> Iterator[dict[str, float]]:
    """Yield the greatest resident megabytes of each job so far, by job id: all its steps, Snakemake's own too."""
    peaks: dict[str, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            for job, used in _resident(node).items():
                peaks[job] = max(peaks.get(job, 0.0), used)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def table(node: Node, peaks: dict[str, float]) -> list[dict[str, str]]:
    """One row for each job that the controller knows, with the columns `COLUMNS`, by job id."""
    rows = [_row(job, peaks) for job in node.jobs()]
    return sorted(rows, key=lambda row: int(row["id"]))


def markdown(rows: list[dict[str, str]]) -> str:
    """The table as text."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(row[column] for column in COLUMNS) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _row(job: dict[str, str], peaks: dict[str, float]) -> dict[str, str]:
    began, ended = (datetime.fromisoformat(job[name]) for name in ("StartTime", "EndTime"))
    hours, minutes, _ = (int(part) for part in job["TimeLimit"].split(":"))
    rule = job.get("Comment", "").removeprefix("rule_").replace("_wildcards_", " ")
    if "ArrayTaskId" in job:  # the comment of an array names the wildcards of its first task only
        rule = f"{rule.split(' ')[0]} (task {job['ArrayTaskId']} of array {job['ArrayJobId']})"
    return {
        "id": job["JobId"],
        "rule": rule,
        "CPUs": job["NumCPUs"],
        "asked MB": job["MinMemoryNode"].removesuffix("M"),
        "used MB": f"{peaks.get(job['JobId'], 0):.0f}",
        "asked min": str(60 * hours + minutes),
        "used s": f"{(ended - began).total_seconds():.0f}",
        "state": job["JobState"],
    }


def _resident(node: Node) -> dict[str, float]:
    """Resident megabytes now of each running job of ``node``."""
    found: dict[str, float] = {}
    for process in psutil.process_iter(["cmdline"]):
        step = STEP.match(" ".join(process.info["cmdline"] or []))
        if step and node.owns(process):
            found[step[1]] = found.get(step[1], 0.0) + _below(process)
    return found


def _below(process: psutil.Process) -> float:
    total = 0.0
    try:
        children = process.children(recursive=True)
    except psutil.NoSuchProcess:
        return total
    for child in children:
        try:
            total += child.memory_info().rss / 2**20
        except psutil.NoSuchProcess:  # ended in this moment
            continue
    return total
