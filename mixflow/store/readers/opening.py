"""From a file as it comes to bytes and text: compression, encoding, and kinds of file that are not tables."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from pathlib import Path

from mixflow.errors import MixflowError, Problem

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
ZIP_MAGIC = b"PK\x03\x04"

_NOT_TABLES: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save it as .xlsx or as tab-separated text."),
    (b"PAR1", "a Parquet file", "Export it as tab-separated text (for DIA-NN: the .pg_matrix.tsv)."),
    (HDF5_MAGIC, "an HDF5 file", "BIOM tables are read with `format: biom`; export others as text."),
    (b"%PDF", "a PDF", "Give the table as text or .xlsx."),
    (b"RDX", "an R workspace", "Write the table from R with write.table(..., sep = '\\t')."),
    (b"{\\rtf", "a rich-text document", "Save it as plain text."),
)


def refuse(path: Path, message: str, remedy: str | None = None, **place: object) -> MixflowError:
    """A `MixflowError` with one problem of ``path`` (to be raised by the caller)."""
    return MixflowError(Problem(message, file=str(path), remedy=remedy, **place))  # type: ignore[arg-type]


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """The decompressed content of ``path`` (its first ``limit`` bytes, if given).

    gzip, bzip2, xz and zip (one file inside) are told by their first bytes, never by the file's name.
    Raises `MixflowError` where the file is absent, empty, cut short, or a zip of several files.
    """
    if not path.is_file():
        raise refuse(path, "the file does not exist", "Check data.files, samples.file and data.data_root.")
    try:
        with path.open("rb") as stream:
            content = _decompressed(path, stream, limit)
    except (EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile, OSError) as error:
        raise refuse(
            path, f"the file cannot be read: {error}", "It may be cut short: copy it again."
        ) from error
    if not content:
        raise refuse(path, "the file is empty", "Copy it again, or export it again.")
    return content


def _decompressed(path: Path, stream: io.BufferedReader, limit: int | None) -> bytes:
    size = -1 if limit is None else limit
    magic = stream.peek(6)[:6]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream).read(size)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(stream).read(size)
    if magic.startswith(b"\xfd7zXZ"):
        return lzma.LZMAFile(stream).read(size)
    if magic.startswith(ZIP_MAGIC) and not is_workbook(path):
        with zipfile.ZipFile(stream) as archive, archive.open(_only_member(path, archive)) as member:
            return member.read(size)
    return stream.read(size)


def is_workbook(path: Path) -> bool:
    """Whether ``path`` is an .xlsx workbook (a zip with a workbook inside)."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()


def _only_member(path: Path, archive: zipfile.ZipFile) -> str:
    members = [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX/")
    ]
    if len(members) == 1:
        return members[0]
    tables = [name for name in members if name.endswith("data/feature-table.biom")]
    if tables:
        raise refuse(path, "this is a QIIME 2 artifact", f"Unzip it and give {tables[0]}.")
    shown = ", ".join(members[:5]) or "nothing"
    raise refuse(path, f"the zip holds {len(members)} files ({shown}), not one table", "Unzip it first.")


def decode(path: Path, content: bytes) -> tuple[str, list[str]]:
    """Text of ``content`` with every line end made a newline, and notes on the encoding.

    UTF-8 (with or without a byte-order mark), UTF-16 with one (Excel's "Unicode text"), else Windows
    Latin-1 with a note that names the first place. Binary content is refused.
    """
    _refuse_binary(path, content)
    notes: list[str] = []
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            text = _latin1(content)
            row = content.count(b"\n", 0, error.start) + 1
            notes.append(
                f"{path.name} is not UTF-8 (first seen in row {row}); it was read as Latin-1 (Windows-1252)."
            )
    return text.replace("\r\n", "\n").replace("\r", "\n"), notes


def _latin1(content: bytes) -> str:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError:  # five bytes are undefined in cp1252; plain Latin-1 has all 256
        return content.decode("latin-1")


def _refuse_binary(path: Path, content: bytes) -> None:
    for magic, what, remedy in _NOT_TABLES:
        if content.startswith(magic):
            raise refuse(path, f"this is {what}, not a text table", remedy)
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    position = -1 if utf16 else content.find(b"\x00")
    if position >= 0:
        row = content.count(b"\n", 0, position) + 1
        raise refuse(
            path, "the file holds a NUL byte: it is binary or damaged", "Export it again as text.", row=row
        )
