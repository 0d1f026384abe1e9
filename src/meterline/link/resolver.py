"""The addresses of a host.

A resolver can hang for minutes. So each name has one thread of its own at the most, outside the loop's few: a dead name holds
up no other meter, no page and no exit.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import Future

_looking_up: dict[str, Future[list[str]]] = {}


def look_up(host: str) -> Future[list[str]]:
    """Its addresses, some time; OSError or UnicodeError where it has none."""
    if host in _looking_up:
        return _looking_up[host]
    future: Future[list[str]] = Future()
    future.set_running_or_notify_cancel()  # whoever waits may give up; the next try takes what comes

    def run() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            future.set_result([str(info[4][0]) for info in found])
        except (OSError, UnicodeError) as error:
            future.set_exception(error)
        finally:
            del _looking_up[host]

    _looking_up[host] = future
    threading.Thread(target=run, daemon=True, name=f"look up {host}").start()
    return future
