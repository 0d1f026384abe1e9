"""Whether a meter can be relied on: panels for every meter."""

from __future__ import annotations

from panels import METER, Json, panel, query


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
