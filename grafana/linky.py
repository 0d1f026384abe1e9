"""What a `linky-exporter` served.

The panels that its own dashboard had keep their French titles: who has it looks for those.
"""

from __future__ import annotations

from panels import DAY, HALF, LOAD, MONTH, TODAY, Json, panel, query, row, textbox

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


def linky_prices() -> list[Json]:
    """What the reader fills in at the top: the program knew no prices."""
    return [
        textbox("unit_price", "Prix du kWh", "0.25", "Euros: your price of a kWh, the same for all indexes."),
        textbox("subscription_price", "Abonnement mensuel", "15.00", "Euros: your subscription of a month."),
    ]


def linky_contract() -> list[Json]:
    """The meter and its contract."""
    address = query(f"count by (job, instance, adco) (linky_papp{JOB})", "{{adco}}")
    phases = f"count by (job, instance) (count by (job, instance, __name__) ({CURRENTS}))"
    subscribed = f"max by (job, instance) (linky_isousc{JOB}) * 200 * {phases}"
    cost = f"sum by (job, instance) (increase({joined(INDEXES, 'index', 'linky_')}[$__range:$__interval])) / 1e3 * $unit_price"
    price, month = (f"0 * max by (job, instance) (linky_papp{JOB}) + ${name}" for name in ("unit_price", "subscription_price"))
    return [
        row("Contract"),
        panel("stat", "Adresse compteur", address, names=True),
        panel("stat", "Puissance souscrite", query(subscribed, "{{job}}"), unit="voltamp", about="200 V a phase."),
        panel("stat", "Prix du kWh", query(price, "{{job}}"), unit="currencyEUR", decimals=4, size=(4, 4)),
        panel("stat", "Abonnement mensuel", query(month, "{{job}}"), unit="currencyEUR", decimals=2, size=(4, 4)),
        panel(
            "stat",
            "Coût période",
            query(cost, "{{job}}"),
            unit="currencyEUR",
            decimals=2,
            size=(4, 4),
            about="Energy of the time that the dashboard shows, at the price above; without the subscription.",
        ),
    ]


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
        *linky_contract(),
        *linky_energy(),
        row("Curves"),
        panel("timeseries", "Power", power, unit="voltamp", size=HALF),
        panel("timeseries", "Current", currents, unit="amp", size=HALF),
    ]
