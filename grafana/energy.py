"""What was drawn and injected, and what it costs: panels for every meter."""

from __future__ import annotations

from panels import HALF, METER, MONTH, TODAY, Json, panel, query, row

CURRENCY = "{{meter}} ({{currency}})"
MONTH_OF_DAYS = "30d"


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


def price_now() -> Json:
    """The one that counts where the meter says which; else all that may hold now."""
    counting = f"smartmeter_price{METER} and on (meter, tariff) smartmeter_tariff_active{METER} == 1"
    return panel(
        "stat",
        "Price now",
        query(f"{counting} or (smartmeter_price{METER} unless on (meter) ({counting}))", "{{meter}} {{tariff}} ({{currency}})"),
        decimals=4,
        size=(4, 4),
        about="Of a kilowatt-hour, with levies and taxes.",
    )


def credit() -> Json:
    """Of the meters that inject."""
    earned = f"increase(smartmeter_export_credit_total{METER}[$__range])"
    injecting = f"smartmeter_energy_export_watthours_total{METER}"
    return panel(
        "stat",
        "Credit today",
        query(f"{earned} and on (meter) {injecting}", CURRENCY),
        decimals=2,
        size=(4, 4),
        time=TODAY,
        about="For energy injected; moves every 15 minutes.",
    )


def booked_today(title: str, question: Json, unit: str) -> Json:
    """A day as it stands."""
    about = "Since midnight where the meter is."
    return panel("stat", title, question, unit=unit, decimals=2, size=(4, 4), time=TODAY, about=about)


def booked_period(title: str, question: Json, unit: str) -> Json:
    """A billing period as it stands."""
    about = "Begins on the reading day of the configuration; tiers begin anew with it."
    return panel("stat", title, question, unit=unit, decimals=2, size=(4, 4), about=about)


def cost_per_day() -> Json:
    """At midnight, what the day that begins then came to: the highest value from two hours later on, since steps of 24 hours
    begin an hour too early on the other side of a change of the clock.
    """
    return panel(
        "timeseries",
        "Cost per day",
        query(f"max_over_time(smartmeter_cost_day{METER}[22h] offset -24h)", CURRENCY),
        size=HALF,
        time=MONTH_OF_DAYS,
        interval="1d",
        bars=True,
        about="Energy and standing charge, by the days of the dashboard's time zone. Bars are stacked: choose one currency.",
    )


def cost_by_tariff() -> Json:
    """Of energy alone."""
    return panel(
        "bargauge",
        "Cost of energy this month, by tariff",
        query(f"increase(smartmeter_cost_total{METER}[$__range])", "{{meter}} {{tariff}} ({{currency}})"),
        decimals=2,
        size=HALF,
        time=MONTH,
        about="Without the standing charge; moves every 15 minutes.",
    )


def costs() -> list[Json]:
    """Where the configuration knows prices."""
    drawn = "smartmeter_energy_import_%s_watthours" + METER + " / 1000"
    return [
        row("Costs"),
        price_now(),
        booked_today("Cost today", query(f"smartmeter_cost_day{METER}", CURRENCY), "none"),
        booked_period("Cost of this billing period", query(f"smartmeter_cost_period{METER}", CURRENCY), "none"),
        credit(),
        booked_today("Energy today", query(drawn % "day"), "kwatth"),
        booked_period("Energy of this billing period", query(drawn % "period"), "kwatth"),
        cost_per_day(),
        cost_by_tariff(),
    ]
