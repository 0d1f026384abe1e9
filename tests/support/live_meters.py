"""A stage for the tests: simulated meters on real pseudo-terminals and sockets, and a runtime that reads them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from bench.process import port_of as port_of
from meterline.config.schema import Config, MeterConfig
from meterline.protocols.tic import Options
from meterline.protocols.tic.simulator.meter import MODES, FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.service.supervisor import Runtime
from meterline.simulation.household import House
from meterline.simulation.line import Faults, Write, on_pty, on_tcp, talk
from meterline.web.http.server import application, listen
from meterline.web.page.routes import Live
from meterline.web.page.sections import Today

LIMIT = 60.0
"""Seconds in which whatever must happen has happened, also on a machine that does much else. Nobody waits for it in vain."""
FAST = {mode: speed * 20 for mode, speed in MODES.items()}
"""Lines twenty times as fast as real ones."""


POWER = ("smartmeter_apparent_power_import_voltamperes",)
"""What every historic meter says."""
HISTORIC = Options(baud=1200)


def run(test: Coroutine[Any, Any, None]) -> None:
    """A test inside a loop, which must end."""
    asyncio.run(asyncio.wait_for(test, 2 * LIMIT))


def tic(name: str, link: str, **facts: Any) -> MeterConfig:
    """A historic meter in a configuration."""
    return MeterConfig(name, link, "tic", HISTORIC, **facts)


def fake(mode: str = "historic", contract: str = "HC", **facts: object) -> FakeMeter:
    """A simulated meter."""
    return FakeMeter(House(PARIS), mode, contract, **facts)  # type: ignore[arg-type]


@asynccontextmanager
async def talking(
    meter: FakeMeter, path: str | None = None, tcp: bool = False, faults: Faults | None = None, real_speed: bool = False
) -> AsyncIterator[str]:
    """Its link, while it talks."""
    place = on_tcp("127.0.0.1", 0) if tcp else on_pty(path)
    async with place as (url, write, heard_at):
        speeds, hears = (MODES, heard_at) if real_speed else (FAST, lambda: None)
        task = asyncio.create_task(talk(meter, speeds, write, faults or Faults(), hears))
        try:
            yield url
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def line(path: str | None = None) -> AsyncIterator[tuple[str, Write]]:
    """A pseudo-terminal on which the test itself is the meter: its path, and how to write."""
    async with on_pty(path) as (url, write, _):
        yield url, write


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def bridge(handler: Handler) -> AsyncIterator[str]:
    """A TCP server that the test plays: its link. Every connection is closed at the end."""
    writers: list[asyncio.StreamWriter] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def reading(*meters: MeterConfig, for_ever: bool = False) -> AsyncIterator[Runtime]:
    """A runtime that reads them."""
    runtime = Runtime(Config(meters))
    task = asyncio.create_task(runtime.run(for_ever))
    try:
        yield runtime
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object], seconds: float = LIMIT) -> None:
    """Wait for it; AssertionError when it takes longer."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not condition():
        assert clock() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def command(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the program to its end, as a user would."""
    run = [sys.executable, "-m", "meterline", *words]
    options.setdefault("env", environment())
    return subprocess.run(run, capture_output=True, text=True, timeout=2 * LIMIT, check=False, **options)  # type: ignore[call-overload,no-any-return]


@contextmanager
def program(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The program while it runs, as a user would run it; ended by SIGTERM."""
    run = [sys.executable, "-m", "meterline", *words]
    process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment())
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT)
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What we logged: asyncio's debug mode says what was slow."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("meterline")]


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def page(port: int, path: str = "/metrics", seconds: float = LIMIT) -> str:
    """A page of a program that may still be starting."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fetch(f"http://127.0.0.1:{port}{path}")[2].decode()
        except OSError:
            assert time.monotonic() < deadline, "nobody listens"
            time.sleep(0.05)


def shows(port: int, text: str, path: str = "/metrics") -> str:
    """Wait until a page holds it; the page."""
    deadline = time.monotonic() + LIMIT
    while text not in (found := page(port, path)):
        assert time.monotonic() < deadline, f"never shown: {text}, but {found}"
        time.sleep(0.05)
    return found


def wait_until(condition: Callable[[], object], otherwise: str = "it did not happen in time", seconds: float = LIMIT) -> None:
    """Wait for it, outside of a loop; AssertionError when it takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


_HELD: list[socket.socket] = []


def free_port() -> int:
    """A port that nobody else gets, where one has to be known beforehand: for a server that is started again, say.

    It stays bound until the tests end. The kernel gives it to nobody who asks for any port, and servers may listen on it,
    since they, as this socket, set SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("", 0))
    _HELD.append(held)
    return int(held.getsockname()[1])


def environment(**variables: str) -> dict[str, str]:
    """The environment of a user, and these: asyncio does not say what was slow, nor cost three times the work."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONASYNCIODEBUG"} | variables


@asynccontextmanager
async def paged(
    *meters: MeterConfig | str,
    port: int = 0,
    today: Today = lambda name: None,
    clock: Callable[[], float] | None = None,
) -> AsyncIterator[tuple[str, Live]]:
    """The live page over meters that nobody reads, but for what the test tells them: its address, and the page.

    Of a meter that is given by its name alone what was told once stays true for as long as a test lasts; `clock`: whose
    time it is, where the test lets it pass.
    """
    configs = [MeterConfig(one, f"/dev/{one}", stale_after=4 * LIMIT) if isinstance(one, str) else one for one in meters]
    runtime = Runtime(Config(tuple(configs)), clock=clock)
    async with showing(runtime, port, today) as shown:
        yield shown


@asynccontextmanager
async def showing(runtime: Runtime, port: int = 0, today: Today = lambda name: None) -> AsyncIterator[tuple[str, Live]]:
    """The live page of a runtime."""
    live = Live(runtime, today)
    server = listen(application(runtime, page=live.routes()), f"127.0.0.1:{port}")
    remembering = asyncio.create_task(live.sample_power())
    try:
        yield f"http://127.0.0.1:{server.port}", live
    finally:
        server.stop()
        remembering.cancel()
        live.hub.close()
        await asyncio.gather(remembering, return_exceptions=True)
        await server.close_all_connections()
        await asyncio.sleep(0)


def locked(path: str) -> bool:
    """Whether a program holds the lock of a device."""
    with open(path, "rb") as probe:
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
