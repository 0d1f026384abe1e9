"""The state that survives a restart: one SQLite file. If the file is not usable, the program runs without, and logs it once.

memory     of a link: the data that its driver stores
account    the open account of a meter: one row, so that a write changes one page of the file
day        of a meter: the closed days
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
"""An update of an existing row writes no index: half the pages of a REPLACE."""
_CHECKED_AT_OPEN = ("memory", "account")
"""Small tables, which are read at opening to detect damage; damage in `day` is detected at its first read."""

Result = TypeVar("Result")


def default_folder() -> str:
    """Return the StateDirectory of systemd, or else the folder of the user's state (XDG)."""
    if folder := os.environ.get("STATE_DIRECTORY"):
        return folder.split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "meterline")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open an SQLite file that is not to be written. Any thread may use the connection.

    Raises:
        sqlite3.Error: The file does not exist, or cannot be opened.
    """
    # Without a log no process writes the file. SQLite then needs no files beside it, which this user may not create.
    is_idle = not os.path.exists(f"{path}-wal")
    address = f"file:{quote(str(path))}?mode=ro{'&immutable=1' * is_idle}"
    return sqlite3.connect(address, uri=True, timeout=1.0, check_same_thread=False)


class State:
    """The state file, created at the first write. Without a usable folder nothing is stored.

    All methods may be called from any thread.
    """

    def __init__(self, folder: str | None = None, only_read: bool = False) -> None:
        """Prepare the file; it is opened at its first use.

        Args:
            folder: The folder; None: nothing is stored.
            only_read: Whether to read only: the file is not created, repaired or moved, and all reading methods raise
                OSError or sqlite3.Error if it is not readable.
        """
        self._folder, self._only_read = folder, only_read
        self._file: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._write_failed = False
        self._given_up = False

    @property
    def kept(self) -> bool:
        """Whether data is to be stored: there is a folder, or was one until it proved unusable."""
        return self._given_up or self._folder is not None

    @property
    def folder(self) -> str | None:
        """Where everything is kept; None: nowhere."""
        return self._folder

    def writable(self) -> bool:
        """Return whether the last write succeeded."""
        return not (self._write_failed or self._given_up)

    def readable(self) -> bool:
        """Return whether the file can be read now, or no file exists. False: try again later."""
        if self._folder is None or not os.path.exists(Path(self._folder) / FILE):
            return True
        return self._do("read", lambda file: True, False) or self._folder is None

    def recall(self, link: str) -> dict[str, Any]:
        """Return the data that the driver of a link stored; empty if there is none."""
        return self._read_one("SELECT json FROM memory WHERE link = ?", link) or {}

    def keep(self, link: str, memory: dict[str, Any]) -> bool:
        """Store the data of a link's driver, in place of the data before.

        Args:
            link: The link.
            memory: Data for JSON.

        Returns:
            False if the data could not be written now: try again later. True also if nothing is stored at all.
        """
        row = (_key(link), json.dumps(memory))

        def write(file: sqlite3.Connection) -> bool:
            file.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", row)
            return True

        return self._do("written", write, False) or self._folder is None

    def account(self, meter: str) -> dict[str, Any] | None:
        """Return the open account of a meter, as `codec` made it; None if there is none, empty if it is not readable."""
        return self._read_one("SELECT json FROM account WHERE meter = ?", meter)

    def meters(self) -> list[str]:
        """Return the names of all meters with an account."""
        return [str(name) for (name,) in self._read("SELECT meter FROM account ORDER BY meter")]

    def days(self, meter: str, since: str = "", until: str = "9") -> dict[str, dict[str, Any]]:
        """Return the closed days of a meter: ISO date → data. `since`: first date; `until`: the date after the last."""
        rows = self._read("SELECT day, json FROM day WHERE meter = ? AND day >= ? AND day < ?", _key(meter), since, until)
        found = {str(day): _parsed(text) for day, text in rows}
        return {day: booked for day, booked in found.items() if isinstance(booked, dict)}

    def book(self, accounts: Mapping[str, dict[str, Any]], days: Iterable[tuple[str, str, dict[str, Any]]]) -> bool:
        """Store accounts and closed days in one transaction.

        Args:
            accounts: Name of the meter → its open account.
            days: Name of the meter, ISO date, and the data of the day.

        Returns:
            False if the data could not be written now: try again later. True also if nothing is stored at all.
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
        """Close the file. Nothing is stored afterwards."""
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
        """Run one transaction; return `otherwise` if it failed.

        A damaged file is renamed and a new one begun. After a temporary error callers try again. After any other error nothing
        is stored any more. Each case is logged once.
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
                    if self._write_failed and doing == "written":  # A successful read does not prove that writing works.
                        self._write_failed = False
                        log.info("%s: the state can be written again", self._folder)
                    return found
                except (OSError, sqlite3.Error) as error:
                    if self._only_read:
                        raise
                    if type(error) is sqlite3.DatabaseError and not last:
                        self._set_aside(path, error)
                        continue
                    self._report(doing, error)
                    break
            return otherwise

    def _open(self, path: Path) -> sqlite3.Connection:
        if not self._only_read:
            os.makedirs(path.parent, mode=0o700, exist_ok=True)
            return _connect(path)
        return open_to_read(path)

    def _report(self, doing: str, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or error
        there = os.path.isfile(Path(self._folder or "") / FILE)
        if there and isinstance(error, sqlite3.OperationalError):
            if not self._write_failed:
                log.warning("%s: the state cannot be %s now: %s; trying again", self._folder, doing, reason)
            self._write_failed = True
            return
        remedy = "nothing is stored for the next start. --state.dir names another folder"
        log.warning("%s: the state cannot be %s: %s; %s", self._folder, doing, reason, remedy)
        self._given_up = True
        self._close()

    def _set_aside(self, path: Path, error: sqlite3.Error) -> None:
        """Rename a damaged file; the next transaction creates a new one."""
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
        log.warning("%s was damaged (%s): the file is renamed to %s, and a new one begins", path, error, aside)

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
    """Open the file and create its tables. WAL mode writes a quarter of the bytes of a journal at each commit."""
    file = sqlite3.connect(path, timeout=1.0, check_same_thread=False)
    try:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        with file:
            for table in _TABLES:
                file.execute(table)
        for table in _CHECKED_AT_OPEN:
            file.execute(f"SELECT * FROM {table}").fetchall()
    except sqlite3.Error:
        file.close()
        raise
    return file
