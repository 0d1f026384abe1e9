"""HTTP server with Tornado: /metrics, /probe, /sd, /-/healthy, /-/ready and /.

A slow client is disconnected: handshake and headers must arrive within `HEADER_TIMEOUT_S`, and the client must take an answer
within `ANSWER_TIMEOUT_S`.
"""

from __future__ import annotations

import contextlib
import errno
import html
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_network
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado import netutil, web
from tornado.iostream import StreamClosedError

from meterline import __version__, world
from meterline.errors import UserError
from meterline.link import processes
from meterline.link.processes import Process
from meterline.meter.exposition import COMPRESS_FROM, Page, Reloads, compress, negotiate, takes_gzip
from meterline.meter.program_health import BrokerCounts
from meterline.service.supervisor import Runtime
from meterline.web.http.connections import Network, Server
from meterline.web.http.middleware import Gate

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

HEADER_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
PLAIN = "text/plain; charset=utf-8"
_OUTSIDE_ADDRESS = "192.0.2.1"
"""An address for documentation, which no machine has (RFC 5737)."""
HEADER_MAX_BYTES = 16 * 1024
BUFFER_MAX_BYTES = 64 * 1024
"""Received bytes of a connection that wait to be parsed: few, since there may be many connections."""
COMPRESS_IN_THREAD_FROM_BYTES = 100_000
"""A larger body takes so long to compress that a thread does it."""


class Handler(web.RequestHandler):
    """A handler with the headers of every answer of meterline."""

    def set_default_headers(self) -> None:
        self.set_header("Server", f"meterline/{__version__}")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def answer(self, body: str | bytes, content_type: str) -> None:
        self.set_header("Content-Type", content_type)
        with contextlib.suppress(StreamClosedError):
            await self.finish(body)

    async def compressed(self, body: bytes) -> bytes:
        """Return the body, with gzip if the client accepts gzip and the body is large enough."""
        if not takes_gzip(self.request.headers.get("Accept-Encoding", "")) or len(body) < COMPRESS_FROM:
            return body
        self.set_header("Content-Encoding", "gzip")
        return await world.current.in_thread(compress, body) if len(body) >= COMPRESS_IN_THREAD_FROM_BYTES else compress(body)

    async def head(self, *words: str) -> None:
        """Answer as GET does; Tornado leaves the body out."""
        if answer := self.get(*words):
            await answer

    def write_error(self, status_code: int, **_: object) -> None:
        self.set_header("Content-Type", PLAIN)
        self.finish(f"{status_code} {self._reason}\n")


class MetricsSource(NamedTuple):
    """The source of /metrics: meterline's own metrics, or those of a replaced exporter.

    Attributes:
        text: Renders the metrics; True: as OpenMetrics 1.0, False: as text 0.0.4.
        plain: Whether to serve text 0.0.4 whatever the client accepts.
        headers: Headers of /, /favicon.ico and /metrics: name → value.
        home_is_metrics: Whether / redirects to /metrics, and an empty /favicon.ico exists.
        failure: Returns why a scrape must fail now, in ASCII; empty if the scrape must succeed.
    """

    text: Callable[[bool], str]
    plain: bool = False
    headers: Mapping[str, str] = MappingProxyType({})
    home_is_metrics: bool = False
    failure: Callable[[], str] = lambda: ""


class SourceHandler(Handler):
    """A handler with the headers of a source of metrics."""

    def initialize(self, source: MetricsSource) -> None:
        self.source = source
        for name, value in source.headers.items():
            self.set_header(name, value)


class Metrics(SourceHandler):
    """/metrics: the metrics of all meters."""

    async def get(self) -> None:
        if failure := self.source.failure():
            self.set_status(503, failure)  # Prometheus shows the reason beside the target.
            await self.answer("", PLAIN)
            return
        openmetrics, content_type = negotiate("" if self.source.plain else self.request.headers.get("Accept", ""))
        body = self.source.text(openmetrics).encode()
        self.set_header("Vary", "Accept, Accept-Encoding")
        await self.answer(await self.compressed(body), content_type)


class Probe(Handler):
    """/probe?meter=NAME: the metrics of one meter, for a Prometheus that scrapes each meter as a target."""

    def initialize(self, runtime: Runtime, page: Page) -> None:
        self.runtime, self.page = runtime, page

    async def get(self) -> None:
        name = self.get_query_argument("meter", "")
        meter = self.runtime.meters.get(name)
        if meter is None:
            self.set_status(404 if name else 400)
            await self.answer(f"no meter {name!r} here\n" if name else "which meter? /probe?meter=NAME\n", PLAIN)
            return
        openmetrics, content_type = negotiate(self.request.headers.get("Accept", ""))
        self.set_header("Vary", "Accept")
        await self.answer(self.page.one(meter, openmetrics), content_type)


class Targets(Handler):
    """/sd: the meters as targets of /probe, in the form of Prometheus' HTTP service discovery."""

    def initialize(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self) -> None:
        groups = [
            {
                "targets": [self.request.host],
                "labels": {
                    "instance": meter.name,
                    "__scheme__": self.request.protocol,
                    "__metrics_path__": "/probe",
                    "__param_meter": meter.name,
                    "__meta_meterline_meter": meter.name,
                    "__meta_meterline_protocol": meter.protocol or "",
                    **{f"__meta_meterline_label_{name}": text for name, text in meter.labels.items()},
                },
            }
            for meter in self.runtime.config.meters
        ]
        await self.answer(json.dumps(groups), "application/json")


class EmptyIcon(SourceHandler):
    """/favicon.ico, which browsers request, as an empty answer."""

    async def get(self) -> None:
        await self.answer("", "image/x-icon")


class RedirectToMetrics(SourceHandler):
    """/ of a replaced exporter: a redirect to /metrics."""

    async def get(self) -> None:
        self.redirect("/metrics", permanent=True)


class NotFound(Handler):
    """All other paths: status 404."""

    def prepare(self) -> None:
        self.send_error(404)


class Healthy(Handler):
    """/-/healthy: the program answers."""

    async def get(self) -> None:
        await self.answer("meterline is healthy.\n", PLAIN)


class Ready(Handler):
    """/-/ready: status 200 once every meter has sent a frame, or was waited for long enough."""

    def initialize(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self) -> None:
        ready = self.runtime.ready()
        self.set_status(200 if ready else 503)
        lines = ["meterline is ready." if ready else "meterline is not ready: it waits for its meters."]
        lines += [f"silent: {name}" for name in self.runtime.silent()]
        await self.answer("\n".join(lines) + "\n", PLAIN)


class Home(Handler):
    """/ without the page: the meters, and links to the other paths."""

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


def application(
    runtime: Runtime,
    source: MetricsSource | None = None,
    reloads: Reloads | None = None,
    page: Sequence[Any] = (),
    broker: Callable[[], BrokerCounts | None] = lambda: None,
) -> web.Application:
    """Make the application with all routes.

    Args:
        runtime: The meters.
        source: The metrics of a replaced exporter; None: meterline's own metrics, with /sd and /probe.
        reloads: Counts of reloads of the configuration, for /metrics.
        page: The routes of the page at /; empty: / is a list of links.
        broker: Returns the counts of the connection to an MQTT broker, for /metrics; None while none is configured.
    """
    state = runtime.state
    writable, ledger = state.writable if state.kept else None, runtime.recorder.ledger.health if runtime.recorder else None
    metrics = Page(runtime.meters.values(), runtime.books.refresh, reloads, writable, broker, ledger)
    source = source or MetricsSource(metrics.text)
    home: list[Any] = [*page] or [("/", Home, {"runtime": runtime})]
    per_meter: list[Any] = [("/sd", Targets, {"runtime": runtime}), ("/probe", Probe, {"runtime": runtime, "page": metrics})]
    if source.home_is_metrics:
        home = [("/", RedirectToMetrics, {"source": source}), ("/favicon.ico", EmptyIcon, {"source": source})]
        per_meter = []
    return web.Application(
        [
            *home,
            ("/metrics", Metrics, {"source": source}),
            *per_meter,
            ("/-/healthy", Healthy),
            ("/-/ready", Ready, {"runtime": runtime}),
        ],
        default_handler_class=NotFound,
        log_function=lambda handler: None,
    )


def listen(
    application: web.Application,
    address: str,
    rules: Rules | None = None,
    sockets: Sequence[socket.socket] = (),
    allowed: Sequence[Network] = (),
) -> Server:
    """Serve an application.

    Args:
        application: The routes.
        address: ``HOST:PORT`` or ``:PORT``.
        rules: The web configuration; None: without TLS and passwords.
        sockets: Sockets that listen on `address` already; empty: they are made.
        allowed: Networks that may connect beside this machine; empty: all.

    Raises:
        UserError: `address` is not an address, or cannot be listened on.
    """
    sockets = sockets or bound(address)
    server = Server(
        Gate(application, rules, ANSWER_TIMEOUT_S),
        rules=rules,
        allowed=allowed,
        idle_connection_timeout=HEADER_TIMEOUT_S,
        body_timeout=HEADER_TIMEOUT_S,
        max_header_size=HEADER_MAX_BYTES,
        max_body_size=HEADER_MAX_BYTES,
        max_buffer_size=BUFFER_MAX_BYTES,
    )
    server.add_sockets(sockets)
    return server


def urls(addresses: Sequence[tuple[str, int]], secure: bool) -> list[str]:
    """Return the URLs of the page.

    Args:
        addresses: Host and port of each listening socket.
        secure: Whether the server uses TLS.

    Returns:
        One URL; two if all addresses are served: one for this machine, one for other machines.
    """
    scheme, (host, port) = "https" if secure else "http", addresses[0]
    if host not in ("0.0.0.0", "::"):
        hosts = [f"[{host}]" if ":" in host else host]
    else:
        hosts = list(dict.fromkeys(("localhost", _own_address() or "localhost")))
    return [f"{scheme}://{host}:{port}/" for host in hosts]


def _own_address() -> str:
    """Return this machine's address towards other networks; empty if it has none. No packet is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_OUTSIDE_ADDRESS, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def bound(address: str) -> list[socket.socket]:
    """Make sockets that listen on an address.

    Args:
        address: ``HOST:PORT`` or ``:PORT``; port 0: any free port.

    Raises:
        UserError: `address` is not an address (status 2), or cannot be listened on now (status 1). The text names the process
            that has the port.
    """
    host, port = parse_address(address)
    try:
        return netutil.bind_sockets(port, host or None)
    except OSError as error:
        raise UserError(f"--web.listen-address {address}: {not_served(error, host, port).sentence}", 1) from None


def parse_network(text: str) -> Network:
    """Parse an address or a network, such as ``172.30.32.2`` or ``192.168.1.0/24``.

    Raises:
        UserError: `text` is neither.
    """
    try:
        return ip_network(text)
    except ValueError:
        raise UserError(f"--web.allow-from {text!r}: expected an address or a network, such as 192.168.1.0/24") from None


def parse_address(address: str) -> tuple[str, int]:
    """Split an address such as ``:10230``, ``127.0.0.1:10230`` or ``[::1]:10230``.

    Returns:
        Host and port; an empty host stands for all addresses of this machine.

    Raises:
        UserError: `address` is not an address.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--web.listen-address {address!r}: expected HOST:PORT or :PORT, such as :10230")
    return host.strip("[]"), int(port)


class NotServed(NamedTuple):
    """Why an address cannot be served.

    Attributes:
        problem: The problem, in words for people.
        remedy: The remedy; empty if any other address will do.
        holder: The process that has the port, if it is known.
    """

    problem: str
    remedy: str = ""
    holder: Process | None = None

    @property
    def sentence(self) -> str:
        """Problem and remedy in one line."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


def not_served(error: OSError, host: str, port: int) -> NotServed:
    """Explain an error of the operating system that occurred when a socket was bound to `host` and `port`."""
    if isinstance(error, socket.gaierror):
        return NotServed(f"{host!r} is not an address of this machine")
    if error.errno == errno.EADDRINUSE:
        holder = processes.of_port(port)
        what = f"port {port} is in use by {holder or 'another program'}"
        return NotServed(what, "stop it, or choose another address", holder)
    if error.errno == errno.EACCES:
        return NotServed(f"port {port} is for root", "choose one above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return NotServed("not an address of this machine")
    return NotServed(error.strerror or str(error))
