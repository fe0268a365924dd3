"""A flipped byte, a cut or missing file in each kind of store: what reads it stops, or did not need it."""

from __future__ import annotations

import random as random_module
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mixflow.store import atomic, verify
from tests.faults import after, child, study
from tests.faults.ledger import Ledger
from tests.faults.moments import moments

pytestmark = pytest.mark.faults
READERS = {
    "raw": ("preprocess",),
    "data": ("batch", "fit", "gather", "analyse", "assemble"),
    "batch": ("assemble",),
    "shard": ("gather",),
    "model": ("analyse", "assemble"),
    "analyses": ("assemble",),
    "study.zarr": ("report",),
}
MAKER = {
    "raw": "ingest",
    "data": "preprocess",
    "batch": "batch",
    "shard": "fit",
    "model": "gather",
    "analyses": "analyse",
    "study.zarr": "assemble",
}
PAIRS = [(store, reader) for store, readers in READERS.items() for reader in readers]
Random = random_module.Random


def _chunks(store: Path) -> list[Path]:
    return sorted(p for p in store.rglob("*") if p.is_file() and "c" in p.relative_to(store).parts[1:])


def _flip(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def _flip_value(store: Path, random: Random) -> None:
    _flip(random.choice(_chunks(store)), random)


def _flip_attribute(store: Path, random: Random) -> None:
    _flip(random.choice(sorted(store.rglob("zarr.json"))), random)


def _cut_chunk(store: Path, random: Random) -> None:
    path = random.choice(_chunks(store))
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def _lose_chunk(store: Path, random: Random) -> None:
    random.choice(_chunks(store)).unlink()


def _cut_manifest(store: Path, random: Random) -> None:
    path = store / "manifest.json"
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size - 2)])


DAMAGE: dict[str, Callable[[Path, Random], None]] = {
    "flipped byte in a chunk": _flip_value,
    "flipped byte in the metadata": _flip_attribute,
    "truncated chunk": _cut_chunk,
    "missing chunk": _lose_chunk,
    "truncated manifest": _cut_manifest,
}


@pytest.mark.parametrize(("store", "reader"), PAIRS)
def test_damaged_store(
    store: str, reader: str, finished: Path, folder: Path, truth: dict, ledger: Ledger
) -> None:
    random, made, place = moments("damage", store, reader), study.job(reader), study.STORES[store]
    for fault, damage in DAMAGE.items():
        for _ in range(2 if fault == "flipped byte in a chunk" else 1):
            with ledger.trial(reader, f"{fault} of {store}") as trial:
                damage(folder / place, random)
                assert verify.verify(folder / place), "the damage is no damage"
                ended = child.run(folder, made)
                if ended.code == 0:  # what it read was whole
                    after.is_equal(folder, made, truth[reader])
                    trial.equal()
                else:
                    after.told(ended, trial, place.name, "delete the store and run again: mixflow run")
                _restore(fault == "flipped byte in a chunk", store, finished, folder)
    after.goes_on(folder, made, truth[reader])


def _restore(remade: bool, store: str, finished: Path, folder: Path) -> None:
    """What the message advises: the store is deleted and made again (or, which is the same, copied back)."""
    place = study.STORES[store]
    atomic.remove(folder / place)
    if remade:
        ended = child.run(folder, study.job(MAKER[store]))
        assert ended.code == 0, ended.text
    else:
        shutil.copytree(finished / place, folder / place, copy_function=shutil.copy2)
    assert verify.verify(folder / place) == []
