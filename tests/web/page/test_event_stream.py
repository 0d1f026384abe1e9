"""Server-sent events of the page, over real sockets."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.http_client import Client, connected
from support.live_meters import LIMIT, fetch, page, paged, port_of, program, until

from meterline.config.schema import MeterConfig
from meterline.meter.readings import Reading, Rejected, Secret, Snapshot
from meterline.web.page import event_stream
from meterline.web.page.routes import Live


def power(value: float) -> Snapshot:
    return Snapshot((Reading(("smartmeter_apparent_power_import_voltamperes",), value),))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message every 50 ms."""
    monkeypatch.setattr(event_stream, "INTERVAL_S", 0.05)


class Listener:
    """An open stream: its head, and its messages one after the other."""

    def __init__(self, client: Client, head: str) -> None:
        self.client = client
        self.head = head

    async def raw(self) -> bytes:
        """The next event's bytes; EOFError at the end."""
        event = await self.client.read(until=b"\n\n")
        if not event.endswith(b"\n\n"):
            raise EOFError
        return event

    async def message(self) -> dict[str, Any]:
        """The next message."""
        found: dict[str, Any] = json.loads((await self.raw()).removeprefix(b"data: "))
        return found

    async def slot(self, name: str, text: str) -> dict[str, Any]:
        """The first message whose slot holds this."""
        async with asyncio.timeout(LIMIT):
            while text not in (found := await self.message())["slots"].get(name, ""):
                pass
            return found


@asynccontextmanager
async def listening(url: str, query: str = "", version: str = "1.1", source: str = "127.0.0.1") -> AsyncIterator[Listener]:
    """A stream that was begun, from an address of the loopback."""
    async with connected(int(url.rpartition(":")[2]), source=source, limit=64 << 20) as client:
        client.send(f"GET /events{query} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        head = (await client.read(until=b"\r\n\r\n")).decode()
        if " 200 " in head:
            assert await client.read(until=b"\n\n") == b"retry: 2000\n\n"
        yield Listener(client, head)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.usefixtures("fast")
def test_a_stream_says_everything_once_and_then_only_what_changes(version: str) -> None:
    async def test() -> None:
        async with paged("home", "farm") as (url, live):
            for meter in live.meters.values():
                meter.take(power(100))
            async with listening(url, version=version) as heard:
                assert "Content-Type: text/event-stream" in heard.head
                assert "X-Content-Type-Options: nosniff" in heard.head
                first = await heard.message()
                places = {name.partition(".")[2] for name in first["slots"]}
                assert len(first["mark"]) == 16
                assert {"power", "state", "seen", "chart", "energy", "tariff", "phases", "line", "alert"} <= places
                live.meters["farm"].take(power(250))
                changed = await heard.slot("1.power", ">250<")
                assert "mark" not in changed
                assert changed["slots"].keys() <= {"1.power", "0.seen", "1.seen", "0.chart", "1.chart"}

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_a_meter_that_goes_silent_is_said_to_be_at_its_deadline() -> None:
    async def test() -> None:
        now = 1000.0
        async with paged(MeterConfig("home", "/dev/home", stale_after=30), clock=lambda: now) as (url, live):
            live.meters["home"].take(power(100))
            async with listening(url) as heard:
                assert ">100<" in (await heard.message())["slots"]["0.power"]
                now += 29.9
                assert "silent" not in json.dumps(await heard.slot("0.seen", "29 s"))
                now += 0.2
                said = await heard.slot("0.state", "silent")
                assert "offline since" in said["slots"]["0.power"]
                assert "100" not in said["slots"]["0.power"]

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_all_who_watch_the_same_get_the_same_bytes_which_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sent = 0
    slots, send = Live.slots, event_stream._Channel.send

    def counted(self: Live, view: Any) -> dict[str, str]:
        nonlocal made
        made += 1
        return slots(self, view)

    def sending(self: Any, slots: dict[str, str]) -> None:
        nonlocal sent
        sent += 1
        send(self, slots)

    monkeypatch.setattr(event_stream._Channel, "send", sending)

    async def test() -> None:
        async with paged("home") as (url, live), contextlib.AsyncExitStack() as stack:
            monkeypatch.setattr(live.hub, "_slots", lambda view: counted(live, view))
            heard = [await stack.enter_async_context(listening(url)) for _ in range(30)]
            assert live.hub.count == 30
            assert len({await one.raw() for one in heard}) == 1
            live.meters["home"].take(power(77))
            messages = [(await one.slot("0.power", ">77<"))["slots"] for one in heard]
            assert all(message == messages[0] for message in messages)
            rounds = sent
            await until(lambda: sent >= rounds + 3)
            assert made == 1 + sent, "once for who came first, and once a round"

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_each_view_has_its_own_messages() -> None:
    async def test() -> None:
        async with (
            paged("home", "farm") as (url, live),
            listening(url, "?lang=fr") as french,
            listening(url, "?lang=en&meter=farm") as farm,
        ):
            assert "en attente" in (await french.message())["slots"]["0.state"]
            assert {name.partition(".")[0] for name in (await farm.message())["slots"]} == {"0"}
            live.meters["farm"].take(power(50))
            assert "smartmeter" not in json.dumps(await farm.slot("0.readings", "Apparent power, import"))
            assert "puissance apparente" in (await french.slot("1.power", ">50<"))["slots"]["1.power"]

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_the_words_of_the_wire_come_with_the_next_frame_after_somebody_looked() -> None:
    async def test() -> None:
        async with paged("home") as (url, live), listening(url, "?meter=home") as heard:
            assert "PAPP" not in (await heard.message())["slots"]["0.wire"]
            live.meters["home"].take(Snapshot((), words={"PAPP": "00230", "PRM": Secret("01234567890123")}))
            said = await heard.slot("0.wire", "PAPP")
            assert "PRM" not in said["slots"]["0.wire"]
            assert "01234567890123" not in json.dumps(said)

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_nothing_runs_while_nobody_watches() -> None:
    async def test() -> None:
        async with paged("home") as (url, live):
            assert live.hub._ticking is None
            async with listening(url) as heard:
                await heard.message()
                assert live.hub.count == 1
            await until(lambda: live.hub.count == 0)
            assert live.hub._ticking
            await until(live.hub._ticking.done)
            async with listening(url) as heard:
                await heard.message()
                await heard.message()

    asyncio.run(test())


def test_a_reader_that_does_not_read_is_dropped_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SEND_BUFFER_BYTES", 4096)
    monkeypatch.setattr(event_stream, "SKIPPED_MAX", 5)
    monkeypatch.setattr(event_stream, "INTERVAL_S", 3600)  # nothing is sent but what the test sends, when the other has read

    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack, paged("home") as (url, live):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))))
            slow.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: live.hub.count == 1)
            ((view, channel),) = live.hub._channels.items()
            (reader,) = channel.readers
            async with listening(url) as heard:
                (other,) = channel.readers - {reader}
                waiting = asyncio.create_task(heard.slot("0.power", ">9<"))
                while live.hub.count == 2:
                    await until(lambda: not other.stream.writing())
                    channel.send({"big": f"{asyncio.get_running_loop().time()}" * 10_000})
                    assert len(reader.stream._write_buffer or ()) < 2_000_000, "nothing piles up"
                    await asyncio.sleep(0)
                assert reader.stream.closed()
                live.meters["home"].take(power(9))
                await until(lambda: not other.stream.writing())
                channel.send(live.slots(view))
                await waiting

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_a_reader_that_was_behind_gets_everything_once_it_reads_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SKIPPED_MAX", 1_000_000)

    async def test() -> None:
        async with paged("home") as (url, live), listening(url) as heard:
            await heard.message()
            channel = next(iter(live.hub._channels.values()))
            (reader,) = channel.readers
            while not reader.skipped:
                channel.send({**channel.slots, "big": f"{len(channel.slots)}{asyncio.get_running_loop().time()}" * 50_000})
            live.meters["home"].take(power(31))
            said = await heard.slot("0.power", ">31<")
            assert said["mark"], "it is told everything"

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_one_stream_too_many_is_told_when_to_come_back_and_may_ask_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STREAMS_MAX", 2)

    async def test() -> None:
        async with paged("home") as (url, live):
            async with listening(url), listening(url):
                async with listening(url) as third:
                    assert third.head.startswith("HTTP/1.1 503 ")
                    assert "Retry-After: 10\r\n" in third.head
                _, headers, body = await asyncio.to_thread(lambda: fetch(f"{url}/events?once=1"))
                assert headers["Content-Type"].startswith("application/json")
                assert "waiting" in json.loads(body)["slots"]["0.state"]
                assert live.hub.count == 2
            await until(lambda: live.hub.count == 0)
            async with listening(url) as again:
                assert again.head.startswith("HTTP/1.1 200 ")

    asyncio.run(test())


def test_an_address_that_takes_all_streams_leaves_others_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STREAMS_MAX", 6)

    async def test() -> None:
        async with paged("home") as (url, live), contextlib.AsyncExitStack() as stack:

            async def begun(source: str) -> Listener:
                return await stack.enter_async_context(listening(url, source=source))

            greedy = [await begun("127.0.0.2") for _ in range(6)]
            assert (await begun("127.0.0.2")).head.startswith("HTTP/1.1 503 ")
            for other in range(3):
                assert (await begun("127.0.0.3")).head.startswith("HTTP/1.1 200 "), other
                with pytest.raises(EOFError):  # the oldest of the greedy one made room
                    while True:
                        await greedy[other].raw()
                assert live.hub.count == 6
            for source in ("127.0.0.2", "127.0.0.3"):  # each has as much as the other: none pushes out the other
                assert (await begun(source)).head.startswith("HTTP/1.1 503 ")
            assert (await begun("127.0.0.4")).head.startswith("HTTP/1.1 200 ")
            assert live.hub.count == 6

    asyncio.run(test())


def test_an_open_stream_ends_with_the_server() -> None:
    async def test() -> None:
        async with contextlib.AsyncExitStack() as stack:
            async with paged("home") as (url, _):
                heard = await stack.enter_async_context(listening(url))
                await heard.message()
            with pytest.raises(EOFError):
                while True:
                    await heard.raw()

    asyncio.run(test())


def test_a_stream_that_is_asked_for_while_the_server_stops_ends_at_once() -> None:
    async def test() -> None:
        async with paged("home") as (url, live):
            live.hub.close()
            async with connected(int(url.rpartition(":")[2])) as client:
                client.send(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await client.read() == b""

    asyncio.run(test())


@pytest.mark.usefixtures("fast")
def test_a_defect_of_ours_ends_that_stream_is_logged_and_leaves_the_next_one_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with paged("home", "farm") as (url, live):
            slots = live.slots
            broken = False

            def failing(view: Any) -> dict[str, str]:
                if broken and view.form == "meter":
                    raise RuntimeError("broken")
                return slots(view)

            monkeypatch.setattr(live.hub, "_slots", failing)
            async with listening(url) as home, listening(url, "?meter=farm") as farm:
                await farm.message()
                broken = True
                with pytest.raises(EOFError):
                    while True:
                        await farm.raw()
                live.meters["home"].take(power(5))
                await home.slot("0.power", ">5<")

    with caplog.at_level(logging.ERROR):
        asyncio.run(test())
    assert "a defect in meterline's page" in caplog.text


@pytest.mark.usefixtures("fast")
def test_a_stream_of_many_meters_tells_of_those_on_its_page() -> None:
    async def test() -> None:
        async with paged(*(f"m{n:03d}" for n in range(120))) as (url, live), listening(url, "?page=2") as heard:
            slots = (await heard.message())["slots"]
            assert len(slots) == 50 * 3 + 1
            live.meters["m000"].counters.reject(Rejected("checksum"))
            live.meters["m051"].take(power(815))
            assert "119 of 120" in (await heard.slot("1.power", "815"))["slots"]["summary"]

    asyncio.run(test())


@pytest.fixture
def line() -> Iterator[str]:
    """A TCP port on which no meter ever speaks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_the_page_is_there_unless_it_is_switched_off(line: str) -> None:
    with program("run", line, "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        assert "data-events" in page(port, "/")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    with program("run", line, "--web.page", "off", "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        assert "data-events" not in page(port, "/")
        assert "href=metrics" in page(port, "/")
        for path in ("/events", "/meter/127.0.0.1"):
            assert fetch(f"http://127.0.0.1:{port}{path}")[0] == 404


def test_the_program_ends_at_once_though_pages_are_open(line: str) -> None:
    with program("run", line, "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        page(port, "/")
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            client.recv(100)
            running.terminate()
            assert running.wait(LIMIT) == 0


def test_a_program_without_the_page_does_not_even_read_its_code(line: str) -> None:
    code = (
        "import asyncio, os, signal, sys\n"
        "from meterline.cli import run\n"
        "from meterline.config.schema import single\n"
        "listen = run.listen\n"
        "def listen_and_end(*words):\n"
        "    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)\n"
        "    return listen(*words)\n"
        "run.listen = listen_and_end\n"
        f"run.run(single({line!r}), run.Web('127.0.0.1:0', page=False), None)\n"
        "print([name for name in sys.modules if name.startswith('meterline.web.')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    loaded = {"meterline.web.http", *(f"meterline.web.http.{name}" for name in ("connections", "middleware", "server"))}
    assert set(ast.literal_eval(done.stdout)) == loaded
