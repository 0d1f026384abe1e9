"""What dashboards are made of: panels and their parts, and the file around them."""

from __future__ import annotations

import json
from typing import Any

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


def textbox(name: str, label: str, default: str, about: str) -> Json:
    """A value that the reader types in."""
    return {
        "type": "textbox",
        "name": name,
        "label": label,
        "description": about,
        "query": default,
        "current": {"text": default, "value": default},
        "options": [{"text": default, "value": default, "selected": True}],
    }


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
