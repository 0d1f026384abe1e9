"""How much of a core reading takes.

Measured: CPU time of a `meterline run` process (user and system, all threads, by the kernel's clock of the process) over 30 s
while all of its meters speak at line speed and Prometheus' scrape comes every 15 s: one standard meter on a pseudo-terminal
(bytes come every 20 ms, as from a USB adapter), and 100 and 1,000 of each mode over loopback TCP (a packet every 100 ms, as
from a bridge), each on its own port and with its own household. kB/s is what meterline read in that time: it shows whether the
machine was too slow to send it all.
Reference: an asyncio program that reads the same bytes at the same time and throws them away, without serving anything. It
rests after each read for 100 ms, or 1 ms a meter where that is longer; in the row that says so, not at all.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence

from bench.process import Server, bare, cpu_seconds, line, meterline, sleep
from bench.table import Row, ratio, show

WINDOW = 30.0
SCRAPE_EVERY = 15.0
WARM_UP = 3.0
TALK = WINDOW + WARM_UP + 20.0
"""Seconds for which the line must talk: the programs' start and the meters' first frames come before."""
COUNTS = (100, 1000)


def _measure(server: Server, others: Sequence[Server]) -> tuple[float, list[float]]:
    """Bytes read a second; per cent of a core over the same time: of meterline, then of the others."""
    server.scrape()
    time.sleep(WARM_UP)
    pids = [server.pid, *(other.pid for other in others)]
    start = time.monotonic()
    before = [cpu_seconds(pid) for pid in pids]
    pages, moments = [], []
    for n in range(int(WINDOW / SCRAPE_EVERY)):
        sleep(start + (n + 0.5) * SCRAPE_EVERY - time.monotonic())
        pages.append(server.scrape())
        moments.append(time.monotonic())
    sleep(start + WINDOW - time.monotonic())
    used = [cpu_seconds(pid) - seconds for pid, seconds in zip(pids, before, strict=True)]
    rate = (_received(pages[-1]) - _received(pages[0])) / (moments[-1] - moments[0])
    return rate, [100 * seconds / (time.monotonic() - start) for seconds in used]


def _received(page: bytes) -> float:
    return sum(float(number) for number in re.findall(rb"\nsmartmeter_received_bytes_total\{[^}]*\} (\S+)", page))


def _one() -> tuple[list[Row], float]:
    with contextlib.ExitStack() as stack:
        ours, resting, restless = stack.enter_context(line("standard", "pty", 3, TALK))
        readers = [stack.enter_context(bare("read", rest, link)) for rest, link in (("0.1", resting), ("0", restless))]
        server = stack.enter_context(meterline([ours], config=False))
        rate, (used, *references) = _measure(server, readers)
    names = (f"1 standard meter, {rate / 1000:.1f} kB/s", "  beside a reader without rest")
    return [
        Row(name, f"{used:.2f} %", f"{reference:.2f} %", ratio(used, reference), "<= 0.6 %")
        for name, reference in zip(names, references, strict=True)
    ], used


def _many(mode: str, count: int) -> tuple[float, float, float]:
    """Bytes read a second; per cent of a core: of meterline, and of the reader that rests as it does."""
    with contextlib.ExitStack() as stack:
        links = stack.enter_context(line(mode, "tcp", count, TALK + count / 100))
        reader = stack.enter_context(bare("read", str(max(0.1, 0.001 * count)), *links))
        rate, (used, reference) = _measure(stack.enter_context(meterline(links, config=True)), [reader])
        return rate, used, reference


def main() -> None:
    rows, one = _one()
    for mode in ("standard", "historic"):
        last: tuple[int, float] = (1, one) if mode == "standard" else (0, 0.0)
        for count in COUNTS:
            rate, used, reference = _many(mode, count)
            what = f"{count} {mode} meters, {rate / 1000:.1f} kB/s"
            rows.append(Row(what, f"{used:.1f} %", f"{reference:.1f} %", ratio(used, reference)))
            each = (used - last[1]) / (count - last[0])
            rows.append(Row(f"  each, from {last[0]} on", f"{each:.3f} %", f"{reference / count:.3f} %", goal="<= 0.1 %"))
            last = count, used
    show("cpu", (__doc__ or "").partition("\n\n")[2].strip(), rows)
