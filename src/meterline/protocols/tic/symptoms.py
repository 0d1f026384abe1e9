"""What is wrong with a line that gives no groups, or gives them without what belongs between them.

Signs, from captures and issue trackers: a terminal in cooked mode turns CR into LF and swallows ETX; a port set to the wrong
parity delivers NULs, or the parity bit as bit 7; a wrong speed gives hardly any printable byte.
"""

from __future__ import annotations

from meterline.protocols.tic.frames import Event, Group

ENOUGH = 400
"""Bytes to hear before judging: two short frames at least."""

_WITHOUT_PARITY = bytes(range(128))
_UNPRINTABLE = bytes(byte for byte in range(256) if not 0x20 <= byte & 0x7F < 0x7F and byte & 0x7F not in b"\n\r\t\x02\x03\x04")
_WEAK = (
    "many bytes arrive as NUL: a weak signal, or wrong parity. Check the wires and the adapter; the line is 7 data bits, "
    "even parity, 1 stop bit (7E1)"
)


class Symptoms:
    """Counts over what was heard since the link was opened, or its speed changed."""

    def __init__(self) -> None:
        self.heard = self.groups = self.foreign = self._returns = self._nuls = self._noise = self._high = 0

    def feed(self, data: bytes, events: list[Event]) -> None:
        """Take in what was read, and what the decoder made of it."""
        self.groups += sum(type(event) is Group for event in events)
        if self.heard > 10 * ENOUGH and self.groups:
            return
        self.heard += len(data)
        self.foreign += sum(getattr(event, "reason", "") == "unknown_label" for event in events)
        self._returns += data.count(b"\r") + data.count(b"\x8d")
        self._nuls += data.count(b"\0")
        self._high += 0 if data.isascii() else len(data.translate(None, _WITHOUT_PARITY))
        self._noise += len(data) - len(data.translate(None, _UNPRINTABLE))

    def hint(self) -> str | None:
        """One sentence with the remedy, or None while nothing is strange."""
        if self.heard < ENOUGH:
            return None
        if not self.groups:
            return self._without_groups()
        if self._nuls * 5 > self.heard:
            return _WEAK
        if not self._returns:
            return (
                "the line ends are changed on the way: something treats the line as a terminal (cooked mode). "
                "Set it to raw: stty -F DEVICE raw, or 'raw' in the bridge's configuration"
            )
        if self._high * 5 > self.heard:
            return (
                "the bytes carry their parity bit: the line is read as 8N1. meterline drops that bit and goes on; "
                "where the bridge or adapter can, set it to 7E1"
            )
        return None

    def _without_groups(self) -> str | None:
        if self.foreign > 5:
            return "this meter speaks TIC, but not that of a household: its labels are not known here"
        speeds = "1200 baud in historic mode, 9600 in standard mode"
        if self._nuls * 2 > self.heard:
            return f"hardly anything but NULs arrives: wrong speed ({speeds}), or wrong parity (7E1 is right)"
        if self._noise * 5 > self.heard * 2:
            return f"only noise arrives: wrong speed ({speeds}), or another line"
        return _WEAK if self._nuls * 5 > self.heard else None
