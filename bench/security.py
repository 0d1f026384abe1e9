"""What those who mean harm cost a scrape, and what TLS and passwords cost.

Measured: 300 scrapes of a `meterline run` with one meter at line speed, each on a new connection as Prometheus makes them
(median / 99 % / slowest): while 10,000 malformed requests come, twenty at once, and then 500 headers of 100 kB; while 300
clients send a byte of their headers each second; and while 300 send nothing. Memory: by how much VmRSS is higher than before.
Then the same with TLS and a password, and with eight clients that guess it. Reference: the same scrapes with nobody else there.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple, TypeAlias

import trustme

from bench.process import PROMETHEUS, Server, first_line, get, line, memory, meterline, python
from bench.table import Row, ratio, show
from meterline.web.http.basic_auth import hash_password

SCRAPES = 300
SLOW = 300
MALFORMED = 10_000
GUESSING = 8
SETTLE = 1.0


Connect: TypeAlias = Callable[[], http.client.HTTPConnection]


class Times(NamedTuple):
    """Milliseconds."""

    middle: float
    rare: float
    worst: float

    def row(self, what: str, reference: Times | None = None, goal: str = "< 10 ms") -> Row:
        """Beside the reference of the same run."""
        if not reference:
            return Row(what, str(self))
        return Row(what, str(self), str(reference), ratio(self.middle, reference.middle), goal)

    def __str__(self) -> str:
        return f"{self.middle:.2f} / {self.rare:.1f} / {self.worst:.1f} ms"


def _scrapes(connect: Connect, headers: dict[str, str]) -> Times:
    times = []
    for _ in range(SCRAPES):
        start = time.perf_counter()
        with contextlib.closing(connect()) as connection:
            get(connection, "/metrics", headers)
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.01)
    return Times(median(times), quantiles(times, n=100)[98], max(times))


@contextlib.contextmanager
def _crowd(what: str, server: Server, count: int) -> Iterator[Callable[[], None]]:
    """While they are there: how to wait until they are done."""
    with python("bench.crowd", what, str(server.port), str(count)) as process:
        first_line(process)
        yield lambda: print(end="", flush=bool(first_line(process)))


def _growth(pid: int, before: int) -> str:
    return f"{(memory(pid).resident - before) / 1024:.1f} MiB"


def _under_attack(server: Server, connect: Connect, headers: dict[str, str], slow: str) -> list[Row]:
    _scrapes(connect, headers)  # a program that has just started still grows
    alone = _scrapes(connect, headers)
    before = memory(server.pid).resident
    rows = [alone.row("scrape, nobody else there")]
    with _crowd("malformed", server, MALFORMED) as done:
        rows.append(_scrapes(connect, headers).row(f"beside {MALFORMED:,} malformed requests", alone, ""))
        done()
    time.sleep(SETTLE)
    rows.append(Row("  memory after them and 500 headers of 100 kB", f"+{_growth(server.pid, before)}", goal="< 10 MiB"))
    before = memory(server.pid).resident
    for what in (slow, "hung"):
        with _crowd(what, server, SLOW):
            rows.append(_scrapes(connect, headers).row(f"beside {SLOW} {what} clients", alone))
            rows.append(Row("  memory while they are there", f"+{_growth(server.pid, before)}"))
    if slow == "slow-tls":
        with _crowd("guessing-tls", server, GUESSING):
            rows.append(_scrapes(connect, headers).row(f"beside {GUESSING} guessers of passwords", alone, ""))
    return rows


def _secured(folder: Path) -> tuple[Path, ssl.SSLContext, dict[str, str]]:
    """A web configuration, and the client and headers that it lets in."""
    authority = trustme.CA()
    pair = authority.issue_cert("127.0.0.1")
    pair.private_key_pem.write_to_path(folder / "key.pem")
    pair.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    tls = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
    file = folder / "web.yml"
    file.write_text(f"{tls}basic_auth_users: {{prometheus: {hash_password(b'secret')}}}\n", encoding="utf-8")
    client = ssl.create_default_context()
    authority.configure_trust(client)
    password = base64.b64encode(b"prometheus:secret").decode()
    return file, client, {**PROMETHEUS, "Authorization": f"Basic {password}"}


def _wait(connect: Connect, headers: dict[str, str]) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), contextlib.closing(connect()) as connection:
            if b"smartmeter_apparent" in get(connection, "/metrics", {**headers, "Accept-Encoding": "identity"}):
                return
        time.sleep(0.2)
    raise RuntimeError("meterline with TLS serves no values")


def main() -> None:
    notes = (__doc__ or "").partition("\n\n")[2].strip()
    with line("historic", "tcp", 1, 120) as links, meterline(links, config=True) as server:
        show("security, plain HTTP", notes, _under_attack(server, server.connect, PROMETHEUS, "slow"))
    with contextlib.ExitStack() as stack:
        file, client, headers = _secured(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-bench-"))))
        links = stack.enter_context(line("historic", "tcp", 1, 120))
        server = stack.enter_context(meterline(links, config=True, wait=False, flags=["--web.config.file", str(file)]))

        def connect() -> http.client.HTTPConnection:
            return http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=client)

        _wait(connect, headers)
        show(
            "security, TLS and a password",
            "As above; the malformed requests are malformed handshakes here.",
            _under_attack(server, connect, headers, "slow-tls"),
        )
