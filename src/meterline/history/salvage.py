"""Records out of a damaged SQLite file, page by page, without its indexes: whoever reads them compares their checksums.

Only leaf pages of tables are looked at, and records that fit into one page: each of the ledger's does. Pages of the write-ahead
log have the same form, behind a header of 24 bytes each. Pages that SQLite does not use any more may hold older rows.

Source: the SQLite file format, sections 1.6 (B-tree pages), 2.1 (record format) and 4.1 (WAL).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

PAGE_BYTES: Final = 4096
_WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES, _FILE_HEADER_BYTES = 32, 24, 100
_TABLE_LEAF: Final = 0x0D
_INTEGER_BYTES: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def records(file: bytes) -> Iterator[tuple[Any, ...]]:
    """All that look like records of tables.

    Args:
        file: The content of a database file with pages of `PAGE_BYTES`, or of its write-ahead log.

    Yields:
        The columns of each: int, str, bytes or None. Nothing of it can be trusted.
    """
    is_log = file[:4] in _WAL_MAGIC
    first, skip = (_WAL_HEADER_BYTES, _FRAME_HEADER_BYTES) if is_log else (0, 0)
    for start in range(first, len(file), skip + PAGE_BYTES):
        page = file[start + skip : start + skip + PAGE_BYTES]
        yield from _records_of_page(page, _FILE_HEADER_BYTES if start == 0 else 0)


def _records_of_page(page: bytes, header: int) -> Iterator[tuple[Any, ...]]:
    if page[header : header + 1] != bytes([_TABLE_LEAF]):
        return
    cells = int.from_bytes(page[header + 3 : header + 5])
    for number in range(min(cells, PAGE_BYTES // 4)):
        at = header + 8 + 2 * number
        with suppress(IndexError, ValueError):
            yield _record(page, int.from_bytes(page[at : at + 2]))


def _record(page: bytes, at: int) -> tuple[Any, ...]:
    """The record of the cell at this place. ValueError, IndexError: there is none, or not all of it."""
    size, at = _varint(page, at)
    _, at = _varint(page, at)  # its number in the table
    if at + size > len(page):
        raise ValueError("on another page")
    end, values = at + size, list[Any]()
    head, types_at = _varint(page, at)
    at, types_end = at + head, at + head
    while types_at < types_end:
        kind, types_at = _varint(page, types_at)
        length = _INTEGER_BYTES.get(kind, 0 if kind < 12 else (kind - 12) // 2)
        data = page[at : at + length]
        at += length
        if at > end:
            raise ValueError("longer than its record")
        if kind in _INTEGER_BYTES:
            values.append(int.from_bytes(data, signed=True))
        elif kind >= 12:
            values.append(data.decode() if kind % 2 else data)
        else:
            values.append({8: 0, 9: 1}.get(kind))
    return tuple(values)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for length in range(8):
        byte = data[at + length]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + length + 1
    return value << 8 | data[at + 8], at + 9
