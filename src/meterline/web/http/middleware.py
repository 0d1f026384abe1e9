"""Middleware between the connections and the application: passwords, configured headers, time-out of answers.

All routes are behind the middleware, so that no handler can omit a check.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import httputil, web

from meterline.web.http.connections import share_of

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules

REALM = 'Basic realm="meterline", charset="UTF-8"'


class Gate(httputil.HTTPServerConnectionDelegate):
    """Passes requests to the application if the web configuration permits them; without one, all requests."""

    def __init__(self, application: web.Application, rules: Rules | None, answer_timeout_s: float) -> None:
        """Put the middleware in front of `application`.

        Args:
            application: Tornado's application, with all routes.
            rules: The web configuration; None: neither passwords nor headers.
            answer_timeout_s: Seconds in which a client must take a finished answer.
        """
        self._application = application
        self._rules = rules
        self._answer_timeout_s = answer_timeout_s

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """Return the delegate for the next request of a connection. Called by Tornado."""
        answer = _Answer(request_conn, self._rules, self._answer_timeout_s)
        inner = self._application.start_request(server_conn, answer)
        return _Request(self._rules, answer, inner) if self._rules else inner


class _Request(httputil.HTTPMessageDelegate):
    """Passes a request to the application after its password was accepted."""

    def __init__(self, rules: Rules, answer: _Answer, inner: httputil.HTTPMessageDelegate) -> None:
        self._rules = rules
        self._answer = answer
        self._inner = inner
        self._is_accepted = False

    async def headers_received(  # type: ignore[override]
        self, start_line: httputil.RequestStartLine, headers: httputil.HTTPHeaders
    ) -> None:
        self._rules.renew()
        context = self._answer.context
        share = share_of(context.address_family, context.address)
        status = await self._rules.auth.status(headers.get("Authorization"), share)
        self._is_accepted = status == HTTPStatus.OK
        if not self._is_accepted:
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
        return self._inner.data_received(chunk) if self._is_accepted else None

    def finish(self) -> None:
        if self._is_accepted:
            self._inner.finish()

    def on_connection_close(self) -> None:
        if self._is_accepted:
            self._inner.on_connection_close()


class _Answer(httputil.HTTPConnection):
    """The connection that the application writes an answer to."""

    def __init__(self, connection: httputil.HTTPConnection, rules: Rules | None, timeout_s: float) -> None:
        self._connection: Any = connection
        self._rules = rules
        self._timeout_s = timeout_s

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
        """Add the headers of the web configuration to those of an answer."""
        for name, value in self._rules.headers.items() if self._rules else ():
            headers[name] = value

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        return self._connection.write(chunk)  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Finish the answer, and close the connection of a client that does not read it in time."""
        self._connection.finish()
        stream = self._connection.stream
        if stream.writing() and not stream.closed():
            timer = asyncio.get_running_loop().call_later(self._timeout_s, stream.close)
            stream.write(b"").add_done_callback(lambda _: timer.cancel())
