"""How long the event loop is held up by a bridge that sends garbage as fast as it can.

Measured: a runtime in this process reads one TCP link of each protocol, on which another process pours what no meter says:
noise, line ends, half lines that look right, STX, datagrams that never end, and mixtures, 32 KiB of each in turn. A callback
that comes back in every turn of the loop notes the CPU time since the one before: the longest is what a scrape waits at most.
kB/s is what was read.
Reference: the longest turn while the link is open and nothing comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Iterator

from bench.ending import end_of_input
from bench.process import first_line, python
from bench.table import Row, ratio, show
from meterline.config.schema import Config, MeterConfig
from meterline.protocols import broute, tic
from meterline.protocols.broute.simulator.commands import FakeMeter
from meterline.service.supervisor import Runtime

SECONDS = 20.0
QUIET = 3.0
STRETCH = 1 << 15
_ADDRESS = b"FE80:0000:0000:0000:0212:3456:789A:BCDE "
_HEADER = b"ERXUDP " + 2 * _ADDRESS + b"0E1A 0E1A 0012345600012345 1 0 "
_WORDS = (b"\n", b"\r", b"\x02", b"\x03", b"A", b"\xff", b"EVENT 2", b"ERXUDP ", b"OK\r\n", b"EPANDESC\r\n", b"\nIINST 002 Y\r")


def garbage() -> Iterator[bytes]:
    """Stretches of each kind, for ever."""
    chance = random.Random(1)
    units = (b"\n", b"\r", b"A\n", b"\x80\n", b"\x02", b"\x02\n", b"\x03", b"E", b"EVENT 21 ", b"EVENT 21\r\n", b"OK\r\n")
    datagrams = (_HEADER + b"04D0 ", _HEADER + b"0001 01\r\n", _HEADER + b"0010 zz\r\n")
    while True:
        yield chance.randbytes(STRETCH)
        for unit in (*units, *datagrams):
            yield unit * (STRETCH // len(unit))
        yield b"".join(chance.choices(_WORDS, k=STRETCH // 4))


def _pour(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        with contextlib.suppress(OSError), client:
            for stretch in garbage():
                client.sendall(stretch)


class _Turns:
    """`longest` turn of the loop so far, in seconds of CPU: what other processes take does not count."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._before = time.thread_time()
        self.longest = 0.0
        self._turn()

    def _turn(self) -> None:
        now = time.thread_time()
        self.longest, self._before = max(self.longest, now - self._before), now
        self._handle = self._loop.call_soon(self._turn)

    def end(self) -> float:
        self._handle.cancel()
        return self.longest


def _meters() -> dict[str, tic.Options | broute.Options]:
    one = FakeMeter()
    return {"tic": tic.Options(), "broute": broute.Options(id=one.id, password=one.password)}


async def _read(protocol: str, link: str, seconds: float) -> tuple[float, float]:
    """The longest turn, and the bytes read a second."""
    runtime = Runtime(Config((MeterConfig("one", link, protocol, _meters()[protocol]),)))
    task = asyncio.create_task(runtime.run())
    turns = _Turns()
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return turns.end(), runtime.meters["one"].counters.received / seconds


async def _quiet(protocol: str) -> float:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        longest, _ = await _read(protocol, f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", QUIET)
    return longest


def main() -> None:
    rows = []
    for protocol in _meters():
        quiet = asyncio.run(_quiet(protocol))
        with python("bench.flood") as process:
            longest, rate = asyncio.run(_read(protocol, json.loads(first_line(process)), SECONDS))
        measured, reference = f"{longest * 1000:.1f} ms", f"{quiet * 1000:.1f} ms"
        rows.append(Row(f"{protocol}, {rate / 1000:.0f} kB/s", measured, reference, ratio(longest, quiet), "<= 50 ms"))
    show("flood", (__doc__ or "").partition("\n\n")[2].strip(), rows)


async def _serve() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_pour, args=(listener,), daemon=True).start()
        print(json.dumps(f"tcp://127.0.0.1:{listener.getsockname()[1]}"), flush=True)
        await end_of_input()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
    sys.exit()
