"""What B-route meters cost, which are asked.

Every meter has a Wi-SUN module of its own, simulated in real time in another process, over loopback TCP: joining takes seconds,
a reply comes 0.03 to 0.6 s after its question mostly, and tells another power each time. Their place on the air is configured.
CPU: of a `meterline run` process (user and system, all threads) over 60 s, which begin when all of its meters speak, with
Prometheus' scrape every 15 s: 500 meters asked every 30 s and, in another process beside it, one asked every 10 s; the same for
each reply, scrapes included. Reference: an asyncio program that joins, asks the same at the same pace, and reads and throws
away what comes, without serving anything. The busiest second is that with the most replies; its reference is the mean.
Freshness: from the last byte of a reply to the page: 8 meters asked every 10 s for 60 s, while /metrics is asked again and
again over one connection. Reference: one such scrape alone.
Start: from the start of the process until the page shows a meter's power: median of 5 modules, whose place on the air is known
from a run before (--state.dir); the reference is that first run, which has to scan.
Memory: VmRSS a second after the third scrape; "each" is the growth from the row above, divided.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from statistics import median, quantiles

from bench.latency import scrape_alone
from bench.process import Memory, Server, bare, cpu_seconds, get, memory, meterline, name, sleep
from bench.table import Row, ratio, show
from bench.wisun import Told, dialogue, meter, modules

WINDOW = 60.0
SCRAPE_EVERY = 15.0
FEW, MANY = 100, 500
INTERVAL, SHORTEST = 30.0, 10.0
ASKED_OFTEN = 8
STARTED = 5
SETTLE = 1.0
POLLS = re.compile(rb"\nsmartmeter_poll_duration_seconds_count\{[^}]*\} (\S+)")
POWER = re.compile(rb'\nsmartmeter_power_watts\{meter="([^"]*)"[^}]*\} (\S+)')


def _polls(page: bytes) -> float:
    return sum(float(number) for number in POLLS.findall(page))


def _settled(server: Server) -> Memory:
    for _ in range(3):
        server.scrape()
        time.sleep(SETTLE)
    return memory(server.pid)


def _measure(servers: Sequence[Server], references: Sequence[Server]) -> tuple[list[float], list[float], float]:
    """CPU seconds of all of them over the window; polls answered in it, of each of ours; when it began."""
    pids = [server.pid for server in (*servers, *references)]
    pages = [server.scrape() for server in servers]
    start = time.perf_counter()
    before = [cpu_seconds(pid) for pid in pids]
    for n in range(int(WINDOW / SCRAPE_EVERY)):
        sleep(start + (n + 0.5) * SCRAPE_EVERY - time.perf_counter())
        for server in servers:
            server.scrape()
    sleep(start + WINDOW - time.perf_counter())
    used = [cpu_seconds(pid) - seconds for pid, seconds in zip(pids, before, strict=True)]
    polls = [_polls(server.scrape()) - _polls(page) for server, page in zip(servers, pages, strict=True)]
    return used, polls, start


def _reading() -> tuple[list[Row], Memory]:
    """What many meters and one take; the memory of many."""
    join, question = (text.hex() for text in dialogue())
    cases = ((MANY, INTERVAL, "<= 5 %", "<= 3 ms"), (1, SHORTEST, "", ""))
    with contextlib.ExitStack() as stack:
        ours = [stack.enter_context(modules(count)) for count, *_ in cases]
        theirs = [stack.enter_context(modules(count)) for count, *_ in cases]
        references = [
            stack.enter_context(bare("ask", str(interval), join, question, *asked.links))
            for asked, (_, interval, *_) in zip(theirs, cases, strict=True)
        ]
        servers = [
            stack.enter_context(meterline(asked.links, config=True, meter=meter(interval)))
            for asked, (_, interval, *_) in zip(ours, cases, strict=True)
        ]
        resident = _settled(servers[0])
        used, polls, start = _measure(servers, references)
        replies = [_replies(asked.told(), start) for asked in (*ours, *theirs)]
    polls += map(len, replies[len(cases) :])
    rows = []
    for n, (count, interval, goal, goal_each) in enumerate(cases):
        other = n + len(cases)
        what = f"{count} meter{'s' * (count > 1)} every {interval:.0f} s, {polls[n]:.0f} replies"
        percent, reference = (100 * used[m] / WINDOW for m in (n, other))
        rows.append(Row(what, f"{percent:.2f} %", f"{reference:.2f} %", ratio(percent, reference), goal))
        each, reference = (1000 * used[m] / polls[m] for m in (n, other))
        rows.append(Row("  each reply", f"{each:.2f} ms", f"{reference:.2f} ms", ratio(each, reference), goal_each))
        if count > 1:
            busiest, mean = _busiest(replies[n]), polls[n] / WINDOW
            rows.append(Row("  in the busiest second", f"{busiest}", f"{mean:.1f}", ratio(busiest, mean)))
    return rows, resident


def _replies(told: list[list[Told]], start: float) -> list[float]:
    """Seconds from the window's begin at which replies came within it, in order."""
    moments = [moment - start for clients in told for client in clients for moment, _ in client.replies]
    return sorted(moment for moment in moments if 0 <= moment < WINDOW)


def _busiest(moments: list[float]) -> int:
    """The most within any second."""
    return max(bisect_left(moments, moment + 1) - n for n, moment in enumerate(moments))


def _freshness() -> list[Row]:
    with modules(ASKED_OFTEN) as asked:
        with meterline(asked.links, config=True, meter=meter(SHORTEST)) as server:
            alone = scrape_alone(server)
            seen: dict[tuple[str, int], float] = {}
            start = time.perf_counter()
            with contextlib.closing(server.connect()) as connection:
                while time.perf_counter() - start < WINDOW:
                    shown, now = POWER.findall(get(connection, "/metrics")), time.perf_counter()
                    for who, power in shown:
                        seen.setdefault((who.decode(), int(float(power))), now)
        said = {(name(n), power): moment for n, (client,) in enumerate(asked.told()) for moment, power in client.replies}
    found = sorted(1000 * (seen[key] - moment) for key, moment in said.items() if start < moment < start + WINDOW - 1)
    return [
        Row(f"freshness, {which} of {len(found)} replies", f"{value:.1f} ms", f"{alone:.2f} ms", ratio(value, alone), goal)
        for which, value, goal in (
            ("median", median(found), "<= 5 ms"),
            ("90 %", quantiles(found, n=10)[8], ""),
            ("worst", found[-1], ""),
        )
    ]


def _seconds_to_values(links: list[str], state: str) -> float:
    """From the start of the process until a meter's power is on the page: median of the meters."""
    start = time.perf_counter()
    seen: dict[bytes, float] = {}
    with meterline(links, config=True, meter=meter(INTERVAL, remembered=False), state=state, wait=False) as server:
        while len(seen) < len(links):
            with contextlib.suppress(ConnectionError), contextlib.closing(server.connect()) as connection:
                for who, _ in POWER.findall(get(connection, "/metrics")):
                    seen.setdefault(who, time.perf_counter() - start)
            time.sleep(0.02)
    return median(seen.values())


def _start() -> Row:
    with modules(STARTED) as asked, tempfile.TemporaryDirectory(prefix="meterline-bench-") as state:
        first, second = (_seconds_to_values(asked.links, state) for _ in range(2))
        told = asked.told()
    scans = [sum(clients[run].scans for clients in told) for run in range(2)]
    what = f"start, place remembered ({scans[1]} scans; reference: {scans[0]})"
    return Row(what, f"{second:.1f} s", f"{first:.1f} s", ratio(second, first))


def _memory(many: Memory) -> list[Row]:
    with modules(FEW) as asked, meterline(asked.links, config=True, meter=meter(INTERVAL)) as server:
        few = _settled(server)
    each = (many.resident - few.resident) / (MANY - FEW)
    rows = [Row(f"memory of {count} meters", f"{found.resident / 1024:.1f} MiB") for count, found in ((FEW, few), (MANY, many))]
    return [*rows, Row(f"  each, from {FEW} on", f"{each:.1f} KiB")]


def main() -> None:
    rows, many = _reading()
    rows += [*_freshness(), _start(), *_memory(many)]
    show("broute", (__doc__ or "").partition("\n\n")[2].strip(), rows)
