"""What is diagnosed of links, addresses and settings with something wrong: ``python -m support.diagnoses [reworded]``.

Prints one JSON object: scenario → its diagnoses. Paths, ports and numbers of processes are replaced by names. How many bytes
came, and how long that took, still is another number in each run.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from support.rewording import install

ROOMS = tuple(
    f"meterline.{room}"
    for room in ("compat", "config", "diagnostics", "errors", "link", "meter", "protocols", "service", "web.http.server")
)
"""Whatever says what is wrong, or decides by it."""
HOLD = """
import socket, sys, time
open("/proc/self/comm", "w").write(sys.argv[1])
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(600)
"""
"""A process of a given name that holds its standard input and a port."""


@contextmanager
def holding(file: Path, program: str) -> Iterator[tuple[int, int]]:
    """A process that has the file open: its number, and the port on which it listens."""
    with file.open() as opened:
        words = [sys.executable, "-c", HOLD, program]
        child = subprocess.Popen(words, stdin=opened, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout
        yield child.pid, int(child.stdout.readline())
    finally:
        child.terminate()
        child.wait()
        if child.stdout:
            child.stdout.close()


async def examined(url: str, protocol: str | None = "tic", names: tuple[str, ...] = (), **place: Any) -> Any:
    """What the doctor finds of a link; `names`: meters that a running meterline reads."""
    from meterline.config.schema import MeterConfig
    from meterline.diagnostics import serial_device
    from meterline.diagnostics.link_check import Case, Surroundings, examine
    from meterline.diagnostics.running_instance import Instance

    page = "".join(f'smartmeter_up{{meter="{name}"}} 1.0\n' for name in names)
    case = Case(url, (MeterConfig("home", url, protocol),))
    instance = Instance(1, page, place.pop("holder", None)) if names else None
    await examine(case, Surroundings(serial_device.this_user(), instance, listen_s=3.0))
    return [list(finding) for finding in case.findings]


async def supervised(url: str) -> Any:
    """How a link ends for `run`, and what the page says of it."""
    from meterline.config.schema import Config, MeterConfig
    from meterline.service.supervisor import Runtime

    runtime = Runtime(Config((MeterConfig("home", url),)))
    running, meter = asyncio.create_task(runtime.run()), runtime.meters["home"]
    while not meter.counters.reach.ends and not meter.counters.defects:  # noqa: ASYNC110 (nobody is told of an end)
        await asyncio.sleep(0.1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return [meter.counters.defects, sorted(meter.counters.reach.ends), meter.counters.line.trouble]


async def poured(data: bytes, ask: Callable[[str], Awaitable[Any]]) -> Any:
    """What is said of a line on which that arrives, again and again, as fast as from a meter."""
    from meterline.simulation.line import on_pty

    async def pour() -> None:
        while True:
            for start in range(0, len(data), 50):
                write(data[start : start + 50])
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)

    async with on_pty(None) as (url, write, _):
        pouring = asyncio.create_task(pour())
        try:
            return named(await ask(url), {url: "LINE"})
        finally:
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)


async def at_a_bridge(ask: Callable[[str], Awaitable[Any]]) -> Any:
    """What is said of a bridge that hangs up at once."""

    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        return named(await ask(f"tcp://127.0.0.1:{port}"), {str(port): "PORT"})


def frames() -> bytes:
    from meterline.protocols.tic.simulator.meter import FakeMeter
    from meterline.protocols.tic.simulator.state import PARIS
    from meterline.simulation.household import House

    meter, sent = FakeMeter(House(PARIS), "standard", "HC"), []
    for second in range(20):
        meter.advance(time.time() + second)
        sent.append(meter.frame())
    return b"".join(sent)


def named(value: Any, names: dict[str, str]) -> Any:
    """With names in place of what is another one in each run."""
    text = json.dumps(value, ensure_ascii=False)
    for found, name in names.items():
        text = text.replace(found, name)
    return json.loads(text)


def lines() -> Iterator[tuple[str, Any]]:
    """Of what arrives on a line."""
    from support.virtual_lines import run

    dice, good = random.Random(5), frames()
    noise = bytes(dice.choice((0x01, 0x80, 0x8F, 0x9E, 0xF8, 0x1F, 0x55)) for _ in range(4000))
    arrives = {
        "silence": b"",
        "noise": noise,
        "nuls": b"\x00A\x00\x00" * 500,
        "text": b"Hello, this is a router. " * 100,
        "cooked": good.replace(b"\r", b"\n").replace(b"\x03", b""),
        "damaged": good.replace(b"\t0", b"\t1"),
        "parity": bytes(byte | (byte.bit_count() & 1) << 7 for byte in good),
    }
    for name, data in arrives.items():
        for protocol in ("tic", None) if name in ("silence", "noise") else ("tic",):
            found = run(poured(data, lambda url, protocol=protocol: examined(url, protocol)))  # type: ignore[misc]
            yield f"line with {name}, {protocol}", found
        if name in ("silence", "noise"):
            yield f"run on a line with {name}", run(poured(data, supervised))


def devices(folder: Path) -> Iterator[tuple[str, Any]]:
    """Of devices that cannot be had, and of addresses that cannot be served."""
    from meterline.diagnostics import host
    from meterline.link.processes import Process

    file, run = folder / "device", asyncio.run
    file.write_bytes(b"x")
    yield "no device", run(examined("/dev/serial/by-id/usb-nobody"))
    yield "run without device", run(supervised("/dev/serial/by-id/usb-nobody"))
    yield "no serial device", named(run(examined(str(file))), {str(file): "FILE"})
    for program in ("gpsd", "sleep", "meterline"):
        with holding(file, program) as (pid, port):
            names = {str(file): "FILE", str(pid): "PID", str(port): "PORT"}
            yield f"held by {program}", named(run(examined(str(file))), names)
            served = run(examined(str(file), names=("home",), holder=Process(pid, program)))
            yield f"read by {program}", named(served, names)
            yield f"port of {program}", named(list(host.port(f"127.0.0.1:{port}")), names)
    yield "port of nobody", list(host.port("192.0.2.1:1"))
    yield "locked", _locked()


def _locked() -> Any:
    """A device whose lock another process has, read by our own service or not."""
    from meterline.link.processes import Process
    from meterline.simulation.line import on_pty
    from support.virtual_lines import run

    async def examine(program: str | None, names: tuple[str, ...]) -> Any:
        holder = Process(7, program) if program else None
        with (
            mock.patch("meterline.link.serial._open", side_effect=BlockingIOError(11, "locked")),
            mock.patch("meterline.link.processes.of_device", return_value=holder),
        ):
            async with on_pty(None) as (url, _, _):
                return named(await examined(url, names=names), {url: "LINE"})

    return [run(examine(program, names)) for program in ("gpsd", "meterline", None) for names in ((), ("home",))]


def bridges() -> Iterator[tuple[str, Any]]:
    """Of bridges."""
    from support.virtual_lines import run

    yield "refused", run(examined("tcp://127.0.0.1:1"))
    yield "run on a bridge that refuses", run(supervised("tcp://127.0.0.1:1"))
    yield "closed", run(at_a_bridge(examined))
    yield "run on a bridge that hangs up", run(at_a_bridge(supervised))
    nobody = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with mock.patch.object(socket, "getaddrinfo", side_effect=nobody):
        yield "unknown name", run(examined("tcp://meter.invalid:2000"))
        yield "run on an unknown name", run(supervised("tcp://meter.invalid:2000"))


def settings() -> Iterator[tuple[str, Any]]:
    """Of URLs and settings."""
    from meterline.compat.linky_env import adapt
    from meterline.config.schema import single
    from meterline.errors import UserError

    for url in ("ttyUSB0", "tcp://bridge", "tcp://bridge:door", "tcp://a..b:1", "file:x?baud=slow", "socket://a:1"):
        try:
            single(url)
        except UserError as error:
            yield f"link {url}", [error.status, str(error)]
    for bridge in ("bridge:2000", "bridge", "bridge:door"):
        found = adapt([f"LINKY_SOCAT_HOST={bridge}"], {})
        yield f"LINKY_SOCAT_HOST={bridge}", [found.config.meters[0].link, list(found.advice)]


def main() -> None:
    """Print the diagnoses."""
    if sys.argv[1:] == ["reworded"]:
        install(ROOMS)
    with tempfile.TemporaryDirectory() as folder:
        found = dict([*settings(), *bridges(), *devices(Path(folder)), *lines()])
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main()
