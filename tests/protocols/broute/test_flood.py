"""A bridge that sends garbage without end: what one turn of the event loop takes on is bounded, on each protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
from support.live_meters import bridge, run, until
from support.virtual_time import play

from meterline.config.schema import Config, MeterConfig
from meterline.link.open import open_link
from meterline.link.stream import AHEAD, CHUNK, MAX_READ, MAX_RESTED, PACE, Form, Tap
from meterline.meter.link_counters import LinkCounters
from meterline.meter.readings import Item, Rejected
from meterline.protocols import broute, tic
from meterline.protocols.broute import skstack
from meterline.protocols.broute.simulator.commands import FakeMeter
from meterline.protocols.tic import frames
from meterline.service.supervisor import Runtime

STRETCH = 1 << 16
ADDRESS = b"FE80:0000:0000:0000:0212:3456:789A:BCDE "
HEADER = b"ERXUDP " + 2 * ADDRESS + b"0E1A 0E1A 0012345600012345 1 0 "
WORDS = [b"\n", b"\r", b"\x02", b"\x03", b"A", b"\xff", b"EVENT 2", b"ERXUDP ", b"OK\r\n", b"EPANDESC\r\n", b"\nIINST 002 Y\r"]
KINDS = {
    "no line ends": Random(1).randbytes(STRETCH).translate(None, b"\r\n\x03\x04"),
    "noise": Random(1).randbytes(STRETCH),
    "line ends alone": b"\n" * STRETCH,
    "carriage returns alone": b"\r" * STRETCH,
    "STX alone": b"\x02" * STRETCH,
    "half lines": b"\x80\n" * (STRETCH // 2),
    "half groups": b"\nIINST 0\r" * (STRETCH // 10),
    "half events": b"EVENT 21 " * (STRETCH // 9),
    "datagrams that never end": (HEADER + b"04D0 ") * (STRETCH // len(HEADER)),
    "a mixture": b"".join(Random(1).choices(WORDS, k=STRETCH // 4)),
}
MODULE = broute.Options(id=FakeMeter().id, password=FakeMeter().password)
OPTIONS: dict[str, tic.Options | broute.Options] = {"tic": tic.Options(), "broute": MODULE}
MOST = {"tic": MAX_RESTED, "broute": MAX_READ}
DECODERS = {"tic": frames.Decoder, "broute": skstack.Decoder}


@asynccontextmanager
async def pouring(data: bytes) -> AsyncIterator[str]:
    """A bridge that sends it again and again, as fast as it is taken."""

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(data)
            await writer.drain()

    async with bridge(pour) as url:
        yield url


class Turns:
    """`add` what is done in this turn of the loop; `most`: the most that one turn did."""

    def __init__(self) -> None:
        self._this = 0
        self.most = self.total = 0

    def add(self, count: int) -> None:
        if not self._this:
            asyncio.get_running_loop().call_soon(self._end)
        self._this += count
        self.total += count

    def _end(self) -> None:
        self.most, self._this = max(self.most, self._this), 0


def counted(patch: pytest.MonkeyPatch, owner: type, name: str, turns: Turns, size: Callable[[Any], int]) -> None:
    """Let a method of one argument note what it is given."""
    inner = getattr(owner, name)

    def noted(self: Any, given: Any) -> Any:
        turns.add(size(given))
        return inner(self, given)

    patch.setattr(owner, name, noted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocol", OPTIONS)
def test_a_turn_of_the_loop_decodes_one_read_and_counts_its_rejects(
    protocol: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, rejects = Turns(), Turns()
    counted(monkeypatch, DECODERS[protocol], "feed", decoded, len)
    counted(monkeypatch, LinkCounters, "reject", rejects, lambda _: 1)

    async def test() -> None:
        async with pouring(KINDS[kind]) as url:
            runtime = Runtime(Config((MeterConfig("home", url, protocol, OPTIONS[protocol]),)))
            task = asyncio.create_task(runtime.run())
            await until(lambda: decoded.total > 20 * MOST[protocol], 30)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    run(test())
    assert decoded.most <= MOST[protocol]
    assert rejects.most <= MOST[protocol]


def test_a_link_is_read_at_a_bounded_pace_however_fast_it_is_sent() -> None:
    async def test() -> None:
        async with pouring(KINDS["noise"]) as url, open_link(url) as link:
            loop = asyncio.get_running_loop()
            start = loop.time()
            while link.received < PACE:
                await link.read()
                allowed = (loop.time() - start + AHEAD) * PACE + CHUNK
                assert link.received <= allowed

    run(test())


def test_others_have_their_turn_between_two_reads_of_what_waits() -> None:
    async def test() -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async with pouring(b"x" * STRETCH) as url, open_link(url) as link:
            await until(lambda: link.received >= CHUNK)
            counter = asyncio.create_task(count())
            await asyncio.sleep(0)
            for before in range(3):
                assert len(await link.read()) == MAX_READ
                assert turns >= before
            counter.cancel()

    run(test())


def test_a_time_out_between_two_reads_loses_no_byte() -> None:
    async def test() -> None:
        data = bytes(range(256)) * (CHUNK // 256)

        async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(data)
            await asyncio.Event().wait()

        async with bridge(send) as url, open_link(url) as link:
            await until(lambda: link.received == len(data))
            got = await link.read()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(0):
                    got += await link.read()
            while len(got) < len(data):
                got += await link.read()
            assert got == data

    run(test())


class Flood:
    """A link in memory that pours, at the pace of a wire."""

    url = "tcp://bridge:1"
    timed = True
    crowd = 1
    received = 0

    def __init__(self, data: bytes) -> None:
        self.baud: int | None = None
        self.tap: Tap | None = None
        self._data = data

    async def read(self) -> bytes:
        await asyncio.sleep(MAX_READ / PACE)
        start = self.received % (len(self._data) - MAX_READ)
        self.received += MAX_READ
        return self._data[start : start + MAX_READ]

    def unread(self, data: bytes) -> None: ...

    def rest_until(self, moment: float) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def set_baud(self, baud: int, form: Form = "8N1") -> None: ...


def test_a_flood_of_rejects_is_added_up_by_read_and_none_is_forgotten() -> None:
    items: list[Item] = []
    most = Turns()

    def take(item: Item) -> None:
        most.add(1)
        items.append(item)

    async def scene() -> int:
        link = Flood(b"\x80\n" * (STRETCH // 2))
        with suppress(TimeoutError):  # the module does not answer
            await broute.read(link, {"home": MODULE}, {}, take)
        await asyncio.sleep(0)
        return link.received

    received = play(scene)
    assert received > 5 * PACE
    assert most.most < 50
    assert sum(item.times for item in items if isinstance(item, Rejected)) == received // 2
