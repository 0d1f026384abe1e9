"""The tables of one meter: its readings in plain language, what it says in its own labels, its line, its configuration."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from meterline.config.schema import MeterConfig
from meterline.config.settings import Setting, settings_of
from meterline.locale import Language
from meterline.meter.meter import Meter
from meterline.meter.readings import Series
from meterline.web.page.reading_texts import name_of, text_of
from meterline.web.page.sections import moment
from meterline.web.page.view_model import said, shown


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


def configuration(config: MeterConfig, language: Language) -> str:
    """The rows of the configuration of a meter: what is set, masked unless it is public."""
    rows = ((setting.key, _setting(setting, language)) for setting in settings_of(config))
    return "".join(table_row(f"<code>{escape(key)}</code>", text) for key, text in rows)


def table_row(head: str, text: str) -> str:
    """Both escaped already."""
    return f'<tr><th scope="row">{head}</th><td>{text}</td></tr>'


def _sentence(text: str) -> str:
    return f'<tr><td colspan="2">{text}</td></tr>'


def _diagnosis(meter: Meter) -> str:
    """What is wrong with its line, in the words of the log."""
    rows = [(hint.text, hint.remedy) for hint in meter.line.hints]
    if meter.line.trouble:
        rows.insert(0, (meter.line.trouble, ""))
    return "".join(f'<tr lang="en"><th scope="row">{escape(what)}</th><td>{escape(remedy)}</td></tr>' for what, remedy in rows)


def _setting(setting: Setting, language: Language) -> str:
    value = setting.value
    if not setting.is_public:
        return f'<em class="hidden">{language.say("hidden")}</em>'
    if isinstance(value, bool):
        return language.say("yes" if value else "no")
    return escape(_without_user(value) if setting.key == "link" else str(value))


def _without_user(link: str) -> str:
    """A link's URL may hold a user and a password."""
    try:
        user, at, _ = urlsplit(link).netloc.rpartition("@")
    except ValueError:
        return link
    return link.replace(user + at, "", 1) if at else link


def _reading(series: Series, value: float | str, language: Language) -> str:
    is_moment = series[0].endswith("timestamp_seconds")
    text = moment(float(value)) if is_moment else escape(text_of(series, value, language))
    return table_row(escape(name_of(series, language)), text)
