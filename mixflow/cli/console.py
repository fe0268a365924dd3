"""What the commands print."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from mixflow.errors import MixflowError, Problem

OUT = Console(highlight=False, soft_wrap=True)
ERROR = Console(stderr=True, highlight=False, soft_wrap=True)


def tell(sentence: str) -> None:
    """One sentence, as it is: nothing in it is markup."""
    OUT.print(Text(sentence))


def show(error: MixflowError) -> None:
    """The problems as a list: place, what is wrong, what was found, the way out."""
    count = len(error.problems)
    ERROR.print(Text(f"{count} problem{'s' if count > 1 else ''}:", style="bold red"))
    for problem in error.problems:
        ERROR.print(_as_text(problem))


def _as_text(problem: Problem) -> Text:
    first, *rest = str(problem).split("\n")
    text = Text("- ")
    text.append(first)
    for line in rest:
        text.append("\n" + line, style="green" if line.lstrip().startswith("->") else "")
    return text
