"""Names of sheet columns as names of variables: Zarr and xarray read some characters as paths."""

from __future__ import annotations

from urllib.parse import unquote

RESERVED = frozenset({"zarr.json", "sample", "feature"})
"""Names that mean a file of Zarr or the dims themselves."""
_UNSAFE = {character: f"%{ord(character):02X}" for character in "%/\\\0"}


def encode(name: str) -> str:
    """A variable name that is safe as one folder's name; ``decode`` gives the column's name back."""
    safe = "".join(_UNSAFE.get(character, character) for character in name)
    if safe.startswith((".", "__")) or safe in RESERVED:
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    return safe


def decode(name: str) -> str:
    """The column's name behind a variable's name."""
    return unquote(name)
