"""What systemd is told, on a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.live_meters import LIMIT, fake, port_of, program, talking
from support.virtual_lines import run

from meterline.service import systemd


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """The socket on which systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(LIMIT)
        yield listening


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The same, and this process under it, without a watchdog."""
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with manager(str(tmp_path / "notify")) as listening:
        yield listening


def heard(listening: socket.socket) -> list[str]:
    return listening.recv(4096).decode().splitlines()


def all_heard(listening: socket.socket) -> list[str]:
    listening.setblocking(False)
    lines = []
    try:
        while True:
            lines += heard(listening)
    except BlockingIOError:
        return lines


async def tell_for(seconds: float, describe: list[str]) -> None:
    task = asyncio.create_task(systemd.notify_systemd(lambda: describe[0]))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_notification_without_systemd_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    asyncio.run(asyncio.wait_for(systemd.notify_systemd(lambda: "never asked"), 1))


@pytest.mark.parametrize("address", ["/nowhere/at/all", "@nobody-listens-there", "vsock:2:1234", "relative", "/" + "x" * 200])
def test_a_socket_that_cannot_be_reached_ends_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not systemd.notify("READY=1")
    run(tell_for(0.01, ["still here"]))


def test_a_full_socket_never_blocks(told: socket.socket) -> None:
    sent = 0
    while systemd.notify("STATUS=" + "x" * 1000):
        sent += 1
        assert sent < 100_000
    assert sent


def test_an_abstract_socket_is_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"meterline-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with manager(f"\0{name}") as listening:
        assert systemd.notify("READY=1", "STATUS=fine")
        assert heard(listening) == ["READY=1", "STATUS=fine"]


def test_the_status_is_sent_again_only_where_it_changes(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        status = ["silent"]
        task = asyncio.create_task(tell_for(60, status))
        await asyncio.sleep(30)
        status[0] = "speaks"
        await task

    run(test())
    assert all_heard(told) == ["READY=1", "STATUS=silent", "STATUS=speaks"]


@pytest.mark.parametrize(
    ("silent", "meters", "line"),
    [
        ([], 1, "meters online: 1 of 1"),
        (["home"], 2, "meters online: 1 of 2; offline: home"),
        (list("abcdefg"), 9, "meters online: 2 of 9; offline: a, b, c, d, e and 2 more"),
        (["a\nREADY=0"], 2, "meters online: 1 of 2; offline: a READY=0"),
    ],
)
def test_the_status_is_one_line_that_names_the_silent(silent: list[str], meters: int, line: str) -> None:
    assert systemd.status(silent, meters) == line


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        (None, None, None),
        ("60000000", None, 30.0),
        ("60000000", "", 30.0),
        ("60000000", "ours", 30.0),
        ("60000000", "1", None),
        ("0", None, None),
        ("-5", None, None),
        ("soon", None, None),
    ],
)
def test_the_watchdog_is_reset_at_half_its_time_by_the_process_that_it_waits_for(
    usec: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "ours" else pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval_s() == seconds


def test_the_watchdog_is_not_reset_while_the_event_loop_hangs(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")

    async def test() -> tuple[list[str], list[str], list[str]]:
        task = asyncio.create_task(tell_for(300, ["fine"]))
        await asyncio.sleep(125)
        turning = all_heard(told)
        asyncio.get_running_loop().hang(120)  # type: ignore[attr-defined]
        hanging = all_heard(told)
        await task
        return turning, hanging, all_heard(told)

    turning, hanging, again = run(test())
    assert turning[:2] == ["READY=1", "STATUS=fine"]
    assert turning.count("WATCHDOG=1") == 5
    assert hanging == []
    assert again.count("WATCHDOG=1") == 2


def test_a_service_is_ready_when_it_serves_and_says_that_it_stops(told: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")

    async def hear(lines: list[str], wanted: str) -> list[str]:
        while wanted not in lines:
            lines += await asyncio.to_thread(heard, told)
        return lines

    async def test() -> None:
        async with talking(fake(), tcp=True) as url:
            with program("run", url, "--web.listen-address", "127.0.0.1:0") as process:
                lines = await hear([], "READY=1")
                assert lines[1] == "STATUS=meters online: 0 of 1; offline: 127.0.0.1"
                socket.create_connection(("127.0.0.1", port_of(process)), timeout=LIMIT).close()
                assert "WATCHDOG=1" in await hear(lines, "STATUS=meters online: 1 of 1")
                process.send_signal(signal.SIGTERM)
                await hear(lines, "STOPPING=1")
                assert await asyncio.to_thread(process.wait, LIMIT) == 0

    asyncio.run(test())
