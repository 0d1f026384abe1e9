"""The low-voltage smart electric energy meter (class 0288): the properties that are read, and what their bytes say.

Big endian; power and current are signed, positive drawn. Energy is a register that counts in steps of D3 x E1 kWh and begins
again at 0 after D7 digits. Source: ECHONET Machine Readable Appendix 1.3.1, device 0x0288 and super class. What the meter
remembers of half-hours (E2, E4, EC) is decoded in `memory`; its memory of minutes (EE) is not read.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

OPERATION, RELEASE, FAULT, MAKER, SERIAL = 0x80, 0x82, 0x88, 0x8A, 0x8D
TIME, DATE, SET_MAP, GET_MAP = 0x97, 0x98, 0x9E, 0x9F
IDENTIFICATION, MINUTE = 0xC0, 0xD0
COEFFICIENT, DIGITS, UNIT = 0xD3, 0xD7, 0xE1
IMPORT, EXPORT, POWER, CURRENT = 0xE0, 0xE3, 0xE7, 0xE8
HALF_HOUR_IMPORT, HALF_HOUR_EXPORT = 0xEA, 0xEB
DAY_IMPORT, DAY_EXPORT, DAY_CHOICE = 0xE2, 0xE4, 0xE5
PAIRS, PAIRS_CHOICE = 0xEC, 0xED

NAMES = {
    OPERATION: "operation status",
    RELEASE: "release of the standard",
    FAULT: "fault status",
    MAKER: "maker",
    SERIAL: "serial number",
    TIME: "time of day",
    DATE: "date",
    GET_MAP: "property map",
    IDENTIFICATION: "identification number",
    MINUTE: "registers of the minute",
    COEFFICIENT: "coefficient of the registers",
    DIGITS: "significant digits of the registers",
    UNIT: "unit of the registers",
    IMPORT: "import register",
    EXPORT: "export register",
    POWER: "instantaneous power",
    CURRENT: "instantaneous currents",
    HALF_HOUR_IMPORT: "half-hourly import register",
    HALF_HOUR_EXPORT: "half-hourly export register",
}
"""The properties that are read, in words."""

JAPAN = timezone(timedelta(hours=9), "JST")
MAX_POWER_VA = 36_000.0
"""⚠ Assumed: a household draws less (60 A at 200 V are 12 kVA)."""
HIGHEST = 99_999_999
"""What a register can show at most."""
EXPONENTS = {0: 0, 1: -1, 2: -2, 3: -3, 4: -4, 0x0A: 1, 0x0B: 2, 0x0C: 3, 0x0D: 4}
"""E1 → power of ten, in kWh."""

MAKERS = {
    0x000001: "Hitachi",
    0x000006: "Mitsubishi Electric",
    0x00000B: "Panasonic",
    0x000016: "Toshiba",
    0x000035: "Toshiba Toko Meter Systems",
    0x000041: "Enegate",
    0x000052: "Osaki Electric",
    0x000085: "Takaoka Toko",
    0x000089: "Hokkaido Electric Industries",
    0x00008C: "Kyuden Technosystems",
    0x000095: "Yamato Denki",
    0x0000C2: "Tohoku Electric Meter Industry",
    0x0000CB: "Fuji Electric",
    0x0000D8: "Osaki Datatech",
}
"""Code of 8A → who makes meters. Others are shown as their code."""


class Unit(NamedTuple):
    """What one step of the registers is worth, and where they begin again at 0."""

    watthours: Decimal
    steps: int

    def energy(self, register: int) -> float:
        """Watt-hours of a register."""
        return float(register * self.watthours)


def unit(coefficient: bytes, exponent: bytes, digits: bytes | None) -> Unit:
    """The unit from D3, E1 and, where the meter has it, D7. ValueError: they are not what the standard allows."""
    factor = _whole(coefficient, 4)
    if not 0 < factor <= 999_999:
        raise ValueError("D3")
    if (code := _whole(exponent, 1)) not in EXPONENTS:
        raise ValueError("E1")
    count = _whole(digits, 1) if digits is not None else 8
    if not 1 <= count <= 8:
        raise ValueError("D7")
    return Unit(Decimal(factor).scaleb(EXPONENTS[code] + 3), 10**count)


def _whole(edt: bytes, width: int) -> int:
    """An unsigned number of that width."""
    if len(edt) != width:
        raise ValueError(f"a width of {len(edt)} bytes, not {width}")
    return int.from_bytes(edt)


def power(edt: bytes) -> int | None:
    """E7 in watts; None: not measured, or out of range."""
    _whole(edt, 4)
    return None if edt in (b"\x7f\xff\xff\xfe", b"\x7f\xff\xff\xff", b"\x80\0\0\0") else int.from_bytes(edt, signed=True)


def currents(edt: bytes) -> tuple[float | None, float | None]:
    """E8 in amperes, phases R and T; None: no such phase, or out of range."""
    _whole(edt, 4)
    r, t = (None if half in (b"\x7f\xfe", b"\x7f\xff", b"\x80\0") else half for half in (edt[:2], edt[2:]))
    return tuple(None if half is None else int.from_bytes(half, signed=True) / 10 for half in (r, t))  # type: ignore[return-value]


def register(edt: bytes) -> int | None:
    """E0, E3 in steps; None: not measured. ValueError: more than a register can show."""
    value = _whole(edt, 4)
    if value == 0xFFFFFFFE:
        return None
    if value > HIGHEST:
        raise ValueError(f"a register above {HIGHEST}")
    return value


def moment(edt: bytes) -> float:
    """YYYY (2) MM DD hh mm ss in Japan's time → Unix time. ValueError: no such moment."""
    _whole(edt, 7)
    try:
        return datetime(int.from_bytes(edt[:2]), *edt[2:], tzinfo=JAPAN).timestamp()  # type: ignore[misc]
    except ValueError as error:
        raise ValueError(f"no such time ({error}); is the meter's clock set?") from None


def minute(time: bytes, date: bytes) -> float:
    """97 and 98 → Unix time at which that minute begins."""
    _whole(time, 2)
    _whole(date, 4)
    return moment(date + time + b"\0")


def release(edt: bytes) -> str:
    """82 → the release of the standard and its revision: F.0."""
    _whole(edt, 4)
    if not 0x41 <= edt[2] <= 0x5A:
        raise ValueError("no letter of a release")
    return f"{edt[2]:c}.{edt[3]}"


def maker(edt: bytes) -> str:
    """8A → a name, or the code."""
    code = _whole(edt, 3)
    return MAKERS.get(code, f"{code:06X}")


def serial(edt: bytes) -> str:
    """8D → 12 characters, padded with NUL."""
    _whole(edt, 12)
    text = edt.rstrip(b"\0 ").decode("ascii")
    if not text.isprintable():
        raise ValueError("characters that cannot be printed")
    return text


def identification(edt: bytes) -> str:
    """C0 → 00, maker, 12 bytes of its choice; as hexadecimal digits."""
    _whole(edt, 16)
    return edt.hex().upper()


def state(edt: bytes, true: int, false: int) -> float:
    """A property of two values (80: 30 on, 31 off; 88: 41 fault, 42 none) → 1 or 0."""
    value = _whole(edt, 1)
    if value not in (true, false):
        raise ValueError(f"{value:02X}, which is neither of its values")
    return float(value == true)
