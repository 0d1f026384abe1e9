"""An account in a form for JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from meterline.billing.account import Account, History
from meterline.billing.calendar import Calendar
from meterline.billing.mark import Mark
from meterline.billing.totals import Day, Line, Sum, Totals, number

YEAR_3000 = 32_503_680_000


def to_json(account: Account) -> dict[str, Any]:
    """Everything, as it stands now; numbers as texts."""
    return {
        "currency": account.money,
        "address": account.address,
        "reading_day": account.calendar.reading_day,
        "began": account.began,
        "at": account.at,
        "charged": account.standing.last and account.standing.last.isoformat(),
        "charged_from": account.standing.first and account.standing.first.isoformat(),
        "ahead": str(account.standing.ahead),
        "began_after": account.standing.began_after,
        "began_sure": account.standing.sure,
        "registers": {register: [str(mark.value), mark.at] for register, mark in account.marks.items()},
        "days": {day.isoformat(): booked.to_json() for day, booked in account.days.items()},
        "periods": {day.isoformat(): [str(total.watthours), str(total.cost)] for day, total in account.periods.items()},
        "totals": account.totals.to_json(),
    }


def from_json(calendar: Calendar, found: Mapping[str, Any], history: History = lambda since, until: {}) -> Account:
    """What `to_json` made; KeyError, TypeError, ValueError, AttributeError or ArithmeticError where it is not that.

    Costs in another currency stay in the days that are over; a billing period that begins on another day is not recalled.
    """
    account = Account(calendar, history)
    account.address = found["address"]
    account.began, account.at = int(found["began"]), int(found["at"])
    _read_standing(account, found)
    account.marks = {register: Mark(number(value), int(at)) for register, (value, at) in found["registers"].items()}
    if not max((mark.at for mark in account.marks.values()), default=0) <= account.at < YEAR_3000:
        raise ValueError("not a time at which registers were read")
    # A day that stands only here becomes one of its own when it is over, also where nothing is added to it any more.
    days = {date.fromisoformat(day): Day.from_json(booked) for day, booked in found["days"].items()}
    account.days = {day: _in(account.currency, replace(booked, changed=True)) for day, booked in days.items()}
    account.money = account.currency or found["currency"]
    account.totals = Totals.from_json(found["totals"])
    if found["currency"] not in ("", account.money):
        account.totals = account.totals.in_another_currency()
    else:
        account.standing.ahead = number(found.get("ahead", "0"))
        account.periods = {
            date.fromisoformat(day): Sum(number(watthours), number(cost))
            for day, (watthours, cost) in found["periods"].items()
            if calendar.period(date.fromisoformat(day)) == date.fromisoformat(day)
        }
    account.kept = account.totals.copy()
    return account


def _read_standing(account: Account, found: Mapping[str, Any]) -> None:
    """Version 0.1.0 wrote the last day only. It let an account begin later than it is when its clock had been ahead."""
    if found["charged"]:
        account.standing.last, first = date.fromisoformat(found["charged"]), found.get("charged_from")
        account.standing.first = date.fromisoformat(first) if first else account.calendar.day(account.began)
    account.standing.sure = found.get("began_sure") is True
    if not account.standing.sure:
        account.began = min(account.began, account.at)
    if after := found.get("began_after"):
        boot, uptime = after
        account.standing.began_after = str(boot), float(uptime)


def _in(currency: str, day: Day) -> Day:
    """An open day goes on in this currency: what it cost in another one is no part of it."""
    if currency and day.currency not in ("", currency):
        lines = {tariff: Line(line.watthours) for tariff, line in day.lines.items()}
        return Day(currency, lines, export=day.export, spread=day.spread)
    return day
