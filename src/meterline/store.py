"""What must survive a restart: one SQLite file. Where it cannot be kept, the program goes on without, and says so once.

memory     what the driver of a link wants back
account    the open books of a meter: one row, so that keeping it writes one page of the file
day        its days that are over
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

log = logging.getLogger("meterline")

FILE = "meterline.sqlite"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS memory (link TEXT PRIMARY KEY, json TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS account (meter TEXT PRIMARY KEY, json TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS day (meter TEXT, day TEXT, json TEXT NOT NULL, PRIMARY KEY (meter, day)) WITHOUT ROWID",
)
_UPDATE_ACCOUNT = "INSERT INTO account VALUES (?, ?) ON CONFLICT (meter) DO UPDATE SET json = excluded.json"
"""Where the row is there, no index is written: half the pages of a REPLACE."""
_SMALL = ("memory", "account")
"""Tables that are read when the file is opened, to notice damage; a damaged day is noticed when it is read."""

Result = TypeVar("Result")


def default_folder() -> str:
    """The StateDirectory of systemd, else the user's state folder."""
    if folder := os.environ.get("STATE_DIRECTORY"):
        return folder.split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "meterline")


class State:
    """The file, made when there is something to keep. Without a folder, or where it cannot be used, nothing is kept.

    It may be written from another thread.
    """

    def __init__(self, folder: str | None = None, only_read: bool = False) -> None:
        """`only_read`: nothing is made, mended or set aside; sqlite3.Error where it cannot be read."""
        self._folder, self._only_read = folder, only_read
        self._file: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._full = False
        """The last transaction failed."""
        self._given_up = False

    @property
    def kept(self) -> bool:
        """Something is to be kept: there is a folder, or was until it could not be used."""
        return self._given_up or self._folder is not None

    @property
    def folder(self) -> str | None:
        """Where everything is kept; None: nowhere."""
        return self._folder

    def writable(self) -> bool:
        """Whether what must survive a restart can be kept, as far as the last try says."""
        return not (self._full or self._given_up)

    def readable(self) -> bool:
        """Whether what is kept can be read now, or nothing is kept; False: it should be tried again."""
        if self._folder is None or not os.path.exists(Path(self._folder) / FILE):
            return True
        return self._do("read", lambda file: True, False) or self._folder is None

    def recall(self, link: str) -> dict[str, Any]:
        """What the driver of this link kept."""
        return self._read_one("SELECT json FROM memory WHERE link = ?", link) or {}

    def keep(self, link: str, memory: dict[str, Any]) -> bool:
        """Keep what the driver of this link wants back after a restart.

        False: it could not be written now, and should be tried again. True also where nothing is kept at all.
        """
        row = (_key(link), json.dumps(memory))

        def write(file: sqlite3.Connection) -> bool:
            file.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", row)
            return True

        return self._do("written", write, False) or self._folder is None

    def account(self, meter: str) -> dict[str, Any] | None:
        """The open books of a meter; None where there are none, empty where they cannot be read."""
        return self._read_one("SELECT json FROM account WHERE meter = ?", meter)

    def meters(self) -> list[str]:
        """Names of the meters that have books."""
        return [str(name) for (name,) in self._read("SELECT meter FROM account ORDER BY meter")]

    def days(self, meter: str, since: str = "", until: str = "9") -> dict[str, dict[str, Any]]:
        """Days of a meter that are over, by their date in ISO form: from `since` on, before `until`."""
        rows = self._read("SELECT day, json FROM day WHERE meter = ? AND day >= ? AND day < ?", _key(meter), since, until)
        found = {str(day): _parsed(text) for day, text in rows}
        return {day: booked for day, booked in found.items() if isinstance(booked, dict)}

    def book(self, accounts: Mapping[str, dict[str, Any]], days: Iterable[tuple[str, str, dict[str, Any]]]) -> bool:
        """Keep open books by meter, and days (meter, date, what was booked), in one transaction.

        False: it could not be written now, and should be tried again. True also where nothing is kept at all.
        """
        account_rows = [(_key(meter), _compact(found)) for meter, found in accounts.items()]
        day_rows = [(_key(meter), day, _compact(found)) for meter, day, found in days]

        def write(file: sqlite3.Connection) -> bool:
            file.executemany(_UPDATE_ACCOUNT, account_rows)
            file.executemany("INSERT OR REPLACE INTO day VALUES (?, ?, ?)", day_rows)
            return True

        if not account_rows and not day_rows:
            return True
        return self._do("written", write, False) or self._folder is None

    def close(self) -> None:
        """Close the file; nothing more is kept."""
        with self._lock:
            self._close()

    def _read_one(self, statement: str, *values: str) -> dict[str, Any] | None:
        rows = self._read(statement, *map(_key, values))
        if not rows:
            return None
        found = _parsed(rows[0][0])
        return found if isinstance(found, dict) else {}

    def _read(self, statement: str, *values: str) -> list[Any]:
        if self._folder is None or not os.path.exists(Path(self._folder) / FILE):
            return []
        return self._do("read", lambda file: file.execute(statement, values).fetchall(), [])

    def _do(self, doing: str, action: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """One transaction. A damaged file is set aside. A file that cannot be written for a while is tried again by whoever
        has something to keep; in all other cases the state is given up. Each with one warning.
        """
        with self._lock:
            for last in (False, True):
                if self._folder is None:
                    break
                path = Path(self._folder) / FILE
                try:
                    if self._file is None:
                        self._file = self._open(path)
                    with self._file as file:
                        found = action(file)
                    if self._full and doing == "written":  # to be read says nothing of that
                        self._full = False
                        log.info("%s: the state can be used again", self._folder)
                    return found
                except (OSError, sqlite3.Error) as error:
                    if self._only_read:
                        raise
                    if type(error) is sqlite3.DatabaseError and not last:
                        self._set_aside(path, error)
                        continue
                    self._complain(doing, error)
                    break
            return otherwise

    def _open(self, path: Path) -> sqlite3.Connection:
        if not self._only_read:
            os.makedirs(path.parent, mode=0o700, exist_ok=True)
            return _connect(path)
        # Nobody writes it where it has no log: then SQLite needs no files beside it, which we may not be allowed to make.
        quiet = not os.path.exists(f"{path}-wal")
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro{'&immutable=1' * quiet}", uri=True, timeout=1.0)

    def _complain(self, doing: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or error
        there = os.path.isfile(Path(self._folder or "") / FILE)
        if there and isinstance(error, sqlite3.OperationalError):
            if not self._full:
                log.warning("%s: the state cannot be %s now: %s; it is tried again", self._folder, doing, reason)
            self._full = True
            return
        remedy = "nothing is remembered over a restart. --state.dir names another folder"
        log.warning("%s: the state cannot be %s: %s; %s", self._folder, doing, reason, remedy)
        self._given_up = True
        self._close()

    def _set_aside(self, path: Path, error: sqlite3.Error) -> None:
        """Keep a damaged file under another name; the next transaction begins a new one."""
        if self._file is not None:
            self._file.close()
            self._file = None
        aside = path.with_suffix(".damaged")
        try:
            os.replace(path, aside)
            for rest in ("-wal", "-shm"):
                path.with_name(path.name + rest).unlink(missing_ok=True)
        except OSError:
            return
        log.warning("%s was damaged (%s): it is %s now, and a new one begins", path, error, aside)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._folder = None


def _key(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _compact(found: dict[str, Any]) -> str:
    return json.dumps(found, separators=(",", ":"))


def _parsed(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _connect(path: Path) -> sqlite3.Connection:
    """The file with its tables. A commit appends to a second file (WAL), which writes a quarter of what a journal does."""
    file = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        with file:
            for table in _TABLES:
                file.execute(table)
        for table in _SMALL:
            file.execute(f"SELECT * FROM {table}").fetchall()
    except sqlite3.Error:
        file.close()
        raise
    return file
