"""The web configuration that is in force: read again when it, or a file that it names, has changed.

A change is looked for at each new connection and each request: one stat a file, a few microseconds.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping

from meterline.config.yaml_file import within
from meterline.errors import UserError
from meterline.web.http import tls, web_config
from meterline.web.http.basic_auth import Auth

log = logging.getLogger("meterline")


class Rules:
    """What `--web.config.file` demands now: TLS, headers, passwords."""

    def __init__(self, path: str) -> None:
        """UserError: the file cannot be used."""
        self._path = path
        self._seen: dict[str, object] = {path: None}
        self._complaint = ""
        self.context: ssl.SSLContext | None = None
        """For new connections; None: without TLS."""
        self.headers: Mapping[str, str] = {}
        self.auth = Auth()
        self.locks: tuple[str, ...] = ()
        self._read()

    def renew(self) -> None:
        """Read again what has changed. What has become bad leaves in force what was, and that is said once."""
        if all(_mark(file) == mark for file, mark in self._seen.items()):
            return
        try:
            self._read()
        except UserError as error:
            self._complain(str(error))
        except OSError as error:  # no room for one more open file, say
            self._complain(f"{self._path}: {error.strerror}")
            self._seen = {self._path: None}  # no change will tell when there is
        else:
            self._complaint = ""

    def _complain(self, complaint: str) -> None:
        if complaint != self._complaint:
            for line in complaint.splitlines():
                log.warning("%s; what was in force stays in force", line)
        self._complaint = complaint

    def _read(self) -> None:
        """All or nothing. Each file is marked before it is read, so that no change falls between."""
        self._seen = {file: _mark(file) for file in self._seen}
        config = web_config.load(self._path)
        section = config.tls_server_config
        self._seen = {file: self._seen.get(file) or _mark(file) for file in (self._path, *(section.files if section else ()))}
        try:
            context = tls.context(section) if section else None
            if lost := [lock for lock in self.locks if lock not in config.locks]:
                raise UserError(f"no {' and no '.join(lost)} any more; only a restart takes away what keeps others out")
            self.auth.use(config.basic_auth_users)
        except UserError as error:
            raise within(f"{self._path}: ", error) from None
        self.context, self.headers, self.locks = context, config.http_server_config.headers, config.locks
        log.info("%s: in force: %s", self._path, ", ".join(self.locks) or "no TLS, no passwords")


def _mark(file: str) -> object:
    """What differs after a change."""
    try:
        found = os.stat(file)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
