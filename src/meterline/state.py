"""What must survive a restart: one SQLite file. Where it cannot be kept, the program goes on without, and says so once."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from pathlib import Path
from typing import Any

log = logging.getLogger("meterline")

FILE = "meterline.sqlite"
_TABLES = "CREATE TABLE IF NOT EXISTS memory (link TEXT PRIMARY KEY, json TEXT NOT NULL)"


def default_folder() -> str:
    """The StateDirectory of systemd, else the user's state folder."""
    if folder := os.environ.get("STATE_DIRECTORY"):
        return folder.split(":")[0]
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return os.path.join(home, "meterline")


class State:
    """The file, made when there is something to keep. Without a folder, or where it cannot be used, nothing is kept."""

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._file: sqlite3.Connection | None = None

    def recall(self, link: str) -> dict[str, Any]:
        """What the driver of this link kept."""
        if self._folder is None or not (Path(self._folder) / FILE).exists():
            return {}
        rows = self._run("read", "SELECT json FROM memory WHERE link = ?", _key(link))
        found = _parsed(rows[0][0]) if rows else None
        return found if isinstance(found, dict) else {}

    def keep(self, link: str, memory: dict[str, Any]) -> None:
        """Keep what the driver of this link wants back after a restart."""
        self._run("written", "INSERT OR REPLACE INTO memory VALUES (?, ?)", _key(link), json.dumps(memory))

    def _run(self, doing: str, statement: str, *values: str) -> list[Any]:
        """One statement, as a transaction; its rows. Where it fails, the state is given up with one warning."""
        if self._folder is None:
            return []
        try:
            if self._file is None:
                os.makedirs(self._folder, mode=0o700, exist_ok=True)
                self._file = _open(Path(self._folder) / FILE)
            with self._file as file:
                return file.execute(statement, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            remedy = "nothing is remembered over a restart. --state.dir names another folder"
            log.warning("%s: the state cannot be %s: %s; %s", self._folder, doing, reason, remedy)
            self.close()
            return []

    def close(self) -> None:
        """Close the file; nothing more is kept."""
        if self._file is not None:
            self._file.close()
        self._file = self._folder = None


def _key(link: str) -> str:
    return link.encode("utf-8", "backslashreplace").decode()


def _parsed(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _open(path: Path) -> sqlite3.Connection:
    """The file with its tables. A damaged one is set aside."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_suffix(".damaged")
        os.replace(path, aside)
        log.warning("%s was damaged (%s): it is %s now, and a new one begins", path, error, aside)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, timeout=1.0)
    try:
        file.execute(_TABLES)
        for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            file.execute(f'SELECT * FROM "{name}"').fetchall()
    except sqlite3.Error:
        file.close()
        raise
    return file
