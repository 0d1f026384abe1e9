"""Take the household out of a capture: only what a list calls harmless passes, label by label, with right checksums.

Of ADCO and ADSC the first six digits stay (maker, year, type): they say how the meter speaks. PRM, and the messages in which
distributors write names, addresses and numbers (MSG1, MSG2), are masked whole, and so are names of tariffs that are not known.
Of a damaged group only its label stays, where the table has it, and where spaces and letters were. Bit 7 comes out masked.
"""

from __future__ import annotations

import re

from meterline.protocols.tic.contracts import CONTRACT_OF
from meterline.protocols.tic.fields import FIELDS
from meterline.protocols.tic.frames import CONTROLS, ETX, MAX_SEGMENT, SEVEN_BITS, Group, check, encode_group
from meterline.protocols.tic.line_faults import untrimmed

HARMLESS = {
    # historic mode
    *("OPTARIF", "ISOUSC", *CONTRACT_OF, "PEJP", "PTEC", "DEMAIN", "IINST", "ADPS", "IMAX", "PMAX", "PAPP"),
    *(f"{word}{n}" for word in ("IINST", "IMAX", "ADIR") for n in "123"),
    *("HHPHC", "MOTDETAT", "PPOT"),
    # standard mode
    *("VTIC", "DATE", "EAST", *(f"EASF{n:02d}" for n in range(1, 11)), *(f"EASD{n:02d}" for n in range(1, 5)), "EAIT"),
    *(f"{word}{n}" for word in ("IRMS", "URMS", "SINSTS", "SMAXSN", "UMOY", "DPM", "FPM") for n in "123"),
    *(f"ERQ{n}" for n in "1234"),
    *("PREF", "PCOUP", "SINSTS", "SINSTI", "SMAXSN", "SMAXSN-1", "SMAXIN", "SMAXIN-1", *(f"SMAXSN{n}-1" for n in "123")),
    *("CCASN", "CCASN-1", "CCAIN", "CCAIN-1", "STGE", "RELAIS", "NTARF", "NJOURF", "NJOURF+1", "PJOURF+1", "PPOINTE"),
    *("SINST1", "SMAXN", "SMAXN-1"),
}
"""Labels whose data says nothing of who lives there."""
TARIFF_WORDS = {
    *("BASE", "TEMPO", "EJP", "PRODUCTEUR", "H", "HC", "HP", "HEURE", "HEURES", "PLEINE", "PLEINES", "CREUSE", "CREUSES"),
    *("PLEINE/CREUSE", "SUPER", "NORMALE", "POINTE", "BLEU", "BLANC", "ROUGE", "ET", "SEM", "WE", "WEEK", "END", "WEEK-END"),
    *("LUNDI", "MARDI", "MERCREDI", "MERCR", "JEUDI", "VENDREDI", "SAMEDI", "DIMANCHE", "ZEN", "FLEX"),
    *("INDEX", "NON", "CONSO", "INACTIF", *"0123456789"),
}
"""Words of NGTF and LTARF that were ever seen: suppliers choose these texts."""
_BODY = re.compile(rb"[^\x02\x03\x04\r\n]+")
_FIRST_FIELD = re.compile(rb"[^\t ]*[\t ]?")
_MASK = bytes(byte if byte in b" \t" else ord("X") if chr(byte).isalpha() and byte < 128 else 0x30 for byte in range(256))
"""What stays of a damaged group. Any other byte may be a digit with a bit flipped."""
_IDLE = bytes(0 if byte in b"\x10\x12\x14\x15\x16\x17\x18\x19" else byte for byte in range(256))
"""Control characters stay, but for digits with a bit flipped; XON and XOFF are at home there."""


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
    """As the decoder does: control characters may stand where line ends should."""
    return b"".join(
        piece.translate(_IDLE) if place % 2 else _shown(piece) for place, piece in enumerate(CONTROLS.split(match[0]))
    )


def _shown(body: bytes) -> bytes:
    """What may be shown of what stands between two line ends."""
    group = check(body)
    if isinstance(group, Group):
        return body if _is_harmless(group) else encode_group(group.label, _anonymous(group), group.timestamp)[1:-1]
    if (whole := untrimmed(body)) and _is_harmless(whole):
        return body
    label = _FIRST_FIELD.match(body)[0]  # type: ignore[index]  # it matches nothing too
    known = label[:-1].decode("ascii", "replace") in FIELDS
    return label + body[len(label) :].translate(_MASK) if known else body.translate(_MASK)


def _is_harmless(group: Group) -> bool:
    if group.label in ("NGTF", "LTARF"):
        return all(word.upper() in TARIFF_WORDS for word in group.data.split())
    return group.label in HARMLESS


def _anonymous(group: Group) -> str:
    """Something of the same form."""
    if group.label in ("ADCO", "ADSC"):
        return group.data[:6] + "000000"
    return ("0" if group.data.isdigit() else "X") * len(group.data)
