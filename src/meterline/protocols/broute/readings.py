"""The properties of a reply or a notification → readings. Pure: the unit of the registers is an argument."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from meterline.meter.readings import Hint, Reading, Rejected, Series, Value
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property


class Field(NamedTuple):
    """One property: its series and the function that gives their values.

    Attributes:
        series: One for each value.
        decode: Function from the bytes and the unit of the registers to the values, or to none. ValueError: bytes that
            cannot be right.
        in_steps: The values are registers, which count in steps of D3 x E1.
    """

    series: tuple[Series, ...]
    decode: Callable[[bytes, p.Unit | None], tuple[Value, ...]]
    in_steps: bool = False


def _register(family: str) -> Field:
    """E0, E3. Without a unit there is no value: a register of unknown steps is no number of watt-hours."""
    return Field(((family,),), lambda edt, unit: (_energy(p.register(edt), unit),) if unit else (), in_steps=True)


def _fixed_series(direction: str, every: str) -> tuple[Series, ...]:
    family = f"smartmeter_fixed_energy_{direction}"
    return (f"{family}_watthours", every), (f"{family}_timestamp_seconds", every)


def _half_hour(direction: str) -> Field:
    """EA, EB: a moment, and the register as it stood then."""
    return Field(_fixed_series(direction, "30m"), lambda edt, unit: _fixed(p.moment(edt[:7]), edt[7:], unit), in_steps=True)


def _minute(edt: bytes, unit: p.Unit | None) -> tuple[Value, ...]:
    """D0: a moment, and both registers as they stood then."""
    at = p.moment(edt[:7])
    return *_fixed(at, edt[7:11], unit), *_fixed(at, edt[11:], unit)


def _fixed(at: float, register: bytes, unit: p.Unit | None) -> tuple[Value, Value]:
    """A register as it stood at a full minute or half hour, and that time; None, None where it was not measured."""
    steps = p.register(register)
    energy = _energy(steps, unit) if unit else None
    return energy, None if energy is None else at


def _energy(register: int | None, unit: p.Unit) -> float | None:
    if register is None:
        return None
    if register >= unit.steps:
        raise ValueError("more digits than D7 allows")
    return unit.energy(register)


def _state(family: str, true: int, false: int) -> Field:
    return Field(((family,),), lambda edt, _: (p.state(edt, true, false),))


def _identity(label: str, text: Callable[[bytes], str]) -> Field:
    return Field((("smartmeter_info", label),), lambda edt, _: (text(edt) or None,))


FIELDS: Mapping[int, Field] = {
    p.OPERATION: _state("smartmeter_operating", 0x30, 0x31),
    p.RELEASE: _identity("release", p.release),
    p.FAULT: _state("smartmeter_fault", 0x41, 0x42),
    p.MAKER: _identity("manufacturer", p.maker),
    p.SERIAL: _identity("address", p.serial),
    p.IDENTIFICATION: _identity("identification", p.identification),
    p.MINUTE: Field((*_fixed_series("import", "1m"), *_fixed_series("export", "1m")), _minute, in_steps=True),
    p.IMPORT: _register("smartmeter_energy_import_watthours_total"),
    p.EXPORT: _register("smartmeter_energy_export_watthours_total"),
    p.POWER: Field((("smartmeter_power_watts",),), lambda edt, _: (p.power(edt),)),
    p.CURRENT: Field(tuple(("smartmeter_current_amperes", phase) for phase in "rt"), lambda edt, _: p.currents(edt)),
    p.HALF_HOUR_IMPORT: _half_hour("import"),
    p.HALF_HOUR_EXPORT: _half_hour("export"),
}
"""Code → property, of those that give readings by themselves."""


def readings(said: Iterable[Property], unit: p.Unit | None) -> tuple[list[Reading], list[Rejected]]:
    """The readings of properties, and those properties whose bytes cannot be right.

    Args:
        said: Properties of one reply or notification. Refused ones (no bytes) are passed over.
        unit: Unit of the registers; None while it is not known, and then there is no energy.
    """
    found: list[Reading] = []
    rejected: list[Rejected] = []
    for epc, edt in said:
        if edt:
            try:
                found += _readings_of(epc, edt, unit)
            except ValueError:
                rejected.append(Rejected("malformed", bytes([epc, len(edt)]) + edt))
    return found, rejected


def complaint(epc: int, edt: bytes, unit: p.Unit | None) -> Hint | None:
    """Why a property is rejected; None for one that is not."""
    try:
        _readings_of(epc, edt, unit)
    except ValueError as error:
        what = f"{p.NAMES.get(epc, 'a property')} ({epc:02X})"
        return Hint(f"the meter's {what} cannot be right: {error}; it is counted and not shown")
    return None


def _readings_of(epc: int, edt: bytes, unit: p.Unit | None) -> Iterable[Reading]:
    field = FIELDS.get(epc)
    return map(Reading, field.series, field.decode(edt, unit)) if field else ()
