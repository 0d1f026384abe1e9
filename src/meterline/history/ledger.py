"""The SQLite file of the ledger: rows of days, each with a checksum, none of which can be wrong without being noticed.

day     one UTC day of one meter, see `day_row`
kept    what else must survive a restart, by key; each entry stands twice, on different pages (kept, kept_again)
aside   rows that failed their check, with the reason; never overwritten

A row or entry whose checksum does not fit is set aside when it is read, and counts as absent. A file that SQLite cannot read is
set aside as a whole, and every row that can be found in its pages goes into a new one (`salvage`).
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypeVar

from meterline import world
from meterline.errors import UserError
from meterline.history.day_row import DayRow, RowKey
from meterline.history.salvage import PAGE_BYTES, records
from meterline.meter.program_health import LedgerHealth
from meterline.store import open_to_read

log = logging.getLogger("meterline")

FILE: Final = "ledger.sqlite"
CHECKED_BYTES: Final = 64 << 20
"""Up to this size the structure of the file is checked when it is opened."""
FORM: Final = 1
"""The form of the file that this program writes. It reads this one and all before."""
_FORM_KEY: Final = "form"
_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS day (meter TEXT NOT NULL, generation INTEGER NOT NULL, day INTEGER NOT NULL, "
    "slot INTEGER NOT NULL, revision INTEGER NOT NULL, content BLOB NOT NULL, checksum BLOB NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS day_key ON day (meter, generation, slot, day)",
    "CREATE INDEX IF NOT EXISTS day_revision ON day (revision)",
    "CREATE TABLE IF NOT EXISTS kept (key TEXT PRIMARY KEY, content BLOB NOT NULL, checksum BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS kept_again (key TEXT PRIMARY KEY, content BLOB NOT NULL, checksum BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aside (at INTEGER, reason TEXT, meter TEXT, generation INTEGER, day INTEGER, "
    "slot INTEGER, revision INTEGER, content BLOB, checksum BLOB)",
)
_DAY: Final = "meter, generation, day, slot, revision, content, checksum"
_OF_KEY: Final = "meter = ? AND generation = ? AND day = ? AND slot = ?"
Reason: TypeAlias = Literal["checksum", "form"]
Result = TypeVar("Result")
_PASSING: Final = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
)
"""Errors of the disk, the folder or another process: the file may be as it should."""


class NewerForm(UserError):
    """The file was written by a later version of the program, which may keep things that this one would lose."""


class Ledger:
    """Rows of days on the disk. Every method may be called from any thread.

    Nothing raises where the disk fails: rows that cannot be read are absent, and `write` says that it could not write.
    """

    def __init__(self, folder: str, only_read: bool = False) -> None:
        """
        Args:
            folder: Where the file is, or is made with the first row.
            only_read: Nothing is made, mended or set aside.
        """
        self.path: Final = Path(folder) / FILE
        self._only_read = only_read
        self._lock = threading.RLock()
        self._file: sqlite3.Connection | None = None
        self._revision = 0
        self._aside = Counter[str]()
        self._committed_at = 0.0
        self._is_writable = True

    def health(self) -> LedgerHealth:
        """How the ledger is."""
        files = (self.path, Path(f"{self.path}-wal"))
        size = sum(file.stat().st_size for file in files if file.exists())
        return LedgerHealth(dict(self._aside), self._committed_at, size, self._is_writable)

    def row(self, key: RowKey) -> DayRow | None:
        """The row of a key; None where there is none, or none that can be believed."""
        return next(self._rows(f"WHERE {_OF_KEY}", key, lambda row: row.key == key), None)

    def rows(self, meter: str, since: int, until: int) -> Iterator[DayRow]:
        """Rows of a meter, by generation, slot length and day.

        Args:
            meter: Its name.
            since: First day, in days since 1970.
            until: The day after the last one.
        """
        where = "WHERE meter = ? AND day >= ? AND day < ? ORDER BY generation, slot, day"
        return self._rows(where, (meter, since, until), lambda row: row.key.meter == meter and since <= row.key.day < until)

    def changed_after(self, revision: int, most: int) -> Iterator[DayRow]:
        """Rows with a higher revision, in the order of their changes; `most` of them."""
        where = "WHERE revision > ? ORDER BY revision LIMIT ?"
        return self._rows(where, (revision, most), lambda row: row.revision > revision)

    def meters(self) -> list[tuple[str, int]]:
        """Names of the meters that have rows, each with its last generation."""
        return [(str(name), int(last)) for name, last in self._read("SELECT meter, max(generation) FROM day GROUP BY meter")]

    def write(self, rows: Iterable[DayRow], entries: Iterable[tuple[str, bytes]] = ()) -> bool:
        """Write rows, each with a new revision, and entries, in one transaction.

        Args:
            rows: Whole rows: what is there of them on the disk is replaced.
            entries: Key and content of what else must survive a restart.

        Returns:
            Whether all of it is on the disk. Where it is not, nothing is, and it should be tried again.
        """
        contents, entries = [(row, row.content()) for row in rows], list(entries)

        def write(file: sqlite3.Connection) -> int:
            revision = self._last_revision(file)
            for number, (row, content) in enumerate(contents, revision + 1):
                file.execute(f"DELETE FROM day WHERE {_OF_KEY}", row.key)
                values = (*row.key, number, content, _checksum_of_day(row.key, number, content))
                file.execute(f"INSERT INTO day ({_DAY}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            for table, (key, content) in itertools.product(("kept", "kept_again"), entries):
                file.execute(
                    f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", (key, content, _checksum("kept", key, content))
                )
            return revision

        revision = self._do(write, None)
        if revision is None:
            return False
        for number, (row, content) in enumerate(contents, revision + 1):
            row.revision, row.stored = number, content
        self._revision = revision + len(contents)
        self._committed_at = world.current.now()
        return True

    def entry(self, key: str) -> bytes | None:
        """An entry; None where there is none. One good copy of the two is enough."""
        for table in ("kept", "kept_again"):
            for content, checksum in self._read(f"SELECT content, checksum FROM {table} WHERE key = ?", (key,)):
                if isinstance(content, bytes) and checksum == _checksum("kept", key, content):
                    return content
                self._aside["checksum"] += 1
        return None

    def backup(self, path: Path) -> None:
        """Copy the whole file, as it stands at one moment, while the program may go on writing.

        Raises:
            OSError, sqlite3.Error: It cannot be read, or `path` not written.
        """
        with self._lock:
            copy = sqlite3.connect(path)
            try:
                self._opened().backup(copy)
            finally:
                copy.close()

    def close(self) -> None:
        """Close the file. It is opened again when it is used."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _last_revision(self, file: sqlite3.Connection) -> int:
        """A damaged revision may be gone from the file: no revision is given twice while the program runs."""
        (last,) = file.execute("SELECT max(revision) FROM day").fetchone()
        return max(self._revision, last if isinstance(last, int) else 0)

    def _rows(self, where: str, values: tuple[Any, ...], fits: Callable[[DayRow], bool]) -> Iterator[DayRow]:
        """Rows that are as they were written. Others are set aside.

        Args:
            where: Which rows, in SQL.
            values: Its parameters.
            fits: Says the same of a row: a damaged index leads to good rows of other days.
        """
        statement = f"SELECT rowid, {_DAY} FROM day {where}"
        found = self._read(statement, values)
        rows = [_day_of(columns[1:]) for columns in found]
        if not all(isinstance(row, DayRow) and fits(row) for row in rows) and not self._only_read:
            self._do(lambda file: self._set_aside(file, [number for number, *_ in found]), None)
            rows = [_day_of(columns[1:]) for columns in self._read(statement, values)]
        return (row for row in rows if isinstance(row, DayRow) and fits(row))

    def _set_aside(self, file: sqlite3.Connection, numbers: list[int]) -> None:
        """Move the damaged ones of these rows out of the way, and make the indexes anew."""
        for number in numbers:
            for values in file.execute(f"SELECT {_DAY} FROM day NOT INDEXED WHERE rowid = ?", (number,)).fetchall():
                if isinstance(reason := _day_of(values), DayRow):
                    continue
                self._aside[reason] += 1
                log.warning(
                    "%s: a day of %r is damaged (%s): it is set aside, and counts as absent", self.path, values[0], reason
                )
                aside = f"INSERT INTO aside (at, reason, {_DAY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                file.execute(aside, (int(world.current.now()), reason, *values))
                file.execute("DELETE FROM day WHERE rowid = ?", (number,))
        file.execute("REINDEX")

    def _read(self, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if self._file is None and not self.path.exists():
            return []
        return self._do(lambda file: file.execute(statement, values).fetchall(), [])

    def _do(self, action: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """One transaction. A file that SQLite finds damaged is salvaged, once; what else fails is tried again by the caller."""
        with self._lock:
            for is_last in (False, True):
                try:
                    with self._opened() as file:
                        found = action(file)
                except (OSError, sqlite3.Error) as error:
                    if self._only_read:
                        raise
                    if is_last or not self._is_damage(error):
                        self._complain(error)
                        break
                    self._salvage(error)
                else:
                    if not self._is_writable:
                        self._is_writable = True
                        log.info("%s: the ledger can be used again", self.path)
                    return found
            return otherwise

    def _is_damage(self, error: Exception) -> bool:
        """The file itself is wrong, not its disk or its folder. A damaged header may say that the file must not be written."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_READONLY:
            with open(self.path, "rb") as file:
                return file.read(20)[18:] not in (b"\1\1", b"\2\2")
        return isinstance(error, sqlite3.Error) and code not in _PASSING

    def _complain(self, error: Exception) -> None:
        if self._is_writable:
            reason = getattr(error, "strerror", None) or error
            log.warning("%s: the ledger cannot be used now: %s; it is tried again", self.path, reason)
        self._is_writable = False

    def _opened(self) -> sqlite3.Connection:
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> sqlite3.Connection:
        if self._only_read:
            file = open_to_read(self.path)
        else:
            os.makedirs(self.path.parent, mode=0o700, exist_ok=True)
            file = sqlite3.connect(self.path, timeout=1.0, check_same_thread=False)
        file.text_factory = lambda text: text.decode("utf-8", "replace")  # a damaged name fails the check of its row
        try:
            if not self._only_read:
                _prepare(file)
                _check_structure(file)
            self._check_form(file)
        except (sqlite3.Error, NewerForm):
            file.close()
            raise
        return file

    def _check_form(self, file: sqlite3.Connection) -> None:
        for table in ("kept", "kept_again"):
            for content, checksum in file.execute(f"SELECT content, checksum FROM {table} WHERE key = ?", (_FORM_KEY,)):
                if checksum != _checksum("kept", _FORM_KEY, content):
                    continue
                if int(content) > FORM:
                    raise NewerForm(
                        f"{self.path}: a later version of meterline wrote it (form {int(content)}, this one knows {FORM}); "
                        "install that version again, or let --state.dir name another folder"
                    )

    def _salvage(self, error: Exception) -> None:
        """Set the file aside under a name of its own, and write what can be found in it into a new one."""
        self.close()
        days, entries = dict[RowKey, tuple[Any, ...]](), dict[str, tuple[str, bytes, bytes]]()
        sources = [path for path in (self.path, Path(f"{self.path}-wal")) if path.exists()]
        for record in itertools.chain.from_iterable(records(path.read_bytes()) for path in sources):
            row = _day_of(record) if len(record) == 7 else None
            if isinstance(row, DayRow) and (row.key not in days or days[row.key][4] < row.revision):
                days[row.key] = record
            elif len(record) == 3 and isinstance(record[0], str) and record[2] == _checksum("kept", record[0], record[1]):
                entries[record[0]] = (record[0], bytes(record[1]), record[2])
        aside = self._free_name()
        for path in sources:
            os.replace(path, f"{aside}{str(path).removeprefix(str(self.path))}")
        Path(f"{self.path}-shm").unlink(missing_ok=True)
        log.warning("%s was damaged (%s): it is %s now; %d days were found in it", self.path, error, aside, len(days))
        self._aside["file"] += 1
        with self._opened() as file:
            file.executemany(f"INSERT INTO day ({_DAY}) VALUES (?, ?, ?, ?, ?, ?, ?)", days.values())
            for table in ("kept", "kept_again"):
                file.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", entries.values())

    def _free_name(self) -> Path:
        names = (self.path.with_suffix(f".damaged-{number}") for number in itertools.count(1))
        return next(name for name in names if not name.exists())


def _prepare(file: sqlite3.Connection) -> None:
    """Tables, and the form. A commit appends to a second file (WAL), which writes a quarter of what a journal does."""
    file.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    with file:
        for statement in _TABLES:
            file.execute(statement)
        content = str(FORM).encode()
        for table in ("kept", "kept_again"):
            values = (_FORM_KEY, content, _checksum("kept", _FORM_KEY, content))
            file.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", values)


def _check_structure(file: sqlite3.Connection) -> None:
    """A damaged index hides rows, and lets a row be written twice, without an error.

    Raises:
        sqlite3.DatabaseError: The structure of the file is damaged.
    """
    (pages,) = file.execute("PRAGMA page_count").fetchone()
    if pages * PAGE_BYTES <= CHECKED_BYTES:
        (verdict,) = file.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict.replace("\n", " "))


def _day_of(values: tuple[Any, ...]) -> DayRow | Reason:
    """A row from its seven columns, or why it cannot be believed."""
    meter, generation, day, slot, revision, content, checksum = values
    key = RowKey(meter, generation, day, slot)
    if not (isinstance(content, bytes) and checksum == _checksum_of_day(key, revision, content)):
        return "checksum"
    try:
        return DayRow.from_content(key, content, revision)
    except ValueError:
        return "form"


def _checksum_of_day(key: RowKey, revision: int, content: bytes) -> bytes:
    return _checksum("day", f"{key.meter}\0{key.generation}\0{key.day}\0{key.slot_s}\0{revision}", content)


def _checksum(table: str, key: str, content: object) -> bytes:
    """Over key and content: a row that is found under another key is damaged."""
    digest = hashlib.blake2b(digest_size=8, person=table.encode())
    digest.update(key.encode("utf-8", "backslashreplace") + b"\0")
    digest.update(content if isinstance(content, bytes) else b"?")
    return digest.digest()
