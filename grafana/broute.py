"""Japanese meters."""

from __future__ import annotations

from energy import costs, energies
from health import last_frame, rejected, reopened
from panels import BY_PHASE, HALF, METER, NO_IS_BAD, Json, panel, query, row

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
    return [*broute_now(), row("Energy"), *energies(), *costs(), *broute_curves(), *broute_radio()]
