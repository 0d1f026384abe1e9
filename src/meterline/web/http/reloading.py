"""The web configuration in force, read again after a change of its file or of a file that it names.

Each new connection and each request looks for changes: one stat for each file, a few microseconds.
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
    """The web configuration in force.

    Attributes:
        context: TLS of new connections; None: without TLS.
        headers: Headers of every answer: name → value.
        auth: Checks passwords.
        protections: What the configuration turns on of TLS, client certificates and passwords, by name.
    """

    def __init__(self, path: str) -> None:
        """Read the file of `--web.config.file`.

        Raises:
            UserError: The file is not readable or not valid.
        """
        self._path = path
        self._seen: dict[str, object] = {path: None}
        self._warned = ""
        self.context: ssl.SSLContext | None = None
        self.headers: Mapping[str, str] = {}
        self.auth = Auth()
        self.protections: tuple[str, ...] = ()
        self._read()

    def renew(self) -> None:
        """Read the files again if one has changed. A file that is not valid any more changes nothing, and is logged once."""
        if all(_mark(file) == mark for file, mark in self._seen.items()):
            return
        try:
            self._read()
        except UserError as error:
            self._warn(str(error))
        except OSError as error:  # Such as: no more files can be opened.
            self._warn(f"{self._path}: {error.strerror}")
            self._seen = {self._path: None}  # Try again at the next request: no file changes when the error is over.
        else:
            self._warned = ""

    def _warn(self, problem: str) -> None:
        if problem != self._warned:
            for line in problem.splitlines():
                log.warning("%s; the previous web configuration stays in force", line)
        self._warned = problem

    def _read(self) -> None:
        """Read all files, or change nothing. Each file's mark is taken before the file is read, so that no change is missed."""
        self._seen = {file: _mark(file) for file in self._seen}
        config = web_config.load(self._path)
        section = config.tls_server_config
        self._seen = {file: self._seen.get(file) or _mark(file) for file in (self._path, *(section.files if section else ()))}
        try:
            context = tls.context(section) if section else None
            if lost := [name for name in self.protections if name not in config.protections]:
                raise UserError(f"{' and '.join(lost)} removed; a protection is turned off by a restart only")
            self.auth.use(config.basic_auth_users)
        except UserError as error:
            raise within(f"{self._path}: ", error) from None
        self.context, self.headers, self.protections = context, config.http_server_config.headers, config.protections
        log.info("%s: in force: %s", self._path, ", ".join(self.protections) or "no TLS, no passwords")


def _mark(file: str) -> object:
    """Return a value that differs after a change of the file."""
    try:
        found = os.stat(file)
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
