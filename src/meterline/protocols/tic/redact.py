"""Take the household out of a capture: ADCO, ADSC and PRM get made-up numbers and right checksums.

Maker, year and type of the meter (the first six digits of its address) stay: they say how it speaks. A group that is damaged
could hold any part of a number, so all but its letters become 0. The bytes come out with bit 7 masked.
"""

from __future__ import annotations

import re

from meterline.protocols.tic.frames import ETX, MAX_SEGMENT, SEVEN_BITS, Group, check, encode_group

_BODY = re.compile(rb"[^\x02\x03\x04\r\n]+")
_DAMAGED = bytes(byte if chr(byte) in "ABCDEFGHIJKLMNOPQRSTUVWXYZ \t" else 0x30 for byte in range(256))
"""What stays of a damaged group: letters and separators. Any other byte may be a digit with a bit flipped."""


class Redactor:
    """`feed` it bytes, however cut; it gives what may be shown. The last line that was begun is never shown.

    Unless the household is to be taken out, everything may be shown: a meter has no password.
    """

    def __init__(self, household: bool = True) -> None:
        self._household = household
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        """Everything up to the last line end."""
        if not self._household:
            return data
        text = self._tail + data.translate(SEVEN_BITS)
        end = max(text.rfind(mark) for mark in (b"\r", b"\n", ETX)) + 1
        self._tail = text[end:][-8 * MAX_SEGMENT :]
        return _BODY.sub(_redact, text[:end])


def _redact(match: re.Match[bytes]) -> bytes:
    group = check(match[0])
    if not isinstance(group, Group):
        return match[0].translate(_DAMAGED)
    if group.label in ("ADCO", "ADSC"):
        return encode_group(group.label, group.data[:6] + "000000")[1:-1]
    if group.label == "PRM":
        return encode_group("PRM", "0" * 14)[1:-1]
    return match[0]
