"""The changing parts of a page, as HTML in one language: place in the page → HTML.

Only the age of the last frame depends on the time of day: all other parts change with new readings only. A part is made once
for the same values, see `_kept`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from html import escape
from typing import TypeAlias

from meterline.locale import Language
from meterline.meter.meter import Meter
from meterline.web.page.power_history import History
from meterline.web.page.reading_texts import clock_time, with_unit
from meterline.web.page.rendering import render
from meterline.web.page.sparkline import HEIGHT, draw, scale
from meterline.web.page.view_model import Facts, Phase, Power, facts, power, state

Today: TypeAlias = Callable[[str], tuple[float, float | None, str | None] | None]
"""Returns, for the name of a meter: watt-hours imported since local midnight, their cost, its currency; None if not known."""

GOOD_SIGNAL_DBM = -70
WEAK_SIGNAL_DBM = -80
OFFLINE_NAMED_MAX = 5
"""Offline meters that the summary names; the others are counted."""

_kept = lru_cache(maxsize=64)
"""Size of the cache of each part: more than the cards of one page in three languages."""


def card(meter: Meter, language: Language, today: Today, history: History) -> dict[str, str]:
    """Return the parts of a card.

    Args:
        meter: The meter.
        language: The language of the texts.
        today: Returns energy and cost since local midnight.
        history: The power of the last half hour.

    Returns:
        Place in the card → HTML.
    """
    now = facts(meter)
    drawn_today = today(meter.name) if now.state == "speaking" else None
    return {
        "alert": _alert(now.overload, now.phases, language),
        "power": _power(now, language),
        "state": _state(now.state, False, language),
        "seen": escape(
            language.say("last_frame", ago=_age(meter, language)) if meter.counters.frames else language.say("never")
        ),
        "chart": _chart(meter.name, history, language),
        "energy": _energy(now.imported, now.exported, drawn_today, language),
        "tariff": _tariff(now.tariff, now.tariff_name, now.colours, language),
        "phases": _phases(now.phases, language),
        "line": _line(_session(now.session, language), now.signal, now.accepted, now.rejected, language),
    }


def row(meter: Meter, language: Language) -> dict[str, str]:
    """Return the parts of a row of the table: place in the row → HTML."""
    taken = power(meter)
    return {
        "power": watts(taken) if taken else "–",
        "state": _state(state(meter), bool(meter.value("smartmeter_overload")), language),
        "seen": escape(_age(meter, language) if meter.counters.frames else language.say("never")),
    }


def summary(meters: Iterable[Meter], language: Language) -> str:
    """Return the line that counts the meters online and names those offline, as HTML."""
    total, silent = 0, []
    for meter in meters:
        total += 1
        if not meter.up:
            silent.append(meter.name)
    if not silent:
        return escape(language.say("all_speak", total=total) if total > 1 else language.say("one_speaks"))
    names = ", ".join(silent[:OFFLINE_NAMED_MAX])
    if len(silent) > OFFLINE_NAMED_MAX:
        names = language.say("and_more", names=names, n=len(silent) - OFFLINE_NAMED_MAX)
    return escape(language.say("some_silent", total=total, silent=len(silent), names=names))


def broker(is_connected: bool, language: Language) -> str:
    """Whether the meters are published on a broker."""
    return escape(language.say("broker_connected" if is_connected else "broker_lost"))


def watts(power: Power) -> str:
    """Format a power, rounded to whole watts or volt-amperes."""
    return with_unit(str(round(power.value)), power.unit)


def told(key: str, unix: float, language: Language) -> str:
    """Return a sentence with a time, as HTML. The browser shows the time in the time zone of its user.

    Args:
        key: Key of a sentence with the field {time}.
        unix: Unix time in seconds.
        language: The language of the sentence.
    """
    return _told(key, *clock_time(unix), language)


@_kept
def _told(key: str, program: str, people: str, language: Language) -> str:
    before, after = language.say(key, time="\n").split("\n")
    return render("moment", language, before=before, after=after, program=program, people=people)


@_kept
def _alert(is_over: bool, phases: Sequence[Phase], language: Language) -> str:
    names = "\u00a0".join(phase.name for phase in phases if phase.overload)
    if not is_over and not names:
        return ""
    which = " " + language.say("overload_phases", phases=names) if names and len(phases) > 1 else ""
    return render("alert", language, text=language.say("overload") + which)


def _power(now: Facts, language: Language) -> str:
    if now.power is None:
        since = told("silent_since", now.since, language) if now.state == "silent" else ""
        return render("no_power", language, since=since)
    return _some_power(now.power, now.injected, now.subscribed, language)


@_kept
def _some_power(power: Power, injected: Power | None, subscribed: float | None, language: Language) -> str:
    kind, number = "active_power" if power.unit == "W" else "apparent_power", round(power.value)
    is_given, note = False, ""
    if power.value < 0:
        is_given, note = True, language.say("injecting_all")
    elif injected:
        is_given, note = True, language.say("injecting", power=watts(injected))
    elif subscribed and power.unit == "VA":
        percent = round(100 * power.value / subscribed)
        note = language.say("share", percent=percent, power=watts(Power(subscribed, "VA")))
    return render("power", language, kind=language.say(kind), number=number, unit=power.unit, note=note, is_given=is_given)


@_kept
def _state(now: str, is_over: bool, language: Language) -> str:
    return render("state", language, state=now, is_over=is_over)


def _age(meter: Meter, language: Language) -> str:
    return language.ago(max(0.0, meter.clock() - meter.last_frame))


def _chart(name: str, history: History, language: Language) -> str:
    # The chart changes with each new point only, which empties `pictures`.
    key = (name, language.code)
    if key not in history.pictures:
        history.pictures[key] = _drawn(history.points(name), history.units.get(name, ""), language)
    return history.pictures[key]


def _drawn(points: Sequence[float], unit: str, language: Language) -> str:
    known = [point for point in points if not math.isnan(point)]
    if not known:
        return render("chart", language, picture=None)
    low, high = (with_unit(str(round(value)), unit) for value in (min(known), max(known)))
    measure = scale(points)
    return render(
        "chart",
        language,
        picture=draw(points, measure),
        scale=with_unit(f"{measure.bottom:.0f} … {measure.top:.0f}", unit),
        label=language.say("chart", low=low, high=high),
        width=len(points) - 1,
        height=HEIGHT,
    )


@_kept
def _energy(
    imported: float | None, exported: float | None, today: tuple[float, float | None, str | None] | None, language: Language
) -> str:
    pairs = []
    if today:
        energy, cost, currency = today
        pairs.append((language.say("energy_today"), with_unit(language.number(energy / 1000, 2), "kWh")))
        if cost is not None:
            pairs.append((language.say("cost_today"), language.money(cost, currency)))
    for term, register in (("import_register", imported), ("export_register", exported)):
        if register is not None:
            pairs.append((language.say(term), with_unit(language.number(register / 1000, 1), "kWh")))
    return render("facts", language, pairs=pairs)


@_kept
def _tariff(register: str | None, name: str | None, colours: tuple[str | None, str | None] | None, language: Language) -> str:
    text = (language.tariff(register) or name or register) if register else None
    days = zip(("tempo_today", "tempo_tomorrow"), colours, strict=True) if colours else ()
    return render("tariff", language, name=text, days=days)


@_kept
def _phases(phases: Sequence[Phase], language: Language) -> str:
    """Return the table of the phases, with a column for each kind of reading that a phase has."""
    columns = [
        (term, [_cell(cell, unit, language) for cell in cells])
        for term, unit, cells in (
            ("current", "A", [phase.amperes for phase in phases]),
            ("voltage", "V", [phase.volts for phase in phases]),
            ("apparent", "VA", [phase.voltamperes for phase in phases]),
        )
        if any(cell is not None for cell in cells)
    ]
    if not columns:
        return ""
    return render("phases" if len(phases) > 1 else "phase", language, phases=phases, columns=columns)


def _cell(value: float | None, unit: str, language: Language) -> str:
    return "–" if value is None else with_unit(language.short(value), unit)


def _session(start: float | None, language: Language) -> str | None:
    """Return the start of the radio session, as HTML; None for a meter without radio."""
    return told("session_since", start, language) if start else None if start is None else escape(language.say("session_none"))


@_kept
def _line(
    session: str | None,
    signal: float | None,
    accepted: float | None,
    rejected: Sequence[tuple[str, int]],
    language: Language,
) -> str:
    pairs = []
    if signal is not None:
        quality = "good" if signal >= GOOD_SIGNAL_DBM else "fair" if signal >= WEAK_SIGNAL_DBM else "weak"
        pairs.append(("signal", language.say(f"signal_{quality}", dbm=round(signal))))
    if accepted is not None:
        pairs.append(("accepted", language.say("accepted_part", percent=round(100 * accepted))))
    reasons = [language.say(f"reason_{reason}", n=language.number(count)) for reason, count in rejected]
    total = language.number(sum(count for _, count in rejected))
    text = language.say("rejected", n=total, reasons=", ".join(reasons)) if reasons else language.say("rejected_none")
    return render("line", language, session=session, pairs=[*pairs, ("line", text)])
