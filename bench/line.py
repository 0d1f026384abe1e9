"""Lines that talk at the speed of a real one: simulated households' frames, and a process that sends them.

    python -m bench.line MODE tcp METERS SECONDS     that many meters, each on its own port; every client hears it
    python -m bench.line MODE pty READERS SECONDS    one meter, the same bytes on that many pseudo-terminals

All bytes are made before the first is sent, and go out as plain writes, so that this process costs little. It prints its links
as one line of JSON when it is ready, is silent after SECONDS, and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache, partial
from itertools import pairwise

from bench.ending import end_of_input
from meterline.protocols.tic.simulator.meter import MODES, FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation.household import House

GAP = 0.025
"""Seconds of silence between two frames: 16.7 to 33.4 ms (54E)."""
PACKET = {"tcp": 0.1, "pty": 0.02}
"""Seconds between two writes to one reader: about what a bridge and a USB adapter gather."""
SLOTS = 10
"""Groups of meters that are written to in turn within one packet's time, so that they do not speak in step."""
_FILLER = b"\xff"
"""Stands for a character's time of silence."""

Write = Callable[[bytes], None]


class SteadyHouse(House):
    """A house that remembers its load at the last moments asked: a frame asks for one moment many times."""

    def load(self, now: float) -> float:
        """See `House`."""
        return _load(self, now)


@lru_cache(maxsize=64)
def _load(house: House, now: float) -> float:
    return House.load(house, now)


def at(hour: int) -> float:
    """Unix time of an hour of a working day in winter: always the same day, so that every run measures the same bytes."""
    return datetime(2025, 1, 14, hour, tzinfo=PARIS).timestamp()


def household(mode: str, number: int = 1, contract: str = "HC") -> FakeMeter:
    """A single-phase meter; another number, another household."""
    return FakeMeter(SteadyHouse(PARIS, 9000, seed=number), mode, contract, number=number)


def frames(meter: FakeMeter, start: float) -> Iterator[bytes]:
    """Consecutive frames from `start` on, each with the values of the moment at which the line is free for it."""
    now = start
    while True:
        meter.advance(now)
        frame = meter.frame()
        yield frame
        now += len(frame) * 10 / MODES[meter.mode] + GAP


def _packets(mode: str, number: int, seconds: float, interval: float) -> list[bytes]:
    """What one meter sends, packet by packet, from a random moment of its first frame on."""
    rate = MODES[mode] / 10
    stream = bytearray()
    for frame in frames(household(mode, number), at(18)):
        stream += frame + _FILLER * round(GAP * rate)
        if len(stream) > (seconds + 3) * rate:
            break
    first = random.Random(number).randrange(len(frame))
    ends = [first + round(n * rate * interval) for n in range(int(seconds / interval) + 1)]
    return [bytes(stream[start:end]).replace(_FILLER, b"") for start, end in pairwise(ends)]


class _Port:
    """A meter's TCP port, and whoever listens to it."""

    def __init__(self) -> None:
        self._clients: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.link = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        self._clients.append(client)

    def write(self, data: bytes) -> None:
        """To every client; what one does not read is lost for it, as on a line."""
        for client in self._clients.copy():
            try:
                client.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._clients.remove(client)
                client.close()


class Terminal:
    """A pseudo-terminal: `link` is what a reader opens."""

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.link = os.ttyname(self._slave)

    def write(self, data: bytes) -> None:
        """What nobody reads is lost, as on a line."""
        try:
            os.write(self._master, data)
        except BlockingIOError:
            termios.tcflush(self._slave, termios.TCIFLUSH)

    def close(self) -> None:
        """Both ends."""
        os.close(self._slave)
        os.close(self._master)


async def _send(lines: list[tuple[Write, list[bytes]]], interval: float) -> None:
    """Packet after packet to each line, on time, until the last."""
    clock = asyncio.get_running_loop().time
    begin = clock()
    for tick in range(max(len(packets) for _, packets in lines)):
        for slot in range(SLOTS):
            await asyncio.sleep(begin + (tick + slot / SLOTS) * interval - clock())
            for write, packets in lines[slot::SLOTS]:
                if packets[tick]:
                    write(packets[tick])


async def _talk(mode: str, place: str, count: int, seconds: float) -> None:
    make = partial(_packets, mode, seconds=seconds, interval=PACKET[place])
    ends: list[_Port] | list[Terminal]
    if place == "tcp":
        ends, said = [_Port() for _ in range(count)], [make(number) for number in range(1, count + 1)]
    else:
        ends, said = [Terminal() for _ in range(count)], [make(1)] * count
    print(json.dumps([end.link for end in ends]), flush=True)
    sending = asyncio.create_task(_send(list(zip([end.write for end in ends], said, strict=True)), PACKET[place]))
    await end_of_input()
    sending.cancel()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_talk(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
