"""What one group means, label by label, in the families of the catalogue.

Historic labels: Enedis-NOI-CPT_02E v6; standard labels: Enedis-NOI-CPT_54E v3. What needs its neighbours in the frame (ISOUSC
in volt-amperes, PMAX, NTARF beside STGE, the profiles) is in `readings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from meterline.meter.readings import Reading, Text
from meterline.protocols.tic.frames import Group
from meterline.protocols.tic.labels import CONTRACT_OF, CONTRACTS, OPTIONS, PERIODS
from meterline.protocols.tic.stge import COLOURS, one_hot, status_readings
from meterline.protocols.tic.timestamps import moment

Reader = Callable[[Group], Iterable[Reading]]

SUPPLIER_REGISTERS = tuple(f"EASF{n:02d}" for n in range(1, 11))
IMPORT_BY_TARIFF = "smartmeter_energy_import_tariff_watthours_total"
TEMPO = "smartmeter_tempo_colour"
_DEMAIN = {"BLEU": "blue", "BLAN": "white", "ROUG": "red"}
_PTEC_COLOURS = {"B": "blue", "W": "white", "R": "red"}
MANUFACTURERS = {"01": "Crouzet", "02": "Sagemcom", "03": "Itron", "04": "Landis+Gyr", "06": "Itron"}
DEVICE_TYPES = {
    "22": "single-phase, before Linky",
    "28": "single-phase, before Linky",
    "26": "three-phase, before Linky",
    "30": "three-phase, before Linky",
    "60": "Linky single-phase 60 A G1",
    "61": "Linky single-phase 60 A G3, mains from above",
    "62": "Linky single-phase 90 A G1",
    "63": "Linky three-phase 60 A G1",
    "64": "Linky single-phase 60 A G3",
    "65": "Linky single-phase 90 A G3, trial series",
    "67": "Linky single-phase 90 A G1, pilot series",
    "68": "Linky three-phase 60 A G1, pilot series",
    "70": "Linky single-phase G3, interoperability series",
    "71": "Linky three-phase G3, interoperability series",
    "75": "Linky single-phase 90 A G3",
    "76": "Linky three-phase 60 A G3",
}
"""Digits 5 and 6 of the address (Euridis list of device types)."""


def _gauge(family: str, *labels: str, scale: int = 1) -> Reader:
    series = (family, *labels)  # made once: all meters share it
    return lambda group: (Reading(series, int(group.data) * scale),)


def _dated(family: str, unit: str, *labels: str) -> Reader:
    """A value with its own timestamp: ``<family>_<unit>`` and ``<family>_timestamp_seconds``."""
    series, when_series = (f"{family}_{unit}", *labels), (f"{family}_timestamp_seconds", *labels)

    def read(group: Group) -> Iterator[Reading]:
        yield Reading(series, int(group.data))
        yield Reading(when_series, int(moment(group.timestamp or "").timestamp()))

    return read


def _moment(family: str, *labels: str) -> Reader:
    series = (family, *labels)

    def read(group: Group) -> Iterator[Reading]:
        yield Reading(series, int(moment(group.timestamp or "").timestamp()))

    return read


def _fact(family: str, label: str, free: bool = False) -> Reader:
    """One label of an info family; free text loses its padding and is believed when two in a row agree."""
    series = (family, label)

    def read(group: Group) -> Iterator[Reading]:
        text = " ".join(group.data.split())
        yield Reading(series, Text(text) if free else text)

    return read


def _address(group: Group) -> Iterator[Reading]:
    yield Reading(("smartmeter_info", "address"), group.data)
    if maker := MANUFACTURERS.get(group.data[:2]):
        yield Reading(("smartmeter_info", "manufacturer"), maker)
    if kind := DEVICE_TYPES.get(group.data[4:6]):
        yield Reading(("smartmeter_info", "type"), kind)


def _option(group: Group) -> Iterator[Reading]:
    yield Reading(("smartmeter_info", "contract"), contract(group.data))
    yield Reading(("smartmeter_info", "option"), group.data)


def contract(option: str) -> str:
    """OPTARIF → BASE, HC, EJP or TEMPO."""
    return OPTIONS.get(option) or OPTIONS[option[:3]]


def _period(group: Group) -> Iterator[Reading]:
    register = PERIODS[group.data]
    name = CONTRACT_OF[register]
    yield from one_hot("smartmeter_tariff_active", CONTRACTS[name], register)
    yield Reading(("smartmeter_tariff_info", "tariff"), register)
    yield Reading(("smartmeter_tariff_info", "name"), group.data.rstrip("."))
    if name == "TEMPO":
        yield from one_hot(TEMPO, COLOURS, _PTEC_COLOURS[group.data[3]], "today")
    if name == "EJP":
        yield Reading(("smartmeter_peak_running", "1"), int(group.data == "PM.."))


def _notice(group: Group) -> Iterator[Reading]:
    yield Reading(("smartmeter_peak_notice", "1"), 1)
    yield Reading(("smartmeter_peak_notice_seconds",), int(group.data) * 60)


def _overload(phase: str, three_phase: bool) -> Reader:
    def read(group: Group) -> Iterator[Reading]:
        yield Reading(("smartmeter_overload",), 1)
        yield Reading(("smartmeter_overload_current_amperes", phase), int(group.data))
        if three_phase:
            yield Reading(("smartmeter_phase_overload", phase), 1)

    return read


def _phases(group: Group) -> Iterator[Reading]:
    missing = int(group.data, 16)
    for phase in (1, 2, 3):
        yield Reading(("smartmeter_phase_present", str(phase)), 1 - (missing >> phase & 1))


def _relays(group: Group) -> Iterator[Reading]:
    for relay in range(8):
        yield Reading(("smartmeter_relay_closed", str(relay + 1)), int(group.data) >> relay & 1)


READERS: dict[str, Reader] = {
    # historic mode
    "ADCO": _address,
    "OPTARIF": _option,
    "ISOUSC": _gauge("smartmeter_subscribed_current_amperes"),
    **{register: _gauge(IMPORT_BY_TARIFF, register) for registers in CONTRACTS.values() for register in registers},
    "PEJP": _notice,
    "PTEC": _period,
    "DEMAIN": lambda group: one_hot(TEMPO, COLOURS, _DEMAIN.get(group.data), "tomorrow"),
    "IINST": _gauge("smartmeter_current_amperes", "1"),
    "IMAX": _gauge("smartmeter_current_max_amperes", "1"),
    "ADPS": _overload("1", three_phase=False),
    "PAPP": _gauge("smartmeter_apparent_power_import_voltamperes"),
    "HHPHC": _fact("smartmeter_info", "timetable"),
    "MOTDETAT": _fact("smartmeter_info", "state_word"),
    "PPOT": _phases,
    # standard mode
    "ADSC": _address,
    "VTIC": _fact("smartmeter_info", "tic_version"),
    "DATE": _moment("smartmeter_clock_timestamp_seconds"),
    "NGTF": _fact("smartmeter_tariff_info", "calendar", free=True),
    "LTARF": _fact("smartmeter_tariff_info", "name", free=True),
    "EAST": _gauge("smartmeter_energy_import_watthours_total"),
    **{register: _gauge(IMPORT_BY_TARIFF, register) for register in SUPPLIER_REGISTERS},
    **{f"EASD0{n}": _gauge("smartmeter_energy_import_distributor_watthours_total", f"EASD0{n}") for n in range(1, 5)},
    "EAIT": _gauge("smartmeter_energy_export_watthours_total"),
    **{f"ERQ{n}": _gauge("smartmeter_energy_reactive_varhours_total", str(n)) for n in range(1, 5)},
    "PREF": _gauge("smartmeter_subscribed_power_voltamperes", scale=1000),
    "PCOUP": _gauge("smartmeter_cutoff_power_voltamperes", scale=1000),
    "SINSTS": _gauge("smartmeter_apparent_power_import_voltamperes"),
    "SINST1": _gauge("smartmeter_apparent_power_import_voltamperes"),
    "SINSTI": _gauge("smartmeter_apparent_power_export_voltamperes"),
    "MSG1": _fact("smartmeter_message_info", "short", free=True),
    # Sent in one single frame when the meter takes it in: there is no second one to agree with.
    "MSG2": _fact("smartmeter_message_info", "ultra_short"),
    "PRM": _fact("smartmeter_info", "prm"),
    "RELAIS": _relays,
    "STGE": lambda group: status_readings(group.data),
    "NJOURF": _gauge("smartmeter_day_profile", "today"),
    "NJOURF+1": _gauge("smartmeter_day_profile", "tomorrow"),
}
for _n in "123":
    READERS |= {
        f"IINST{_n}": _gauge("smartmeter_current_amperes", _n),
        f"IMAX{_n}": _gauge("smartmeter_current_max_amperes", _n),
        f"ADIR{_n}": _overload(_n, three_phase=True),
        f"IRMS{_n}": _gauge("smartmeter_current_amperes", _n),
        f"URMS{_n}": _gauge("smartmeter_voltage_volts", _n),
        f"SINSTS{_n}": _gauge("smartmeter_phase_apparent_power_import_voltamperes", _n),
        f"UMOY{_n}": _dated("smartmeter_mean_voltage", "volts", _n),
        f"DPM{_n}": _moment("smartmeter_peak_start_timestamp_seconds", _n),
        f"FPM{_n}": _moment("smartmeter_peak_end_timestamp_seconds", _n),
    }
for _suffix, _day, _point in (("", "today", "last"), ("-1", "yesterday", "previous")):
    _import_max = _dated("smartmeter_apparent_power_import_max", "voltamperes", _day)
    READERS |= {
        f"SMAXSN{_suffix}": _import_max,
        f"SMAXN{_suffix}": _import_max,
        f"SMAXIN{_suffix}": _dated("smartmeter_apparent_power_export_max", "voltamperes", _day),
        f"CCASN{_suffix}": _dated("smartmeter_mean_power_import", "watts", _point),
        f"CCAIN{_suffix}": _dated("smartmeter_mean_power_export", "watts", _point),
        **{f"SMAXSN{n}{_suffix}": _dated("smartmeter_phase_apparent_power_import_max", "voltamperes", _day, n) for n in "123"},
    }
