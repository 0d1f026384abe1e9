"""Write the dashboards beside this file: home.json, broute.json and linky.json (`python grafana/generate.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
COLUMNS = 24
HALF = (12, 8)
"""Size of a panel with curves."""
SCHEMA = 39
"""Of Grafana 11; newer ones bring it up to theirs by themselves."""

Json = dict[str, Any]

SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
TODAY, MONTH, DAY = "now/d", "now/M", "24h"
"""Times of a panel: the local day and month so far, and the last 24 hours. `$__range` follows."""

METER = '{meter=~"$meter"}'
BY_PHASE = "{{meter}} {{phase}}"
INSTANT = ("stat", "gauge", "bargauge", "table")
"""Kinds of panels that show one moment."""

LOAD = (("green", None), ("orange", 80), ("red", 100))
YES_IS_BAD = {"0": ("no", "green"), "1": ("yes", "red")}
NO_IS_BAD = {"0": ("down", "red"), "1": ("up", "green")}
TEMPO = {"0": ("not announced", "#808080"), "1": ("blue", "blue"), "2": ("white", "#f0f0f0"), "3": ("red", "red")}


# Parts of a panel.


def query(expression: str, legend: str = "{{meter}}", unit: str | None = None) -> Json:
    """An expression, the name of its series, and their unit where it differs from the panel's."""
    return {"expr": expression, "legendFormat": legend, "unit": unit}


def targets(kind: str, queries: tuple[Json, ...]) -> list[Json]:
    """The queries as Grafana stores them, named A, B, C …"""
    instant = kind in INSTANT
    return [
        {
            "refId": chr(ord("A") + number),
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": each["expr"],
            "legendFormat": each["legendFormat"],
            "format": "table" if kind == "table" else "time_series",
            "instant": instant,
            "range": not instant,
        }
        for number, each in enumerate(queries)
    ]


def overrides(queries: tuple[Json, ...]) -> list[Json]:
    """Units of the queries that have their own."""
    return [
        {
            "matcher": {"id": "byFrameRefID", "options": chr(ord("A") + number)},
            "properties": [{"id": "unit", "value": each["unit"]}],
        }
        for number, each in enumerate(queries)
        if each["unit"]
    ]


def mappings(words: dict[str, tuple[str, str]]) -> list[Json]:
    """Value → word and colour."""
    options = {value: {"text": text, "color": colour, "index": n} for n, (value, (text, colour)) in enumerate(words.items())}
    return [{"type": "value", "options": options}] if words else []


def steps(limits: tuple[tuple[str, float | None], ...]) -> Json:
    """Colours from a value on; the first from minus infinity on."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in limits]}


def reduced(**more: object) -> Json:
    """Options of the kinds that show the last value."""
    return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, **more}


def options(kind: str, names: bool) -> Json:
    """What each kind of panel wants to know. `names`: the name of the series is the message, not its value."""
    text = "name" if names else "value_and_name"
    colour = "background" if names else "value"
    known: dict[str, Json] = {
        "stat": reduced(colorMode=colour, graphMode="none", justifyMode="auto", orientation="auto", textMode=text),
        "gauge": reduced(showThresholdLabels=False, showThresholdMarkers=True),
        "bargauge": reduced(displayMode="basic", orientation="horizontal", valueMode="color"),
        "table": {"showHeader": True},
        "timeseries": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
        "state-timeline": {"showValue": "auto", "mergeValues": True, "rowHeight": 0.8},
    }
    return known[kind]


def drawing(kind: str, bars: bool, lines: bool) -> Json:
    """How a curve is drawn. `lines`: the limits are shown."""
    if kind != "timeseries":
        return {}
    return {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 60 if bars else 10,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if bars else "none"},
        "thresholdsStyle": {"mode": "dashed" if lines else "off"},
    }


def panel(
    kind: str,
    title: str,
    *queries: Json,
    unit: str = "none",
    size: tuple[int, int] = (6, 4),
    limits: tuple[tuple[str, float | None], ...] = (("green", None),),
    words: dict[str, tuple[str, str]] | None = None,
    decimals: int | None = None,
    span: tuple[float, float] | None = None,
    time: str | None = None,
    interval: str | None = None,
    bars: bool = False,
    names: bool = False,
    about: str = "",
) -> Json:
    """One panel. `time`: its own time range; `interval`: the shortest step between two points."""
    defaults: Json = {"unit": unit, "thresholds": steps(limits), "mappings": mappings(words or {})}
    defaults["custom"] = drawing(kind, bars, len(limits) > 1)
    defaults["color"] = {"mode": "palette-classic" if kind == "timeseries" else "thresholds"}
    if decimals is not None:
        defaults["decimals"] = decimals
    if span:
        defaults["min"], defaults["max"] = span
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "gridPos": {"w": size[0], "h": size[1]},
        "fieldConfig": {"defaults": defaults, "overrides": overrides(queries)},
        "options": options(kind, names),
        "targets": targets(kind, queries),
        **({"timeFrom": time, "hideTimeOverride": False} if time else {}),
        **({"interval": interval} if interval else {}),
    }


def row(title: str) -> Json:
    """A heading."""
    return {"type": "row", "title": title, "collapsed": False, "gridPos": {"w": COLUMNS, "h": 1}, "panels": []}


# Panels that several dashboards have.


def energy(title: str, direction: str, time: str) -> Json:
    """What the register counted in that time."""
    expression = f"increase(smartmeter_energy_{direction}_watthours_total{METER}[$__range]) / 1000"
    return panel("stat", title, query(expression), unit="kwatth", decimals=2, time=time)


def energies() -> list[Json]:
    """Drawn and injected, today and this month."""
    return [
        energy("Drawn today", "import", TODAY),
        energy("Drawn this month", "import", MONTH),
        energy("Injected today", "export", TODAY),
        energy("Injected this month", "export", MONTH),
    ]


def last_frame(title: str) -> Json:
    """Its age."""
    expression = f"time() - smartmeter_last_frame_timestamp_seconds{METER}"
    return panel("stat", title, query(expression), unit="s", decimals=0, limits=(("green", None), ("orange", 60), ("red", 300)))


def rejected() -> Json:
    """What was not believed."""
    expression = f"sum by (meter, reason) (increase(smartmeter_rejected_total{METER}[$__rate_interval]))"
    return panel(
        "timeseries",
        "Rejected, by reason",
        query(expression, "{{meter}}: {{reason}}"),
        unit="short",
        size=(12, 7),
        bars=True,
        about="Groups, replies or values that were not believed and therefore not shown.",
    )


def reopened() -> Json:
    """How often the link had to be opened anew."""
    return panel(
        "stat",
        "Link reopened",
        query(f"sum by (meter) (increase(smartmeter_link_opened_total{METER}[$__range]))"),
        decimals=0,
        limits=(("green", None), ("orange", 1), ("red", 10)),
        about="In the time range of the dashboard.",
    )


def meters() -> Json:
    """Who they are."""
    return panel("table", "Meters", query(f"smartmeter_info{METER}"), size=(24, 5))


# The dashboards.


def power(around: str = "%s") -> list[Json]:
    """Power of every kind of meter, drawn above zero, injected below."""
    return [
        query(around % f"smartmeter_power_watts{METER}", unit="watt"),
        query(around % f"smartmeter_apparent_power_import_voltamperes{METER}", unit="voltamp"),
        query("-" + around % f"smartmeter_apparent_power_export_voltamperes{METER}", "{{meter}} injected", unit="voltamp"),
    ]


def tempo(day: str) -> Json:
    """The colour of a day as a number: 0 while it is not announced."""
    colours = [
        f'{factor}smartmeter_tempo_colour{{meter=~"$meter",day="{day}",colour="{colour}"}}'
        for factor, colour in (("", "blue"), ("2 * ", "white"), ("3 * ", "red"))
    ]
    return panel("stat", f"Tempo {day}", query(f"sum by (meter) ({' or '.join(colours)})"), words=TEMPO, size=(3, 4))


def load() -> Json:
    """How much of the subscribed power is used."""
    used = f"max by (meter) (smartmeter_apparent_power_import_voltamperes{METER})"
    subscribed = f"max by (meter) (smartmeter_subscribed_power_voltamperes{METER})"
    return panel(
        "gauge",
        "Share of the subscribed power",
        query(f"100 * {used} / {subscribed}"),
        unit="percent",
        limits=LOAD,
        span=(0, 120),
    )


def by_tariff() -> Json:
    """Energy of today by register; those that have never counted are left out."""
    register = f"smartmeter_energy_import_tariff_watthours_total{METER}"
    return panel(
        "bargauge",
        "Drawn today, by tariff",
        query(f"increase({register}[$__range]) / 1000 and {register} > 0", "{{meter}} {{tariff}}"),
        unit="kwatth",
        decimals=2,
        size=HALF,
        time=TODAY,
    )


def by_hour() -> Json:
    """Energy of each hour of the last day."""
    imported = f"increase(smartmeter_energy_import_watthours_total{METER}[$__interval]) / 1000"
    exported = f"-increase(smartmeter_energy_export_watthours_total{METER}[$__interval]) / 1000"
    return panel(
        "timeseries",
        "Energy by the hour",
        query(imported),
        query(exported, "{{meter}} injected"),
        unit="kwatth",
        size=HALF,
        time=DAY,
        interval="1h",
        bars=True,
    )


def tariff_now() -> Json:
    """The register that counts."""
    return query(f"max by (meter, tariff) (smartmeter_tariff_active{METER} == 1)", "{{meter}}: {{tariff}}")


def home_now() -> list[Json]:
    """The top of the page."""
    return [
        row("Now"),
        panel("stat", "Power now", *power()[:2], unit="watt", about="Watts, or volt-amperes of a meter that says no watts."),
        panel("stat", "Injected now", query(f"smartmeter_apparent_power_export_voltamperes{METER}"), unit="voltamp"),
        load(),
        panel("stat", "Overload", query(f"smartmeter_overload{METER}"), words=YES_IS_BAD),
        panel("stat", "Tariff now", tariff_now(), size=(18, 4), names=True),
        tempo("today"),
        tempo("tomorrow"),
    ]


def home_curves() -> list[Json]:
    """What happened."""
    return [
        row("Curves"),
        panel("timeseries", "Power", *power(), unit="watt", size=HALF, about="Injected power is below zero."),
        panel(
            "timeseries",
            "Load curve of 24 hours",
            *power("avg_over_time(%s[$__interval])"),
            unit="watt",
            size=HALF,
            time=DAY,
            interval="10m",
            about="Means of ten minutes.",
        ),
        panel("timeseries", "Current", query(f"smartmeter_current_amperes{METER}", BY_PHASE), unit="amp", size=HALF),
        panel("timeseries", "Voltage", query(f"smartmeter_voltage_volts{METER}", BY_PHASE), unit="volt", size=HALF),
        panel("state-timeline", "Overloads", query(f"smartmeter_overload{METER}"), words=YES_IS_BAD, size=HALF),
        panel("state-timeline", "Tariffs", tariff_now(), words={"1": ("active", "blue")}, size=HALF),
    ]


def home_health() -> list[Json]:
    """Whether the numbers above can be relied on."""
    return [
        row("Meter health"),
        panel("stat", "Meter speaks", query(f"smartmeter_up{METER}"), words=NO_IS_BAD, size=(4, 7)),
        last_frame("Age of the last frame") | {"gridPos": {"w": 4, "h": 7}},
        reopened() | {"gridPos": {"w": 4, "h": 7}},
        rejected(),
        meters(),
    ]


def home() -> list[Json]:
    """Every meter of a home."""
    return [*home_now(), row("Energy"), *energies(), by_tariff(), by_hour(), *home_curves(), *home_health()]


PHASES = 'smartmeter_current_amperes{meter=~"$meter",phase=~"r|t"}'


def broute_now() -> list[Json]:
    """The top of the page."""
    return [
        row("Now"),
        panel(
            "stat",
            "Power now",
            query(f"smartmeter_power_watts{METER}"),
            unit="watt",
            limits=(("green", None), ("blue", 0), ("orange", 4000), ("red", 6000)),
            about="Below zero (green) while more is injected than drawn.",
        ),
        panel("stat", "Current now", query(PHASES, BY_PHASE), unit="amp", decimals=1),
        panel("stat", "Session", query(f"smartmeter_session_up{METER}"), words=NO_IS_BAD, size=(4, 4)),
        panel(
            "stat",
            "Age of the session",
            query(f"time() - smartmeter_session_start_timestamp_seconds{METER}"),
            unit="s",
            decimals=0,
            size=(4, 4),
        ),
        last_frame("Age of the last reply") | {"gridPos": {"w": 4, "h": 4}},
    ]


def broute_curves() -> list[Json]:
    """Power and currents, with their signs."""
    return [
        row("Curves"),
        panel("timeseries", "Power", query(f"smartmeter_power_watts{METER}"), unit="watt", size=HALF),
        panel("timeseries", "Current", query(PHASES, BY_PHASE), unit="amp", size=HALF),
    ]


def poll_durations() -> Json:
    """Quantiles of the histogram, over ten minutes: a poll comes every ten seconds or more."""
    buckets = f"sum by (meter, le) (rate(smartmeter_poll_duration_seconds_bucket{METER}[10m]))"
    queries = [
        query(f"histogram_quantile({share}, {buckets})", f"{{{{meter}}}} {name}")
        for share, name in ((0.5, "median"), (0.9, "90 %"), (0.99, "99 %"))
    ]
    return panel("timeseries", "Duration of a poll", *queries, unit="s", size=HALF, about="Quantiles over ten minutes.")


def refused() -> Json:
    """A counter that has not moved has no series: then the meter stands there with 0."""
    count = f"sum by (meter, property) (smartmeter_properties_refused_total{METER})"
    none = f"0 * max by (meter) (smartmeter_session_up{METER})"
    return panel(
        "stat",
        "Properties refused",
        query(f"{count} or on (meter) {none}", "{{meter}} {{property}}"),
        decimals=0,
        limits=(("green", None), ("orange", 1)),
        about="By code, since meterline was started.",
    )


def moved(title: str, name: str, label: str, about: str) -> Json:
    """By how much a counter rose in the time range of the dashboard, by one of its labels."""
    expression = f"sum by (meter, {label}) (increase({name}{METER}[$__range]))"
    question = query(expression, f"{{{{meter}}}} {{{{{label}}}}}")
    return panel("bargauge", title, question, unit="short", decimals=0, size=(6, 8), about=about)


def broute_radio() -> list[Json]:
    """How well the meter can be reached."""
    weak = (("red", None), ("orange", -80), ("green", -70))
    return [
        row("Radio"),
        panel("timeseries", "Signal", query(f"smartmeter_radio_rssi_dbm{METER}"), unit="dBm", size=HALF, limits=weak),
        poll_durations(),
        moved("Joins", "smartmeter_session_joins_total", "result", "Tries to open a session."),
        moved("Retries, by rung", "smartmeter_retries_total", "rung", "The ladder by which a lost meter is found again."),
        panel("state-timeline", "Sessions", query(f"smartmeter_session_up{METER}"), words=NO_IS_BAD, size=HALF),
        panel(
            "stat",
            "Polls without an answer",
            query(f"sum by (meter) (increase(smartmeter_polls_failed_total{METER}[$__range]))"),
            decimals=0,
            limits=(("green", None), ("orange", 1), ("red", 10)),
        ),
        panel(
            "stat",
            "Time on air in an hour",
            query(f"increase(smartmeter_radio_transmitted_seconds_total{METER}[1h])"),
            unit="s",
            decimals=1,
            limits=(("green", None), ("orange", 300), ("red", 360)),
            about="The law allows 360 seconds.",
        ),
        refused(),
        panel(
            "stat",
            "Clock of the meter",
            query(f"smartmeter_clock_offset_seconds{METER}"),
            unit="s",
            decimals=0,
            limits=(("red", None), ("orange", -120), ("green", -60), ("orange", 60), ("red", 120)),
            about="How far it is ahead of ours, at least.",
        ),
        reopened(),
        rejected(),
    ]


def broute() -> list[Json]:
    """Japanese meters."""
    return [*broute_now(), row("Energy"), *energies(), *broute_curves(), *broute_radio()]


JOB = '{job=~"$job"}'
CURRENTS = '{__name__=~"linky_iinst[123]?",job=~"$job"}'
INDEXES = "base|hchc|hchp|ejphn|ejphpm|bbrhcjb|bbrhpjb|bbrhcjw|bbrhpjw|bbrhcjr|bbrhpjr"


def joined(kinds: str, label: str, name: str) -> str:
    """One series for each kind, with the end of its name as a label. Most of the program's own labels are left out: `ptec` and
    `motdetat` change, which would cut a register into pieces that are then counted twice.
    """
    named = f'label_replace({{__name__=~"{name}({kinds})",job=~"$job"}}, "{label}", "$1", "__name__", "{name}(.*)")'
    return f"max by (job, instance, {label}) ({named})"


def counted(every: str = "$__range:$__interval") -> str:
    """Kilowatt-hours by index."""
    return f"increase({joined(INDEXES, 'index', 'linky_')}[{every}]) / 1000"


def linky_now() -> list[Json]:
    """The top of the page."""
    share = f"100 * max by (job, instance) ({CURRENTS}) / max by (job, instance) (linky_isousc{JOB})"
    tariff = query(f"count by (job, instance, ptec) (linky_papp{JOB})", "{{job}}: {{ptec}}")
    return [
        row("Now"),
        panel("stat", "Power now", query(f"linky_papp{JOB}", "{{job}}"), unit="voltamp"),
        panel("gauge", "Share of the subscribed current", query(share, "{{job}}"), unit="percent", limits=LOAD, span=(0, 120)),
        panel("stat", "Subscribed current", query(f"linky_isousc{JOB}", "{{job}}"), unit="amp"),
        panel("stat", "Tariff now", tariff, names=True),
    ]


def linky_energy() -> list[Json]:
    """By day, month, hour and index."""
    name = "{{job}} {{index}}"
    total = query(f"sum by (job, instance) ({counted()})", "{{job}}")
    indexes = query(f"{joined(INDEXES, 'index', 'linky_')} / 1000", name)
    hours = query(counted("$__interval:5s"), name)
    return [
        row("Energy"),
        panel("stat", "Drawn today", total, unit="kwatth", decimals=2, time=TODAY, size=(12, 4)),
        panel("stat", "Drawn this month", total, unit="kwatth", decimals=2, time=MONTH, size=(12, 4)),
        panel("bargauge", "Drawn today, by index", query(counted(), name), unit="kwatth", decimals=2, size=HALF, time=TODAY),
        panel("bargauge", "Indexes", indexes, unit="kwatth", decimals=0, size=HALF),
        panel("timeseries", "Energy by the hour", hours, unit="kwatth", size=(24, 8), time=DAY, interval="1h", bars=True),
    ]


def linky() -> list[Json]:
    """What a `linky-exporter` served, and meterline serves in its stead."""
    power = query(f"max by (job, instance) (linky_papp{JOB})", "{{job}}")
    currents = query(joined("[123]?", "phase", "linky_iinst"), "{{job}} {{phase}}")
    return [
        *linky_now(),
        *linky_energy(),
        row("Curves"),
        panel("timeseries", "Power", power, unit="voltamp", size=HALF),
        panel("timeseries", "Current", currents, unit="amp", size=HALF),
    ]


# Dashboards as files.


def placed(panels: list[Json]) -> list[Json]:
    """The panels from left to right, row after row, numbered."""
    x = y = tallest = 0
    for number, each in enumerate(panels, 1):
        place = each["gridPos"]
        if x + place["w"] > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        each["id"] = number
        each["gridPos"] = {**place, "x": x, "y": y}
        x += place["w"]
        tallest = max(tallest, place["h"])
    return panels


def variables(label: str, series: str) -> list[Json]:
    """The data source, and what to look at."""
    question = f"label_values({series}, {label})"
    return [
        {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "current": {}},
        {
            "type": "query",
            "name": label,
            "label": label.capitalize(),
            "datasource": SOURCE,
            "definition": question,
            "query": {"query": question, "refId": "StandardVariableQuery"},
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]


def dashboard(uid: str, title: str, about: str, chosen: list[Json], panels: list[Json]) -> str:
    """The text of its file."""
    content: Json = {
        "uid": uid,
        "title": title,
        "description": about,
        "tags": ["meterline", "smart meter"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": chosen},
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "meterline", "tags": ["meterline"], "asDropdown": True, "keepTime": True}],
        "panels": placed(panels),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def dashboards() -> dict[str, str]:
    """File → its text."""
    return {
        "home.json": dashboard(
            "meterline-home",
            "Smart meters",
            "All meters that meterline reads.",
            variables("meter", "smartmeter_up"),
            home(),
        ),
        "broute.json": dashboard(
            "meterline-broute",
            "Smart meters: B-route",
            "Japanese meters on the B-route, and the radio that they are reached by.",
            variables("meter", "smartmeter_session_up"),
            broute(),
        ),
        "linky.json": dashboard(
            "meterline-linky",
            "Linky (names of linky-exporter)",
            "Historic mode, with the names linky_* of the program that meterline replaces.",
            variables("job", "linky_papp"),
            linky(),
        ),
    }


def main() -> None:
    """Write them."""
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
