"""A file that a command writes. Its name appears, or its old content is replaced, only once there is something to keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from secrets import token_hex
from typing import IO

from meterline.errors import UserError


class Output:
    """An output file, written beside its name as NAME.….part until `publish` renames it.

    Attributes:
        file: Open for writing, in binary mode.
        written: Bytes written, as far as the command counts them.
    """

    def __init__(self, path: str, force: bool) -> None:
        """Open the file.

        Args:
            path: Name of the file; also a pipe or /dev/stdout.
            force: Whether to replace an existing file.

        Raises:
            UserError: The file exists.
            OSError: The folder is not writable.
        """
        self._path, self._force = os.path.realpath(path), force
        self._part: str | None = None
        self.written = 0
        try:
            # A pipe or /dev/stdout has no content to keep, and cannot be replaced by renaming.
            if not path.startswith("/dev/") and (os.path.isfile(path) or not os.path.exists(path)):
                self._check(path)
                self._part = f"{self._path}.{token_hex(8)}.part"
            # "x": never open an existing file, of the user or of another command.
            self.file: IO[bytes] = open(self._part or path, "xb" if self._part else "wb")  # noqa: SIM115
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    def _check(self, path: str) -> None:
        if not self._force and os.path.isfile(self._path):
            raise _taken(path)

    def _claim(self) -> None:
        """Take the name. Of several commands that write to one name, only the first succeeds."""
        try:
            open(self._path, "xb").close()
        except FileExistsError:
            raise _taken(self._path) from None

    def publish(self) -> None:
        """Flush, and give the file its name. Later writes go to the same file.

        Raises:
            UserError: Another command has created the file meanwhile.
        """
        self.file.flush()
        if self._part:
            if not self._force:
                self._claim()
            os.replace(self._part, self._path)
            self._part = None

    def close(self) -> None:
        """Close the file, and delete it unless it was published."""
        self.file.close()
        if self._part:
            with suppress(FileNotFoundError):
                os.unlink(self._part)


def _taken(path: str) -> UserError:
    return UserError(f"{path}: the file exists; choose another name, or overwrite the file with --force")


@contextmanager
def output(path: str, force: bool) -> Iterator[Output]:
    """Open an `Output`, and close it at the end of the block. See `Output` for arguments and errors."""
    opened = Output(path, force)
    try:
        yield opened
    finally:
        opened.close()
