"""Routes of the page: `/` (all meters), `/meter/NAME`, and `/events`, the stream of changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from meterline import world
from meterline.locale import Language, codes, language, preferred
from meterline.meter.program_health import BrokerCounts
from meterline.service.supervisor import Runtime
from meterline.web.http.connections import share_of
from meterline.web.http.server import PLAIN, Handler
from meterline.web.page import event_stream
from meterline.web.page.document import CARDS_MAX, TABLE_ROWS, View, document, policy
from meterline.web.page.meter_tables import configuration, details
from meterline.web.page.power_history import History
from meterline.web.page.sections import Today, broker, card, row, summary
from meterline.web.page.view_model import balance, note

log = logging.getLogger("meterline")

KEEP_RAW_FIELDS_S = 60.0
"""Time for which a meter keeps its raw fields after a page showed them."""


class Live:
    """The page of a runtime: its routes, the sampled power, and the open streams."""

    def __init__(
        self,
        runtime: Runtime,
        today: Today = lambda name: None,
        broker: Callable[[], BrokerCounts | None] = lambda: None,
    ) -> None:
        """Make the page.

        Args:
            runtime: The meters.
            today: Returns energy and cost of a meter since local midnight.
            broker: Returns the counts of the connection to an MQTT broker; None while none is configured.
        """
        self._runtime, self._broker = runtime, broker
        self.meters = runtime.meters
        self._clock = runtime.clock
        self._today = today
        self._keep_until: dict[str, float] = {}
        self.history = History(runtime.clock)
        self.hub = event_stream.Hub(self.slots)

    def routes(self) -> list[Any]:
        """Return the routes, for `server.application`."""
        routes = (("/", AllMeters), (r"/meter/(.+)", OneMeter), ("/events", Events))
        return [(path, handler, {"live": self}) for path, handler in routes]

    async def sample_power(self) -> None:
        """Add a point to the charts of all meters at each step, until cancelled."""
        while True:
            try:
                self.history.note((name, balance(meter)) for name, meter in self.meters.items())
            except Exception:  # A defect of meterline must not end the charts.
                log.exception("a defect in meterline's charts; please report it")
            self.drop_raw_fields()
            await world.current.sleep(self.history.until_next())

    def drop_raw_fields(self) -> None:
        """Turn off the raw fields of meters whose pages are not open any more: they cost memory and CPU."""
        for name in [name for name, until in self._keep_until.items() if until < self._clock()]:
            del self._keep_until[name]
            if name in self.meters:
                self.meters[name].keeps_words = False

    def view(self, language: Language, arguments: Mapping[str, str]) -> View | None:
        """Return the view that a request asks for.

        Args:
            language: The language of the page.
            arguments: The query: `meter` (a name), `q` (search), `page` (number), `lang` (code).

        Returns:
            The view; None if there is no such meter.
        """
        chosen = "lang" in arguments
        if (name := arguments.get("meter")) is not None:
            if name not in self.meters:
                return None
            return View("meter", (name,), language, notes=self._notes((name,)), chosen=chosen)
        names = tuple(self.meters)
        if len(names) <= CARDS_MAX:
            return View("cards", names, language, notes=self._notes(names), chosen=chosen)
        query = arguments.get("q", "").strip()[:100]
        sought = query.casefold()
        found = tuple(name for name in names if sought in f"{name}\n{note(self.meters[name])}".casefold())
        digits = arguments.get("page", "1")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 1
        number = min(max(1, number), max(1, -(-len(found) // TABLE_ROWS)))
        shown = found[(number - 1) * TABLE_ROWS : number * TABLE_ROWS]
        return View("rows", shown, language, query, number, len(found), self._notes(shown), chosen)

    def _notes(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the notes of these meters; empty if none has one."""
        notes = tuple(note(self.meters[name]) for name in names)
        return notes if any(notes) else ()

    def slots(self, view: View) -> dict[str, str]:
        """Return the changing parts of a view now: place in the page → HTML."""
        slots = {f"{n}.{place}": text for n, name in enumerate(view.names) for place, text in self._parts(view, name).items()}
        if view.form != "meter":
            slots["summary"] = summary(self.meters.values(), view.language)
            if counts := self._broker():
                slots["broker"] = broker(counts.is_connected, view.language)
        return slots

    def _parts(self, view: View, name: str) -> dict[str, str]:
        meter, language = self.meters[name], view.language
        if view.form == "rows":
            return row(meter, language)
        parts = card(meter, language, self._today, self.history)
        if view.form == "meter":
            meter.keeps_words = True
            self._keep_until[name] = self._clock() + KEEP_RAW_FIELDS_S
            parts |= details(meter, language)
        return parts

    def document(self, view: View) -> str:
        """Return the page of a view, with the current values, as HTML."""
        configs = {config.name: config for config in self._runtime.config.meters}
        setup = configuration(configs[view.names[0]], view.language) if view.form == "meter" else ""
        return document(view, self.slots(view), setup)


class _PageHandler(Handler):
    """A handler of the page: its language, its query, its headers."""

    def initialize(self, live: Live) -> None:
        self.live = live

    def language(self) -> Language:
        chosen = self.get_query_argument("lang", "")
        return language(chosen) if chosen in codes() else preferred(self.request.headers.get("Accept-Language", ""))

    def arguments(self, *names: str) -> dict[str, str]:
        given = {name: self.get_query_argument(name, None, strip=False) for name in names}
        return {name: text for name, text in given.items() if text is not None and (name != "lang" or text in codes())}

    async def show(self, view: View | None) -> None:
        """Answer with the page of a view; without a view with status 404."""
        if view is None:
            self.send_error(404)
            return
        body = self.live.document(view).encode("utf-8", "replace")
        self.set_header("Content-Language", view.language.code)
        self.set_header("Content-Security-Policy", policy())
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Vary", "Accept-Language, Accept-Encoding")
        await self.answer(await self.compressed(body), "text/html; charset=utf-8")


class AllMeters(_PageHandler):
    """/: all meters."""

    async def get(self) -> None:
        await self.show(self.live.view(self.language(), self.arguments("q", "page", "lang")))


class OneMeter(_PageHandler):
    """/meter/NAME: everything about one meter."""

    async def get(self, name: str) -> None:
        await self.show(self.live.view(self.language(), {"meter": name} | self.arguments("lang")))


class Events(_PageHandler):
    """/events: the changes of a page while it is open; with `once`, all its values once."""

    async def head(self, *_: str) -> None:
        self.send_error(405)

    async def get(self) -> None:
        view = self.live.view(self.language(), self.arguments("q", "page", "meter"))
        if view is None:
            self.send_error(404)
            return
        self.set_header("Cache-Control", "no-store")
        if self.get_query_argument("once", None) is not None:
            await self.answer(event_stream.message(self.live.slots(view), view.mark), "application/json")
            return
        context = self.request.connection.context  # type: ignore[union-attr]
        share = share_of(context.address_family, context.address)
        if not self.live.hub.has_room(share):
            self.set_status(503)
            self.set_header("Retry-After", "10")
            await self.answer("503 too many open pages\n", PLAIN)
            return
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")
        # An answer without a length ends with the connection, which HTTP/1.0 proxies support too.
        self.set_header("Connection", "close")
        self.request.connection.add_configured_headers(self._headers)  # type: ignore[union-attr]
        lines = [f"{name}: {value}\r\n" for name, value in self._headers.get_all()]
        head = f"HTTP/1.1 200 OK\r\n{''.join(lines)}\r\n".encode("latin-1")
        self.live.hub.join(view, self.detach(), share, head)
