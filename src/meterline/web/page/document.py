"""The documents: cards for a household, a table for many meters, and everything about one. Each is one file with all in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

from meterline import __version__, world
from meterline.web.page.sections import moment
from meterline.web.page.words import Language

CARDS = 12
"""Meters that are shown as cards; more are a table."""
ROWS = 50
"""Meters on one page of that table."""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' "
    "fill='%230b7285'/%3E%3Cpath d='M9 2 4 9h3.2L6.6 14 12 6.6H8.4z' fill='%23fff'/%3E%3C/svg%3E"
)


class View(NamedTuple):
    """Which meters a page shows, how, and in which language. Who watches the same view gets the same bytes."""

    form: str
    """cards, rows or meter."""
    names: tuple[str, ...]
    language: Language
    query: str = ""
    """What was searched for."""
    number: int = 1
    """Which page of the table."""
    found: int = 0
    """Meters on all pages of the table."""
    chosen: bool = False
    """The language was asked for by the address: links keep it. Else the browser says it anew each time."""

    @property
    def mark(self) -> str:
        """The same only for a page whose places mean the same: a browser whose page has another loads it anew."""
        facts = repr((__version__, self.form, self.names, self.language.code, policy()))
        return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


@cache
def policy() -> str:
    """The Content-Security-Policy: nothing from elsewhere, and only our own script and style, by their hashes."""
    script, style = (
        base64.b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode() for name in ("page.js", "page.css")
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


def document(view: View, slots: dict[str, str], setup: str = "") -> str:
    """The page. `slots`: place → what stands there now. `setup`: the rows of a meter's configuration."""
    language, say = view.language, view.language.say
    up = "../" if view.form == "meter" else ""
    body = {"cards": _cards, "rows": _rows, "meter": _meter}[view.form](view, slots)
    if view.form == "meter":
        body += _table(say("configuration"), say("key"), say("value"), f"<tbody>{setup}</tbody>")
    title = f"{escape(view.names[0])} · meterline" if view.form == "meter" else "meterline"
    home = f"../{_keep(view)}"
    back = f'<p class="back"><a href="{home}">← {say("back")}</a></p>' if view.form == "meter" else ""
    summary = f'<p class="summary" data-slot="summary">{slots["summary"]}</p>' if "summary" in slots else ""
    as_of = say("as_of", time=moment(world.current.now()))
    return (
        f'<!doctype html>\n<html lang="{language.code}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f'<link rel="icon" href="{ICON}"><noscript><meta http-equiv="refresh" content="30"></noscript>'
        f"<style>{_asset('page.css')}</style></head>"
        f'<body data-events="{up}events?{escape(_query(view))}" data-mark="{view.mark}" data-lost="{say("lost")}">'
        f'<header class="masthead"><h1>meterline</h1>{summary}{back}</header>'
        f'<p id="lost" role="status"></p><noscript><p class="notice">{as_of}</p></noscript>'
        f"<main>{body}</main>{_footer(up, language)}<script>{_asset('page.js')}</script></body></html>\n"
    )


def _query(view: View) -> str:
    wanted: dict[str, str | int] = {"lang": view.language.code}
    if view.form == "meter":
        wanted["meter"] = view.names[0]
    elif view.form == "rows":
        wanted |= {"q": view.query, "page": view.number}
    return urlencode(wanted)


def _footer(up: str, language: Language) -> str:
    links = "".join(
        f'<li><a href="{up}{path}">{language.say(key)}</a></li>'
        for key, path in (("metrics", "metrics"), ("ready", "-/ready"), ("healthy", "-/healthy"))
    )
    return f'<footer><nav aria-label="{language.say("footer")}"><ul>{links}</ul></nav><p>meterline {__version__}</p></footer>'


def _slot(slots: dict[str, str], place: str, tag: str, kind: str, more: str = "") -> str:
    """An element whose content the script replaces."""
    return f'<{tag} class="{kind}" data-slot="{place}"{more}>{slots[place]}</{tag}>'


def _card(slots: dict[str, str], number: int, head: str) -> str:
    def slot(name: str, tag: str, kind: str, more: str = "") -> str:
        return _slot(slots, f"{number}.{name}", tag, kind, more)

    alert = slot("alert", "div", "alert", ' role="alert"')
    return (
        f'<article class="card"><header>{head}{slot("state", "p", "state")}</header>'
        f"{alert}{slot('power', 'p', 'power')}"
        f"{slot('chart', 'figure', 'chart')}{slot('energy', 'dl', 'facts')}{slot('tariff', 'dl', 'facts')}"
        f"{slot('phases', 'div', 'phases')}{slot('line', 'dl', 'facts')}{slot('seen', 'p', 'seen')}"
    )


def _keep(view: View, **wanted: str | int) -> str:
    """What stands behind the path of a link from this page to another, escaped: `wanted`, and the language that was chosen."""
    if view.chosen:
        wanted["lang"] = view.language.code
    return f"?{escape(urlencode(wanted))}" if wanted else ""


def _link(view: View, name: str) -> str:
    return f"meter/{quote(name, safe='')}{_keep(view)}"


def _cards(view: View, slots: dict[str, str]) -> str:
    say = view.language.say
    cards = []
    for number, name in enumerate(view.names):
        head = f'<h2><a href="{_link(view, name)}">{escape(name)}</a></h2>'
        more = f'<p class="more"><a href="{_link(view, name)}" aria-label="{say("details", name=escape(name))}">'
        cards.append(f"{_card(slots, number, head)}{more}{say('details_short')}</a></p></article>")
    return f'<div class="cards">{"".join(cards)}</div>'


def _meter(view: View, slots: dict[str, str]) -> str:
    say = view.language.say
    card = _card(slots, 0, f"<h2>{escape(view.names[0])}</h2>") + "</article>"
    tables = [
        _table(
            say(title), say(head), say(value), f'<tbody data-slot="0.{place}">{slots[f"0.{place}"]}</tbody>', place != "wire"
        )
        for place, title, head, value in (
            ("diagnosis", "diagnosis", "finding", "remedy"),
            ("readings", "readings", "reading", "value"),
            ("wire", "wire", "wire_label", "value"),
            ("counters", "counters", "reading", "value"),
        )
    ]
    return f'<div class="one">{card}</div>{"".join(tables)}'


def _table(title: str, head: str, value: str, body: str, open_at_once: bool = True) -> str:
    columns = f'<thead><tr><th scope="col">{head}</th><th scope="col">{value}</th></tr></thead>'
    return (
        f'<details class="card"{" open" * open_at_once}><summary><h2>{title}</h2></summary>'
        f'<table class="pairs">{columns}{body}</table></details>'
    )


def _rows(view: View, slots: dict[str, str]) -> str:
    say = view.language.say
    language = f'<input type="hidden" name="lang" value="{view.language.code}">' if view.chosen else ""
    form = (
        f'<form class="search" role="search"><label>{say("search")} <input type="search" name="q" value="{escape(view.query)}">'
        f"</label>{language} <button>{say('search_button')}</button></form>"
    )
    if not view.names:
        return f'{form}<p class="empty">{say("none_found")}</p>'
    rows = "".join(
        f'<tr><th scope="row"><a href="{_link(view, name)}">{escape(name)}</a></th>'
        f"{_slot(slots, f'{number}.power', 'td', 'watts')}{_slot(slots, f'{number}.state', 'td', 'state')}"
        f"{_slot(slots, f'{number}.seen', 'td', 'seen')}</tr>"
        for number, name in enumerate(view.names)
    )
    heads = "".join(f'<th scope="col">{say(key)}</th>' for key in ("meter", "power", "state"))
    seen = f'<th scope="col">{say("last_frame", ago="").strip()}</th>'
    return f'{form}<table class="many card"><thead><tr>{heads}{seen}</tr></thead><tbody>{rows}</tbody></table>{_pages(view)}'


def _pages(view: View) -> str:
    """Where in the table this is, and the way to its other pages."""
    say, first = view.language.say, (view.number - 1) * ROWS
    links = []
    for number, key, there in ((view.number - 1, "previous", first > 0), (view.number + 1, "next", first + ROWS < view.found)):
        if there:
            links.append(f'<a href="{_keep(view, q=view.query, page=number)}">{say(key)}</a>')
    where = say("shown", first=first + 1, last=first + len(view.names), total=view.found)
    return f'<nav class="pages" aria-label="{say("pages")}"><span>{where}</span> {" ".join(links)}</nav>'
