"""SKSTACK-IP, the ASCII commands of Wi-SUN modules: bytes → replies, events and datagrams; commands → bytes.

    reply     data lines, then "OK" [value] or "FAIL ERnn", each CR LF (product settings such as ROPT: a lone CR)
    event     "EVENT nn <address>" [side] [parameter]                      side: dual edition only
    PAN       "EPANDESC", then lines "  Key:Value"                         found by a scan
    datagram  "ERXUDP <source> <destination> <port> <port> <mac> [lqi] <secured> [side] <length> " and the payload, CR LF:
              raw bytes (CR LF among them) or hex digits, as the module's WOPT is set; nobody needs to say which

Source: ROHM BP35A1 command reference 1.3.2 and captures of six modules. Not supported: the binary protocol of J11 firmware.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple, TypeAlias

from meterline.meter.readings import Rejected
from meterline.protocols.broute.splitter import Piece, Splitter

BAUD: Final = 115_200
FORM: Final = "8N1"
ERRORS = {
    "ER04": "this module does not know the command",
    "ER05": "wrong number of arguments",
    "ER06": "an argument is malformed or out of range",
    "ER09": "garbage on the serial line between us and the module",
    "ER10": "accepted, but it failed (no session, or nothing to do)",
}
"""What FAIL means. ER01 to ER03, ER07 and ER08 are reserved."""

_STRENGTHS = ((-60.0, "strong"), (-75.0, "good"), (-80.0, "fair"), (-88.0, "weak: bring the module nearer"))
"""Signals from so many dBm on (ROHM asks for -80, the guideline for -88)."""


class Ok(NamedTuple):
    """The end of a good reply."""

    value: str = ""


class Fail(NamedTuple):
    """The end of a bad reply."""

    code: str

    def __str__(self) -> str:
        return f"{self.code}: {ERRORS.get(self.code, 'an error that its manual does not explain')}"


class Line(NamedTuple):
    """A data line of a reply."""

    text: str


class Echo(NamedTuple):
    """The module repeats a command. Only its first word is kept: the rest may be a password."""

    command: str


class Event(NamedTuple):
    """EVENT: `parameter` is the result of a transmission in event 21."""

    number: int
    address: str = ""
    side: int | None = None
    parameter: int | None = None


class Pan(NamedTuple):
    """EPANDESC: a meter's network. `mac`: 16 hex digits; `lqi`: 0 to 255, see `dbm`."""

    channel: int
    pan_id: int
    mac: str
    lqi: int
    side: int | None = None
    pairing_id: str | None = None


class Datagram(NamedTuple):
    """ERXUDP: what came by UDP. `lqi` where register SA2 asks for it."""

    source: str
    destination: str
    source_port: int
    destination_port: int
    mac: str
    lqi: int | None
    secured: bool
    side: int | None
    payload: bytes


Message: TypeAlias = Ok | Fail | Line | Echo | Event | Pan | Datagram | Rejected
"""What the decoder gives."""


class Decoder:
    """`feed` it what the module sends, however cut; it gives messages."""

    def __init__(self) -> None:
        self._splitter = Splitter()
        self._pan: dict[str, str] | None = None

    @property
    def pending(self) -> bool:
        """Something has begun and is not complete: where nothing more comes, `flush`."""
        return self._splitter.pending

    def feed(self, data: bytes) -> list[Message]:
        """What is complete now. Never raises."""
        return self._messages(self._splitter.feed(data))

    def flush(self) -> list[Message]:
        """Give up what has begun: a wrong length field would wait for ever."""
        pieces = self._splitter.flush()
        rest = pieces.pop() if pieces and not pieces[-1].header and pieces[-1].raw[-1:] not in b"\r\n" else None
        messages = self._messages(pieces)
        self._end_pan(messages)
        if rest:
            messages.append(Rejected("truncated", _harmless(rest.raw)))
        return messages

    def _messages(self, pieces: list[Piece]) -> list[Message]:
        messages: list[Message] = []
        for piece in pieces:
            if piece.header:
                self._end_pan(messages)
                messages.append(_datagram(piece.header, piece))
            elif text := piece.raw.rstrip(b"\r\n "):
                self._take(text, messages)
        return messages

    def _take(self, text: bytes, messages: list[Message]) -> None:
        if text.startswith(b"  "):
            key, _, value = text.decode("latin-1").strip().partition(":")
            if self._pan is not None and key in _KEYS:
                self._pan[key] = value
                if key == "PairID":
                    self._end_pan(messages)
            return
        self._end_pan(messages)
        if text == b"EPANDESC":
            self._pan = {}
        else:
            messages.append(_message(text))

    def _end_pan(self, messages: list[Message]) -> None:
        """The block ends with its last key, or with the first line that is not indented."""
        if self._pan is not None:
            messages.append(_pan(self._pan))
            self._pan = None


def _datagram(header: re.Match[bytes], piece: Piece) -> Datagram:
    source, destination, source_port, destination_port, mac, lqi, secured, side, _ = header.groups()
    return Datagram(
        source.decode().upper(),
        destination.decode().upper(),
        int(source_port, 16),
        int(destination_port, 16),
        mac.decode().upper(),
        int(lqi, 16) if lqi else None,
        secured == b"1",
        int(side) if side else None,
        bytes.fromhex(piece.payload.decode()) if piece.in_hex else piece.payload,
    )


_EVENT = re.compile(rb"EVENT ([0-9A-F]{2})(?: ([0-9A-F:]{3,}))?(?: ([0-9A-F]))?(?: ([0-9A-F]{2}))?", re.IGNORECASE)
_ECHO = re.compile(rb"(SK[A-Z0-9]+|ROPT|WOPT|RUART|WUART)(?: .*)?", re.DOTALL)
_FAIL = re.compile(rb"FAIL (ER[0-9]{2})")
_OK = re.compile(rb"OK(?: ([0-9A-F]{2}))?", re.IGNORECASE)


def _message(text: bytes) -> Message:
    if found := _OK.fullmatch(text):
        return Ok((found[1] or b"").decode())
    if found := _FAIL.fullmatch(text):
        return Fail(found[1].decode())
    if found := _EVENT.fullmatch(text):
        number, address, side, parameter = found.groups()
        return Event(
            int(number, 16),
            (address or b"").decode().upper(),
            int(side, 16) if side else None,
            int(parameter, 16) if parameter else None,
        )
    if found := _ECHO.fullmatch(text):
        return Echo(found[1].decode())
    if text.startswith((b"ERXUDP", b"EVENT", b"FAIL")) or not text.isascii() or not text.decode().isprintable():
        return Rejected("malformed", _harmless(text))
    return Line(text.decode())


_KEYS = {
    "Channel": ("[0-9A-Fa-f]{2}", ""),
    "Pan ID": ("[0-9A-Fa-f]{4}", ""),
    "Addr": ("[0-9A-Fa-f]{16}", ""),
    "LQI": ("[0-9A-Fa-f]{2}", ""),
    "Side": ("[0-9A-Fa-f]", "0"),
    "PairID": ("[0-9A-Za-z]{8}", "00000000"),
}
"""What a block says of a network: how it is written, and what stands for it where the module may leave it out."""


def _harmless(text: bytes) -> bytes:
    """The start of a line that is refused; of one that may be a damaged echo with a password, nothing."""
    return text[:64] if text.startswith((b"ERXUDP", b"EVENT", b"FAIL")) else b""


def _pan(keys: dict[str, str]) -> Pan | Rejected:
    if not all(re.fullmatch(pattern, keys.get(key, default)) for key, (pattern, default) in _KEYS.items()):
        return Rejected("malformed", b"EPANDESC")
    side = keys.get("Side")
    return Pan(
        int(keys["Channel"], 16),
        int(keys["Pan ID"], 16),
        keys["Addr"].upper(),
        int(keys["LQI"], 16),
        int(side, 16) if side else None,
        keys["PairID"].upper() if "PairID" in keys else None,
    )


def dbm(lqi: int) -> float:
    """Signal strength of a link quality code (ROHM): 0x50 → -82.27."""
    return round(0.275 * lqi - 104.27, 2)


def strength(lqi: int) -> str:
    """The same in words."""
    return next((words for limit, words in _STRENGTHS if dbm(lqi) >= limit), "too weak: bring the module nearer")


_INVERTED = 0x0200000000000000
_LINK_LOCAL = re.compile("FE80(?::0000){3}((?::[0-9A-F]{4}){4})", re.IGNORECASE)


def link_local(mac: str) -> str:
    """The address of a MAC: FE80:: and EUI-64, bit 1 of the first byte inverted. What SKLL64 computes."""
    digits = f"{int(mac, 16) ^ _INVERTED:016X}"
    return "FE80:0000:0000:0000:" + ":".join(digits[place : place + 4] for place in range(0, 16, 4))


def mac_of(address: str) -> str | None:
    """The MAC in such an address; None where it is not one of them, written in full."""
    found = _LINK_LOCAL.fullmatch(address)
    return f"{int(found[1].replace(':', ''), 16) ^ _INVERTED:016X}" if found else None


def command(*words: str) -> bytes:
    """A command for the wire: CR LF at its end, the product-setting ones a lone CR."""
    return " ".join(words).encode("ascii") + (b"\r" if words[0] in ("ROPT", "WOPT", "RUART", "WUART") else b"\r\n")


def sendto(address: str, payload: bytes, side: int | None) -> bytes:
    """SKSENDTO to the ECHONET Lite port, encrypted; `side` is None on the single edition. It runs on its last byte."""
    words = ["SKSENDTO", "1", address, "0E1A", "1", *([] if side is None else [str(side)]), f"{len(payload):04X} "]
    return " ".join(words).encode("ascii") + payload


def scan_seconds(duration: int, channels: int = 28) -> float:
    """How long an active scan lasts: 9.6 ms · (2^duration + 1) a channel."""
    return 0.0096 * ((1 << duration) + 1) * channels
