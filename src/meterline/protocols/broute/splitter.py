"""Cut what a Wi-SUN module sends into lines and datagrams, however it comes.

A datagram may hold raw bytes, CR LF among them: its header says how many. It may hold hex digits instead, two a byte; which
of the two is told by what follows, so nobody needs to know how the module is set.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_PAYLOAD = 0x4D0
"""Bytes in one datagram: the largest UDP payload of the module."""
MAX_LINE = 4096
"""Bytes until a line is given up: the longest datagram in hex digits has 2,610."""


class Piece(NamedTuple):
    """A stretch of the stream: a line with its end, or a datagram with its header and its end."""

    raw: bytes
    header: re.Match[bytes] | None = None
    """Where it is a datagram: the header, all of `_HEADER`'s groups."""
    payload: bytes = b""
    in_hex: bool = False


_END = re.compile(rb"[\r\n]")
_HEADER = re.compile(
    rb"ERXUDP ([0-9A-F:]{2,39}) ([0-9A-F:]{2,39}) ([0-9A-F]{4}) ([0-9A-F]{4}) ([0-9A-F]{16}) "
    rb"(?:([0-9A-F]{2}) )?([0-2]) (?:([01]) )?([0-9A-F]{4}) ",
    re.IGNORECASE,
)
_HEAD = re.compile(rb"ERXUDP |EVENT [0-9A-F]{2} ")
"""Where a piece begins, even in the middle of a line."""
_DIGITS = re.compile(rb"[0-9A-Fa-f]*")


class Splitter:
    """Cuts the stream into pieces, however it comes; joined they are the stream again."""

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0

    @property
    def pending(self) -> bool:
        """A piece has begun and is not complete."""
        return self._at < len(self._buffer)

    def feed(self, data: bytes) -> list[Piece]:
        """The pieces that are complete now."""
        self._buffer += data
        return self._pieces(False)

    def flush(self) -> list[Piece]:
        """No more comes: what is left, as pieces. A datagram that waits for its end is given up, its bytes are lines again."""
        return self._pieces(True)

    def _pieces(self, last: bool) -> list[Piece]:
        pieces = []
        while (piece := self._next(last)) is not None:
            pieces.append(piece)
        self._buffer, self._at = self._buffer[self._at :], 0
        return pieces

    def _next(self, last: bool) -> Piece | None:
        start, buffer = self._at, self._buffer
        if start == len(buffer):
            return None
        if buffer[start] in b"\r\n":  # an empty line, and the LF of each CR LF
            return self._cut(start + 1)
        window = start + MAX_LINE + 1  # no further, or the place where a long line is cut would depend on how much has come
        end = _END.search(buffer, start, window)
        header = _HEADER.match(buffer, start, window)
        if header and 0 < (length := int(header[9], 16)) <= MAX_PAYLOAD:
            in_hex = self._form(header.end(), length)
            if in_hex is None and not last:
                return None
            if in_hex is not None and in_hex >= 0:
                body = header.end()
                payload = buffer[body : body + length * (1 + in_hex)]
                return self._cut(body + len(payload) + 1, header, payload, bool(in_hex))
            end = _END.search(buffer, header.end(), window)
        head = _HEAD.search(buffer, start + 1, end.start() if end else window)
        return self._cut(head.start()) if head else self._line(end, last)

    def _line(self, end: re.Match[bytes] | None, last: bool) -> Piece | None:
        if end and end.end() - self._at <= MAX_LINE:
            return self._cut(end.end())
        if len(self._buffer) - self._at > MAX_LINE:
            return self._cut(self._at + MAX_LINE)
        return self._cut(len(self._buffer)) if last else None

    def _form(self, body: int, length: int) -> int | None:
        """How the payload comes: 1 hex digits, 0 raw bytes, -1 neither (a wrong length), None: too little has come to tell."""
        buffer = self._buffer
        digits = _DIGITS.match(buffer, body, body + 2 * length)
        end = digits.end() if digits else body
        if end == len(buffer):
            return None
        if end == body + 2 * length:
            return 1 if buffer[end] in b"\r\n" else -1
        if end - body > length:
            return -1
        if len(buffer) < body + length + 2:
            return None
        return 0 if buffer[body + length : body + length + 2] == b"\r\n" else -1

    def _cut(self, to: int, header: re.Match[bytes] | None = None, payload: bytes = b"", in_hex: bool = False) -> Piece:
        raw, self._at = self._buffer[self._at : to], to
        return Piece(raw, header, payload, in_hex)
