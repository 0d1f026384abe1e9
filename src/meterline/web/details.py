"""Everything that is known of one meter, as tables: its readings in plain language, its own words, its line, its configuration.

The configuration is shown by a list of what is harmless: whatever else stands there is only said to be set.
"""

from __future__ import annotations

import dataclasses
from html import escape
from typing import Any
from urllib.parse import urlsplit

from meterline.meter import Meter
from meterline.metrics import FAMILIES
from meterline.model import Series
from meterline.web.facts import ONE_OF_MANY, said, shown
from meterline.web.names import NAMES, VALUES
from meterline.web.sections import moment
from meterline.web.words import WORDS, Language

HARMLESS = {"name", "link", "protocol", "stale_after", "baud", "mode", "interval", "channel", "write_flash"}
"""Keys of a meter and of its options whose values may be on a page."""

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
_TRUTHS: tuple[str, ...] = (
    "session_up",
    "radio_limited",
    "exporting",
    "phase_present",
    "overload",
    "phase_overload",
    "peak_notice",
)
_TRUTHS += ("peak_running", "switch_contact_closed", "operating", "fault", "contact_closed", "relay_closed", "cover_open")
_TRUTHS += ("overvoltage", "producer", "plc_synchronised", "clock_degraded")


def details(meter: Meter, language: Language) -> dict[str, str]:
    """The tables' rows."""
    counters: list[tuple[Series, float | str]] = [
        (("smartmeter_frames_total",), meter.frames),
        (("smartmeter_received_bytes_total",), meter.received),
        (("smartmeter_link_opened_total",), meter.opened),
        (("smartmeter_meter_swaps_total",), meter.swaps),
        (("smartmeter_defects_total",), meter.defects),
        *meter.observed.items(),
    ]
    if meter.line.accepted_ratio is not None:
        counters.insert(1, (("smartmeter_line_accepted_ratio",), meter.line.accepted_ratio))
    words = "".join(table_row(f"<code>{escape(label)}</code>", escape(text)) for label, text in said(meter).items())
    readings = "".join(_reading(series, value, language) for series, value in shown(meter))
    return {
        "diagnosis": _diagnosis(meter) or _sentence(language.say("diagnosis_none")),
        "readings": readings or _sentence(language.say("no_readings")),
        "wire": words or _sentence(language.say("wire_none")),
        "counters": "".join(_reading(series, value, language) for series, value in counters),
    }


def configuration(config: Any, language: Language) -> str:
    """The rows of the configuration of a meter: what is set, masked unless it is harmless."""
    options = config.options
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.name != "options"}
    if dataclasses.is_dataclass(options):
        values |= {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    rows = [(key, _setting(key, value, language)) for key, value in values.items() if value not in (None, "")]
    return "".join(table_row(f"<code>{escape(key)}</code>", text) for key, text in rows)


def table_row(head: str, text: str) -> str:
    """Both escaped already."""
    return f'<tr><th scope="row">{head}</th><td>{text}</td></tr>'


def _sentence(text: str) -> str:
    return f'<tr><td colspan="2">{text}</td></tr>'


def _diagnosis(meter: Meter) -> str:
    """What is wrong with its line, in the words of the log."""
    rows = [(hint.text, hint.remedy) for hint in meter.line.hints.values()]
    if meter.line.trouble:
        rows.insert(0, (meter.line.trouble, ""))
    return "".join(f'<tr lang="en"><th scope="row">{escape(what)}</th><td>{escape(remedy)}</td></tr>' for what, remedy in rows)


def _setting(key: str, value: object, language: Language) -> str:
    if key not in HARMLESS:
        return f'<em class="hidden">{language.say("hidden")}</em>'
    if isinstance(value, bool):
        return language.say("yes" if value else "no")
    return escape(_without_user(str(value)) if key == "link" else str(value))


def _without_user(link: str) -> str:
    """A link's URL may hold a user and a password."""
    try:
        user, at, _ = urlsplit(link).netloc.rpartition("@")
    except ValueError:
        return link
    return link.replace(user + at, "", 1) if at else link


def _reading(series: Series, value: float | str, language: Language) -> str:
    family, *labels = series
    short = family.removeprefix("smartmeter_")
    if FAMILIES[family].type == "info":
        return table_row(_name(f"{short} {labels[0]}", language), escape(str(value)))
    if family in ONE_OF_MANY:
        head = _name(short, language) + "".join(f" · {_label(label, language)}" for label in labels[1:])
        return table_row(head, _label(labels[0], language))
    names = FAMILIES[family].labels
    tags = [
        f"{language.say('phase').lower()} {escape(label)}" if name == "phase" else _label(label, language)
        for name, label in zip(names, labels, strict=True)
    ]
    return table_row(" · ".join([_name(short, language), *tags]), _value(short, float(value), language))


def _name(key: str, language: Language) -> str:
    return escape(NAMES[key][language.column] if key in NAMES else key)


def _label(text: str, language: Language) -> str:
    if f"tariff_{text}" in WORDS:
        return f"{language.say(f'tariff_{text}')} ({escape(text)})"
    return escape(VALUES[text][language.column] if text in VALUES else text)


def _value(family: str, value: float, language: Language) -> str:
    if family in _TRUTHS:
        return language.say("yes" if value else "no")
    if family.endswith("timestamp_seconds"):
        return moment(value)
    if family == "line_accepted_ratio":
        return f"{language.number(100 * value, 1)}\u00a0%"
    unit = _UNITS.get(family.removesuffix("_total").rpartition("_")[2], "")
    if unit.startswith("k"):
        return f"{language.number(value / 1000, 3)}\u00a0{unit}"
    return f"{language.short(value)}\u00a0{unit}".rstrip("\u00a0")
