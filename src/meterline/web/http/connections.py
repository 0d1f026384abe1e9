"""Connections: how many at once, fairly shared among addresses, and with which TLS.

Nobody who may connect is refused for want of room. Where `MOST` connections are open, each new one takes the place of the
oldest of the address that has the most. So a scraper gets in however many connections others hold open, and slow clients only
push out one another.

Headers that are too large are answered 431. What the client still sends is then read and thrown away for a moment: a connection
that is closed with bytes unread is reset, and the answer lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
from collections.abc import Awaitable, Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from re import Pattern
from typing import TYPE_CHECKING, Any, TypeAlias

from tornado import httpserver, netutil
from tornado.iostream import IOStream, SSLIOStream, UnsatisfiableReadError

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

log = logging.getLogger("meterline")

Network: TypeAlias = IPv4Network | IPv6Network
THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
MOST = 512
"""Open connections. Never more than a quarter of the files that this process may open: meters and open pages need some too."""
AT_ONCE = 128
"""Connections accepted in one turn of the loop."""
LINGERING = 64
"""Connections at once that were refused and whose rest is read."""
LINGER = 2.0
LONGEST_REST = 1 << 18
"""Seconds, and bytes, for which the rest of a refused request is read."""
_TOO_LARGE = b"431 Request Header Fields Too Large"
_REFUSAL = b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b\n" % (
    _TOO_LARGE,
    len(_TOO_LARGE) + 1,
    _TOO_LARGE,
)


def at_most(wanted: int) -> int:
    """As many, or a quarter of the files that this process may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if files == resource.RLIM_INFINITY else min(wanted, files // 4)


_lingering: set[asyncio.Task[None]] = set()


async def _linger(connection: socket.socket) -> None:
    """Take what still comes, until the other side has read our answer and ends, or for long enough."""
    with connection, contextlib.suppress(OSError):  # a time-out is one
        connection.setblocking(False)
        connection.shutdown(socket.SHUT_WR)
        left = LONGEST_REST
        async with asyncio.timeout(LINGER):
            while left > 0 and (rest := await asyncio.get_running_loop().sock_recv(connection, 1 << 16)):
                left -= len(rest)


class _Refusing(IOStream):
    """Answers headers that are too large. Tornado reads them, and nothing else, until a pattern."""

    _of_headers = False

    def read_until_regex(self, regex: bytes | Pattern[bytes], max_bytes: int | None = None) -> Awaitable[bytes]:
        self._of_headers = True
        return super().read_until_regex(regex, max_bytes)  # type: ignore[arg-type]

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Awaitable[bytes]:
        self._of_headers = False
        return super().read_until(delimiter, max_bytes)

    def close(self, exc_info: Any = False) -> None:
        if isinstance(exc_info, UnsatisfiableReadError) and self._of_headers and not self.closed() and not self.writing():
            with contextlib.suppress(OSError):
                self.socket.send(_REFUSAL)
                if len(_lingering) < LINGERING:
                    # The descriptor of the connection under a TLS session too: its rest is nothing to understand.
                    task = asyncio.create_task(_linger(socket.socket(fileno=os.dup(self.socket.fileno()))))
                    _lingering.add(task)
                    task.add_done_callback(_lingering.discard)
        super().close(exc_info)


class _RefusingTLS(_Refusing, SSLIOStream):
    """The same, encrypted."""


class Server(httpserver.HTTPServer):
    """Tornado's server, with a bound on connections, and for each new one the TLS that is in force."""

    def initialize(self, *args: Any, rules: Rules | None = None, allowed: Sequence[Network] = (), **kwargs: Any) -> None:
        """`rules`: the web configuration; None: no TLS. `allowed`: who may connect beside this machine; empty: everybody."""
        super().initialize(*args, **kwargs)
        self._rules = rules
        self._allowed = (*allowed, *THIS_MACHINE) if allowed else ()
        self._most = at_most(MOST)
        self._listening: list[socket.socket] = []
        self.port = 0
        """On which it listens: where any was asked for, the one that it got."""
        self._open: dict[str, dict[IOStream, None]] = {}
        self._place: dict[IOStream, str] = {}
        self._full = False

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept on these."""
        for listener in sockets:
            self._listening.append(listener)
            self.port = listener.getsockname()[1]
            asyncio.get_running_loop().add_reader(listener, self._ready, listener)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens: host and real port."""
        return [listener.getsockname()[:2] for listener in self._listening]

    def stop(self) -> None:
        """Accept no more."""
        while self._listening:
            listener = self._listening.pop()
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _ready(self, listener: socket.socket) -> None:
        """Somebody connects. Where no more files can be opened, all wait for a second, and the loop does not spin."""
        loop = asyncio.get_running_loop()
        for _ in range(AT_ONCE):
            try:
                connection, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connection can be accepted for a second: %s", error.strerror)
                loop.remove_reader(listener)
                loop.call_later(1.0, self._again, listener)
                return
            if not self._may_connect(address):
                connection.close()
                continue
            try:
                self._accept(connection, address)
            except OSError:  # already gone again
                connection.close()

    def _may_connect(self, address: Any) -> bool:
        if not self._allowed:
            return True
        peer = ip_address(address[0].partition("%")[0])
        return any(peer in network for network in self._allowed)

    def _again(self, listener: socket.socket) -> None:
        if listener in self._listening:
            asyncio.get_running_loop().add_reader(listener, self._ready, listener)

    def on_close(self, server_conn: object) -> None:
        """Tornado's: a connection has ended."""
        self._forget(server_conn.stream)  # type: ignore[attr-defined]
        super().on_close(server_conn)

    def _accept(self, connection: socket.socket, address: Any) -> None:
        if len(self._place) >= self._most:
            self._make_room()
        try:
            stream = self._stream(connection)
        except OSError:  # already gone again, as a port scan does
            connection.close()
            return
        self._place[stream] = place = place_of(stream.socket.family, address)
        self._open.setdefault(place, {})[stream] = None
        self.handle_stream(stream, address)

    def _stream(self, connection: socket.socket) -> IOStream:
        context = None
        if self._rules:
            self._rules.renew()
            context = self._rules.context
        if not context:
            return _Refusing(connection, max_buffer_size=self.max_buffer_size)
        wrapped = netutil.ssl_wrap_socket(connection, context, server_side=True, do_handshake_on_connect=False)
        # Without ssl_options the stream would load the system's authorities, for a client that it never is.
        return _RefusingTLS(wrapped, max_buffer_size=self.max_buffer_size, ssl_options=context)

    def _make_room(self) -> None:
        if not self._full:
            log.warning(
                "%d connections are open; each new one now ends the oldest of the address that has the most", self._most
            )
        self._full = True
        greediest = max(self._open.values(), key=len)
        oldest = next(iter(greediest))
        self._forget(oldest)
        oldest.close()

    def _forget(self, stream: IOStream) -> None:
        if place := self._place.pop(stream, None):
            del self._open[place][stream]
            if not self._open[place]:
                del self._open[place]
        if len(self._place) < self._most // 2:
            self._full = False


def place_of(family: int, address: Any) -> str:
    """What counts as one address: an IPv6 /64 is one network's, and its hosts have as many addresses in it as they like."""
    if family == socket.AF_INET6:
        return socket.inet_pton(socket.AF_INET6, address[0].partition("%")[0])[:8].hex()
    return str(address[0])
