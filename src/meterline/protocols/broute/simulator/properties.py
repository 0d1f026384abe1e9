"""The properties of a simulated meter: ECHONET property code → bytes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from meterline.protocols.broute.echonet import METER, encode_property_map
from meterline.protocols.broute.simulator.registers import HALF_HOUR_S

if TYPE_CHECKING:
    from meterline.protocols.broute.simulator.meter import FakeMeter

NOT_MEASURED = bytes.fromhex("FFFFFFFE")
NO_CURRENT = bytes.fromhex("7FFE")
MAKER = bytes.fromhex("000016")


def stamp(when: datetime) -> bytes:
    """Encode a time: year (2 bytes), month, day, hour, minute, second."""
    return when.year.to_bytes(2) + bytes([when.month, when.day, when.hour, when.minute, when.second])


def _count(meter: FakeMeter, energy: float) -> bytes:
    return meter.register(energy).to_bytes(4)


def _currents(meter: FakeMeter) -> bytes:
    """Encode the currents of R and T in tenths of an ampere; whole amperes, as in the captures."""
    watts = meter.watts
    if meter.two_wire:
        return (10 * round(watts / 100)).to_bytes(2, signed=True) + NO_CURRENT
    return b"".join((10 * round(watts * share / 100)).to_bytes(2, signed=True) for share in (0.6, 0.4))


def _fixed(meter: FakeMeter, which: int) -> bytes:
    """The last half-hour: its time and its register."""
    index = int(meter.now // HALF_HOUR_S)
    energies = meter.at_half_hour(index)
    when = datetime.fromtimestamp(index * HALF_HOUR_S, meter.local.tzinfo)
    return stamp(when) + (_count(meter, energies[which]) if energies else NOT_MEASURED)


def _slot(meter: FakeMeter, index: int, which: int) -> bytes:
    energies = meter.slot(index)
    return _count(meter, energies[which]) if energies else NOT_MEASURED


def _day(meter: FakeMeter, which: int) -> bytes:
    """48 registers of the day that E5 chose."""
    first = int(meter.midnight(meter.day) // HALF_HOUR_S)
    slots = [NOT_MEASURED if meter.day > 99 else _slot(meter, first + place, which) for place in range(48)]
    return meter.day.to_bytes(2) + b"".join(slots)


def _history(meter: FakeMeter, selector: bytes, step: int, at: Callable[[int], tuple[float, float] | None]) -> bytes:
    """Encode pairs of registers back from a selected time, in steps of `step` seconds. `at` returns the energies of a step."""
    when, count = selector[:6], selector[6]
    try:
        chosen = datetime(int.from_bytes(when[:2]), when[2], when[3], when[4], when[5], tzinfo=meter.local.tzinfo)
    except ValueError:
        return when + bytes([1]) + 2 * NOT_MEASURED
    first = int(chosen.timestamp() // step)
    return when + bytes([count]) + b"".join(_pair(meter, at(first - back)) for back in range(count))


def _pair(meter: FakeMeter, energies: tuple[float, float] | None) -> bytes:
    """Encode import and export."""
    if energies is None:
        return 2 * NOT_MEASURED
    return _count(meter, energies[0]) + (_count(meter, energies[1]) if meter.exports else NOT_MEASURED)


def _minute(meter: FakeMeter) -> bytes:
    index = int(meter.now // 60)
    return stamp(datetime.fromtimestamp(index * 60, meter.local.tzinfo)) + _pair(meter, meter.at_minute(index))


VALUES: dict[int, Callable[[FakeMeter], bytes]] = {
    0x80: lambda meter: b"\x30",
    0x81: lambda meter: bytes([meter.location]),
    0x82: lambda meter: b"\0\0R\0" if meter.second_generation else b"\0\0F\0",
    0x88: lambda meter: b"\x42",
    0x8A: lambda meter: MAKER,
    0x8D: lambda meter: f"M{meter.number:09d}".encode().ljust(12, b"\0"),
    0x97: lambda meter: stamp(meter.local)[4:6],
    0x98: lambda meter: stamp(meter.local)[:4],
    0x9D: lambda meter: encode_property_map((0x80, 0x81, 0x88)),
    0x9E: lambda meter: encode_property_map(meter.epcs().intersection(SETTABLE)),
    0x9F: lambda meter: encode_property_map(meter.epcs()),
    0xC0: lambda meter: b"\0" + MAKER + f"{meter.number:012d}".encode(),
    0xD0: _minute,
    0xD3: lambda meter: (meter.coefficient or 1).to_bytes(4),
    0xD7: lambda meter: bytes([meter.digits]),
    0xE0: lambda meter: _count(meter, meter.imported),
    0xE1: lambda meter: bytes([meter.unit]),
    0xE2: lambda meter: _day(meter, 0),
    0xE3: lambda meter: _count(meter, meter.exported),
    0xE4: lambda meter: _day(meter, 1),
    0xE5: lambda meter: bytes([meter.day]),
    0xE7: lambda meter: meter.watts.to_bytes(4, signed=True),
    0xE8: _currents,
    0xEA: lambda meter: _fixed(meter, 0),
    0xEB: lambda meter: _fixed(meter, 1),
    0xEC: lambda meter: _history(meter, meter.selector, HALF_HOUR_S, meter.slot),
    0xED: lambda meter: meter.selector,
    0xEE: lambda meter: _history(meter, meter.minute_selector, 60, meter.at_minute),
    0xEF: lambda meter: meter.minute_selector,
}
"""Property code → value of the meter object."""


def _set_location(meter: FakeMeter, edt: bytes) -> bool:
    if len(edt) != 1:
        return False
    meter.location = edt[0]
    return True


def _set_day(meter: FakeMeter, edt: bytes) -> bool:
    if len(edt) != 1 or edt[0] > 99:
        return False
    meter.day = edt[0]
    return True


def _set_selector(meter: FakeMeter, edt: bytes) -> bool:
    if len(edt) != 7 or edt[5] not in (0, 30) or not 1 <= edt[6] <= 12:
        return False
    meter.selector = edt
    return True


def _set_minute_selector(meter: FakeMeter, edt: bytes) -> bool:
    if len(edt) != 7 or edt[5] > 59 or not 1 <= edt[6] <= 10:
        return False
    meter.minute_selector = edt
    return True


SETTABLE: dict[int, Callable[[FakeMeter, bytes], bool]] = {
    0x81: _set_location,
    0xE5: _set_day,
    0xED: _set_selector,
    0xEF: _set_minute_selector,
}
"""Property code → function that sets the value, and returns whether the value was accepted."""

NODE_VALUES: dict[int, Callable[[FakeMeter], bytes]] = {
    0x80: lambda meter: b"\x30",
    0x82: lambda meter: bytes.fromhex("010C0100"),
    0x83: lambda meter: b"\xfe" + MAKER + meter.number.to_bytes(13),
    0x8A: lambda meter: MAKER,
    0x9D: lambda meter: encode_property_map((0x80, 0xD5)),
    0x9E: lambda meter: encode_property_map(()),
    0x9F: lambda meter: encode_property_map(NODE_VALUES),
    0xD3: lambda meter: (1).to_bytes(3),
    0xD4: lambda meter: (2).to_bytes(2),
    0xD5: lambda meter: b"\x01" + METER,
    0xD6: lambda meter: b"\x01" + METER,
    0xD7: lambda meter: b"\x01" + METER[:2],
}
"""Property code → value of the node profile."""
