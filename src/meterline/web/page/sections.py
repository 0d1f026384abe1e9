"""A meter now → the parts of a page that change, as HTML in one language: place → what stands there.

Everything that comes from a meter or the configuration is escaped here. Nothing depends on the moment but the age of the last
frame, so that a part changes only when the meter says something new.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TypeAlias

from meterline.locale import Language
from meterline.meter.meter import Meter
from meterline.web.page.power_history import History
from meterline.web.page.reading_texts import clock_time
from meterline.web.page.sparkline import scale, svg
from meterline.web.page.view_model import Facts, Phase, Power, facts, power, state

Today: TypeAlias = Callable[[str], tuple[float, float | None, str | None] | None]
"""Meter → watt-hours drawn today, what they cost and in which currency; None where that is not known."""

GOOD_SIGNAL = -70
WEAK_SIGNAL = -80
NAMED = 5
"""Silent meters that are named before the rest is counted."""


def card(meter: Meter, language: Language, today: Today, history: History) -> dict[str, str]:
    """Everything that a household wants to know."""
    now = facts(meter)
    return {
        "alert": _alert(now, language),
        "power": _power(now, language),
        "state": _state(now.state, language),
        "seen": language.say("last_frame", ago=_age(meter, language)) if meter.frames else language.say("never"),
        "chart": _chart(meter.name, history, language),
        "energy": _energy(now, language, today(meter.name) if now.state == "speaking" else None),
        "tariff": _tariff(now, language),
        "phases": _phases(now.phases, language),
        "line": _line(now, language),
    }


def row(meter: Meter, language: Language) -> dict[str, str]:
    """What there is room for in a table of many."""
    drawn = power(meter)
    over = f' <span class="chip over">{language.say("phase_overload")}</span>' if meter.value("smartmeter_overload") else ""
    return {
        "power": watts(drawn) if drawn else "–",
        "state": _state(state(meter), language) + over,
        "seen": _age(meter, language) if meter.frames else language.say("never"),
    }


def summary(meters: Iterable[Meter], language: Language) -> str:
    """How many speak, and who does not."""
    total, silent = 0, []
    for meter in meters:
        total += 1
        if not meter.up:
            silent.append(meter.name)
    if not silent:
        return language.say("all_speak", total=total) if total > 1 else language.say("one_speaks")
    names = ", ".join(map(escape, silent[:NAMED]))
    if len(silent) > NAMED:
        names = language.say("and_more", names=names, n=len(silent) - NAMED)
    return language.say("some_silent", total=total, silent=len(silent), names=names)


def watts(power: Power) -> str:
    """A power in words."""
    return f"{round(power.value)}\u00a0{power.unit}"


def moment(unix: float) -> str:
    """A moment that the browser writes in its reader's time zone."""
    machine, people = clock_time(unix)
    return f'<time datetime="{machine}">{people}</time>'


def pair(term: str, text: str) -> str:
    """One line of a list of facts, both escaped already."""
    return f"<div><dt>{term}</dt><dd>{text}</dd></div>"


def _alert(now: Facts, language: Language) -> str:
    phases = "\u00a0".join(phase.name for phase in now.phases if phase.overload)
    if not now.overload and not phases:
        return ""
    which = " " + language.say("overload_phases", phases=phases) if phases and len(now.phases) > 1 else ""
    return f"<p>{language.say('overload')}{which}</p>"


def _power(now: Facts, language: Language) -> str:
    if now.power is None:
        silent = now.state == "silent"
        note = f' <span class="note">{language.say("silent_since", time=moment(now.since))}</span>' if silent else ""
        return f'<span class="kind">{language.say("no_reading")}</span> <span class="number">–</span>{note}'
    kind = language.say("active_power" if now.power.unit == "W" else "apparent_power")
    return (
        f'<span class="kind">{kind}</span> <span class="number">{round(now.power.value)}</span> '
        f'<span class="unit">{now.power.unit}</span> {_note(now, now.power, language)}'
    )


def _note(now: Facts, power: Power, language: Language) -> str:
    """What a household should know about that number."""
    if power.value < 0:
        return f'<span class="note given">{language.say("injecting_all")}</span>'
    if now.injected:
        return f'<span class="note given">{language.say("injecting", power=watts(now.injected))}</span>'
    if now.subscribed and power.unit == "VA":
        percent = round(100 * power.value / now.subscribed)
        share = language.say("share", percent=percent, power=watts(Power(now.subscribed, "VA")))
        return f'<span class="note">{share}</span>'
    return ""


def _state(now: str, language: Language) -> str:
    return f'<span class="chip {now}">{language.say(now)}</span>'


def _age(meter: Meter, language: Language) -> str:
    return language.ago(max(0.0, meter.clock() - meter.last_frame))


def _chart(name: str, history: History, language: Language) -> str:
    """Drawn once for each point that is noted."""
    key = (name, language.code)
    if key not in history.pictures:
        history.pictures[key] = _drawn(history.points(name), history.units.get(name, ""), language)
    return history.pictures[key]


def _drawn(points: Sequence[float], unit: str, language: Language) -> str:
    known = [point for point in points if not math.isnan(point)]
    if not known:
        return f'<p class="empty">{language.say("chart_empty")}</p>'
    low, high = (f"{round(value)}\u00a0{unit}" for value in (min(known), max(known)))
    measure = scale(points)
    return (
        f'<p class="scale">{measure.bottom:.0f} … {measure.top:.0f}\u00a0{unit}</p>'
        + svg(points, language.say("chart", low=low, high=high))
        + f"<figcaption><span>{language.say('chart_start')}</span><span>{language.say('chart_end')}</span></figcaption>"
    )


def _energy(now: Facts, language: Language, today: tuple[float, float | None, str | None] | None) -> str:
    pairs = []
    if today:
        energy, cost, currency = today
        pairs.append(pair(language.say("energy_today"), f"{language.number(energy / 1000, 2)}\u00a0kWh"))
        if cost is not None:
            pairs.append(pair(language.say("cost_today"), escape(language.money(cost, currency))))
    for term, register in (("import_register", now.imported), ("export_register", now.exported)):
        if register is not None:
            pairs.append(pair(language.say(term), f"{language.number(register / 1000, 1)}\u00a0kWh"))
    return "".join(pairs)


def _tariff(now: Facts, language: Language) -> str:
    pairs = []
    if now.tariff:
        text = escape(language.tariff(now.tariff) or now.tariff_name or now.tariff)
        pairs.append(pair(language.say("tariff"), text))
    if now.colours:
        for day, colour in zip(("tempo_today", "tempo_tomorrow"), now.colours, strict=True):
            chip = f'<span class="colour {colour}">{language.say(colour)}</span>' if colour else language.say("colour_unknown")
            pairs.append(pair(language.say(day), chip))
    return "".join(pairs)


def _phases(phases: Sequence[Phase], language: Language) -> str:
    """A table of what is known of each."""
    columns = [
        (term, unit, cells)
        for term, unit, cells in (
            ("current", "A", [phase.amperes for phase in phases]),
            ("voltage", "V", [phase.volts for phase in phases]),
            ("apparent", "VA", [phase.voltamperes for phase in phases]),
        )
        if any(cell is not None for cell in cells)
    ]
    if not columns:
        return ""
    if len(phases) == 1:
        pairs = (pair(language.say(term), _cell(cells[0], unit, language)) for term, unit, cells in columns)
        return f'<dl class="facts">{"".join(pairs)}</dl>'
    head = "".join(f'<th scope="col">{language.say(term)}</th>' for term, _, _ in columns)
    rows = []
    for number, phase in enumerate(phases):
        shown = "".join(f"<td>{_cell(cells[number], unit, language)}</td>" for _, unit, cells in columns)
        over = f' <span class="chip over">{language.say("phase_overload")}</span>' if phase.overload else ""
        rows.append(f'<tr><th scope="row">{escape(phase.name.upper())}{over}</th>{shown}</tr>')
    first = f'<th scope="col">{language.say("phase")}</th>'
    return f"<table><thead><tr>{first}{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(value: float | None, unit: str, language: Language) -> str:
    return "–" if value is None else f"{language.short(value)}\u00a0{unit}"


def _line(now: Facts, language: Language) -> str:
    pairs = []
    if now.session is not None:
        text = language.say("session_since", time=moment(now.session)) if now.session else language.say("session_none")
        pairs.append(pair(language.say("session"), text))
    if now.signal is not None:
        quality = "good" if now.signal >= GOOD_SIGNAL else "fair" if now.signal >= WEAK_SIGNAL else "weak"
        pairs.append(pair(language.say("signal"), language.say(f"signal_{quality}", dbm=round(now.signal))))
    if now.accepted is not None:
        pairs.append(pair(language.say("accepted"), language.say("accepted_part", percent=round(100 * now.accepted))))
    reasons = [language.say(f"reason_{reason}", n=language.number(count)) for reason, count in now.rejected]
    total = language.number(sum(count for _, count in now.rejected))
    text = language.say("rejected", n=total, reasons=", ".join(reasons)) if reasons else language.say("rejected_none")
    return "".join(pairs) + pair(language.say("line"), text)
