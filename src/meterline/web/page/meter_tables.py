"""The tables of one meter: diagnosis, readings, raw fields, statistics of the line, configuration."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from meterline.config.schema import MeterConfig
from meterline.config.settings import Setting, settings_of
from meterline.link.url import shown as shown_url
from meterline.locale import Language
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.web.page.reading_texts import clock_time, name_of, text_of
from meterline.web.page.rendering import printable, render
from meterline.web.page.view_model import raw_fields, shown

_text_of = lru_cache(maxsize=1024)(text_of)
"""Texts of readings, cached, since most readings do not change within a second. Times are not cached: they get a date later."""


def details(meter: Meter, language: Language) -> dict[str, str]:
    """Return the rows of the tables that change: place in the page → HTML."""
    counters: list[tuple[Series, float | str]] = [
        (("smartmeter_frames_total",), meter.counters.frames),
        (("smartmeter_received_bytes_total",), meter.counters.received),
        (("smartmeter_link_opened_total",), meter.counters.opened),
        (("smartmeter_meter_swaps_total",), meter.counters.swaps),
        (("smartmeter_defects_total",), meter.counters.defects),
        *meter.counters.observed.items(),
    ]
    fields = raw_fields(meter)
    if meter.counters.line.accepted_ratio is not None:
        counters.insert(1, (("smartmeter_line_accepted_ratio",), meter.counters.line.accepted_ratio))
    return {
        "diagnosis": _diagnosis(meter, language),
        "readings": _readings(shown(meter), language) or render("nothing", language, key="no_readings"),
        "wire": render("wire", language, fields=fields.items()) if fields else render("nothing", language, key="wire_none"),
        "counters": _readings(counters, language),
    }


def configuration(config: MeterConfig, language: Language) -> str:
    """Return the rows of the configuration of a meter, as HTML: the settings, masked unless they are public."""
    found = (
        (setting.key, _value(setting, language) if setting.privacy != "secret" else None) for setting in settings_of(config)
    )
    return render("settings", language, settings=found)


def _diagnosis(meter: Meter, language: Language) -> str:
    """Return the problems of the meter's line, in the words of the log."""
    findings = [(hint.text, hint.remedy) for hint in meter.counters.line.hints]
    if meter.counters.line.trouble:
        findings.insert(0, (meter.counters.line.trouble, ""))
    if not findings:
        return render("nothing", language, key="diagnosis_none")
    return render("diagnosis", language, findings=[(printable(problem), printable(remedy)) for problem, remedy in findings])


def _value(setting: Setting, language: Language) -> str:
    value = setting.value
    if isinstance(value, bool):
        return language.say("yes" if value else "no")
    return printable(shown_url(str(value)) if setting.key == "link" else str(value))


def _readings(found: Iterable[tuple[Series, float | str]], language: Language) -> str:
    """Return the rows of readings, as HTML; a time is written for people and for the script of the page."""
    rows = []
    for series, value in found:
        is_moment = series[0].endswith("timestamp_seconds")
        program, text = clock_time(float(value)) if is_moment else ("", _text_of(series, value, language))
        rows.append((name_of(series, language), text, program))
    return render("readings", language, readings=rows) if rows else ""
