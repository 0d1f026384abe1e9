"""The simulated module on a real pseudo-terminal and a real port."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.live_meters import LIMIT, command, program

from meterline.config.schema import load
from meterline.protocols.broute import echonet
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.protocols.broute.skstack import link_local, sendto
from meterline.simulation import responder

VERSION = b"SKVER\r\nEVER 1.5.2\r\nOK\r\n"


class Terminal:
    """A client of a pseudo-terminal."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._file)
        self.said = b""

    async def ask(self, line: bytes, until: bytes, seconds: float = LIMIT) -> bytes:
        """All that came since the last answer, up to a text."""
        os.write(self._file, line)
        async with asyncio.timeout(seconds):
            while until not in self.said:
                await asyncio.sleep(0.005)
                try:
                    self.said += os.read(self._file, 4096)
                except BlockingIOError:
                    continue
        found, _, self.said = self.said.partition(until)
        return found + until

    def close(self) -> None:
        os.close(self._file)


@asynccontextmanager
async def terminal(path: str) -> AsyncIterator[Terminal]:
    client = Terminal(path)
    try:
        yield client
    finally:
        client.close()


def run(scene: object) -> None:
    asyncio.run(scene)  # type: ignore[arg-type]


def test_a_session_on_a_terminal(tmp_path: Path) -> None:
    meter = FakeMeter()
    address = link_local(meter.mac)
    lines = (f"SKSETPWD C {meter.password}", f"SKSETRBID {meter.id}", "SKSREG S2 31", f"SKSREG S3 {meter.pan_id:04X}")

    async def scene() -> None:
        path = str(tmp_path / "module")
        async with responder.on_pty(FakeModule([meter], haste=20), path) as url, terminal(url) as client:
            assert url == path
            for line in lines:
                await client.ask(line.encode() + b"\r\n", b"OK\r\n")
            await client.ask(f"SKJOIN {address}\r\n".encode(), b"EVENT 25")
            reply = await client.ask(
                sendto(address, echonet.get(0x0D0A, [0xE7]), 0), b"0E1A 0E1A 0014224455667788 1 0 0012 10810D0A"
            )
            assert b"EVENT 21" in reply
        assert not os.path.lexists(path)

    run(scene())


def test_a_terminal_outlives_its_clients_and_the_module_its_terminals(tmp_path: Path) -> None:
    async def scene() -> None:
        path, module = str(tmp_path / "module"), FakeModule([FakeMeter()])
        async with responder.on_pty(module, path):
            async with terminal(path) as client:
                await client.ask(b"SKSREG S2 3A\r\n", b"OK\r\n")
            async with terminal(path) as client:
                assert b"3A" in await client.ask(b"SKSREG S2\r\n", b"OK\r\n")
        assert not os.path.lexists(path)
        async with responder.on_pty(module, path), terminal(path) as client:
            assert b"3A" in await client.ask(b"SKSREG S2\r\n", b"OK\r\n")

    run(scene())


def test_opening_the_terminal_wakes_a_mute_module(tmp_path: Path) -> None:
    async def scene() -> None:
        module = FakeModule([FakeMeter()], scale=10.0, faults=Faults(mute=5))
        async with responder.on_pty(module) as path:
            async with terminal(path) as client:
                await client.ask(b"SKVER\r\n", VERSION)
                await asyncio.sleep(0.6)
                with pytest.raises(TimeoutError):
                    await client.ask(b"SKVER\r\n", VERSION, 0.2)
            async with terminal(path) as client:
                await client.ask(b"SKVER\r\n", VERSION)

    run(scene())


async def on_port(url: str, line: bytes, until: bytes) -> bytes:
    host, _, port = url.removeprefix("tcp://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(line)
        async with asyncio.timeout(LIMIT):
            return await reader.readuntil(until)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("shared_module", [True, False])
def test_connections_share_a_module_or_have_their_own(shared_module: bool) -> None:
    async def scene() -> None:
        module = FakeModule([FakeMeter()])
        made = (lambda: module) if shared_module else (lambda: FakeModule([FakeMeter()]))
        async with responder.on_tcp(made, "127.0.0.1", 0) as url:
            await on_port(url, b"SKSREG S2 3A\r\n", b"OK\r\n")
            kept = await on_port(url, b"SKSREG S2\r\n", b"OK\r\n")
            assert (b"3A" in kept) == shared_module

    run(scene())


def test_many_connections_at_once_each_with_its_meter() -> None:
    async def scene() -> None:
        numbers = iter(range(1, 51))
        modules = responder.on_tcp(lambda: FakeModule([FakeMeter(number=next(numbers))], haste=100), "127.0.0.1", 0)
        async with modules as url, asyncio.TaskGroup() as group:
            scans = [group.create_task(on_port(url, b"SKSCAN 3 FFFFFFFF 6 0\r\n", b"EVENT 22")) for _ in range(50)]
        found = [scan.result() for scan in scans]
        assert len({scan[scan.index(b"Addr:") :][:21] for scan in found}) == 50

    run(scene())


def test_the_command_prints_a_configuration_that_is_good(tmp_path: Path) -> None:
    path = tmp_path / "module"
    with program("simulate", "broute", "--solar", "--edition", "single", "--form", "binary", "--pty", str(path)) as simulator:
        assert simulator.stdout
        printed = "".join(simulator.stdout.readline() for _ in range(5))
        file = tmp_path / "meterline.yml"
        file.write_text(printed, encoding="utf-8")
        (meter,) = load(str(file)).meters
        assert (meter.link, meter.protocol) == (str(path), "broute")

        async def scene() -> None:
            async with terminal(str(path)) as client:
                await client.ask(b"SKVER\r\n", b"EVER 1.2.10\r\nOK\r\n")
                await client.ask(b"ROPT\r", b"OK 00\r")

        run(scene())
        simulator.terminate()
        assert (simulator.wait(LIMIT), simulator.stdout.read()) == (0, "")
    assert not path.is_symlink()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--fault", "gremlins=1"], "'gremlins' is not known; known: drop, late, duplicate, inf-during"),
        (["--fault", "silent=1"], "--fault silent=1: expected yes or no"),
        (["--fault", "outage=60"], "--fault outage 60: expected PERIOD/LENGTH in seconds"),
        (["--fault", "drop=often"], "--fault drop=often: expected a number"),
        (["--scale", "0"], "--scale 0: expected a factor above 0"),
        (["--kept-days", "100"], "--kept-days 100: expected a number from 0 to 99"),
    ],
)
def test_what_cannot_be_simulated_is_said_in_one_line(words: list[str], complaint: str) -> None:
    done = command("simulate", "broute", *words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert complaint in done.stderr
