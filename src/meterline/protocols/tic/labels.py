"""The labels of the TIC: for each mode, exactly what a group with that label may hold.

Source: Enedis-NOI-CPT_54E v3 (standard) and Enedis-NOI-CPT_02E v6 (historic). The checksum is a sum of six bits and lets
typical damage pass; this table is the second check: width, characters and presence of the timestamp must all be right.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

Match = Callable[[str], object]


class Label(NamedTuple):
    """What a group may hold: a matcher of its data, and of its timestamp (None where it must have none)."""

    data: Match
    timestamp: Match | None = None


def _full(pattern: str) -> Match:
    return re.compile(pattern, re.ASCII).fullmatch


def _digits(width: int) -> Match:
    return _full(rf"[0-9]{{{width}}}")


def _text(width: int) -> Match:
    # A backtick is a space with bit 6 flipped, which the checksum cannot see; no known text holds one.
    return _full(rf"[ -_a-~]{{{width}}}")


_DATE = r"[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3])[0-5][0-9]"


def _dated(season: str) -> Match:
    """A timestamp with this season, on a day that exists."""
    form = _full(f"{season}{_DATE}{_TIME}[0-5][0-9]")

    def match(text: str) -> bool:
        return form(text) is not None and _exists(text[1:7])

    return match


@lru_cache(maxsize=64)
def _exists(day: str) -> bool:
    return int(day[4:]) <= monthrange(2000 + int(day[:2]), int(day[2:4]))[1]


def _status(text: str) -> bool:
    """STGE, with the bits that are always the same as they must be and no code that is not defined."""
    if not _HEX8(text):
        return False
    bits = int(text, 16)
    fixed = bits >> 5 & 1 == 0 and bits >> 17 & 1 == 1 and bits >> 18 & 1 == 0
    return fixed and bits >> 1 & 7 < 7 and bits >> 10 & 15 < 10 and bits >> 19 & 3 != 2 and bits >> 21 & 3 != 3


_HEX8 = _full("[0-9A-F]{8}")
_MOMENT = _dated("[HEhe]")
"""Season H/E (h/e: clock degraded), date, time."""
_MOMENT_WITHOUT_SEASON = _dated(" ")
_KVA = _full("0[1-9]|[12][0-9]|3[0-6]")
"""Linky meters are those of connections up to 36 kVA."""
_BLOCK = f"(NONUTILE|{_TIME}[0-9A-F]{{4}})"
_PROFILE = _full(f"{_BLOCK}( {_BLOCK}){{10}}")

_VA = _digits(5)
_INDEX = Label(_digits(9))
_AMPERES = Label(_digits(3))
_PEAK_VA = Label(_VA, _MOMENT)

PERIODS = {
    "TH..": "BASE",
    "HC..": "HCHC",
    "HP..": "HCHP",
    "HN..": "EJPHN",
    "PM..": "EJPHPM",
    "HCJB": "BBRHCJB",
    "HPJB": "BBRHPJB",
    "HCJW": "BBRHCJW",
    "HPJW": "BBRHPJW",
    "HCJR": "BBRHCJR",
    "HPJR": "BBRHPJR",
}
"""PTEC → the register that counts in that period."""

CONTRACTS = {
    "BASE": ("BASE",),
    "HC": ("HCHC", "HCHP"),
    "EJP": ("EJPHN", "EJPHPM"),
    "TEMPO": ("BBRHCJB", "BBRHPJB", "BBRHCJW", "BBRHPJW", "BBRHCJR", "BBRHPJR"),
}
"""Historic contracts → their registers, in the order of the supplier's indexes 1, 2 … of standard mode."""

CONTRACT_OF = {register: name for name, registers in CONTRACTS.items() for register in registers}
"""Register → contract."""

OPTIONS = {"BASE": "BASE", "HC..": "HC", "EJP.": "EJP", "BBR": "TEMPO"}
"""OPTARIF (its first three characters for Tempo) → contract."""

HISTORIC: dict[str, Label] = {
    "ADCO": Label(_digits(12)),
    # The fourth Tempo character holds programs of the auxiliary outputs: bit 6 is 0, bit 5 is 1 (02E).
    "OPTARIF": Label(_full(r"BASE|HC\.\.|EJP\.|BBR[ -?]")),
    "ISOUSC": Label(_digits(2)),
    **dict.fromkeys((register for registers in CONTRACTS.values() for register in registers), _INDEX),
    "PEJP": Label(_digits(2)),
    "PTEC": Label(PERIODS.__contains__),
    "DEMAIN": Label(_full("----|BLEU|BLAN|ROUG")),
    **dict.fromkeys(("IINST", "IINST1", "IINST2", "IINST3", "ADPS", "ADIR1", "ADIR2", "ADIR3"), _AMPERES),
    **dict.fromkeys(("IMAX", "IMAX1", "IMAX2", "IMAX3"), _AMPERES),
    "PMAX": Label(_digits(5)),
    "PAPP": Label(_digits(5)),
    "HHPHC": Label(_full("[ACDEY]")),
    "MOTDETAT": Label(_full("[0-9A-F]{6}")),
    # Bits 1 to 3: phase missing; the others are 0.
    "PPOT": Label(_full("0[02468ACE]")),
}

STANDARD: dict[str, Label] = {
    "ADSC": Label(_digits(12)),
    "VTIC": Label(_digits(2)),
    "DATE": Label(_full(""), _MOMENT),
    "NGTF": Label(_text(16)),
    "LTARF": Label(_text(16)),
    "EAST": _INDEX,
    **{f"EASF{n:02d}": _INDEX for n in range(1, 11)},
    **{f"EASD{n:02d}": _INDEX for n in range(1, 5)},
    "EAIT": _INDEX,
    **{f"ERQ{n}": _INDEX for n in range(1, 5)},
    **{f"IRMS{n}": _AMPERES for n in (1, 2, 3)},
    **{f"URMS{n}": Label(_digits(3)) for n in (1, 2, 3)},
    "PREF": Label(_KVA),
    "PCOUP": Label(_KVA),
    "SINSTS": Label(_VA),
    **{f"SINSTS{n}": Label(_VA) for n in (1, 2, 3)},
    "SMAXSN": _PEAK_VA,
    "SMAXSN-1": _PEAK_VA,
    **{f"SMAXSN{n}": _PEAK_VA for n in (1, 2, 3)},
    **{f"SMAXSN{n}-1": _PEAK_VA for n in (1, 2, 3)},
    "SINSTI": Label(_VA),
    "SMAXIN": _PEAK_VA,
    "SMAXIN-1": _PEAK_VA,
    **dict.fromkeys(("CCASN", "CCASN-1", "CCAIN", "CCAIN-1"), Label(_VA, _MOMENT)),
    **{f"UMOY{n}": Label(_digits(3), _MOMENT) for n in (1, 2, 3)},
    "STGE": Label(_status),
    **{f"{word}{n}": Label(_digits(2), _MOMENT_WITHOUT_SEASON) for n in (1, 2, 3) for word in ("DPM", "FPM")},
    "MSG1": Label(_text(32)),
    "MSG2": Label(_text(16)),
    "PRM": Label(_digits(14)),
    "RELAIS": Label(_full("[01][0-9]{2}|2[0-4][0-9]|25[0-5]")),
    "NTARF": Label(_full("0[1-9]|10")),
    "NJOURF": Label(_full("0[0-9]")),
    "NJOURF+1": Label(_full("0[0-9]")),
    "PJOURF+1": Label(_PROFILE),
    "PPOINTE": Label(_PROFILE),
    # Pilot-series meters (types 67, 68). ⚠ Width and timestamp as their modern twins: assumed, no source.
    "SINST1": Label(_VA),
    "SMAXN": _PEAK_VA,
    "SMAXN-1": _PEAK_VA,
}
