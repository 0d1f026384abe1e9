"""Take secrets, and on request the household, out of a capture of a Wi-SUN module; its form stays.

Always: password and ID, in the echo of the commands that set them and in the messages of the log-in (PANA carries the ID in
clear). For the household: also the log-in's messages as a whole, addresses, pairing ID, and the numbers of the meter.
"""

from __future__ import annotations

import re

from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import PANA_PORT
from meterline.protocols.broute.pieces import Piece, Splitter

_SECRET = re.compile(rb"(SKSETPWD [0-9A-F]+ |SKSETRBID |SKSETPSK [0-9A-F]+ )[^\r\n]*", re.IGNORECASE)
_ID = re.compile(rb"(SM)[0-9A-F]{32}")
_MAC = re.compile(rb"\b([0-9A-F]{6})[0-9A-F]{10}\b")
_ADDRESS = re.compile(rb"\b((?:[0-9A-F]{4}:){5}[0-9A-F]{2})[0-9A-F]{2}:[0-9A-F]{4}:[0-9A-F]{4}\b")
_NUMBERS = re.compile(rb"(PairID:|Pan ID:|EINFO \S+ \S+ \S+ )[0-9A-F]+")
_NAMED = re.compile(b"(%c\x0c).{12}|(%c\x10).{16}|(\x83\x11).{17}" % (p.SERIAL, p.IDENTIFICATION), re.DOTALL)
"""Properties that name the meter: code, length, value."""
_PANA_HEADER = 16
_PRINTABLE = bytes([*range(0x20, 0x7F), *b"\r\n"])
_REST = re.compile(rb"[^\r\n]")
"""Of a damaged line nothing but its length is shown: it could hold any of the above."""
_LOOSE_ID = re.compile(rb"SM[0-9A-F]{32}|534D(?:3[0-9]|4[1-6]){32}", re.IGNORECASE)
"""In a datagram whose damage made lines of it."""


class Redactor:
    """`feed` it bytes, however cut; it gives what may be shown. What is begun and not complete is never shown."""

    def __init__(self, household: bool = True) -> None:
        self._household = household
        self._splitter = Splitter()

    def feed(self, data: bytes) -> bytes:
        """Everything up to the last line or datagram that is complete."""
        return b"".join(map(self._redact, self._splitter.feed(data)))

    def _redact(self, piece: Piece) -> bytes:
        if piece.header:
            return self._datagram(piece, piece.header)
        line = piece.raw
        if line.startswith(b"ERXUDP ") or line.translate(None, _PRINTABLE):
            return _REST.sub(b"?", line)
        line = _LOOSE_ID.sub(b"masked", _SECRET.sub(rb"\1masked", line))
        return _household(line) if self._household else line

    def _datagram(self, piece: Piece, header: re.Match[bytes]) -> bytes:
        payload = bytes.fromhex(piece.payload.decode()) if piece.in_hex else piece.payload
        if int(header[4], 16) == PANA_PORT:
            payload = payload[:_PANA_HEADER].ljust(len(payload), b"\0") if self._household else _ID.sub(_zeros, payload)
        elif self._household:
            payload = _NAMED.sub(lambda found: found[0][:2].ljust(len(found[0]), b"\0"), payload)
        head = _household(header[0]) if self._household else header[0]
        body = payload.hex().upper().encode() if piece.in_hex else payload
        return head + body + piece.raw[len(header[0]) + len(piece.payload) :]


def _zeros(found: re.Match[bytes]) -> bytes:
    return found[1] + b"0" * 32


def _household(line: bytes) -> bytes:
    """A line with the numbers of this household's radio made 0; the makers of the devices stay."""
    line = _MAC.sub(rb"\g<1>0000000000", line)
    line = _ADDRESS.sub(rb"\g<1>00:0000:0000", line)
    return _NUMBERS.sub(lambda found: found[1] + b"0" * (len(found[0]) - len(found[1])), line)
