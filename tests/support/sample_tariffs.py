"""Contracts to test the books with, and what decides the price of each, written down a second time by the clock on the wall."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from zoneinfo import ZoneInfo

from meterline.billing.calendar import Calendar
from meterline.billing.pricing import EXPORT
from meterline.billing.tariff import WHOLE, Tariffs
from meterline.config.structure import structure

PARIS, TOKYO = ZoneInfo("Europe/Paris"), ZoneInfo("Asia/Tokyo")


def tariffs(**keys: Any) -> Tariffs:
    """As a file has them: every scalar is text."""
    found: Tariffs = structure({"currency": "EUR", **keys}, Tariffs)
    return found


def unix(text: str, zone: ZoneInfo = PARIS, fold: int = 0) -> int:
    """``2026-03-29 02:30``, local time."""
    return int(datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp())


@dataclass(frozen=True)
class Contract:
    name: str
    zone: ZoneInfo
    registers: tuple[str, ...]
    tariffs: Tariffs | None
    decides: Callable[[str, datetime], Any]
    """Register and local time → what its price depends on there; the price is the same wherever that is the same."""
    begins: tuple[str, ...]
    """Local times around which something happens."""
    step: D = D(1)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows it."""
        printer.text(self.name)

    @property
    def calendar(self) -> Calendar:
        return Calendar(self.zone, self.tariffs)

    def one_price(self, register: str, since: int, at: int) -> bool:
        """Whether a kilowatt-hour costs the same all the time from `since` until `at`."""
        step = 1800 if at - since <= 8 * 86_400 else 21_600
        moments = [*range(since, at, step), max(since, at - 1)]
        return len({self.decides(register, datetime.fromtimestamp(moment, self.zone)) for moment in moments}) == 1


def walked(day: date, number: int) -> date:
    """Begin of the billing period: the last day that has that number, or is the last of a month too short for it."""
    while not (day.day == number or (day.day < number and (day + timedelta(days=1)).day == 1)):
        day -= timedelta(days=1)
    return day


HC_BEGIN, HC_RISE, HC_LEVY = date(2025, 6, 1), date(2026, 2, 1), date(2026, 3, 29)
HC = tariffs(
    periods=[
        {"since": "2025-06-01", "until": "2026-02-01", "registers": {"HCHC": "0.1704", "HCHP": "0.2296"}},
        {
            "since": "2026-02-01",
            "registers": {"HCHC": "0.1579", "HCHP": "0.2065"},
            "standing": {"amount": "15.74", "per": "month"},
        },
    ],
    levies=[
        {"name": "accise", "per_kwh": "0.02998", "since": "2026-03-29"},
        {"name": "tva", "percent": "20", "on": "energy"},
        {"name": "tva 5.5", "percent": "5.5", "on": "standing"},
    ],
)


def _hc(register: str, local: datetime) -> Any:
    return sum(change <= local.date() for change in (HC_BEGIN, HC_RISE, HC_LEVY))


RED = (date(2026, 1, 14), date(2026, 1, 31), date(2026, 3, 28))
TEMPO = tariffs(
    day_start="06:00",
    periods=[
        {
            "since": "2025-01-01",
            "standing": {"amount": "0.5", "per": "day"},
            "times": [
                {"name": "red-night", "price": "0.1568", "hours": "22:00-06:00", "dates": [str(day) for day in RED]},
                {"name": "red", "price": "0.7562", "dates": [str(day) for day in RED]},
                {"name": "night", "price": "0.1296", "hours": "22:00-06:00"},
                {"name": "day", "price": "0.1609"},
            ],
        }
    ],
)


def _tempo(register: str, local: datetime) -> Any:
    day = (local.replace(tzinfo=None) - timedelta(hours=6)).date()
    return (day in RED, local.hour < 6 or local.hour >= 22)


HOLIDAYS = ("2026-04-06", "2026-05-01", "2026-12-25")
WEEK = tariffs(
    holidays=list(HOLIDAYS),
    periods=[
        {
            "since": "2025-01-01",
            "until": "2026-04-05",
            "feed_in": "0.04",
            "times": [
                {"name": "rest", "price": "0.10", "days": "sat, sun, holiday"},
                {"name": "lunch", "price": "0.12", "hours": "12:00-14:00", "dates": "04-01..09-30"},
                {"name": "hole", "price": "0.05", "hours": "02:30-03:00"},
                {"name": "work", "price": "0.25"},
            ],
        },
        {"since": "2026-04-05", "price": "0.2146", "feed_in": "0.0769"},
    ],
)


def _week(register: str, local: datetime) -> Any:
    new = local.date() >= date(2026, 4, 5)
    if register == EXPORT or new:
        return new
    if local.weekday() >= 5 or str(local.date()) in HOLIDAYS:
        return "rest"
    if 12 <= local.hour < 14 and 4 <= local.month <= 9:
        return "lunch"
    return "hole" if (local.hour, local.minute >= 30) == (2, True) else "work"


def _tiers(number: int, first: str = "120") -> Tariffs:
    tiers = [{"price": "29.80", "up_to": first}, {"price": "36.40", "up_to": "300"}, {"price": "40.49"}]
    fuel = [("2026-01-01", "2026-02-01", "-6.12"), ("2026-02-01", "2026-03-01", "-7.99"), ("2026-03-01", "2026-05-20", "-4.5")]
    return tariffs(
        currency="JPY",
        reading_day=str(number),
        periods=[{"since": "2025-01-01", "tiers": tiers, "standing": {"amount": "935.25", "per": "month"}}],
        levies=[
            {"name": "renewable", "per_kwh": "3.98", "until": "2026-05-01"},
            {"name": "renewable", "per_kwh": "4.18", "since": "2026-05-01"},
            *({"name": "fuel", "since": since, "until": until, "per_kwh": amount} for since, until, amount in fuel),
        ],
    )


def _tiered(number: int) -> Callable[[str, datetime], Any]:
    def decides(register: str, local: datetime) -> Any:
        day = local.date()
        changes = [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 1), date(2026, 5, 1), date(2026, 5, 20)]
        return (sum(change <= day for change in changes), walked(day, number))

    return decides


def _nothing(register: str, local: datetime) -> Any:
    return None


BEGINS = (
    "2026-01-13 20:00",
    "2026-01-31 18:00",
    "2026-03-28 20:00",
    "2026-03-29 00:30",
    "2026-04-04 12:00",
    "2026-04-30 23:50",
)
CONTRACTS = (
    Contract("registers", PARIS, ("HCHC", "HCHP"), HC, _hc, (*BEGINS, "2025-05-30 12:00")),
    Contract("tempo", PARIS, ("BASE",), TEMPO, _tempo, (*BEGINS, "2026-10-24 23:00")),
    Contract("week", PARIS, ("EASF01", EXPORT), WEEK, _week, (*BEGINS, "2026-10-25 01:00")),
    Contract("tiers 17", TOKYO, (WHOLE,), _tiers(17), _tiered(17), (*BEGINS, "2026-02-16 12:00", "2026-05-16 23:00"), D(100)),
    Contract("tiers 31", TOKYO, (WHOLE, EXPORT), _tiers(31, "15"), _tiered(31), (*BEGINS, "2026-02-27 12:00"), D("0.1")),
    Contract("none", PARIS, ("BASE", EXPORT), None, _nothing, BEGINS),
)
