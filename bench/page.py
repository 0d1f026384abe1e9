"""What open pages cost.

Measured: a `meterline run` with one standard meter over loopback TCP at line speed. CPU time of its process over 30 s with no
page open, with one, and with 200, each a stream of /events that is read as it comes; the page's own size, and its time over
one connection. Memory: VmRSS after three scrapes, before anybody looked; after 20 loads of two pages; with 200 streams.
Reference: an asyncio server that writes as many bytes a second to as many connections; for memory, --web.page off.
"""

from __future__ import annotations

import contextlib
import gzip
import selectors
import socket
import time
from collections.abc import Iterator
from statistics import median

from bench.process import Server, bare, cpu_seconds, get, line, memory, meterline
from bench.table import Row, ratio, show

WINDOW = 30.0
WARM_UP = 3.0
TALK = 4 * (WINDOW + WARM_UP) + 60.0
MANY = 200


@contextlib.contextmanager
def _streams(server: Server, count: int) -> Iterator[selectors.BaseSelector]:
    """So many open pages."""
    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_READ)
        yield selector


def _read(selector: selectors.BaseSelector, seconds: float) -> int:
    """Bytes that came in that time."""
    total, end = 0, time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if not selector.get_map():
            time.sleep(left)
        for key, _ in selector.select(left):
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(1 << 16)
            assert data, "a stream was closed"
            total += len(data)
    return total


def _share(server: Server, count: int) -> tuple[float, float]:
    """Per cent of a core, and bytes a second to each page."""
    with _streams(server, count) as selector:
        _read(selector, WARM_UP)
        before, start = cpu_seconds(server.pid), time.monotonic()
        total = _read(selector, WINDOW)
        share = 100 * (cpu_seconds(server.pid) - before) / (time.monotonic() - start)
    return share, total / WINDOW / max(1, count)


def _resident(links: list[str], *flags: str) -> list[int]:
    """KiB: before anybody looked, after some looked, and with many streams."""
    with meterline(links, config=True, flags=flags) as server:
        for _ in range(3):
            server.scrape()
            time.sleep(1)
        found = [memory(server.pid).resident]
        with contextlib.closing(server.connect()) as connection:
            for _ in range(20):
                get(connection, "/")
                get(connection, "/meter/meter-0001")
        found.append(memory(server.pid).resident)
        with _streams(server, 0 if flags else MANY) as selector:
            _read(selector, 5)
            return [*found, memory(server.pid).resident]


def _load(server: Server) -> Row:
    with contextlib.closing(server.connect()) as connection:
        times = []
        for _ in range(200):
            start = time.perf_counter()
            body = get(connection, "/", {"Accept-Encoding": "gzip"})
            times.append(1000 * (time.perf_counter() - start))
    what = f"the page, {len(body) / 1000:.1f} kB, {len(gzip.decompress(body)) / 1000:.1f} kB unpacked"
    return Row(what, f"{median(times):.2f} ms", goal="<= 20 kB")


def _shares(server: Server) -> list[Row]:
    rows, shares = [], {}
    for count in (0, 1, MANY):
        shares[count], rate = _share(server, count)
        if not count:
            rows.append(Row("no open page", f"{shares[0]:.2f} %"))
            continue
        with bare("tell", str(round(rate))) as other:
            reference, _ = _share(other, count)
        what = f"{count} open page{'s' * (count > 1)}, {rate:.0f} B/s each"
        rows.append(Row(what, f"{shares[count]:.2f} %", f"{reference:.2f} %", ratio(shares[count], reference)))
    return [*rows, Row(f"  {MANY} beyond one", f"{shares[MANY] - shares[1]:.2f} %", goal="<= 2 %")]


def _memories(links: list[str]) -> list[Row]:
    reference, *_ = _resident(links, "--web.page", "off")
    rows = []
    for what, found in zip(("nobody looks", "some looked", f"{MANY} open"), _resident(links), strict=True):
        more = f"+{(found - reference) / 1024:.1f} MiB"
        rows.append(Row(f"memory, {what}", f"{found / 1024:.1f} MiB", f"{reference / 1024:.1f} MiB", more))
    rows[0] = rows[0]._replace(goal="<= +2 MiB")
    return rows


def main() -> None:
    with line("standard", "tcp", 1, TALK) as links, meterline(links, config=True) as server:
        rows = [*_shares(server), _load(server)]
    with line("standard", "tcp", 1, TALK) as links:
        show("page", (__doc__ or "").partition("\n\n")[2].strip(), [*rows, *_memories(links)])
