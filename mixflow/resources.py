"""Where the files that are not Python lie: Snakefile, workflows/, config/ and reports/."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def root() -> Path:
    """The folder that holds ``Snakefile``, ``workflows/``, ``config/`` and ``reports/``.

    In an installed wheel that is ``mixflow/_workflow`` (pyproject.toml puts it there); in a checkout or
    an editable install it is the root of the repository.

    Raises:
        FileNotFoundError: neither place holds the workflow, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / "_workflow", package.parent):
        if (folder / "Snakefile").is_file() and (folder / "workflows").is_dir():
            return folder
    raise FileNotFoundError(
        f"mixflow is installed in {package} without its workflow files; install it again with pip."
    )
