"""Which rules Snakemake would run: in a forked process, so that nothing is imported again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from mixflow.pipeline import codehash
from tests.faults import child, study
from tests.faults.child import Ended

EVERYTHING = set(study.RULES)


def rules(folder: Path, *faults: Callable[[], object], words: tuple[str, ...] = ()) -> set[str]:
    """Names of the rules that would run again in ``folder``."""
    ended = snakemake(folder, "-n", *words, faults=faults)
    assert ended.code == 0, ended.text
    table = re.search(r"Job stats:\n(.*?)\n\n", ended.text, flags=re.DOTALL)
    if table is None:
        assert "Nothing to be done" in ended.text, ended.text
        return set()
    return {line.split()[0] for line in table[1].splitlines()[2:]} - {"total", "all"}


def snakemake(folder: Path, *words: str, faults: tuple[Callable[[], object], ...] = ()) -> Ended:
    """Snakemake with the project's Snakefile and the config of ``folder``."""
    handle, name = tempfile.mkstemp(prefix="mixflow-said-")
    pid = os.fork()
    if pid == 0:
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os._exit(_work(folder, words, faults))
    os.close(handle)
    return child.wait(pid, Path(name), time.monotonic())


def _work(folder: Path, words: tuple[str, ...], faults: tuple[Callable[[], object], ...]) -> int:
    code = 0
    try:
        sys.stdout, sys.stderr = (os.fdopen(i, "w", closefd=False) for i in (1, 2))
        os.chdir(folder)
        for fault in faults:
            fault()
        from snakemake.cli import main

        main(
            [
                "--snakefile",
                str(study.ROOT / "Snakefile"),
                "--configfile",
                "config.yaml",
                "--cores",
                "2",
                *words,
            ]
        )
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def edited(package: Path, module: str) -> Callable[[], None]:
    """As if the package lay at ``package`` and the ``module`` (path below it) had been edited there."""

    def fault() -> None:
        with (package / module).open("a", encoding="utf-8") as handle:
            handle.write("\n# edited\n")
        codehash.PACKAGE = package
        codehash.imports.cache_clear()

    return fault


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`mixflow run` in a process of its own."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=280
    )


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "mixflow.cli", "run", "--cores", "2", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(study.ROOT)}
