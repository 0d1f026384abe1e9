"""Serve the runtime over HTTP with Tornado: /metrics, /-/healthy, /-/ready and /.

Slow clients: a handshake and headers must come within `HEADER_TIMEOUT`, and an answer must be taken within `ANSWER_TIMEOUT`.
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
from meterline.meter.exposition import COMPRESS_FROM, BrokerCounts, Page, Reloads, compress, negotiate, takes_gzip
from meterline.service.supervisor import Runtime
from meterline.web.http.connections import Network, Server
from meterline.web.http.middleware import Gate

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

HEADER_TIMEOUT = 10.0
ANSWER_TIMEOUT = 30.0
PLAIN = "text/plain; charset=utf-8"
_SOMEWHERE = "192.0.2.1"
"""An address for documentation, which nobody has (RFC 5737)."""
LONGEST_HEADER = 16 * 1024
LONGEST_BUFFER = 64 * 1024
"""Bytes of a connection that wait to be understood: little, since there may be many connections."""
IN_A_THREAD_FROM = 100_000
"""Bytes from which compressing takes long enough to be done in a thread."""


class Handler(web.RequestHandler):
    """An answer of ours."""

    def set_default_headers(self) -> None:
        self.set_header("Server", f"meterline/{__version__}")
        self.set_header("X-Content-Type-Options", "nosniff")

    async def answer(self, body: str | bytes, content_type: str) -> None:
        self.set_header("Content-Type", content_type)
        with contextlib.suppress(StreamClosedError):
            await self.finish(body)

    async def compressed(self, body: bytes) -> bytes:
        """The body, with gzip where the client takes it and it is worth it."""
        if not takes_gzip(self.request.headers.get("Accept-Encoding", "")) or len(body) < COMPRESS_FROM:
            return body
        self.set_header("Content-Encoding", "gzip")
        return await world.current.in_thread(compress, body) if len(body) >= IN_A_THREAD_FROM else compress(body)

    async def head(self, *words: str) -> None:
        """As GET; Tornado leaves the body out."""
        if answer := self.get(*words):
            await answer

    def write_error(self, status_code: int, **_: object) -> None:
        self.set_header("Content-Type", PLAIN)
        self.finish(f"{status_code} {self._reason}\n")


class MetricsSource(NamedTuple):
    """Where /metrics comes from: our own page, or the page of a program that we replace."""

    text: Callable[[bool], str]
    """The page; True asks for OpenMetrics."""
    plain: bool = False
    """Always text 0.0.4, whatever is asked for."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Of /, /favicon.ico and /metrics."""
    home_is_metrics: bool = False
    """/ redirects to /metrics, and there is an empty /favicon.ico."""
    trouble: Callable[[], str] = lambda: ""
    """Why a scrape must fail now, in ASCII; empty where it need not."""


class Faced(Handler):
    """An answer with the headers of a face."""

    def initialize(self, face: MetricsSource) -> None:
        self.face = face
        for name, value in face.headers.items():
            self.set_header(name, value)


class Metrics(Faced):
    """/metrics"""

    async def get(self) -> None:
        if trouble := self.face.trouble():
            self.set_status(503, trouble)  # Prometheus shows the reason beside the target
            await self.answer("", PLAIN)
            return
        openmetrics, content_type = negotiate("" if self.face.plain else self.request.headers.get("Accept", ""))
        body = self.face.text(openmetrics).encode()
        self.set_header("Vary", "Accept, Accept-Encoding")
        await self.answer(await self.compressed(body), content_type)


class Probe(Handler):
    """/probe?meter=NAME: one meter, for a Prometheus that scrapes each as a target of its own."""

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


class Empty(Faced):
    """Nothing, where a browser always asks for something."""

    async def get(self) -> None:
        await self.answer("", "image/x-icon")


class ToMetrics(Faced):
    """/, where it is that of another program."""

    async def get(self) -> None:
        self.redirect("/metrics", permanent=True)


class NotFound(Handler):
    """Everything else."""

    def prepare(self) -> None:
        self.send_error(404)


class Healthy(Handler):
    """/-/healthy: the program answers."""

    async def get(self) -> None:
        await self.answer("meterline is healthy.\n", PLAIN)


class Ready(Handler):
    """/-/ready: every meter has spoken, or had its time to."""

    def initialize(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def get(self) -> None:
        ready = self.runtime.ready()
        self.set_status(200 if ready else 503)
        lines = ["meterline is ready." if ready else "meterline is not ready: it waits for its meters."]
        lines += [f"silent: {name}" for name in self.runtime.silent()]
        await self.answer("\n".join(lines) + "\n", PLAIN)


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


def application(
    runtime: Runtime,
    face: MetricsSource | None = None,
    reloads: Reloads | None = None,
    page: Sequence[Any] = (),
    broker: Callable[[], BrokerCounts | None] = lambda: None,
) -> web.Application:
    """The routes.

    Args:
        runtime: Whose meters are served.
        face: Where /metrics comes from; None: our own.
        reloads: How reading the configuration went.
        page: The routes of the page at /; empty: a list of links.
        broker: How publishing on an MQTT broker goes; None while none is configured.
    """
    state = runtime.state
    metrics = Page(runtime.meters.values(), runtime.books.refresh, reloads, state.writable if state.kept else None, broker)
    face = face or MetricsSource(metrics.text)
    home: list[Any] = [*page] or [("/", Home, {"runtime": runtime})]
    scattered: list[Any] = [("/sd", Targets, {"runtime": runtime}), ("/probe", Probe, {"runtime": runtime, "page": metrics})]
    if face.home_is_metrics:
        home = [("/", ToMetrics, {"face": face}), ("/favicon.ico", Empty, {"face": face})]
        scattered = []
    return web.Application(
        [
            *home,
            ("/metrics", Metrics, {"face": face}),
            *scattered,
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
    """Serve on ``[HOST]:PORT``.

    Args:
        application: Answers.
        address: Where.
        rules: Of a web configuration.
        sockets: Those bound there already.
        allowed: Who may connect beside this machine; empty: everybody.
    """
    sockets = sockets or bound(address)
    server = Server(
        Gate(application, rules, ANSWER_TIMEOUT),
        rules=rules,
        allowed=allowed,
        idle_connection_timeout=HEADER_TIMEOUT,
        body_timeout=HEADER_TIMEOUT,
        max_header_size=LONGEST_HEADER,
        max_body_size=LONGEST_HEADER,
        max_buffer_size=LONGEST_BUFFER,
    )
    server.add_sockets(sockets)
    return server


def urls(addresses: Sequence[tuple[str, int]], secure: bool) -> list[str]:
    """Where a browser finds the page: on this machine, and from another one where all addresses are served."""
    scheme, (host, port) = "https" if secure else "http", addresses[0]
    if host not in ("0.0.0.0", "::"):
        hosts = [f"[{host}]" if ":" in host else host]
    else:
        hosts = list(dict.fromkeys(("localhost", _own_address() or "localhost")))
    return [f"{scheme}://{host}:{port}/" for host in hosts]


def _own_address() -> str:
    """The address of this machine in the network that leads outside; nothing is sent to find it. Empty: there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((_SOMEWHERE, 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


def bound(address: str) -> list[socket.socket]:
    """Sockets that listen there; port 0 is any that is free.

    UserError says who holds the port; its status is 1: later it may be free, so try again.
    """
    host, port = parse_address(address)
    try:
        return netutil.bind_sockets(port, host or None)
    except OSError as error:
        raise UserError(f"--web.listen-address {address}: {not_served(error, host, port).sentence}", 1) from None


def parse_network(text: str) -> Network:
    """``172.30.32.2``, ``192.168.1.0/24``."""
    try:
        return ip_network(text)
    except ValueError:
        raise UserError(f"--web.allow-from {text!r}: expected an address or a network, such as 192.168.1.0/24") from None


def parse_address(address: str) -> tuple[str, int]:
    """``:10230`` → all addresses; ``127.0.0.1:10230``, ``[::1]:10230``."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UserError(f"--web.listen-address {address!r}: expected HOST:PORT or :PORT, such as :10230")
    return host.strip("[]"), int(port)


class NotServed(NamedTuple):
    """Why an address cannot be served.

    Attributes:
        problem: What is wrong, for people.
        remedy: What to do about the problem; empty where any other address will do.
        holder: The process that has the port, where it is known.
    """

    problem: str
    remedy: str = ""
    holder: Process | None = None

    @property
    def sentence(self) -> str:
        """Problem and remedy in one line."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem


def not_served(error: OSError, host: str, port: int) -> NotServed:
    """Explain why no socket can be bound to an address: `error` is what the operating system says."""
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
