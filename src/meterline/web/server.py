"""Serve the runtime over HTTP with Tornado: /metrics, /-/healthy, /-/ready and /.

Slow clients: headers must come within `HEADER_TIMEOUT`, and an answer must be taken within `ANSWER_TIMEOUT`.
"""

from __future__ import annotations

import asyncio
import errno
import html
import socket
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

from tornado import gen, httpserver, netutil, web
from tornado.iostream import StreamClosedError
from tornado.util import TimeoutError as TornadoTimeout

from meterline import __version__, holders
from meterline.errors import UserError
from meterline.exposition import COMPRESS_FROM, Page, compress, negotiate
from meterline.runtime import Runtime

HEADER_TIMEOUT = 10.0
ANSWER_TIMEOUT = 30.0
IN_A_THREAD_FROM = 100_000
"""Bytes from which compressing takes long enough to be done in a thread."""


class Handler(web.RequestHandler):
    """An answer that must be taken in time."""

    def set_default_headers(self) -> None:
        self.set_header("Server", f"meterline/{__version__}")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def answer(self, body: str | bytes, content_type: str) -> None:
        self.set_header("Content-Type", content_type)
        try:
            await gen.with_timeout(timedelta(seconds=ANSWER_TIMEOUT), self.finish(body))
        except (TornadoTimeout, StreamClosedError):
            self.request.connection.stream.close()  # type: ignore[union-attr]

    def write_error(self, status_code: int, **_: object) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {self._reason}\n")


class Face(NamedTuple):
    """What the world sees of the meters: our own page, or that of a program that we replace."""

    text: Callable[[bool], str]
    """The page; True asks for OpenMetrics."""
    plain: bool = False
    """Always text 0.0.4, whatever is asked for."""
    headers: Mapping[str, str] = MappingProxyType({})
    home_is_metrics: bool = False
    """/ redirects to /metrics, and there is an empty /favicon.ico."""
    at_end: Callable[[], None] | None = None
    """What is still to be kept when the program ends."""


class Metrics(Handler):
    """/metrics"""

    def initialize(self, face: Face) -> None:
        self.face = face

    async def get(self) -> None:
        openmetrics, content_type = negotiate("" if self.face.plain else self.request.headers.get("Accept", ""))
        body = self.face.text(openmetrics).encode()
        for name, value in self.face.headers.items():
            self.set_header(name, value)
        self.set_header("Vary", "Accept, Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", "") and len(body) >= COMPRESS_FROM:
            large = len(body) >= IN_A_THREAD_FROM
            body = await asyncio.to_thread(compress, body) if large else compress(body)
            self.set_header("Content-Encoding", "gzip")
        await self.answer(body, content_type)


class Empty(Handler):
    """Nothing, where a browser always asks for something."""

    async def get(self) -> None:
        await self.answer("", "image/x-icon")


class NotFound(Handler):
    """Everything else."""

    def prepare(self) -> None:
        self.send_error(404)


class Healthy(Handler):
    """/-/healthy: the program answers."""

    async def get(self) -> None:
        await self.answer("meterline is healthy.\n", "text/plain; charset=utf-8")


class Ready(Handler):
    """/-/ready: every meter has spoken, or had its time to."""

    def initialize(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self) -> None:
        ready = self.runtime.ready()
        self.set_status(200 if ready else 503)
        lines = ["meterline is ready." if ready else "meterline is not ready: it waits for its meters."]
        lines += [f"silent: {name}" for name in self.runtime.silent()]
        await self.answer("\n".join(lines) + "\n", "text/plain; charset=utf-8")


class Home(Handler):
    """/: where things are."""

    def initialize(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self) -> None:
        rows = "".join(
            f"<li>{html.escape(meter.name)}: {'up' if meter.up else 'silent'}</li>" for meter in self.runtime.meters.values()
        )
        await self.answer(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>meterline</title><h1>meterline {__version__}</h1><ul>{rows}</ul>"
            "<p><a href=metrics>Metrics</a> · <a href=-/ready>Ready</a> · <a href=-/healthy>Healthy</a></p></html>\n",
            "text/html; charset=utf-8",
        )


def application(runtime: Runtime, face: Face | None = None, page: Sequence[Any] = ()) -> web.Application:
    """The routes. `face`: our own metrics where it is None. `page`: the routes of the page at /; else a list of links."""
    face = face or Face(Page(runtime.meters.values()).text)
    home: list[Any] = [*page] or [("/", Home, {"runtime": runtime})]
    if face.home_is_metrics:
        home = [("/", web.RedirectHandler, {"url": "/metrics", "permanent": True}), ("/favicon.ico", Empty)]
    return web.Application(
        [
            *home,
            ("/metrics", Metrics, {"face": face}),
            ("/-/healthy", Healthy),
            ("/-/ready", Ready, {"runtime": runtime}),
        ],
        default_handler_class=NotFound,
        log_function=lambda handler: None,
    )


def listen(application: web.Application, address: str) -> httpserver.HTTPServer:
    """Serve on ``[HOST]:PORT``. UserError says who holds the port, where that can be known."""
    host, port = parse_address(address)
    try:
        sockets = netutil.bind_sockets(port, host or None)
    except socket.gaierror:
        raise UserError(f"--web.listen-address {address}: {host!r} is not an address of this machine") from None
    except OSError as error:
        raise UserError(f"--web.listen-address {address}: {_refusal(error, port)}") from None
    server = httpserver.HTTPServer(
        application,
        idle_connection_timeout=HEADER_TIMEOUT,
        body_timeout=HEADER_TIMEOUT,
        max_header_size=16 * 1024,
        max_body_size=16 * 1024,
    )
    server.add_sockets(sockets)
    return server


def parse_address(address: str) -> tuple[str, int]:
    """``:10230`` → all addresses; ``127.0.0.1:10230``, ``[::1]:10230``."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--web.listen-address {address!r}: expected HOST:PORT or :PORT, such as :10230")
    return host.strip("[]"), int(port)


def _refusal(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holders.of_port(port)
        return f"port {port} is in use by {holder or 'another program'}; stop it, or choose another address"
    if error.errno == errno.EACCES:
        return f"port {port} is for root; choose one above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine"
    return error.strerror or str(error)
