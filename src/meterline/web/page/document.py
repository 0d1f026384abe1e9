"""The documents: cards for a household, a table for many meters, and everything about one. Each is one file with all in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from meterline import __version__, world
from meterline.locale import Language
from meterline.web.page.rendering import render
from meterline.web.page.sections import told

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
    notes: tuple[str, ...] = ()
    """What the configuration says of each of these meters beside its name; empty where it says that of none."""
    chosen: bool = False
    """The language was asked for by the address: links keep it. Else the browser says it anew each time."""

    @property
    def mark(self) -> str:
        """The same only for a page whose places mean the same: a browser whose page has another loads it anew."""
        facts = (__version__, self.form, self.names, self.language.code, policy(), *self.notes)
        return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def _asset(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes().strip()


@cache
def policy() -> str:
    """The Content-Security-Policy: nothing from elsewhere, and only our own script and style, by their hashes."""
    script, style = (base64.b64encode(hashlib.sha256(_asset(name)).digest()).decode() for name in ("page.js", "page.css"))
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


TABLES = (
    # place of what changes, title, head of each column, open at once
    ("diagnosis", "diagnosis", "finding", "remedy", True),
    ("readings", "readings", "reading", "value", True),
    ("wire", "wire", "wire_label", "value", False),
    ("counters", "counters", "reading", "value", True),
    (None, "configuration", "key", "value", True),
)
"""The tables below the card of one meter, in their order; the configuration stays as it is."""


def document(view: View, slots: dict[str, str], setup: str = "") -> str:
    """The page.

    Args:
        view: Which page.
        slots: Place → the HTML that stands there now.
        setup: The rows of a meter's configuration, as HTML.

    Returns:
        The whole document.
    """
    up = "../" if view.form == "meter" else ""
    return render(
        view.form,
        view.language,
        **_of_form(view, setup),
        view=view,
        slots=slots,
        notes=view.notes or ("",) * len(view.names),
        title=f"{view.names[0]} · meterline" if view.form == "meter" else "meterline",
        up=up,
        events=f"{up}events?{_query(view)}",
        as_of=told("as_of", world.current.now(), view.language),
        icon=ICON,
        style=_asset("page.css"),
        script=_asset("page.js"),
        version=__version__,
    )


def _of_form(view: View, setup: str) -> dict[str, Any]:
    """What only the template of that form shows."""
    if view.form == "meter":
        return {"home": f"../{_keep(view)}", "tables": TABLES, "setup": setup}
    links = {name: f"meter/{quote(name, safe='')}{_keep(view)}" for name in view.names}
    if view.form == "cards":
        return {"links": links}
    first = (view.number - 1) * ROWS
    return {"links": links, "first": first + 1, "last": first + len(view.names), "others": _others(view, first)}


def _query(view: View) -> str:
    wanted: dict[str, str | int] = {"lang": view.language.code}
    if view.form == "meter":
        wanted["meter"] = view.names[0]
    elif view.form == "rows":
        wanted |= {"q": view.query, "page": view.number}
    return urlencode(wanted)


def _keep(view: View, **wanted: str | int) -> str:
    """The query of a link from this page to another: `wanted`, and the language that was chosen."""
    if view.chosen:
        wanted["lang"] = view.language.code
    return f"?{urlencode(wanted)}" if wanted else ""


def _others(view: View, first: int) -> list[tuple[str, str]]:
    """The pages of the table before and after this one: text and link."""
    pages = (("previous", view.number - 1, first > 0), ("next", view.number + 1, first + ROWS < view.found))
    return [(key, _keep(view, q=view.query, page=number)) for key, number, is_there in pages if is_there]
