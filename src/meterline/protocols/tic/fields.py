"""The fields of the TIC: for each label of both modes, the form of its group and the readings that the group gives.

Source: Enedis-NOI-CPT_54E v3 (standard mode) and Enedis-NOI-CPT_02E v6 (historic mode). The checksum is a sum of six bits and
lets typical damage pass. The form of a group is the second check: width, characters and presence of the timestamp must all be
right. Readings that need other groups of the frame (ISOUSC in volt-amperes, PMAX, NTARF beside STGE, the profiles) are in
`derived`, and the bits of STGE in `stge`.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

from meterline.meter.readings import Reading, Series, Text
from meterline.protocols.tic.contracts import CONTRACT_OF, CONTRACTS, PERIODS, SUPPLIER_REGISTERS, contract_of_option
from meterline.protocols.tic.stge import COLOURS, DISTRIBUTOR_REGISTERS, STATUS, TEMPO, one_hot, status_readings
from meterline.protocols.tic.timestamps import unix_seconds

Matcher = Callable[[str], object]
"""A check of a text: its result is true where the text has the right form."""


class Field(NamedTuple):
    """One label: the form of its group, and the readings that the group gives by itself.

    Attributes:
        label: Name of the field on the wire.
        data: Form of the data.
        timestamp: Form of the timestamp; None where the group must have none.
        value: Series of the data, as a number or, with `text`, as one label of an info family.
        time: Series of the timestamp, in Unix seconds.
        scale: Value of one unit of the data, in the unit of the series.
        text: Type of an info label: `str` for a fixed form, `Text` for free text, which must come twice in a row.
        flags: Series that are 1 when the group is sent.
        decode: Function from the data to the readings, in place of `value`, `time` and `flags`.
        decoded: Series that `decode` gives, or their families where the labels follow from the data.
    """

    label: str
    data: Matcher
    timestamp: Matcher | None = None
    value: Series | None = None
    time: Series | None = None
    scale: int = 1
    text: type[str] | None = None
    flags: tuple[Series, ...] = ()
    decode: Callable[[str], tuple[Reading, ...]] | None = None
    decoded: tuple[Series, ...] = ()

    @property
    def series(self) -> tuple[Series, ...]:
        """All that the group can give; of `decode` possibly the families only."""
        return (*self.flags, *filter(None, (self.value, self.time)), *self.decoded)

    def readings(self, data: str, timestamp: str | None) -> tuple[Reading, ...]:
        """The readings of a group that has the right form; none for a field that needs other groups."""
        # Unpacked in one step: this runs for each group that changed.
        _, _, _, value, time, scale, text, flags, decode, _ = self
        if decode is not None:
            return decode(data)
        found: tuple[Reading, ...] = ()
        if value is not None:
            found = (Reading(value, int(data) * scale if text is None else text(" ".join(data.split()))),)
        if time is not None and timestamp is not None:
            found += (Reading(time, unix_seconds(timestamp)),)
        if flags:
            found += tuple(Reading(series, 1) for series in flags)
        return found


# Forms of data and timestamps.


def _pattern(pattern: str) -> Matcher:
    return re.compile(pattern, re.ASCII).fullmatch


def _digits(width: int) -> Matcher:
    return _pattern(rf"[0-9]{{{width}}}")


def _printable(width: int) -> Matcher:
    # A backtick is a space with bit 6 flipped, which the checksum cannot see; no known text holds one.
    return _pattern(rf"[ -_a-~]{{{width}}}")


_DATE = r"[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3])[0-5][0-9]"


def _instant(season: str) -> Matcher:
    """A timestamp with this season, on a day that exists."""
    form = _pattern(f"{season}{_DATE}{_TIME}[0-5][0-9]")

    def match(text: str) -> bool:
        return form(text) is not None and _exists(text[1:7])

    return match


@lru_cache(maxsize=64)
def _exists(day: str) -> bool:
    return int(day[4:]) <= monthrange(2000 + int(day[:2]), int(day[2:4]))[1]


def _is_status(text: str) -> bool:
    """STGE with its constant bits right and no code that is undefined."""
    if not _HEX8(text):
        return False
    bits = int(text, 16)
    fixed = bits >> 5 & 1 == 0 and bits >> 17 & 1 == 1 and bits >> 18 & 1 == 0
    return fixed and bits >> 1 & 7 < 7 and bits >> 10 & 15 < 10 and bits >> 19 & 3 != 2 and bits >> 21 & 3 != 3


_HEX8 = _pattern("[0-9A-F]{8}")
_INSTANT = _instant("[HEhe]")
"""Season H/E (h/e: clock degraded), date, time."""
_INSTANT_WITHOUT_SEASON = _instant(" ")
_KVA = _pattern("0[1-9]|[12][0-9]|3[0-6]")
"""Linky meters are those of connections up to 36 kVA."""
_BLOCK = f"(NONUTILE|{_TIME}[0-9A-F]{{4}})"
_PROFILE = _pattern(f"{_BLOCK}( {_BLOCK}){{10}}")
_INDEX = _digits(9)
_AMPERES = _digits(3)
_VA = _digits(5)

# Readings of data that is no single value.

MANUFACTURERS = {"01": "Crouzet", "02": "Sagemcom", "03": "Itron", "04": "Landis+Gyr", "06": "Itron"}
"""Digits 1 and 2 of the address (ADCO, ADSC)."""
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
_ADDRESS: tuple[Series, ...] = tuple(("smartmeter_info", name) for name in ("address", "manufacturer", "type"))
_OPTION: tuple[Series, ...] = (("smartmeter_info", "contract"), ("smartmeter_info", "option"))
_PERIOD: tuple[Series, ...] = (
    *(("smartmeter_tariff_active",), ("smartmeter_tariff_info", "tariff"), ("smartmeter_tariff_info", "name")),
    *((TEMPO,), ("smartmeter_peak_running", "1")),
)
_DEMAIN = {"BLEU": "blue", "BLAN": "white", "ROUG": "red"}
_PTEC_COLOURS = {"B": "blue", "W": "white", "R": "red"}


def _decode_address(data: str) -> tuple[Reading, ...]:
    texts = (data, MANUFACTURERS.get(data[:2]), DEVICE_TYPES.get(data[4:6]))
    return tuple(Reading(series, text) for series, text in zip(_ADDRESS, texts, strict=True) if text)


def _decode_option(data: str) -> tuple[Reading, ...]:
    contract, option = _OPTION
    return Reading(contract, contract_of_option(data)), Reading(option, data)


def _decode_period(data: str) -> tuple[Reading, ...]:
    register = PERIODS[data]
    contract = CONTRACT_OF[register]
    found = [
        *one_hot("smartmeter_tariff_active", CONTRACTS[contract], register),
        Reading(("smartmeter_tariff_info", "tariff"), register),
        Reading(("smartmeter_tariff_info", "name"), data.rstrip(".")),
    ]
    if contract == "TEMPO":
        found += one_hot(TEMPO, COLOURS, _PTEC_COLOURS[data[3]], "today")
    if contract == "EJP":
        found.append(Reading(("smartmeter_peak_running", "1"), int(data == "PM..")))
    return tuple(found)


def _decode_tomorrow(data: str) -> tuple[Reading, ...]:
    return one_hot(TEMPO, COLOURS, _DEMAIN.get(data), "tomorrow")


def _decode_phases(data: str) -> tuple[Reading, ...]:
    missing = int(data, 16)
    return tuple(Reading(("smartmeter_phase_present", str(phase)), 1 - (missing >> phase & 1)) for phase in (1, 2, 3))


def _decode_relays(data: str) -> tuple[Reading, ...]:
    return tuple(Reading(("smartmeter_relay_closed", str(relay + 1)), int(data) >> relay & 1) for relay in range(8))


# Rows that differ in few things.

IMPORT_BY_TARIFF = "smartmeter_energy_import_tariff_watthours_total"
_IMPORT_BY_DISTRIBUTOR_TARIFF = "smartmeter_energy_import_distributor_watthours_total"
_PHASES = "123"


def _index(label: str, family: str, *labels: str) -> Field:
    return Field(label, _INDEX, value=(family, *labels))


def _current(label: str, phase: str = "1") -> Field:
    return Field(label, _AMPERES, value=("smartmeter_current_amperes", phase))


def _current_max(label: str, phase: str = "1") -> Field:
    return Field(label, _AMPERES, value=("smartmeter_current_max_amperes", phase))


def _overload(label: str, phase: str, *flags: Series) -> Field:
    current = ("smartmeter_overload_current_amperes", phase)
    return Field(label, _AMPERES, value=current, flags=(("smartmeter_overload",), *flags))


def _info(label: str, data: Matcher, info: str, name: str, text: type[str] = str) -> Field:
    return Field(label, data, value=(info, name), text=text)


def _timed(label: str, data: Matcher, family: str, unit: str, *labels: str) -> Field:
    """A value with its own time: ``<family>_<unit>`` and ``<family>_timestamp_seconds``."""
    return Field(label, data, _INSTANT, (f"{family}_{unit}", *labels), (f"{family}_timestamp_seconds", *labels))


def _import_max(label: str, day: str) -> Field:
    return _timed(label, _VA, "smartmeter_apparent_power_import_max", "voltamperes", day)


def _phase_import_max(label: str, day: str, phase: str) -> Field:
    return _timed(label, _VA, "smartmeter_phase_apparent_power_import_max", "voltamperes", day, phase)


def _export_max(label: str, day: str) -> Field:
    return _timed(label, _VA, "smartmeter_apparent_power_export_max", "voltamperes", day)


def _mean_power(label: str, direction: str, point: str) -> Field:
    return _timed(label, _VA, f"smartmeter_mean_power_{direction}", "watts", point)


def _peak(label: str, end: str, peak: str) -> Field:
    series = (f"smartmeter_peak_{end}_timestamp_seconds", peak)
    return Field(label, _digits(2), _INSTANT_WITHOUT_SEASON, time=series)


def _table(*fields: Field) -> Mapping[str, Field]:
    return {field.label: field for field in fields}


HISTORIC: Mapping[str, Field] = _table(
    Field("ADCO", _digits(12), decode=_decode_address, decoded=_ADDRESS),
    # The fourth Tempo character holds programs of the auxiliary outputs: bit 6 is 0, bit 5 is 1 (02E).
    Field("OPTARIF", _pattern(r"BASE|HC\.\.|EJP\.|BBR[ -?]"), decode=_decode_option, decoded=_OPTION),
    Field("ISOUSC", _digits(2), value=("smartmeter_subscribed_current_amperes",)),
    *(_index(register, IMPORT_BY_TARIFF, register) for register in CONTRACT_OF),
    # Length of the notice in minutes.
    Field("PEJP", _digits(2), value=("smartmeter_peak_notice_seconds",), scale=60, flags=(("smartmeter_peak_notice", "1"),)),
    Field("PTEC", PERIODS.__contains__, decode=_decode_period, decoded=_PERIOD),
    Field("DEMAIN", _pattern("----|BLEU|BLAN|ROUG"), decode=_decode_tomorrow, decoded=((TEMPO,),)),
    _current("IINST"),
    *(_current(f"IINST{phase}", phase) for phase in _PHASES),
    _overload("ADPS", "1"),
    *(_overload(f"ADIR{phase}", phase, ("smartmeter_phase_overload", phase)) for phase in _PHASES),
    _current_max("IMAX"),
    *(_current_max(f"IMAX{phase}", phase) for phase in _PHASES),
    Field("PMAX", _digits(5)),
    Field("PAPP", _digits(5), value=("smartmeter_apparent_power_import_voltamperes",)),
    _info("HHPHC", _pattern("[ACDEY]"), "smartmeter_info", "timetable"),
    _info("MOTDETAT", _pattern("[0-9A-F]{6}"), "smartmeter_info", "state_word"),
    # Bits 1 to 3: phase missing; the others are 0.
    Field("PPOT", _pattern("0[02468ACE]"), decode=_decode_phases, decoded=(("smartmeter_phase_present",),)),
)
"""Historic mode: label → field."""

STANDARD: Mapping[str, Field] = _table(
    Field("ADSC", _digits(12), decode=_decode_address, decoded=_ADDRESS),
    _info("VTIC", _digits(2), "smartmeter_info", "tic_version"),
    Field("DATE", _pattern(""), _INSTANT, time=("smartmeter_clock_timestamp_seconds",)),
    _info("NGTF", _printable(16), "smartmeter_tariff_info", "calendar", Text),
    _info("LTARF", _printable(16), "smartmeter_tariff_info", "name", Text),
    _index("EAST", "smartmeter_energy_import_watthours_total"),
    *(_index(register, IMPORT_BY_TARIFF, register) for register in SUPPLIER_REGISTERS),
    *(_index(register, _IMPORT_BY_DISTRIBUTOR_TARIFF, register) for register in DISTRIBUTOR_REGISTERS),
    _index("EAIT", "smartmeter_energy_export_watthours_total"),
    *(_index(f"ERQ{quadrant}", "smartmeter_energy_reactive_varhours_total", quadrant) for quadrant in "1234"),
    *(_current(f"IRMS{phase}", phase) for phase in _PHASES),
    *(Field(f"URMS{phase}", _digits(3), value=("smartmeter_voltage_volts", phase)) for phase in _PHASES),
    Field("PREF", _KVA, value=("smartmeter_subscribed_power_voltamperes",), scale=1000),
    Field("PCOUP", _KVA, value=("smartmeter_cutoff_power_voltamperes",), scale=1000),
    Field("SINSTS", _VA, value=("smartmeter_apparent_power_import_voltamperes",)),
    *(Field(f"SINSTS{phase}", _VA, value=("smartmeter_phase_apparent_power_import_voltamperes", phase)) for phase in _PHASES),
    _import_max("SMAXSN", "today"),
    _import_max("SMAXSN-1", "yesterday"),
    *(_phase_import_max(f"SMAXSN{phase}", "today", phase) for phase in _PHASES),
    *(_phase_import_max(f"SMAXSN{phase}-1", "yesterday", phase) for phase in _PHASES),
    Field("SINSTI", _VA, value=("smartmeter_apparent_power_export_voltamperes",)),
    _export_max("SMAXIN", "today"),
    _export_max("SMAXIN-1", "yesterday"),
    _mean_power("CCASN", "import", "last"),
    _mean_power("CCASN-1", "import", "previous"),
    _mean_power("CCAIN", "export", "last"),
    _mean_power("CCAIN-1", "export", "previous"),
    *(_timed(f"UMOY{phase}", _digits(3), "smartmeter_mean_voltage", "volts", phase) for phase in _PHASES),
    Field("STGE", _is_status, decode=status_readings, decoded=(*((bits.family,) for bits in STATUS), (TEMPO,))),
    *(_peak(f"{label}{peak}", end, peak) for peak in "123" for label, end in (("DPM", "start"), ("FPM", "end"))),
    _info("MSG1", _printable(32), "smartmeter_message_info", "short", Text),
    # Sent in one single frame when the meter takes it in: there is no second one to agree with.
    _info("MSG2", _printable(16), "smartmeter_message_info", "ultra_short"),
    _info("PRM", _digits(14), "smartmeter_info", "prm"),
    Field(
        "RELAIS",
        _pattern("[01][0-9]{2}|2[0-4][0-9]|25[0-5]"),
        decode=_decode_relays,
        decoded=(("smartmeter_relay_closed",),),
    ),
    Field("NTARF", _pattern("0[1-9]|10")),
    Field("NJOURF", _pattern("0[0-9]"), value=("smartmeter_day_profile", "today")),
    Field("NJOURF+1", _pattern("0[0-9]"), value=("smartmeter_day_profile", "tomorrow")),
    Field("PJOURF+1", _PROFILE),
    Field("PPOINTE", _PROFILE),
    # Pilot-series meters (types 67, 68). ⚠ Width and timestamp as their modern twins: assumed, no source.
    Field("SINST1", _VA, value=("smartmeter_apparent_power_import_voltamperes",)),
    _import_max("SMAXN", "today"),
    _import_max("SMAXN-1", "yesterday"),
)
"""Standard mode: label → field."""

FIELDS: Mapping[str, Field] = {**HISTORIC, **STANDARD}
"""Both modes, which share no label."""
