"""How much of a core reading takes.

Measured: CPU time of a `meterline run` process (user and system, all threads, by the kernel's clock of the process) over 30 s
while all of its meters speak at line speed and Prometheus' scrape comes every 15 s: one meter of each mode on a pseudo-terminal
(bytes come every 20 ms, as from a USB adapter), and 100 and 1,000 of each mode over loopback TCP (a packet every 100 ms, as
from a bridge), each on its own port and with its own household. kB/s is what meterline read in that time: it shows whether the
machine was too slow to send it all. Wake-ups: how often a thread of the process slept and was woken, scrapes included.
Reference: an asyncio program that reads the same bytes at the same time and throws them away, without serving anything. It
rests after each read for 100 ms, or 1 ms a meter where that is longer; in the row that says so, not at all.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.process import Server, bare, cpu_seconds, line, meterline, sleep, wake_ups
from bench.table import Row, ratio, show

WINDOW = 30.0
SCRAPE_EVERY = 15.0
WARM_UP = 3.0
TALK = WINDOW + WARM_UP + 20.0
"""Seconds for which the line must talk: the programs' start and the meters' first frames come before."""
COUNTS = (100, 1000)
GOALS = {("standard", 1000): "<= 35 %", ("historic", 1000): "<= 15 %"}


class Cost(NamedTuple):
    """What reading took over the same time.

    Attributes:
        rate: Bytes that meterline read a second.
        wake_ups: Of meterline, a second.
        shares: Per cent of a core: of meterline, then of the others.
    """

    rate: float
    wake_ups: float
    shares: list[float]


def _measure(server: Server, others: Sequence[Server]) -> Cost:
    server.scrape()
    time.sleep(WARM_UP)
    pids = [server.pid, *(other.pid for other in others)]
    start = time.monotonic()
    before, woken = [cpu_seconds(pid) for pid in pids], wake_ups(server.pid)
    pages, moments = [], []
    for n in range(int(WINDOW / SCRAPE_EVERY)):
        sleep(start + (n + 0.5) * SCRAPE_EVERY - time.monotonic())
        pages.append(server.scrape())
        moments.append(time.monotonic())
    sleep(start + WINDOW - time.monotonic())
    used = [cpu_seconds(pid) - seconds for pid, seconds in zip(pids, before, strict=True)]
    rate = (_received(pages[-1]) - _received(pages[0])) / (moments[-1] - moments[0])
    window = time.monotonic() - start
    return Cost(rate, (wake_ups(server.pid) - woken) / window, [100 * seconds / window for seconds in used])


def _received(page: bytes) -> float:
    return sum(float(number) for number in re.findall(rb"\nsmartmeter_received_bytes_total\{[^}]*\} (\S+)", page))


def _one(mode: str) -> tuple[list[Row], float]:
    with contextlib.ExitStack() as stack:
        ours, resting, restless = stack.enter_context(line(mode, "pty", 3, TALK))
        readers = [stack.enter_context(bare("read", rest, link)) for rest, link in (("0.1", resting), ("0", restless))]
        server = stack.enter_context(meterline([ours], config=False))
        rate, woken, (used, *references) = _measure(server, readers)
    names = (f"1 {mode} meter, {rate / 1000:.1f} kB/s", "  beside a reader without rest")
    rows = [
        Row(name, f"{used:.2f} %", f"{reference:.2f} %", ratio(used, reference), "<= 0.2 %")
        for name, reference in zip(names, references, strict=True)
    ]
    return [*rows, Row("  wake-ups a second", f"{woken:.1f}")], used


def _many(mode: str, count: int) -> tuple[float, float, float, float]:
    """Bytes and wake-ups a second; per cent of a core: of meterline, and of the reader that rests after each read."""
    with contextlib.ExitStack() as stack:
        links = stack.enter_context(line(mode, "tcp", count, TALK + count / 100))
        reader = stack.enter_context(bare("read", str(max(0.1, 0.001 * count)), *links))
        rate, woken, (used, reference) = _measure(stack.enter_context(meterline(links, config=True)), [reader])
        return rate, woken, used, reference


def main() -> None:
    rows = list[Row]()
    for mode in ("standard", "historic"):
        one, used = _one(mode)
        rows += one
        last = 1, used
        for count in COUNTS:
            rate, woken, used, reference = _many(mode, count)
            what = f"{count} {mode} meters, {rate / 1000:.1f} kB/s"
            goal = GOALS.get((mode, count), "")
            rows.append(Row(what, f"{used:.1f} %", f"{reference:.1f} %", ratio(used, reference), goal))
            each = (used - last[1]) / (count - last[0])
            rows.append(Row(f"  each, from {last[0]} on", f"{each:.3f} %", f"{reference / count:.3f} %", goal="<= 0.1 %"))
            rows.append(Row("  wake-ups a second", f"{woken:.1f}", goal="<= 100"))
            last = count, used
    show("cpu", (__doc__ or "").partition("\n\n")[2].strip(), rows)
