"""Every meter of a home."""

from __future__ import annotations

from energy import costs, energies
from health import last_frame, meters, rejected, reopened
from panels import BY_PHASE, DAY, HALF, LOAD, METER, NO_IS_BAD, TEMPO, TODAY, YES_IS_BAD, Json, panel, query, row


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
    return [*home_now(), row("Energy"), *energies(), by_tariff(), by_hour(), *costs(), *home_curves(), *home_health()]
