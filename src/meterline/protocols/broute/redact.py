"""Take secrets, and on request the household, out of a capture of a Wi-SUN module; its form stays.

Always: password and ID, in the echo of the commands that set them and in the messages of the log-in (PANA carries the ID in
clear). For the household: also the log-in's messages as a whole, addresses, pairing ID, and the numbers of the meter.
"""

from __future__ import annotations

import re

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.splitter import Piece, Splitter

_SECRET = re.compile(rb"(SKSETPWD [0-9A-F]+ |SKSETRBID |SKSETPSK [0-9A-F]+ )[^\r\n]*", re.IGNORECASE)
_KNOWN = re.compile(
    rb"(?:OK|FAIL|EVENT|EVER|EAPPVER|EINFO|EPANDESC|EEDSCAN|ENEIGHBOR|EADDR|EPORT|EPONG|ESREG|[0-9]{1,4}"
    rb"|SK(?:VER|APPVER|INFO|SCAN|SREG|JOIN|REJOIN|TERM|SENDTO|LL64|RESET|ADDNBR|TABLE|PING)|[RW]OPT|[RW]UART"
    rb"|  (?:Channel|Channel Page|Pan ID|Addr|LQI|Side|PairID):[0-9A-F]*)(?: [ -~]*)?[\r\n]*"
    rb"|(?:[0-9A-F]{4}:){7}[0-9A-F]{4}(?: [0-9A-F]{4,16})*[\r\n]*"
)
"""Lines in which no secret can be. Of any other, which may be a damaged echo, long words are not shown."""
_LONG = re.compile(rb"(?<![0-9A-Za-z])[0-9A-Za-z]{9,}")
_PRINTABLE = bytes([*range(0x20, 0x7F), *b"\r\n"])
_REST = re.compile(rb"[^\r\n]")
"""Of a line that cannot be printed, and of a damaged datagram, only the length is shown."""
_LOOSE_ID = re.compile(rb"SM[0-9A-F]{32}|534D(?:3[0-9]|4[1-6]){32}", re.IGNORECASE)
"""The ID in a datagram whose damage made lines of it, plain and as hex digits."""
_ID = re.compile(rb"[0-9A-F]{8,}")
"""The ID, or what damage left of it, in a message of the log-in."""
_PANA_HEADER = 16

_MAC = re.compile(rb"\b([0-9A-F]{6})[0-9A-F]{10}\b", re.IGNORECASE)
_ADDRESS = re.compile(rb"\b((?:[0-9A-F]{4}:){5}[0-9A-F]{2})[0-9A-F]{2}:[0-9A-F]{4}:[0-9A-F]{4}\b", re.IGNORECASE)
_NUMBERS = re.compile(rb"(PairID:|Pan ID:|EINFO \S+ \S+ \S+ |SKSREG S3 |SKSREG S0A |ESREG )[0-9A-F]+", re.IGNORECASE)
_NAMED = (p.SERIAL, p.IDENTIFICATION, 0x83)


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
            return _REST.sub(b"\0", line)
        line, secrets = _SECRET.subn(rb"\1masked", line)
        line = _LOOSE_ID.sub(b"masked", line)
        if not secrets and not _KNOWN.fullmatch(line):
            line = _LONG.sub(lambda found: b"?" * len(found[0]), line)
        return _household(line) if self._household else line

    def _datagram(self, piece: Piece, header: re.Match[bytes]) -> bytes:
        payload = bytes.fromhex(piece.payload.decode()) if piece.in_hex else piece.payload
        if {int(header[3], 16), int(header[4], 16)} != {echonet.PORT}:  # PANA, or damage that makes it look like another
            start = payload[:_PANA_HEADER]
            payload = start.ljust(len(payload), b"\0") if self._household else _ID.sub(_zeros, payload)
        elif self._household:
            payload = _nameless(payload)
        head = _household(header[0]) if self._household else header[0]
        body = payload.hex().upper().encode() if piece.in_hex else payload
        return head + body + piece.raw[len(header[0]) + len(piece.payload) :]


def _zeros(found: re.Match[bytes]) -> bytes:
    return b"0" * len(found[0])


def _nameless(payload: bytes) -> bytes:
    frame = echonet.decode(payload)
    if isinstance(frame, Rejected):
        return payload[:2].ljust(len(payload), b"\0")
    return echonet.encode(frame._replace(properties=_emptied(frame.properties), gets=_emptied(frame.gets)))


def _emptied(properties: tuple[echonet.Property, ...]) -> tuple[echonet.Property, ...]:
    """The same, those that name the meter made 0."""
    return tuple(echonet.Property(epc, bytes(len(edt)) if epc in _NAMED else edt) for epc, edt in properties)


def _household(line: bytes) -> bytes:
    """A line with the numbers of this household's radio made 0; the makers of the devices stay."""
    line = _MAC.sub(rb"\g<1>0000000000", line)
    line = _ADDRESS.sub(rb"\g<1>00:0000:0000", line)
    return _NUMBERS.sub(lambda found: found[1] + b"0" * (len(found[0]) - len(found[1])), line)
