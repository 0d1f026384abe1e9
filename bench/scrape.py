"""What a scrape costs.

Measured: `Page.text` of 1 and of 1,000 historic meters (off-peak contract), every one of which took a new frame since the
scrape before, median; and whole scrapes of a `meterline run` with one meter at line speed, 200 over one loopback connection,
median. Reference: `prometheus_client.generate_latest` of the same values, its families already built; for HTTP a bare Tornado
that answers the same bytes from memory. The frame's own cost, which is paid when it arrives, stands beside it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from bench.line import at, frames, household
from bench.process import Server, bare, get, line, meterline
from bench.table import Row, ratio, show
from meterline.meter.exposition import Page
from meterline.meter.meter import Meter
from meterline.meter.readings import Snapshot
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder

SCRAPES = 200


class _Families(Collector):
    """Values that wait for prometheus_client to write them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families


def _snapshots(number: int) -> Iterator[Snapshot]:
    """What one household's meter says, frame by frame."""
    decoder, assembler = Decoder(), Assembler()
    for frame in frames(household("historic", number), at(18)):
        for whole in assembler.feed(decoder.feed(frame)):
            yield readings(whole)


def _milliseconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def _take(new: list[tuple[Meter, Snapshot]]) -> None:
    for meter, snapshot in new:
        meter.take(snapshot, timed=False)


def _rendering(count: int, rounds: int) -> tuple[float, float, float, int, int]:
    """Milliseconds of a scrape, of the reference and of taking one frame; series and bytes of the page."""
    meters = {Meter(f"meter-{n:04d}", stale_after=3600): _snapshots(n) for n in range(1, count + 1)}
    page = Page(meters)
    ours, taking = [], []
    for _ in range(rounds):
        new = [(meter, next(snapshots)) for meter, snapshots in meters.items()]
        taking.append(_milliseconds(partial(_take, new)))
        ours.append(_milliseconds(page.text))
    text = page.text()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(text_string_to_metric_families(text)))
    theirs = [_milliseconds(lambda: generate_latest(registry)) for _ in range(max(5, rounds // 4))]
    series = sum(not line.startswith("#") for line in text.splitlines())
    return median(ours), median(theirs), median(taking[1:]) / count, series, len(text)


def _http(server: Server, headers: dict[str, str]) -> float:
    """Median milliseconds of a scrape over one connection."""
    with contextlib.closing(server.connect()) as connection:
        get(connection, "/metrics", headers)
        return median(_milliseconds(lambda: get(connection, "/metrics", headers)) for _ in range(SCRAPES))


def _over_http() -> list[Row]:
    rows = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(meterline(stack.enter_context(line("historic", "tcp", 1, 30)), config=True))
        for name, headers in (("plain", {}), ("gzip", {"Accept-Encoding": "gzip"})):
            with contextlib.closing(server.connect()) as connection:
                body = get(connection, "/metrics", headers)
            file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-bench-")), "page")
            file.write_bytes(body)
            ours = _http(server, headers)
            with bare("serve", str(file)) as reference:
                theirs = _http(reference, {})
            what = f"1 meter over HTTP, {name}, {len(body) / 1000:.1f} kB"
            rows.append(Row(what, f"{ours:.2f} ms", f"{theirs:.2f} ms", ratio(ours, theirs), "<= 1 ms"))
    return rows


def main() -> None:
    rows = []
    for count, rounds, goal in ((1, 400, ""), (1000, 20, "<= 5 ms")):
        ours, theirs, taking, series, size = _rendering(count, rounds)
        what = f"rendering {count} meter{'s' * (count > 1)}, {series} series, {size / 1000:.0f} kB"
        rows.append(Row(what, f"{ours:.2f} ms", f"{theirs:.2f} ms", ratio(ours, theirs), goal))
        rows.append(Row("  and at its arrival, each frame", f"{taking:.3f} ms"))
    show("scrape", (__doc__ or "").partition("\n\n")[2].strip(), rows + _over_http())
