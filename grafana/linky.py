"""What a `linky-exporter` served."""

from __future__ import annotations

from panels import DAY, HALF, LOAD, MONTH, TODAY, Json, panel, query, row

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
