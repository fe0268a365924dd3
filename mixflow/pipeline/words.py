"""The words of `mixflow run`: which one is the config, which are for Snakemake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mixflow.errors import MixflowError, Problem

YAML = (".yaml", ".yml")


def split(config: Path | None, words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """A first word that is a YAML file is the config, else the one YAML file that no option takes for itself.

    All other words are for Snakemake. Raises MixflowError where it cannot be told which file is the config.
    """
    named = [i for i, word in enumerate(words) if word.endswith(YAML) and not word.startswith("-")]
    if config is not None or not named:
        return config, list(words)
    if named[0] == 0:
        return Path(words[0]), list(words[1:])
    targets = _targets(words)
    free = [i for i in named if words[i] in targets]
    if len(free) == 1 and Path(words[free[0]]).is_file():
        return Path(words[free[0]]), [word for i, word in enumerate(words) if i != free[0]]
    unclear = free or [i for i in named if targets is _UNKNOWN or not words[i - 1].startswith("-")]
    if unclear:
        raise MixflowError(_unclear([words[i] for i in unclear]))
    return config, list(words)


def shipped_profiles(words: Sequence[str], folder: Path) -> list[str]:
    """``words`` with the name of a profile that ships in ``folder`` (slurm, generic ...) replaced by its path.

    A profile of the user's by that name, where Snakemake finds it, comes first.
    """
    from snakemake.cli import get_profile_dir

    def found(name: str) -> str:
        ours = name.isidentifier() and (folder / name).is_dir() and get_profile_dir(name) is None
        return str(folder / name) if ours else name

    made = list(words)
    for i, word in enumerate(words):
        if word == "--profile" and i + 1 < len(words):
            made[i + 1] = found(words[i + 1])
        elif word.startswith("--profile="):
            made[i] = f"--profile={found(word.removeprefix('--profile='))}"
    return made


class _UnreadableError(Exception):
    """Snakemake cannot read its options."""


_UNKNOWN: tuple[str, ...] = ("",)


def _targets(words: Sequence[str]) -> Sequence[str]:
    """The words that Snakemake would take for targets, not for the value of an option."""
    from snakemake.cli import get_argument_parser

    def stop(message: str) -> NoReturn:
        raise _UnreadableError(message)

    parser = get_argument_parser()
    parser.error = stop
    try:
        return sorted(parser.parse_known_args(list(words))[0].targets)
    except _UnreadableError:
        return _UNKNOWN


def _unclear(names: Sequence[str]) -> Problem:
    remedy = f"name the config first: mixflow run {names[0]} [options of Snakemake]"
    return Problem("it is not clear which word is the config", value=", ".join(names), remedy=remedy)
