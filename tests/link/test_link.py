"""Links: real pseudo-terminals, real sockets, captures; and what people are told when one cannot be opened."""

from __future__ import annotations

import asyncio
import errno
import os
import termios
import threading
from pathlib import Path

import pytest
import serialx
from support.live_meters import bridge, fake, line, locked, talking, until
from support.live_meters import run as run_in_real_time
from support.virtual_lines import run

from meterline.link import errors, tcp
from meterline.link.errors import LinkError, LinkErrorKind
from meterline.link.open import open_link
from meterline.link.stream import SerialSettings
from meterline.link.ticks import TICK_S


async def read(url: str) -> bytes:
    async with open_link(url) as link:
        return await link.read()


async def complaint(url: str) -> str:
    with pytest.raises(LinkError) as caught:
        await read(url)
    return str(caught.value)


def test_a_pseudo_terminal_can_be_opened_three_times_and_gives_every_byte() -> None:
    async def test() -> None:
        async with line() as (url, write):
            for speed in (9600, 1200, 9600):
                async with open_link(url, SerialSettings(speed)) as link:
                    write(bytes(range(1, 256)))
                    got = b""
                    while len(got) < 255:
                        got += await link.read()
                    # 7E1 where the kernel agrees, else 8N1: bit 7 is the decoder's business
                    assert bytes(byte & 0x7F for byte in got) == bytes(byte & 0x7F for byte in range(1, 256))

    run(test())


@pytest.mark.parametrize("refused", [(), (errno.EINVAL,)], ids=["7E1", "8N1 of a pseudo-terminal"])
def test_a_device_is_opened_alone_and_without_a_wake_up_for_each_byte(
    monkeypatch: pytest.MonkeyPatch, refused: tuple[int, ...]
) -> None:
    asked: list[dict[str, object]] = []

    async def create_serial_connection(*words: object, **settings: object) -> None:
        asked.append(settings)
        raise OSError((*refused, errno.EACCES)[len(asked) - 1], "not opened")

    monkeypatch.setattr(serialx, "create_serial_connection", create_serial_connection)
    asyncio.run(complaint("/dev/ttyUSB0"))
    assert [(settings["exclusive"], settings["low_latency"]) for settings in asked] == [(True, False)] * (len(refused) + 1)


def test_the_device_is_raw_so_that_etx_and_cr_survive() -> None:
    async def test() -> None:
        async with line() as (url, write), open_link(url):
            with open(url, "rb", buffering=0) as other:
                iflag, _, _, lflag = termios.tcgetattr(other)[:4]
            assert not iflag & (termios.ICRNL | termios.IXON | termios.INLCR)
            assert not lflag & (termios.ICANON | termios.ISIG | termios.ECHO)
            write(b"")

    run(test())


def test_a_changed_speed_is_the_devices_and_drops_what_came_at_the_old_one() -> None:
    async def test() -> None:
        async with line() as (url, write), open_link(url, SerialSettings(9600)) as link:
            write(b"noise")
            await asyncio.sleep(0.1)
            await link.set_baud(1200)
            with open(url, "rb", buffering=0) as other:
                assert termios.tcgetattr(other)[4] == termios.B1200
            write(b"good")
            assert await link.read() == b"good"

    run(test())


def test_a_change_of_speed_while_bytes_come_does_not_look_like_an_unplugged_device() -> None:
    """The change drops what has come: a reader that was told of it would read nothing, which is how a device goes away."""

    async def test() -> None:
        async with line() as (url, write):
            stop = threading.Event()

            def send() -> None:
                while not stop.wait(0.0005):
                    write(b"x" * 20)

            async with open_link(url, SerialSettings(1200)) as link:

                async def read_on() -> None:
                    while True:
                        await link.read()

                reading = asyncio.create_task(read_on())
                sending = asyncio.get_running_loop().run_in_executor(None, send)
                try:
                    for number in range(300):
                        await link.set_baud((9600, 1200)[number % 2])
                finally:
                    stop.set()
                    await sending
                    reading.cancel()

    run_in_real_time(test())


def test_a_pseudo_terminal_takes_any_order_of_speeds_and_forms() -> None:
    """It keeps 8N1, and refuses to be set to anything else: each protocol that listens sets its own all the same."""

    async def test() -> None:
        async with line() as (url, write), open_link(url, SerialSettings(9600, "8N1")) as link:
            for baud, form in ((1200, "7E1"), (115_200, "8N1"), (9600, "7E1"), (9600, "8N1")):
                await link.set_baud(baud, form)  # type: ignore[arg-type]
                assert link.baud == baud
                write(b"hello")
                assert await link.read() == b"hello"

    run(test())


def test_a_device_that_another_program_has_locked_is_refused_with_its_name() -> None:
    async def test() -> None:
        async with line() as (url, _):
            child = await asyncio.create_subprocess_exec(
                "flock", "--nonblock", "--close", url, "sleep", "infinity", stdin=asyncio.subprocess.DEVNULL
            )
            try:
                await until(lambda: locked(url))
                text = await complaint(url)
                assert f"{url}: in use by process " in text
                assert "(flock)" in text
            finally:
                child.terminate()
                await child.wait()

    run_in_real_time(test())


def test_two_processes_of_meterline_cannot_read_one_device() -> None:
    async def test() -> None:
        async with line() as (url, _), open_link(url):
            assert "in use by" in await complaint(url)

    run(test())


def test_a_missing_device_is_named_with_what_to_do() -> None:
    async def test() -> None:
        text = await complaint("/dev/serial/by-id/usb-nobody")
        assert text.startswith("/dev/serial/by-id/usb-nobody: no such device; is the adapter plugged in?")

    run(test())


def test_a_file_that_is_no_device_says_how_to_read_a_capture(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"ADCO")

    async def test() -> None:
        assert await complaint(str(file)) == f"{file}: not a serial device; a capture is read as file:{file}"

    run(test())


def test_a_permission_error_names_the_group_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "CONTAINER_MARKS", ())
    device = tmp_path / "ttyUSB0"
    device.touch()
    device.chmod(0o660)
    group = errors.group_name(device.stat().st_gid)
    error = errors.not_opened(str(device), PermissionError(13, "Permission denied"))
    assert error.kind is LinkErrorKind.PERMISSION
    assert error.sentence == (
        f"permission denied; the device belongs to group {group!r}: sudo usermod -aG {group} $USER, then log in again"
    )
    device.chmod(0o600)
    error = errors.not_opened(str(device), PermissionError(13, "Permission denied"))
    assert "its group may not read it either" in error.problem
    assert error.remedy == "check its udev rule"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without permission")
def test_a_device_without_permission_is_refused_by_the_system(tmp_path: Path) -> None:
    async def test() -> None:
        async with line() as (url, _):
            os.chmod(url, 0o660)
            groups, group = os.getgroups(), os.getegid()
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
            try:
                assert "permission denied; the device belongs to group" in await complaint(url)
            finally:
                os.seteuid(0)
                os.setegid(group)
                os.setgroups(groups)

    run(test())


def test_a_device_that_goes_away_is_a_lost_link() -> None:
    async def test() -> None:
        async with talking(fake()) as url:
            opened = open_link(url)
            link = await opened.__aenter__()
            await link.read()
        with pytest.raises(LinkError, match="the device was unplugged"):
            while True:
                await link.read()
        await opened.__aexit__(None, None, None)

    run(test())


def test_tcp_is_read_and_its_end_is_a_lost_link() -> None:
    async def test() -> None:
        async with talking(fake(), tcp=True) as url:
            opened = open_link(url)
            link = await opened.__aenter__()
            assert await link.read()
            assert link.baud is None
        with pytest.raises(LinkError, match="closed the connection"):
            while True:
                await link.read()
        await opened.__aexit__(None, None, None)

    run(test())


def test_a_bridge_that_is_not_there_is_a_clear_line() -> None:
    async def test() -> None:
        assert "connection refused; is the bridge running?" in await complaint("tcp://127.0.0.1:1")

    run(test())


def test_a_bridge_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CONNECT_TIMEOUT_S", 0.05)

    async def never(*_: object) -> None:
        await asyncio.sleep(60)

    async def test() -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
        assert "no answer in" in await complaint("tcp://127.0.0.1:9")

    run(test())


def test_a_link_rests_until_a_moment_and_loses_nothing() -> None:
    async def test() -> None:
        clock = asyncio.get_running_loop().time
        async with line() as (url, write), open_link(url) as link:
            write(b"1")
            assert await link.read() == b"1"
            until = clock() + 0.2
            link.rest_until(until)
            write(b"2")
            write(b"3")
            assert await link.read() == b"23"
            assert until - 0.001 < clock() < until + 2 * TICK_S

    run(test())


def test_a_rest_is_made_longer_and_not_shorter() -> None:
    async def test() -> None:
        clock = asyncio.get_running_loop().time
        async with line() as (url, write), open_link(url) as link:
            until = clock() + 0.5
            for moment in (until - 0.3, until, until - 0.2, clock()):
                link.rest_until(moment)
            write(b"1")
            assert await link.read() == b"1"
            assert until - 0.001 < clock() < until + 2 * TICK_S

    run(test())


def test_a_moment_that_is_near_or_has_passed_is_no_rest() -> None:
    async def test() -> None:
        clock = asyncio.get_running_loop().time
        async with line() as (url, write), open_link(url) as link:
            begin = clock()
            link.rest_until(begin - 1)
            link.rest_until(begin + TICK_S / 2)
            write(b"1")
            assert await link.read() == b"1"
            assert clock() - begin < TICK_S / 2

    run(test())


def test_a_link_that_is_lost_or_closed_while_it_rests_is_over() -> None:
    async def test() -> None:
        async with talking(fake()) as url:
            opened = open_link(url)
            link = await opened.__aenter__()
            await link.read()
            link.rest_until(asyncio.get_running_loop().time() + 0.5)
        with pytest.raises(LinkError, match="the device was unplugged"):
            while True:
                await link.read()
        link.rest_until(asyncio.get_running_loop().time() + 0.5)
        await opened.__aexit__(None, None, None)
        await asyncio.sleep(1)

    run(test())


def test_bytes_that_nobody_reads_are_bounded() -> None:
    async def test() -> None:
        async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()

        async with bridge(pour) as url, open_link(url) as link:
            await asyncio.sleep(0.5)
            assert len(await link.read()) < 4 << 20

    run(test())


def test_a_capture_is_read_to_its_end_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"x" * 10_000)

    async def test() -> None:
        async with open_link(f"file:{file}") as link:
            got = b""
            with pytest.raises(EOFError):
                while True:
                    got += await link.read()
                    link.rest_until(asyncio.get_running_loop().time() + 3600)
            assert len(got) == link.received == 10_000
            assert asyncio.get_running_loop().time() < 1
            assert not link.timed

    run(test())


def test_a_paced_capture_takes_the_time_of_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"x" * 480)

    async def test() -> None:
        start = asyncio.get_running_loop().time()
        async with open_link(f"file:{file}?baud=9600") as link:
            with pytest.raises(EOFError):
                while True:
                    await link.read()
            assert link.timed
        assert asyncio.get_running_loop().time() - start > 0.4

    run(test())


def test_a_missing_capture_is_a_clear_line() -> None:
    async def test() -> None:
        assert await complaint("file:/nowhere/x.bin") == "/nowhere/x.bin: No such file or directory"

    run(test())


def test_bytes_can_be_given_back_to_a_link() -> None:
    async def test() -> None:
        async with line() as (url, write), open_link(url) as link:
            write(b"later")
            await until(lambda: link.received == 5)
            link.unread(b"first ")
            assert await link.read() == b"first later"

    run(test())


def test_written_bytes_reach_the_other_side() -> None:
    async def test() -> None:
        got = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got.set_result(await reader.read(10))

        async with bridge(serve) as url, open_link(url) as link:
            await link.write(b"SKVER\r\n")
            assert await got == b"SKVER\r\n"

    run(test())
