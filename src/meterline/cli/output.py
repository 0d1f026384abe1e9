"""A file that a command writes: nothing under its name changes before there is something to keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import IO

from meterline.errors import UserError


class Output:
    """Write to `file`; with `publish` it takes its name, whole. Until then it lies beside it, as NAME.….part."""

    def __init__(self, path: str, force: bool) -> None:
        """UserError: the name is taken. OSError: the folder may not be written."""
        self._path, self._force = os.path.realpath(path), force
        self._part: str | None = None
        self.written = 0
        """Bytes, as far as the command counts them."""
        try:
            # A pipe or /dev/stdout has no content to lose, and nothing can be put in its place.
            if not path.startswith("/dev/") and (os.path.isfile(path) or not os.path.exists(path)):
                self._check(path)
                self._part = f"{self._path}.{token_hex(8)}.part"
            # "x": never a file that is there already, be it the user's or another command's.
            self.file: IO[bytes] = open(self._part or path, "xb" if self._part else "wb")  # noqa: SIM115
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    def _check(self, path: str) -> None:
        if not self._force and os.path.isfile(self._path):
            raise _taken(path)

    def _claim(self) -> None:
        """Of several commands that write to the same name only the first gets it."""
        try:
            open(self._path, "xb").close()
        except FileExistsError:
            raise _taken(self._path) from None

    def publish(self) -> None:
        """Let the file have its name; what is written from now on goes there, too."""
        self.file.flush()
        if self._part:
            if not self._force:
                self._claim()
            os.replace(self._part, self._path)
            self._part = None

    def close(self) -> None:
        """Without `publish` nothing is left."""
        self.file.close()
        if self._part:
            with suppress(FileNotFoundError):
                os.unlink(self._part)


def _taken(path: str) -> UserError:
    return UserError(f"{path}: exists already; choose another name, or overwrite it with --force")


@contextmanager
def output(path: str, force: bool) -> Iterator[Output]:
    """An `Output`, closed at the end whatever happens."""
    opened = Output(path, force)
    try:
        yield opened
    finally:
        opened.close()
