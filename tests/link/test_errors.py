"""Errors of links: a kind for the program, problem and remedy for people, each apart."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path

import pytest
from support.live_meters import bridge, line, locked, until
from support.live_meters import run as run_in_real_time
from support.virtual_lines import run

from meterline.link import errors, tcp
from meterline.link.errors import LinkError, LinkErrorKind
from meterline.link.open import open_link
from meterline.link.processes import Process
from meterline.meter.readings import Refused, Silent


async def error_of(url: str) -> LinkError:
    with pytest.raises(LinkError) as caught:
        async with open_link(url) as link:
            while True:
                await link.read()
    return caught.value


def number(code: int) -> OSError:
    return OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("error", "kind", "problem"),
    [
        (number(errno.ENOENT), LinkErrorKind.NOT_FOUND, "no such device"),
        (number(errno.ENXIO), LinkErrorKind.NOT_FOUND, "no such device"),
        (number(errno.EACCES), LinkErrorKind.PERMISSION, "permission denied"),
        (number(errno.EBUSY), LinkErrorKind.IN_USE, "in use by another program"),
        (number(errno.ENOTTY), LinkErrorKind.NOT_SERIAL, "not a serial device"),
        (number(errno.EMFILE), LinkErrorKind.SYSTEM, "Too many open files"),
        (ValueError("odd"), LinkErrorKind.SYSTEM, "odd"),
    ],
)
def test_a_device_that_does_not_open_has_a_kind(error: Exception, kind: LinkErrorKind, problem: str) -> None:
    found = errors.not_opened("/dev/serial/by-id/usb-nobody", error)
    assert (found.kind, found.problem, found.holder) == (kind, problem, None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (number(errno.EIO), LinkErrorKind.UNPLUGGED),
        (None, LinkErrorKind.CLOSED),
        (number(errno.ECONNRESET), LinkErrorKind.SYSTEM),
    ],
)
def test_a_link_that_is_lost_has_a_kind(error: Exception | None, kind: LinkErrorKind) -> None:
    assert errors.lost("/dev/ttyUSB0", error).kind is kind


def test_a_locked_device_names_the_process_that_holds_it() -> None:
    async def test() -> None:
        async with line() as (url, _):
            child = await asyncio.create_subprocess_exec(
                "flock", "--nonblock", "--close", url, "sleep", "infinity", stdin=asyncio.subprocess.DEVNULL
            )
            try:
                await until(lambda: locked(url))
                error = await error_of(url)
            finally:
                child.terminate()
                await child.wait()
        assert error.kind is LinkErrorKind.IN_USE
        assert error.holder == Process(child.pid, "flock")
        assert str(error) == f"{url}: in use by process {child.pid} (flock); stop it first"

    run_in_real_time(test())


def test_a_bridge_that_refuses_closes_or_does_not_answer_has_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        assert (await error_of("tcp://127.0.0.1:1")).kind is LinkErrorKind.REFUSED
        async with bridge(close) as url:
            assert (await error_of(url)).kind is LinkErrorKind.CLOSED
        monkeypatch.setattr(tcp, "CONNECT_TIMEOUT_S", 0.05)
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
        assert (await error_of("tcp://127.0.0.1:9")).kind is LinkErrorKind.TIMEOUT

    run(test())


def test_a_host_that_nobody_knows_has_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    error = run(error_of("tcp://jean:s3cret@meter.example:2000"))
    assert error.kind is LinkErrorKind.NAME_UNKNOWN
    assert str(error) == "tcp://meter.example:2000: Name or service not known"


def test_a_capture_that_is_not_there_has_a_kind(tmp_path: Path) -> None:
    error = run(error_of(f"file:{tmp_path}/x.bin"))
    assert error.kind is LinkErrorKind.NOT_FOUND
    assert error.link == f"{tmp_path}/x.bin"


def test_a_silent_or_refusing_meter_keeps_link_problem_and_remedy_apart() -> None:
    silent = Silent("nothing arrives", "check the wires", "/dev/ttyUSB0", talks=True)
    assert (silent.problem, silent.remedy, silent.link) == ("nothing arrives", "check the wires", "/dev/ttyUSB0")
    assert str(silent) == "/dev/ttyUSB0: nothing arrives; check the wires"
    assert silent.sentence == "nothing arrives; check the wires"
    assert str(Refused("check id and password")) == "check id and password"
    assert isinstance(silent, TimeoutError)
