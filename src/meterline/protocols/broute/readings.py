"""The properties of a reply or a notification → readings. Pure: what it needs to know of the meter is handed in."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meterline.meter.readings import Reading, Rejected
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property

_ENERGY = {
    p.IMPORT: ("smartmeter_energy_import_watthours_total",),
    p.EXPORT: ("smartmeter_energy_export_watthours_total",),
}
_HALF_HOURS = {p.HALF_HOUR_IMPORT: "import", p.HALF_HOUR_EXPORT: "export"}
_IDENTITY: dict[int, tuple[str, Callable[[bytes], str]]] = {
    p.RELEASE: ("release", p.release),
    p.MAKER: ("manufacturer", p.maker),
    p.SERIAL: ("address", p.serial),
    p.IDENTIFICATION: ("identification", p.identification),
}
_STATES = {p.OPERATION: ("smartmeter_operating", 0x30, 0x31), p.FAULT: ("smartmeter_fault", 0x41, 0x42)}


def readings(said: Iterable[Property], unit: p.Unit | None) -> tuple[list[Reading], list[Rejected]]:
    """What the properties mean, and those whose bytes cannot be right. Refused ones (no bytes) are passed over.

    Without `unit` there is no energy: a register of unknown steps is no number of watt-hours.
    """
    found: list[Reading] = []
    rejected: list[Rejected] = []
    for epc, edt in said:
        if edt:
            try:
                found += _one(epc, edt, unit)
            except ValueError:
                rejected.append(Rejected("malformed", bytes([epc, len(edt)]) + edt))
    return found, rejected


def complaint(epc: int, edt: bytes, unit: p.Unit | None) -> str:
    """Why a property is rejected, in words."""
    try:
        _one(epc, edt, unit)
    except ValueError as error:
        what = f"{p.NAMES.get(epc, 'a property')} ({epc:02X})"
        return f"what the meter says of its {what} cannot be: {error}; it is counted and not shown"
    return ""


def _one(epc: int, edt: bytes, unit: p.Unit | None) -> list[Reading]:
    if epc == p.POWER:
        return [Reading(("smartmeter_power_watts",), p.power(edt))]
    if epc == p.CURRENT:
        return [
            Reading(("smartmeter_current_amperes", phase), value) for phase, value in zip("rt", p.currents(edt), strict=True)
        ]
    if epc in _ENERGY:
        return [Reading(_ENERGY[epc], _energy(p.register(edt), unit))] if unit else []
    if epc in _HALF_HOURS:
        return _fixed(_HALF_HOURS[epc], "30m", p.moment(edt[:7]), edt[7:], unit)
    if epc == p.MINUTE:
        at, imported, exported = p.moment(edt[:7]), edt[7:11], edt[11:]
        return [*_fixed("import", "1m", at, imported, unit), *_fixed("export", "1m", at, exported, unit)]
    if epc in _STATES:
        family, true, false = _STATES[epc]
        return [Reading((family,), p.state(edt, true, false))]
    if epc in _IDENTITY:
        label, text = _IDENTITY[epc]
        return [Reading(("smartmeter_info", label), text(edt) or None)]
    return []


def _energy(register: int | None, unit: p.Unit) -> float | None:
    if register is None:
        return None
    if register >= unit.steps:
        raise ValueError("more digits than D7 allows")
    return unit.energy(register)


def _fixed(direction: str, every: str, at: float, register: bytes, unit: p.Unit | None) -> list[Reading]:
    """A register as it stood at a full minute or half hour; none at all where it was not measured."""
    steps = p.register(register)
    energy = _energy(steps, unit) if unit else None
    family = f"smartmeter_fixed_energy_{direction}"
    return [
        Reading((f"{family}_watthours", every), energy),
        Reading((f"{family}_timestamp_seconds", every), None if energy is None else at),
    ]
