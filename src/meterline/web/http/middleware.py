"""Between the connections and the application: passwords before, headers and the time to take an answer after.

It stands in front of every path and every handler, so none can forget it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import httputil, web

from meterline.web.http.connections import place_of

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

REALM = 'Basic realm="meterline", charset="UTF-8"'


class Gate(httputil.HTTPServerConnectionDelegate):
    """Lets requests through to the application as the rules say; without rules, all."""

    def __init__(self, application: web.Application, rules: Rules | None, patience: float) -> None:
        """`patience`: seconds in which a finished answer must be taken."""
        self._application = application
        self._rules = rules
        self._patience = patience

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """Tornado's: a delegate for the next request of a connection."""
        answer = _Answer(request_conn, self._rules, self._patience)
        inner = self._application.start_request(server_conn, answer)
        return _Request(self._rules, answer, inner) if self._rules else inner


class _Request(httputil.HTTPMessageDelegate):
    """A request that must show its password before the application sees it."""

    def __init__(self, rules: Rules, answer: _Answer, inner: httputil.HTTPMessageDelegate) -> None:
        self._rules = rules
        self._answer = answer
        self._inner = inner
        self._entered = False

    async def headers_received(  # type: ignore[override]
        self, start_line: httputil.RequestStartLine, headers: httputil.HTTPHeaders
    ) -> None:
        self._rules.renew()
        context = self._answer.context
        place = place_of(context.address_family, context.address)
        status = await self._rules.auth.status(headers.get("Authorization"), place)
        self._entered = status == HTTPStatus.OK
        if not self._entered:
            self._refuse(HTTPStatus(status), start_line.method == "HEAD")
        elif received := self._inner.headers_received(start_line, headers):
            await received

    def _refuse(self, status: HTTPStatus, head: bool) -> None:
        body = f"{status} {status.phrase}\n".encode()
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
        headers |= {"Content-Length": str(len(body)), "Connection": "close"}
        headers |= {"WWW-Authenticate": REALM} if status == HTTPStatus.UNAUTHORIZED else {"Retry-After": "5"}
        line = httputil.ResponseStartLine("HTTP/1.1", status, status.phrase)
        self._answer.write_headers(line, httputil.HTTPHeaders(headers), None if head else body)
        self._answer.finish()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._inner.data_received(chunk) if self._entered else None

    def finish(self) -> None:
        if self._entered:
            self._inner.finish()

    def on_connection_close(self) -> None:
        if self._entered:
            self._inner.on_connection_close()


class _Answer(httputil.HTTPConnection):
    """The connection as the application sees it."""

    def __init__(self, connection: httputil.HTTPConnection, rules: Rules | None, patience: float) -> None:
        self._connection: Any = connection
        self._rules = rules
        self._patience = patience

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write_headers(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        self.add_configured_headers(headers)
        return self._connection.write_headers(start_line, headers, chunk)  # type: ignore[no-any-return]

    def add_configured_headers(self, headers: httputil.HTTPHeaders) -> None:
        """Add the headers that the web configuration wants on every answer."""
        for name, value in self._rules.headers.items() if self._rules else ():
            headers[name] = value

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._connection.write(chunk)  # type: ignore[no-any-return]

    def finish(self) -> None:
        """The rest must be taken in time: who asks and does not read would hold the connection for ever."""
        self._connection.finish()
        stream = self._connection.stream
        if stream.writing() and not stream.closed():
            timer = asyncio.get_running_loop().call_later(self._patience, stream.close)
            stream.write(b"").add_done_callback(lambda _: timer.cancel())
