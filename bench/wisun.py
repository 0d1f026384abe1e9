"""Wi-SUN modules that are asked, at the speed of real ones: simulated ones on TCP ports, in a process of their own.

    python -m bench.wisun COUNT     that many ports, each with its own household; every client of a port gets its own module

The power is another one in every reply. It prints its links as one line of JSON when it is ready, and ends with its standard
input: then it prints what was said to each client of each link.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from bench.ending import end_of_input
from bench.line import SteadyHouse
from bench.process import first_line, python
from meterline.protocols.broute import echonet, skstack
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.poller import LIVE
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule
from meterline.simulation.responder import on_tcp

START = datetime(2025, 1, 14, 18, 10, tzinfo=JST).timestamp()
"""Unix time at which every module begins: no half-hour is announced for the next twenty minutes."""
LOWEST = 500
"""Watts before the first reply."""


class _Meter(FakeMeter):
    """Its power is one watt more in every reply."""

    told = 0

    @property
    def watts(self) -> int:
        """See `FakeMeter`."""
        return LOWEST + self.told

    def value(self, epc: int, eoj: bytes = echonet.METER) -> bytes | None:
        """See `FakeMeter`."""
        self.told += epc == p.POWER
        return super().value(epc, eoj)


class Told(NamedTuple):
    """What a module said to one client."""

    scans: int
    replies: list[tuple[float, int]]
    """When it said a power (`perf_counter`, the same in all processes), and the power."""


class _Module(FakeModule):
    """Notes what it says."""

    def __init__(self, number: int) -> None:
        self._meter = _Meter(SteadyHouse(JST, seed=number))
        self._sweeps = 0
        self._replies: list[tuple[float, int]] = []
        super().__init__([self._meter], seed=number, start_unix=START)

    @property
    def told(self) -> Told:
        """So far."""
        return Told(self._sweeps, self._replies)

    def scan(self, mode: int, mask: int, duration: int, side: int) -> None:
        """See `Air`."""
        self._sweeps += 1
        super().scan(mode, mask, duration, side)

    def take(self, now: float) -> bytes:
        """See `Port`."""
        said = super().take(now)
        if said and b"%02X04%08X" % (p.POWER, self._meter.watts) in said:
            self._replies.append((time.perf_counter(), self._meter.watts))
        return said


class Modules(NamedTuple):
    """A running process of them."""

    links: list[str]
    process: subprocess.Popen[str]

    def told(self) -> list[list[Told]]:
        """End it: what was said on each link to each of its clients, in the order in which they came."""
        assert self.process.stdin
        self.process.stdin.close()
        return [[Told(*client) for client in clients] for clients in json.loads(first_line(self.process))]


@contextlib.contextmanager
def modules(count: int) -> Iterator[Modules]:
    """So many modules, one a link."""
    with python("bench.wisun", str(count)) as process:
        yield Modules(json.loads(first_line(process)), process)


def meter(interval: float, remembered: bool = True) -> str:
    """What the configuration says of each meter. `remembered`: with its place on the air, so that no scan is needed."""
    one = FakeMeter()
    words: dict[str, Any] = {"id": one.id, "password": one.password, "interval": interval}
    if remembered:
        words |= {"channel": f"{one.channel:02X}", "pan_id": f"{one.pan_id:04X}", "mac": one.mac}
    return f"protocol: broute, options: {{{', '.join(f'{key}: {word}' for key, word in words.items())}}}"


def dialogue() -> tuple[bytes, bytes]:
    """What to write to a module so that it joins, and what to write so that its meter tells what it is asked each time."""
    one = FakeMeter()
    address = skstack.link_local(one.mac)
    commands = [
        ("SKSREG", "SFE", "0"),
        ("SKSETPWD", f"{len(one.password):X}", one.password),
        ("SKSETRBID", one.id),
        ("SKSREG", "S2", f"{one.channel:02X}"),
        ("SKSREG", "S3", f"{one.pan_id:04X}"),
        ("SKSREG", "SA2", "1"),
        ("SKJOIN", address),
    ]
    question = echonet.get(1, [epc for epc in LIVE if epc in one.epcs()])
    return b"".join(skstack.command(*words) for words in commands), skstack.sendto(address, question, 0)


async def _answer(count: int) -> None:
    made: list[list[_Module]] = [[] for _ in range(count)]

    def another(number: int) -> _Module:
        made[number].append(_Module(1 + number + count * len(made[number])))
        return made[number][-1]

    async with contextlib.AsyncExitStack() as stack:
        links = [await stack.enter_async_context(on_tcp(partial(another, n), "127.0.0.1", 0)) for n in range(count)]
        print(json.dumps(links), flush=True)
        await end_of_input()
        print(json.dumps([[module.told for module in clients] for clients in made]), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_answer(int(sys.argv[1])))
