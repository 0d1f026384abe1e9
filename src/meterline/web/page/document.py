"""The HTML documents: cards of a few meters, a table of many, and all about one. Each holds its own script and style."""

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

CARDS_MAX = 12
"""Meters that are shown as cards; more are shown as a table."""
TABLE_ROWS = 50
"""Meters on one page of the table."""

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' "
    "fill='%230b7285'/%3E%3Cpath d='M9 2 4 9h3.2L6.6 14 12 6.6H8.4z' fill='%23fff'/%3E%3C/svg%3E"
)


class View(NamedTuple):
    """The meters that a page shows, in which form and language. All readers of a view get the same bytes.

    Attributes:
        form: ``cards``, ``rows`` or ``meter``: the template.
        names: Names of the meters on the page.
        language: The language of the texts.
        query: The searched text; empty: no search.
        number: Number of the page of the table, from 1.
        found: Number of meters on all pages of the table.
        notes: Labels of each of these meters, as text; empty if no meter has any.
        chosen: Whether the address names the language: links then keep it. Otherwise the browser's header decides.
    """

    form: str
    names: tuple[str, ...]
    language: Language
    query: str = ""
    number: int = 1
    found: int = 0
    notes: tuple[str, ...] = ()
    chosen: bool = False

    @property
    def mark(self) -> str:
        """A digest of all that messages do not change in the page. A browser whose page has another mark reloads."""
        facts = repr((__version__, self.form, self.names, self.language.code, policy(), *self.notes))
        return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()[:16]


@cache
def _asset(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes().strip()


@cache
def policy() -> str:
    """Return the Content-Security-Policy: nothing from other servers, and only the page's own script and style, by hash."""
    script, style = (base64.b64encode(hashlib.sha256(_asset(name)).digest()).decode() for name in ("page.js", "page.css"))
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    )


TABLES = (
    # Place of the rows, title, head of each column, whether the table is open at first.
    ("diagnosis", "diagnosis", "finding", "remedy", True),
    ("readings", "readings", "reading", "value", True),
    ("wire", "wire", "wire_label", "value", False),
    ("counters", "counters", "reading", "value", True),
    (None, "configuration", "key", "value", True),
)
"""The tables below the card of one meter, in order. The configuration has no place: its rows do not change."""


def document(view: View, slots: dict[str, str], setup: str = "") -> str:
    """Return the document of a view, as HTML.

    Args:
        view: Meters, form and language.
        slots: Place in the page → HTML.
        setup: The rows of the meter's configuration, as HTML.
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
    """Return the values that only the template of this form takes."""
    if view.form == "meter":
        return {"home": f"../{_keep(view)}", "tables": TABLES, "setup": setup}
    links = {name: f"meter/{quote(name, safe='')}{_keep(view)}" for name in view.names}
    if view.form == "cards":
        return {"links": links}
    first = (view.number - 1) * TABLE_ROWS
    return {"links": links, "first": first + 1, "last": first + len(view.names), "others": _others(view, first)}


def _query(view: View) -> str:
    wanted: dict[str, str | int] = {"lang": view.language.code}
    if view.form == "meter":
        wanted["meter"] = view.names[0]
    elif view.form == "rows":
        wanted |= {"q": view.query, "page": view.number}
    return urlencode(wanted)


def _keep(view: View, **wanted: str | int) -> str:
    """Return the query of a link to another page: `wanted`, and the language if the address names it."""
    if view.chosen:
        wanted["lang"] = view.language.code
    return f"?{urlencode(wanted)}" if wanted else ""


def _others(view: View, first: int) -> list[tuple[str, str]]:
    """Return text and link of the previous and the next page of the table, as far as they exist."""
    pages = (("previous", view.number - 1, first > 0), ("next", view.number + 1, first + TABLE_ROWS < view.found))
    return [(key, _keep(view, q=view.query, page=number)) for key, number, is_there in pages if is_there]
