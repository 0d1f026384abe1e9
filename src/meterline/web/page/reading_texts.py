"""The readings of a meter as text: names, values with units, a headline; and as JSON for programs. Nothing is escaped."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from meterline import world
from meterline.locale import Language
from meterline.meter.families import COLUMNS, FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.web.page.view_model import balance, facts, shown

_UNITS = {
    "voltamperes": "VA",
    "amperes": "A",
    "volts": "V",
    "watts": "W",
    "seconds": "s",
    "bauds": "baud",
    "dbm": "dBm",
    "watthours": "kWh",
    "varhours": "kvarh",
}
_OF_CONTRACTS = ("subscribed_power_voltamperes", "cutoff_power_voltamperes")
"""Powers that contracts and bills state in kVA."""
_FIRST = (
    *("power_watts", "apparent_power_import_voltamperes", "apparent_power_export_voltamperes", "overload"),
    *("tariff_active", "tempo_colour", "current_amperes", "phase_apparent_power_import_voltamperes", "voltage_volts"),
)
"""Families that stand first, in this order."""
_THOUSANDS_FROM = 10_000
"""Watts or volt-amperes from which a power is written in kW or kVA."""


@lru_cache(maxsize=1024)
def name_of(series: Series, language: Language) -> str:
    """Return the name of a reading, such as ``Import by tariff, supplier · peak hours (HCHP)``."""
    family, *labels = series
    short = family.removeprefix("smartmeter_")
    if FAMILIES[family].type == "info":
        return language.family(f"{short} {labels[0]}")
    if FAMILIES[family].kind == "state":
        return " · ".join([language.family(short), *(_label(label, language) for label in labels[1:])])
    tags = [
        f"{language.say('phase').lower()} {label}" if name == "phase" else _label(label, language)
        for name, label in zip(FAMILIES[family].labels, labels, strict=True)
    ]
    return " · ".join([language.family(short), *tags])


def text_of(series: Series, value: float | str, language: Language) -> str:
    """Return the value of a reading with its unit; a time in the time zone of this machine."""
    family, *labels = series
    short = family.removeprefix("smartmeter_")
    if FAMILIES[family].type == "info":
        return str(value)
    if FAMILIES[family].kind == "state":
        return _label(labels[0], language)
    if FAMILIES[family].kind == "flag":
        return language.say("yes" if value else "no")
    if short.endswith("timestamp_seconds"):
        return clock_time(float(value))[1]
    if short == "line_accepted_ratio":
        return with_unit(language.number(100 * float(value), 1), "%")
    unit = _UNITS.get(short.removesuffix("_total").rpartition("_")[2], "")
    return quantity(float(value), unit, language, short in _OF_CONTRACTS)


def quantity(value: float, unit: str, language: Language, thousands: bool = False) -> str:
    """Format a number with its unit. `thousands`: a power is always in kVA or kW."""
    if unit.startswith("k"):
        return with_unit(language.number(value / 1000, 3), unit)
    if unit in ("VA", "W") and (thousands or abs(value) >= _THOUSANDS_FROM):
        return with_unit(language.short(value / 1000), f"k{unit}")
    return with_unit(language.short(value), unit) if unit else language.short(value)


def with_unit(number: str, unit: str) -> str:
    """Join number and unit by a space at which no line breaks."""
    return f"{number}\u00a0{unit}"


def headline(meter: Meter, language: Language) -> str:
    """Return the power now, the active tariff and the total import, as one line; empty if the meter sends none of them."""
    now, parts = facts(meter), []
    if drawn := balance(meter):
        text = quantity(abs(drawn.value), drawn.unit, language)
        parts.append(language.say("injecting", power=text) if drawn.value < 0 else text)
    if now.tariff:
        parts.append(language.tariff(now.tariff) or now.tariff_name or now.tariff)
    if now.imported is not None:
        parts.append(with_unit(language.number(now.imported / 1000, 1), "kWh"))
    return " · ".join(parts)


def rows(meter: Meter, language: Language) -> list[tuple[str, str]]:
    """Return name and value of every reading: first `_FIRST`, then the order of the catalogue, then the info families."""
    return [(name_of(series, language), text_of(series, value, language)) for series, value in _ordered(meter)]


def _ordered(meter: Meter) -> list[tuple[Series, float | str]]:
    def rank(reading: tuple[Series, float | str]) -> tuple[bool, int, int, Series]:
        series, _ = reading
        short = series[0].removeprefix("smartmeter_")
        first = _FIRST.index(short) if short in _FIRST else len(_FIRST)
        return FAMILIES[series[0]].type == "info", first, COLUMNS[series[0]], series

    return sorted(shown(meter), key=rank)


def as_json(meter: Meter) -> dict[str, Any]:
    """Return the readings as an object for JSON: family (without ``smartmeter_``) → value, or label → … → value.

    Values have the units of /metrics. Further keys are `meter` (its name) and `time` (UTC, of the last frame).
    """
    found: dict[str, Any] = {}
    for (family, *labels), value in _ordered(meter):
        *path, last = [family.removeprefix("smartmeter_"), *labels]
        if FAMILIES[family].kind == "state":
            *path, last, value = path[:1] + labels[1:] + [labels[0]]
        place = found
        for step in path:
            place = place.setdefault(step, {})
        place[last] = int(value) if isinstance(value, float) and value.is_integer() else value
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(meter.last_frame_at))
    return {"meter": meter.name, "time": moment, **found}


def _label(text: str, language: Language) -> str:
    tariff = language.tariff(text)
    return f"{tariff} ({text})" if tariff else language.value(text)


def clock_time(unix: float) -> tuple[str, str]:
    """Write a time for programs and for people.

    Args:
        unix: Unix time in seconds.

    Returns:
        ISO 8601, which a browser shows in the time zone of its user; and hours and minutes in the time zone of this machine,
        with the date if the time is more than half a day away.
    """
    local = time.localtime(unix)
    far = abs(world.current.now() - unix) > 43_200
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", local), time.strftime("%Y-%m-%d %H:%M" if far else "%H:%M", local)
