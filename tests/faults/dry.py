"""Which rules Snakemake would run: in a forked process, so that nothing is imported again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from mixflow.pipeline import codehash
from tests.faults import child, study
from tests.faults.child import Ended


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
    from snakemake.cli import main

    asked = ["--snakefile", str(study.ROOT / "Snakefile"), "--configfile", "config.yaml", "--cores", "2"]
    began = time.monotonic()
    return child.wait(*child.start(folder, lambda: main([*asked, *words]), faults), began)


def edited(package: Path, module: str) -> Callable[[], None]:
    """As if the package lay at ``package`` and the ``module`` (path below it) had been edited there."""

    def fault() -> None:
        with (package / module).open("a", encoding="utf-8") as handle:
            handle.write("\n# edited\n")
        codehash.PACKAGE = package
        codehash.imports.cache_clear()

    return fault
