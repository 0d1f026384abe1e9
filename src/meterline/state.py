"""What must survive a restart: one SQLite file. Where it cannot be kept, the program goes on without, and says so once."""

from __future__ import annotations

import contextlib
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
    """The file, open. Without a folder, or where it cannot be used, nothing is kept."""

    def __init__(self, folder: str | None = None) -> None:
        self._file: sqlite3.Connection | None = None
        if folder is not None:
            try:
                os.makedirs(folder, mode=0o700, exist_ok=True)
                self._file = _open(Path(folder) / FILE)
            except (OSError, sqlite3.Error) as error:
                reason = getattr(error, "strerror", None) or error
                log.warning("%s: %s; nothing is remembered over a restart. --state.dir names another folder", folder, reason)

    def recall(self, link: str) -> dict[str, Any]:
        """What the driver of this link kept."""
        if self._file is None:
            return {}
        row = self._file.execute("SELECT json FROM memory WHERE link = ?", (link,)).fetchone()
        with contextlib.suppress(ValueError, TypeError):
            found = json.loads(row[0])
            return found if isinstance(found, dict) else {}
        return {}

    def keep(self, link: str, memory: dict[str, Any]) -> None:
        """Keep what the driver of this link wants back after a restart."""
        if self._file is None:
            return
        try:
            with self._file:
                self._file.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (link, json.dumps(memory)))
        except sqlite3.Error as error:
            log.warning("the state cannot be written: %s; nothing more is remembered over a restart", error)
            self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


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
        file.execute("SELECT count(*) FROM memory").fetchone()
    except sqlite3.Error:
        file.close()
        raise
    return file
