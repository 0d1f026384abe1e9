"""How old a value is when it can be seen: from the last byte of its frame on the line to the page.

Measured: one standard meter on a pseudo-terminal at the pace of a real line (960 bytes a second in pieces of 10 ms, a random
gap of 16.7 to 33.4 ms between two frames), read by a `meterline run`. EAST is different in every frame; from its last byte on,
/metrics is asked again and again over one connection until the page shows it.
Reference: one such scrape alone, the least that could be seen.
"""

from __future__ import annotations

import contextlib
import queue
import random
import re
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from statistics import median, quantiles
from typing import NamedTuple

from bench.line import Terminal, at, frames, household
from bench.process import Server, get, meterline
from bench.table import Row, ratio, show

FRAMES = 120
PIECE = 10
"""Bytes written at once: about 10 ms of the line."""
SECONDS_A_BYTE = 10 / 9600
GAPS = (0.0167, 0.0334)
GIVE_UP = 2.0
SENT = re.compile(rb"\nEAST\t([0-9]+)\t")
SHOWN = re.compile(rb"\nsmartmeter_energy_import_watthours_total\{[^}]*\} (\S+)\n")


class _Sent(NamedTuple):
    """A frame that is out: when its last byte was written, and its EAST."""

    at: float
    east: int


class _Line(threading.Thread):
    """Sends frames until told to stop."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(daemon=True)
        self.sent: queue.SimpleQueue[_Sent] = queue.SimpleQueue()
        self.stop = threading.Event()
        self._terminal = terminal

    def run(self) -> None:
        """Frame after frame, on time."""
        meter, gaps = household("standard", contract="BASE"), random.Random(1)
        due = time.perf_counter()
        for frame in frames(meter, at(18)):
            for start in range(0, len(frame), PIECE):
                piece = frame[start : start + PIECE]
                due += len(piece) * SECONDS_A_BYTE
                if self.stop.wait(max(0.0, due - time.perf_counter())):
                    return
                self._terminal.write(piece)
            self.sent.put(_Sent(time.perf_counter(), _number(SENT, frame)))
            due += gaps.uniform(*GAPS)
            meter.registers[1] += 1  # so that EAST rises with every frame


def _number(pattern: re.Pattern[bytes], text: bytes) -> int:
    found = pattern.search(text)
    return int(float(found[1])) if found else 0


def _milliseconds_until_seen(server: Server, line: _Line) -> Iterator[float]:
    """One figure a frame."""
    with contextlib.closing(server.connect()) as connection:
        while not line.sent.empty():
            line.sent.get()
        for _ in range(FRAMES):
            sent = line.sent.get()
            while _number(SHOWN, get(connection, "/metrics")) < sent.east and time.perf_counter() - sent.at < GIVE_UP:
                pass
            yield (time.perf_counter() - sent.at) * 1000


def scrape_alone(server: Server) -> float:
    """Median milliseconds of a scrape alone."""
    with contextlib.closing(server.connect()) as connection:
        times = [time.perf_counter()]
        for _ in range(200):
            get(connection, "/metrics")
            times.append(time.perf_counter())
        return median((after - before) * 1000 for before, after in pairwise(times))


def main() -> None:
    terminal = Terminal()
    line = _Line(terminal)
    line.start()
    try:
        with meterline([terminal.link], config=False) as server:
            alone = scrape_alone(server)
            found = sorted(_milliseconds_until_seen(server, line))
    finally:
        line.stop.set()
        line.join()
        terminal.close()
    rows = [
        Row(f"{name} of {FRAMES} frames", f"{value:.0f} ms", f"{alone:.2f} ms", ratio(value, alone), goal)
        for name, value, goal in (
            ("median", median(found), "<= 25 ms"),
            ("90 %", quantiles(found, n=10)[8], ""),
            ("99 %", quantiles(found, n=100)[98], "<= 50 ms"),
            ("worst", found[-1], ""),
        )
    ]
    show("latency", (__doc__ or "").partition("\n\n")[2].strip(), rows)
