"""Lines with something wrong, as people have them: real pseudo-terminals and sockets, and what the doctor says of each."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.live_meters import bridge, fake, line, locked, talking, until
from support.live_meters import run as run_in_real_time
from support.virtual_lines import run

from meterline.config.schema import MeterConfig
from meterline.diagnostics import serial_device
from meterline.diagnostics.link_check import Case, Surroundings, examine
from meterline.diagnostics.running_instance import Instance
from meterline.link import processes, tcp
from meterline.link.processes import Process
from meterline.protocols.api import Finding
from meterline.protocols.tic import diagnose
from meterline.protocols.tic.frames import ETX, STX
from meterline.protocols.tic.speed_probe import SpeedProbe
from meterline.simulation.line import Faults, Write


async def case_of(
    url: str,
    protocol: str | None = "tic",
    tell: Callable[[Finding], object] = lambda _: None,
    seconds: float = 0.5,
    instance: Instance | None = None,
) -> Case:
    case = Case(url, (MeterConfig("home", url, protocol),), tell)
    await examine(case, Surroundings(serial_device.this_user(), instance, listen_s=seconds))
    return case


def even_parity(data: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)


def wrong(case: Case) -> list[Finding]:
    return [finding for finding in case.findings if finding.level != "ok"]


def texts(case: Case) -> str:
    return "\n".join(f"{finding.level}: {finding.what} -> {finding.remedy}" for finding in case.findings)


def frames(number: int = 20) -> bytes:
    meter, sent, now = fake("standard"), [], time.time()
    for second in range(number):
        meter.advance(now + second)
        sent.append(meter.frame())
    return b"".join(sent)


async def pour(write: Write, data: bytes) -> None:
    """Again and again, a piece every few milliseconds."""
    while True:
        for start in range(0, len(data), 200):
            write(data[start : start + 200])
            await asyncio.sleep(0.01)


async def hearing(data: bytes, protocol: str | None = "tic") -> Case:
    """What is said of a line on which that arrives."""
    async with line() as (url, write):
        pouring = asyncio.create_task(pour(write, data))
        case = await case_of(url, protocol)
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        return case


def test_a_good_line_has_nothing_wrong() -> None:
    async def test() -> None:
        async with talking(fake("standard", "TEMPO")) as url:
            case = await case_of(url, None)
        assert not wrong(case), texts(case)
        assert case.protocol == "tic"
        assert "groups, none damaged" in texts(case)
        assert "mode standard, meter Linky single-phase 90 A G3, Landis+Gyr, contract TEMPO" in texts(case)
        assert "the meter's clock and this machine's agree" in texts(case)

    run(test())


def test_a_line_at_the_second_speed_is_found_and_the_noise_of_the_first_is_no_fault() -> None:
    async def test() -> None:
        async with talking(fake("historic"), real_speed=True) as url:
            case = await case_of(url, seconds=2.0)
        assert not wrong(case), texts(case)
        assert "at 9600 baud: no valid data, as expected at the wrong speed" in texts(case)
        assert "at 1200 baud: this is the output of a meter" in texts(case)

    run(test())


def test_a_silent_line_is_a_fault_of_wiring() -> None:
    async def test() -> None:
        async with line() as (url, _):
            case = await case_of(url)
        (finding,) = wrong(case)
        assert finding.level == "fault"
        assert finding.what.startswith("nothing arrives at all: 0 bytes in ")
        assert "at 9600 baud; 0 bytes" in finding.what
        assert "I1 and I2" in finding.remedy

    run(test())


def test_a_line_that_nobody_configured_is_also_asked_for_a_module() -> None:
    async def test() -> None:
        async with line() as (url, _):
            case = await case_of(url, None)
        assert [finding.level for finding in wrong(case)] == ["fault", "warning"]
        assert "no Wi-SUN module answers SKVER" in texts(case)

    run(test())


def test_a_line_of_noise_is_named() -> None:
    dice = random.Random(5)
    data = bytes(dice.choice((0x01, 0x80, 0x8F, 0x9E, 0xF8, 0x1F, 0x55)) for _ in range(4000))
    case = run(hearing(data))
    (finding,) = wrong(case)
    assert finding.level == "fault"
    assert finding.what.startswith("only noise arrives: ")
    assert not case.sent


def test_a_line_of_nuls_is_named() -> None:
    (finding,) = wrong(run(hearing(b"\x00A\x00\x00" * 500)))
    assert finding.what.startswith("hardly anything but NULs arrives")
    assert "I1 and I2" in finding.remedy


def test_a_wrong_speed_of_a_bridge_is_mended_on_the_bridge() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\x00\x80\xf8\xff" * 50)
            await asyncio.sleep(0.02)

    async def test() -> None:
        async with bridge(serve) as url:
            (finding,) = wrong(await case_of(url))
        assert finding.level == "fault"
        assert finding.remedy.startswith("set the bridge to the meter's speed, 7 data bits, even parity, raw: 1200 baud")

    run(test())


def test_a_stream_that_a_terminal_has_cooked_is_read_and_said() -> None:
    case = run(hearing(frames().replace(b"\r", b"\n").replace(ETX, b"")))
    (finding,) = wrong(case)
    assert finding.level == "warning"
    assert "cooked mode" in finding.what
    assert "stty -F DEVICE raw" in finding.remedy


@pytest.mark.parametrize("flags", ["ICRNL", "ICRNL, ICANON, ISIG, ECHO"])
def test_a_line_that_another_program_cooks_while_it_is_read_is_said(flags: str) -> None:
    async def test() -> None:
        async with talking(fake("standard")) as url:

            def cook(finding: Finding) -> None:
                if "this is the output of a meter" in finding.what:
                    with open(url, "rb", buffering=0) as other:
                        set_flags(other.fileno(), flags.split(", "))

            case = await case_of(url, tell=cook)
        (finding,) = [finding for finding in case.findings if "another program" in finding.what]
        assert finding.level == "warning"
        assert finding.what == f"another program set the line to cooked mode during reading ({flags})"
        assert finding.remedy == f"sudo fuser -v {url} names it"

    run(test())


def set_flags(line: int, names: list[str]) -> None:
    settings = termios.tcgetattr(line)
    for name in names:
        settings[0 if name == "ICRNL" else 3] |= getattr(termios, name)
    termios.tcsetattr(line, termios.TCSANOW, settings)


def test_an_8n1_line_is_read_and_said() -> None:
    (finding,) = wrong(run(hearing(even_parity(frames()))))
    assert finding.level == "warning"
    assert "8N1" in finding.what


@pytest.mark.parametrize(("rate", "level"), [(0.0005, "warning"), (0.01, "fault")])
def test_a_damaged_line_gets_the_advice_of_the_resistor(rate: float, level: str) -> None:
    case = run(hearing(Faults(bit_errors=rate).damage(frames())))
    (finding,) = [finding for finding in case.findings if "damaged (" in finding.what]
    assert finding.level == level
    assert "220 Ω to 1 kΩ" in finding.remedy


def test_a_line_with_damage_below_one_in_a_hundred_is_good() -> None:
    data = frames(20)
    (finding,) = diagnose.damage(data)
    assert finding.what.endswith("groups, none damaged")
    (finding,) = diagnose.damage(data.replace(b"EAST", b"E@ST", 1))
    assert finding.level == "ok"
    assert "1 of them damaged" in finding.what


def test_groups_that_are_all_damaged_are_told_from_noise() -> None:
    (finding,) = wrong(run(hearing(frames().replace(b"\t0", b"\t1").replace(b"\t\r", b"\r").replace(b"A", b"C"))))
    assert finding.level == "fault"
    assert "damaged" in finding.what or "hardly a valid group" in finding.what
    assert "220 Ω" in finding.remedy


def test_the_meter_of_a_company_is_named() -> None:
    bodies = [f"PS {n:03d}kVA".encode() for n in range(9)]
    groups = [b"\n" + body + b" " + bytes([(sum(body) & 0x3F) + 0x20]) + b"\r" for body in bodies]
    case = run(hearing(STX + b"".join(groups) + ETX))
    assert "a meter of a company" in wrong(case)[0].what


def test_a_trickle_is_no_noise() -> None:
    heard = SpeedProbe(9600, 5.0)
    heard.take(b"\xff" * 7, [])
    assert diagnose.nothing_valid([heard]).text.startswith("hardly anything arrives")


def test_a_device_that_is_locked_is_said_with_who_holds_it() -> None:
    async def test() -> None:
        async with line() as (url, _):
            child = await asyncio.create_subprocess_exec(
                "flock", "--close", url, "sleep", "infinity", stdin=asyncio.subprocess.DEVNULL
            )
            try:
                await until(lambda: locked(url))
                (finding,) = wrong(await case_of(url))
            finally:
                child.terminate()
                await child.wait()
        assert finding.level == "fault"
        assert finding.what == f"in use by process {child.pid} (flock)"
        assert f"sudo kill {child.pid}" in finding.remedy

    run_in_real_time(test())


def test_the_holder_of_a_device_is_a_fault_unless_meterline_holds_the_device(tmp_path: Path) -> None:
    device_file = tmp_path / "ttyUSB0"
    device_file.touch()

    async def test() -> None:
        with device_file.open() as opened:
            child = await asyncio.create_subprocess_exec("sleep", "infinity", stdin=opened)
        holder = Process(child.pid, "sleep")
        try:
            await until(lambda: processes.of_device(str(device_file)) == holder)
            (finding,) = wrong(await case_of(str(device_file)))
            page = 'smartmeter_up{meter="home"} 0.0\nsmartmeter_frames_total{meter="home"} 7.0\n'
            served = await case_of(str(device_file), instance=Instance(1, page, holder))
        finally:
            child.terminate()
            await child.wait()
        assert finding.level == "fault"
        assert finding.what == f"in use by process {child.pid} (sleep)"
        assert "in use by the running meterline" in texts(served)
        assert wrong(served)[0].what == "meter 'home': 7 frames, 0 rejected; offline now"

    run_in_real_time(test())


@pytest.mark.parametrize(
    ("rejected", "ratio", "level"),
    [(0, 1.0, "ok"), (5000, 1.0, "ok"), (5000, 0.995, "ok"), (3, 0.98, "warning"), (3, 0.4, "warning"), (5000, None, "ok")],
    ids=["clean", "damaged long ago", "a little damage", "damaged now", "lossy now", "nothing in the last minute"],
)
def test_the_page_of_our_own_service_is_judged_by_its_last_minute(rejected: int, ratio: float | None, level: str) -> None:
    page = (
        'smartmeter_up{meter="home"} 1.0\nsmartmeter_frames_total{meter="home"} 1000.0\n'
        f'smartmeter_rejected_total{{meter="home",reason="checksum"}} {rejected}\n'
        'smartmeter_rejected_total{meter="home",reason="malformed"} 1\n'
    )
    if ratio is not None:
        page += f'smartmeter_line_accepted_ratio{{meter="home"}} {ratio}\n'
    (finding,) = Instance(1, page, None).findings(["unknown there, so all are told"])
    assert finding.level == level
    assert finding.what.startswith(f"meter 'home': 1000 frames, {rejected + 1} rejected")
    assert ("of the last minute" in finding.what) == (level == "warning")


def test_the_page_of_our_own_service_is_read_whatever_labels_its_meters_have() -> None:
    labels = 'area="a} b",flat=",meter=",meter="home",reason="checksum",zone="\\",meter=\\"x"'
    page = (
        f"smartmeter_up{{{labels}}} 1.0\nsmartmeter_frames_total{{{labels}}} 7.0\nsmartmeter_rejected_total{{{labels}}} 3.0\n"
    )
    instance = Instance(1, page, None)
    assert instance.meters == ["home"]
    (finding,) = instance.findings(["home"])
    assert finding.what == "meter 'home': 7 frames, 3 rejected; online"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without permission")
def test_a_device_without_permission_is_a_fault_and_is_not_opened() -> None:
    async def test() -> None:
        async with line() as (url, _):
            os.chmod(url, 0o660)
            groups, group = os.getgroups(), os.getegid()
            os.setgroups([])
            os.setegid(65534)
            os.seteuid(65534)
            try:
                (finding,) = wrong(case := await case_of(url))
            finally:
                os.seteuid(0)
                os.setegid(group)
                os.setgroups(groups)
        assert finding.level == "fault"
        assert finding.what.startswith("permission denied: the device belongs to group ")
        assert "it opens" not in texts(case)

    run(test())


def test_a_file_that_is_no_device_is_said(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x")

    async def test() -> None:
        assert "not a serial device" in wrong(await case_of(str(file)))[-1].what

    run(test())


def test_a_line_that_goes_away_meanwhile_is_said() -> None:
    async def test() -> None:
        gone = asyncio.Event()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(frames(3))
            await gone.wait()

        async with bridge(serve) as url:
            case = await case_of(url, tell=lambda finding: gone.set() if "this is the output" in finding.what else None)
        assert case.failed

    run(test())


def test_a_bridge_that_refuses_is_said() -> None:
    async def test() -> None:
        (finding,) = wrong(await case_of("tcp://127.0.0.1:1"))
        assert finding.what == "connection refused: nothing listens on port 1 of 127.0.0.1"
        assert "ss -ltnp" in finding.remedy

    run(test())


def test_a_bridge_that_never_answers_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "CONNECT_TIMEOUT_S", 0.1)

    async def test() -> None:
        # A queue that is full: the kernel answers nothing to whoever comes next.
        with socket.socket() as server, socket.socket() as first, socket.socket() as second:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            for client in (first, second):
                client.setblocking(False)
                client.connect_ex(server.getsockname())
            (finding,) = wrong(await case_of(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
        assert finding.what.startswith("no answer in ")
        assert finding.remedy.startswith("ping 127.0.0.1")

    run(test())


def test_a_bridge_that_says_nothing_is_wiring_or_the_wrong_port() -> None:
    async def serve(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def test() -> None:
        async with bridge(serve) as url:
            (finding,) = wrong(await case_of(url))
        assert finding.what.startswith("nothing arrives at all")
        assert finding.remedy.startswith("is it the right port of the bridge?")

    run(test())


def test_a_name_that_nobody_knows_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    async def test() -> None:
        (finding,) = wrong(await case_of("tcp://meter.example:2000"))
        assert finding == (
            "fault",
            "the name 'meter.example' is not known",
            "getent hosts meter.example; or use the address: link: tcp://ADDRESS:2000",
        )

    run(test())


def test_a_name_that_is_known_is_said_with_its_addresses() -> None:
    async def test() -> None:
        case = await case_of("tcp://localhost:1")
        assert case.findings[0].level == "ok"
        assert case.findings[0].what.startswith("the name 'localhost' leads to ")

    run(test())


@pytest.mark.parametrize("ahead", [-3600, 3600])
def test_a_clock_that_is_an_hour_off_is_said(ahead: int) -> None:
    async def test() -> None:
        async with line() as (url, write):
            meter = fake("standard")
            meter.advance(time.time() + ahead)
            pouring = asyncio.create_task(pour(write, meter.frame()))
            case = await case_of(url)
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)
        (finding,) = wrong(case)
        assert finding.level == "fault"
        assert ("ahead of" if ahead > 0 else "behind") in finding.what
        assert "set-ntp true" in finding.remedy

    run(test())


def test_the_sample_of_a_line_is_bounded() -> None:
    case = Case("/dev/x", (MeterConfig("home", "/dev/x"),))
    for _ in range(100):
        case.keep(os.urandom(1000))
    assert len(case.sent) == 1 << 16
