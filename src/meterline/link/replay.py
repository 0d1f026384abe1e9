"""A capture in place of a meter: a file that is read as if it were a link."""

from __future__ import annotations

from typing import IO

from meterline import world
from meterline.link import errors
from meterline.link.stream import CHUNK, Form, Tap
from meterline.link.url import Capture, shown


class Replay:
    """An open capture."""

    baud: int | None = None

    def __init__(self, url: str, file: IO[bytes], pace: int | None) -> None:
        self.url = shown(url)
        self.crowd = 1
        self.received = 0
        self.timed = pace is not None
        self.tap: Tap | None = None
        self._file = file
        self._pace = pace
        self._ahead = b""

    async def read(self) -> bytes:
        """See `Link`."""
        data, self._ahead = self._ahead, b""
        if not data:
            await world.current.sleep(0.1 if self._pace else 0)
            # Ten bits a character on the line, ten reads a second.
            data = self._file.read(max(1, self._pace // 100) if self._pace else CHUNK)
            self.received += len(data)
        if not data:
            raise EOFError
        if self.tap:
            self.tap(data)
        return data

    def unread(self, data: bytes) -> None:
        """See `Link`."""
        self._ahead = data + self._ahead

    def rest_until(self, moment: float) -> None:
        """A capture waits by itself."""

    async def write(self, data: bytes) -> None:
        """A capture does not listen."""

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """A capture has no speed."""

    async def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_capture(url: str, capture: Capture) -> Replay:
    """Open a capture.

    Raises:
        LinkError: The file cannot be read.
    """
    try:
        return Replay(url, open(capture.path, "rb"), capture.baud)
    except OSError as error:
        raise errors.not_read(capture.path, error) from error
