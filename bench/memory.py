"""How much memory the program takes, and how much more for each meter.

Measured: VmRSS of a `meterline run` process whose meters speak at line speed, a second after the third scrape: `meterline run
LINK` with one meter on a pseudo-terminal; then 1, 100 and 1,000 meters over loopback TCP from a configuration file, each with
its own household. PSS: the same with shared pages divided among those who share them; peak: the highest VmRSS so far.
"each" is the growth from the row above, divided.
Reference: a bare Tornado that serves an empty page, with prometheus_client and serialx imported.
"""

from __future__ import annotations

import contextlib
import time

from bench.process import Memory, bare, get, line, memory, meterline
from bench.table import Row, ratio, show

COUNTS = (1, 100, 1000)
GOALS = {"historic": "<= 20 KiB", "standard": "<= 35 KiB"}
"""Of one meter."""
SETTLE = 1.0
TALK = 30.0


def _of(mode: str, count: int, place: str = "tcp") -> Memory:
    with contextlib.ExitStack() as stack:
        links = stack.enter_context(line(mode, place, count, TALK))
        server = stack.enter_context(meterline(links, config=place == "tcp"))
        for _ in range(3):
            server.scrape()
            time.sleep(SETTLE)
        return memory(server.pid)


def _reference() -> Memory:
    with bare("serve") as server, contextlib.closing(server.connect()) as connection:
        for _ in range(3):
            get(connection, "/metrics")
            time.sleep(SETTLE)
        return memory(server.pid)


def _mib(kib: float) -> str:
    return f"{kib / 1024:.1f} MiB"


def main() -> None:
    bare_minimum = _reference()

    def row(what: str, found: Memory, goal: str = "") -> Row:
        times = ratio(found.resident, bare_minimum.resident)
        detail = f"PSS {_mib(found.proportional)}, peak {_mib(found.peak)}"
        return Row(f"{what} ({detail})", _mib(found.resident), _mib(bare_minimum.resident), times, goal)

    rows = [row(f"meterline run LINK, {mode}", _of(mode, 1, "pty"), "<= 38 MiB") for mode in ("historic", "standard")]
    for mode in ("historic", "standard"):
        last: tuple[int, int] | None = None
        for count in COUNTS:
            found = _of(mode, count)
            rows.append(row(f"{count} {mode} meter{'s' * (count > 1)}", found))
            if last:
                each = (found.resident - last[1]) / (count - last[0])
                rows.append(Row(f"  each, from {last[0]} on", f"{each:.1f} KiB", goal=GOALS[mode]))
            last = count, found.resident
    show("memory", (__doc__ or "").partition("\n\n")[2].strip(), rows)
