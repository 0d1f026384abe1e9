"""A meter now, for people: names, values with their units, and one line that says the most important; nothing is escaped.

And for programs: the same as one object of JSON.
"""

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
"""Powers that contracts and bills give in kVA."""
_FIRST = (
    *("power_watts", "apparent_power_import_voltamperes", "apparent_power_export_voltamperes", "overload"),
    *("tariff_active", "tempo_colour", "current_amperes", "phase_apparent_power_import_voltamperes", "voltage_volts"),
)
"""What people look for: it stands above the rest, in this order."""
_LARGE = 10_000
"""Watts or volt-amperes from which on people say kW or kVA."""


@lru_cache(maxsize=1024)
def name_of(series: Series, language: Language) -> str:
    """What the reading is called."""
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
    """Its value, with the unit; a moment in the time zone of this machine."""
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
    """A number and its unit. `thousands`: always in kVA or kW."""
    if unit.startswith("k"):
        return with_unit(language.number(value / 1000, 3), unit)
    if unit in ("VA", "W") and (thousands or abs(value) >= _LARGE):
        return with_unit(language.short(value / 1000), f"k{unit}")
    return with_unit(language.short(value), unit) if unit else language.short(value)


def with_unit(number: str, unit: str) -> str:
    """Both, with a space between them at which no line ends."""
    return f"{number}\u00a0{unit}"


def headline(meter: Meter, language: Language) -> str:
    """What it draws now, the tariff that counts, and how much it has drawn in all; empty where it says none of that."""
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
    """Every reading, its name and its value: what happens now, the rest of the catalogue, and what the meter is."""
    return [(name_of(series, language), text_of(series, value, language)) for series, value in _ordered(meter)]


def _ordered(meter: Meter) -> list[tuple[Series, float | str]]:
    def rank(reading: tuple[Series, float | str]) -> tuple[bool, int, int, Series]:
        series, _ = reading
        short = series[0].removeprefix("smartmeter_")
        first = _FIRST.index(short) if short in _FIRST else len(_FIRST)
        return FAMILIES[series[0]].type == "info", first, COLUMNS[series[0]], series

    return sorted(shown(meter), key=rank)


def as_json(meter: Meter) -> dict[str, Any]:
    """Every reading by its family, in the units of /metrics; where a family has labels, by these."""
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
    """A moment, written twice.

    Args:
        unix: Seconds of Unix time.

    Returns:
        ISO 8601 for programs: a browser writes it in the time zone of its reader. For people, in the time zone of this
        machine: hours and minutes, with the date where it is more than half a day away.
    """
    local = time.localtime(unix)
    far = abs(world.current.now() - unix) > 43_200
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", local), time.strftime("%Y-%m-%d %H:%M" if far else "%H:%M", local)
