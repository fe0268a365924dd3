"""The commands. Each parses its arguments, calls one function and prints what it says."""

from __future__ import annotations

import sys

from mixflow.errors import MixflowError


def main() -> None:
    """Entry point of `mixflow`: problems are listed without a traceback, exit code 1."""
    from mixflow.cli.app import app
    from mixflow.cli.console import show

    try:
        app(standalone_mode=True)
    except MixflowError as error:
        show(error)
        sys.exit(1)
    except (OSError, MemoryError) as error:
        from mixflow.pipeline.stopped import problem

        found = problem(error, "")
        if found is None:
            raise
        show(MixflowError(found))
        sys.exit(1)
