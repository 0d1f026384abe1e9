"""meterline cost: the cost of energy from the stored accounts, and its comparison with a bill."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from meterline.billing.calendar import period_of
from meterline.billing.invoice import Bill, Row, compare, kwh, money, rows
from meterline.billing.totals import Day, days_from_json
from meterline.cli.stored_file import check_readable
from meterline.errors import UserError
from meterline.store import FILE, State, default_folder

By = Literal["day", "month", "period"]
NOT_STORED = "no costs are stored yet: is the meter online? --state.dir names the folder that meterline run uses"
SPREAD_MARK_RATIO = 100
"""A day is marked with ~ if more than 1/100 of its energy was spread over a gap."""
DAYS_SHOWN = 31
"""Days that are shown without --from and --to."""


class StoredBooks(NamedTuple):
    """The stored account of one meter.

    Attributes:
        meter: Name of the meter.
        currency: ISO 4217; empty: the meter has no prices.
        reading_day: Day of the month on which a billing period begins.
        days: The booked days.
    """

    meter: str
    currency: str
    reading_day: int
    days: dict[date, Day]


def cost(folder: str | None, meter: str | None, by: By, since: date | None, until: date | None, as_json: bool) -> None:
    """Print the costs of each meter.

    Args:
        folder: The folder of the state; None: the default.
        meter: Name of the only meter to print; None: all.
        by: Length of the interval of a row.
        since: First day; None: the first booked day, by day the last 31 days.
        until: Last day, included; None: the last booked day.
        as_json: Whether to print JSON in place of tables.

    Raises:
        UserError: Nothing is stored, the state is not readable, or `meter` is not in it.
    """
    _check_range(since, until)
    for books in _books(folder, meter):
        recent = max(books.days) - timedelta(days=DAYS_SHOWN - 1) if books.days and by == "day" else date.min
        first = since or recent
        days = {day: booked for day, booked in books.days.items() if first <= day <= (until or date.max)}
        label = _label(by, books.reading_day)
        if as_json:
            for row in rows(days, label):
                print(json.dumps({"meter": books.meter, by: row.label, **_facts(row)}, ensure_ascii=False))
        else:
            total = rows(days, lambda _: "total", books.currency) or [Row("total")]
            _print_table(books, by, rows(days, label, books.currency), *total)


def check(folder: str | None, meter: str | None, text: str, since: date | None, until: date | None) -> bool:
    """Print the comparison of a bill with the stored account.

    Args:
        folder: The folder of the state; None: the default.
        meter: Name of the meter; None: the only one.
        text: The bill, such as ``1234.5kWh=310.20EUR``.
        since: First day of the bill.
        until: Last day of the bill, included.

    Returns:
        Whether the bill agrees.

    Raises:
        UserError: The bill or its days are not valid, or the account cannot be read.
    """
    try:
        bill = Bill.parse(text)
    except ValueError as error:
        raise UserError(f"--check: {error}") from None
    if since is None or until is None:
        raise UserError("--check: give the first and the last day of the bill: --from 2026-01-15 --to 2026-02-14")
    _check_range(since, until)
    found = _books(folder, meter)
    if len(found) > 1:
        raise UserError(f"--check: which meter? --meter {' or '.join(books.meter for books in found)}")
    days = {day: booked for day, booked in found[0].days.items() if since <= day <= until}
    verdict = compare(bill, days, since, until)
    print(f"{found[0].meter}, {since} to {until}: {'agrees' if verdict.agrees else 'differs'}")
    print("\n".join(verdict.lines))
    return verdict.agrees


def _check_range(since: date | None, until: date | None) -> None:
    if since and until and until < since:
        raise UserError(f"--to {until} is before --from {since}")


def _books(folder: str | None, meter: str | None) -> list[StoredBooks]:
    folder = folder or default_folder()
    path = Path(folder) / FILE
    check_readable(path, NOT_STORED)
    state = State(folder, only_read=True)
    try:
        names = state.meters()
        if meter is not None and meter not in names:
            raise UserError(f"--meter {meter}: no account of this meter in {path}; accounts: {', '.join(names) or 'none'}", 1)
        found = [_read(state, name) for name in names if meter in (None, name)]
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{path}: cannot be read: {error}", 1) from None
    finally:
        state.close()
    if not any(books.days for books in found):
        raise UserError(f"{path}: {NOT_STORED}", 1)
    return found


def _read(state: State, name: str) -> StoredBooks:
    account: dict[str, Any] = state.account(name) or {}
    days = days_from_json(state.days(name)) | days_from_json(account.get("days", {}))
    # A clock that was ahead leaves empty days: their bookings were reversed.
    booked = {day: it for day, it in days.items() if it.lines or it.standing or it.export}
    return StoredBooks(name, str(account.get("currency", "")), int(account.get("reading_day", 1)), booked)


def _label(by: By, reading_day: int) -> Callable[[date], str]:
    if by == "period":
        return lambda day: f"{period_of(day, reading_day)}"
    return lambda day: f"{day:%Y-%m}" if by == "month" else day.isoformat()


def _facts(row: Row) -> dict[str, Any]:
    """Return a row for JSON, with exact numbers as texts."""
    day = row.day
    tariffs = {name: {"watthours": f"{line.watthours:f}", "cost": f"{line.cost:f}"} for name, line in day.lines.items()}
    numbers = {
        "import_watthours": day.watthours,
        "energy_cost": day.energy_cost,
        "standing_cost": day.standing,
        "cost": day.cost,
        "export_watthours": day.export,
        "export_credit": day.credit,
        "spread_watthours": day.spread,
        "unpriced_watthours": day.unpriced,
        "doubt": day.doubt,
    }
    others = {currency: f"{other.cost:f}" for currency, other in row.others.items()}
    texts = {name: f"{number:f}" for name, number in numbers.items()}
    return {"currency": row.currency, "days": row.days, **texts, "other_costs": others, "tariffs": tariffs}


def _print_table(books: StoredBooks, by: By, found: list[Row], total: Row) -> None:
    """Print a table. –: no value; ~: energy that was spread over a gap; ?: some energy had no price.

    Costs in another currency have a column of their own.
    """
    tariffs = list(total.day.lines) if len(total.day.lines) > 1 else []
    heads = [by, "kWh", *tariffs]
    if books.currency:
        heads += ["energy", "standing", f"{books.currency}"]
    heads += total.others
    if total.day.export:
        heads += ["exported", "credit"] if books.currency else ["exported"]
    lines = [_cells(row, tariffs, books, total) for row in [*found, total]]
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    print(f"{bold}{books.meter}{plain}")
    print(f"{bold}{_aligned(heads, widths)}{plain}")
    for number, cells in enumerate(lines, 1):
        last = number == len(lines)
        print(f"{bold * last}{_aligned(cells, widths)}{plain * last}")
    for note in _notes(total.day):
        print(note)
    print()


def _cells(row: Row, tariffs: list[str], books: StoredBooks, total: Row) -> list[str]:
    day, currency = row.day, books.currency
    cells = [row.label, "~" * _is_spread(day) + kwh(day.watthours)]
    cells += [kwh(day.lines[tariff].watthours) if tariff in day.lines else "–" for tariff in tariffs]
    if currency:
        unknown = "?" * bool(day.unpriced)
        cells += [unknown + money(day.energy_cost, currency), money(day.standing, currency), money(day.cost, currency)]
    for other in total.others:
        cells.append(money(row.others[other].cost, other) if other in row.others else "–")
    if total.day.export:
        cells += [kwh(day.export), money(day.credit, currency)] if currency else [kwh(day.export)]
    return cells


def _is_spread(day: Day) -> bool:
    """Return whether a noticeable part of the energy was spread. A meter that is read every second has some at midnight."""
    return day.spread * SPREAD_MARK_RATIO > day.watthours + day.export


def _notes(total: Day) -> Iterable[str]:
    if _is_spread(total):
        yield f"~ {kwh(total.spread)} kWh are estimated by time: the meter was not read when a day ended"
    if total.doubt:
        yield f"± {money(total.doubt, total.currency)} {total.currency} at most: the meter was not read while a price changed"
    if total.unpriced:
        yield f"? {kwh(total.unpriced)} kWh had no price"


def _aligned(cells: list[str], widths: list[int]) -> str:
    first, *rest = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])
