"""One program, many meters: each comes back by itself, and none costs another."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from support.live_meters import POWER, bridge, fake, line, reading, talking, tic, until
from support.live_meters import run as run_in_real_time
from support.protocols import Stub, add_protocol
from support.virtual_lines import run

from meterline.config.schema import Config, MeterConfig
from meterline.link import errors
from meterline.link.stream import Wire
from meterline.meter.exposition import Page
from meterline.meter.readings import Emit, Hint, Item, Observation, Reading, Refused, Rejected, Snapshot
from meterline.protocols.tic import Options
from meterline.protocols.tic.frames import encode_frame
from meterline.service import supervisor as runtime_module
from meterline.service.supervisor import Runtime
from meterline.simulation.line import Faults, Write, noise
from meterline.store import State


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_meter_that_sends_has_its_values() -> None:
    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].value(*POWER))
            assert runtime.ready()
            assert runtime.silent() == []

    run(test())


def test_a_broken_meter_costs_its_neighbour_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        meters = (tic("nowhere", "/dev/serial/by-id/usb-nobody"), tic("noise", ""), tic("home", ""))
        async with talking(fake()) as url, line() as (noisy, write):
            meters = (meters[0], tic("noise", noisy), tic("home", url))
            async with reading(*meters) as runtime:
                await until(lambda: runtime.meters["home"].value(*POWER))
                for _ in range(30):
                    write(os.urandom(100))
                    await asyncio.sleep(0.05)
                assert runtime.meters["home"].value(*POWER)
                assert sum(runtime.meters["noise"].counters.rejected.values()) > 10
                assert not runtime.meters["noise"].text.blocks
                assert sorted(runtime.silent()) == ["noise", "nowhere"]

    run(test())
    assert caplog.text.count("/dev/serial/by-id/usb-nobody") < 4


def test_a_meter_that_is_unplugged_and_plugged_in_again_is_found_by_its_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "meterline")
    path = str(tmp_path / "usb-meter")

    async def test() -> None:
        meter = fake()
        async with talking(meter, path):
            runtime_context = reading(tic("home", path))
            runtime = await runtime_context.__aenter__()
            await until(lambda: runtime.meters["home"].value(*POWER))
        await until(lambda: not runtime.meters["home"].up)
        assert runtime.meters["home"].value(*POWER) is None
        async with talking(meter, path):
            await until(lambda: runtime.meters["home"].value(*POWER))
            assert runtime.meters["home"].counters.opened == 2
            await until(lambda: "the meter speaks again" in caplog.text)
        await runtime_context.__aexit__(None, None, None)

    run(test())
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("the meter speaks") == 1
    assert messages.count("the meter speaks again") == 1
    assert {record.__dict__["meter"] for record in caplog.records if record.name == "meterline"} == {"home"}
    assert sum("was unplugged" in message for message in messages) == 1
    assert sum("no such device" in message for message in messages) == 1


def test_a_bridge_that_restarts_is_connected_to_again() -> None:
    async def test() -> None:
        connections = 0

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            meter = fake()
            for second in range(3 if connections == 1 else 200):
                meter.advance(1_763_800_000 + second)
                writer.write(meter.frame())
                await asyncio.sleep(0.05)

        async with bridge(serve) as url, reading(tic("home", url)) as runtime:
            await until(lambda: connections == 2 and runtime.meters["home"].up)

    run(test())


def test_a_silent_line_is_opened_again_and_again() -> None:
    async def test() -> None:
        async with line() as (url, _), reading(tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].counters.opened >= 2)
            assert not runtime.meters["home"].up

    run(test())


def test_a_half_open_connection_is_noticed_by_its_silence() -> None:
    async def test() -> None:
        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(fake_frame())
            await asyncio.sleep(3600)

        async with bridge(serve) as url, reading(tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].counters.opened >= 2)

    run(test())


def fake_frame() -> bytes:
    meter = fake()
    meter.advance(1_763_800_000)
    return meter.frame()


def test_the_speed_is_detected_and_again_after_the_mode_changes() -> None:
    async def test() -> None:
        meter = fake("standard")
        async with (
            talking(meter, real_speed=True) as url,
            reading(MeterConfig("home", url)) as runtime,
        ):
            home = runtime.meters["home"]

            def read(mode: str, speed: int) -> bool:
                return (
                    home.value("smartmeter_info", "mode") == mode
                    and home.counters.observed["smartmeter_link_speed_bauds",] == speed
                )

            await until(lambda: read("standard", 9600))
            meter.mode = "historic"
            await until(lambda: read("historic", 1200))
            meter.mode = "standard"
            await until(lambda: read("standard", 9600))

    run(test())


@pytest.mark.parametrize(
    "faults", [Faults(bit_errors=0.002), Faults(lost_bytes=0.005), Faults(eot=3), Faults(bit_errors=0.001, lost_bytes=0.002)]
)
def test_a_lossy_line_gives_values_and_honest_counters_and_no_wrong_register(faults: Faults) -> None:
    async def test() -> None:
        meter = fake("standard")
        meter.advance(time.time())
        before = sum(meter.registers.values())
        async with (
            talking(meter, faults=faults) as url,
            reading(MeterConfig("home", url, "tic", Options(baud=9600))) as runtime,
        ):
            home = runtime.meters["home"]
            await until(lambda: home.counters.frames > 60)
            assert home.value(*POWER) is not None
            assert faults.eot or sum(home.counters.rejected.values()) > 0
            shown = home.value("smartmeter_energy_import_watthours_total")
            assert shown is None or before - 1 <= float(shown) <= sum(meter.registers.values())

    run(test())


def test_a_capture_ends_once_and_its_values_vanish(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meterline")
    capture = tmp_path / "x.bin"
    meter = fake()
    frames = []
    for second in range(3):
        meter.advance(1_763_800_000 + second)
        frames.append(meter.frame())
    capture.write_bytes(b"".join(frames))

    async def test() -> None:
        async with reading(MeterConfig("home", f"file:{capture}")) as runtime:
            await until(lambda: runtime.meters["home"].value(*POWER))
            assert runtime.meters["home"].counters.frames == 3
            await until(lambda: not runtime.meters["home"].up)
            assert runtime.meters["home"].value(*POWER) is None
            assert runtime.meters["home"].counters.opened == 1

    run(test())
    assert caplog.text.count("the capture has ended") == 1


def test_a_file_that_is_no_capture_is_logged_and_counted(tmp_path: Path) -> None:
    noise = tmp_path / "x.bin"
    noise.write_bytes(bytes(range(256)) * 100)

    async def test() -> None:
        async with reading(tic("home", f"file:{noise}")) as runtime:
            await until(lambda: sum(runtime.meters["home"].counters.rejected.values()) > 100)
            assert not runtime.meters["home"].up
            assert not runtime.meters["home"].text.blocks

    run(test())


def test_a_cooked_line_gives_values_and_one_hint(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        meter = fake()
        async with line() as (url, write), reading(tic("home", url)) as runtime:
            for second in range(60):
                meter.advance(1_763_800_000 + second)
                write(meter.frame().replace(b"\r", b"\n").replace(b"\x03", b""))
                await asyncio.sleep(0.02)
            await until(lambda: runtime.meters["home"].value(*POWER))

    run(test())
    assert caplog.text.count("cooked mode") == 1


async def repeat(write: Write, data: bytes, done: Callable[[], object]) -> None:
    """Send it again and again until it is done; AssertionError after a minute."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + 60
    while not done():
        assert clock() < deadline
        write(data)
        await asyncio.sleep(0.02)


def test_a_bridge_at_the_wrong_speed_is_told_what_to_do_and_a_module_is_not_spoken_of(caplog: pytest.LogCaptureFixture) -> None:
    meter = fake("standard")
    meter.advance(1_763_800_000)
    garbage = noise(meter.frame() * 8, 9600, 1200)

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(garbage[:500])
            await asyncio.sleep(0.02)

    async def test() -> None:
        async with bridge(serve) as url, reading(MeterConfig("home", url)) as runtime:
            await until(lambda: "set the bridge to the meter's speed" in caplog.text)
            assert runtime.meters["home"].counters.line.trouble.startswith(
                "only noise arrives: this is no meter, or the wrong speed"
            )

    run(test())
    assert "SKVER" not in caplog.text


def test_a_line_that_was_tic_before_is_not_asked_for_a_module(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    received, frames, connections = bytearray(), [fake().frame()] * 5, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            writer.write(b"".join(frames))
        while data := await reader.read(100):
            received.extend(data)

    async def test() -> None:
        async with bridge(serve) as url:
            for opened in (3, 5):  # the same process, then another one

                def opened_again(opened: int = opened) -> bool:
                    return connections >= opened

                state = State(str(tmp_path))
                runtime = Runtime(Config((MeterConfig("home", url),)), state)
                task = asyncio.create_task(runtime.run())
                await until(opened_again)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                state.close()

    run(test())
    assert not received
    assert "nothing arrives at all" in caplog.text
    assert "SKVER" not in caplog.text


def test_a_line_of_nuls_is_said_to_be_noise(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with line() as (url, write), reading(tic("home", url)) as runtime:
            await repeat(write, b"\x00A\x00\x00" * 25, lambda: "NULs arrives" in caplog.text)
            assert sum(runtime.meters["home"].counters.rejected.values())

    run(test())
    assert caplog.text.count("hardly anything but NULs arrives") == 1


def test_a_line_whose_speed_is_still_tried_gives_no_hint(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with (
            talking(fake("historic"), real_speed=True) as url,
            reading(MeterConfig("home", url, "tic", stale_after=5)) as runtime,
        ):
            await until(lambda: runtime.meters["home"].counters.frames >= 2)
            assert runtime.meters["home"].counters.observed["smartmeter_link_speed_bauds",] == 1200

    run(test())
    assert "noise" not in caplog.text
    assert "parity" not in caplog.text


def test_parity_bits_are_dropped_with_one_hint(caplog: pytest.LogCaptureFixture) -> None:
    even = bytes(byte | (bin(byte).count("1") & 1) << 7 for byte in range(128))

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meter = fake("standard")
        for second in range(60):
            meter.advance(1_763_800_000 + second)
            writer.write(meter.frame().translate(even + bytes(128)))
            await asyncio.sleep(0.02)
        await asyncio.sleep(5)

    async def test() -> None:
        async with bridge(serve) as url, reading(MeterConfig("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].counters.frames > 20)
            assert runtime.meters["home"].value(*POWER)
            assert not sum(runtime.meters["home"].counters.rejected.values())

    run(test())
    assert caplog.text.count("the line is read as 8N1") == 1


def test_a_frame_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "meterline")

    async def test() -> None:
        async with talking(fake()) as url, reading(tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].counters.frames > 30)

    run(test())
    assert len([record for record in caplog.records if record.name == "meterline"]) == 1


def test_a_cancelled_runtime_closes_every_link() -> None:
    async def test() -> None:
        async with talking(fake()) as url, talking(fake(), tcp=True) as bridge:
            before = open_files()
            async with reading(tic("a", url), tic("b", bridge)) as runtime:
                await until(lambda: not runtime.silent())
            await asyncio.sleep(0.05)
            assert open_files() <= before + 1  # the bridge may keep its end of the connection a moment longer

    run(test())


class Driver(Stub):
    """A protocol that emits these, raising the exceptions among them."""

    def __init__(self, *items: Item | Exception) -> None:
        self.items = items
        self.memories: list[dict[str, Any]] = []

    async def read(self, link: object, meters: object, memory: dict[str, Any], emit: Emit, gaps: object = None) -> NoReturn:
        self.memories.append(memory)
        memory["read"] = memory.get("read", 0) + 1
        for item in self.items:
            if isinstance(item, Exception):
                raise item
            emit(item)
        await asyncio.sleep(60)
        raise OSError("the minute is over")


def test_a_refused_meter_waits_the_longest_pause(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    add_protocol(monkeypatch, "driver", Driver(Refused("wrong password")))

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")) as runtime:
            await until(lambda: runtime.meters["home"].counters.opened == 1)
            await asyncio.sleep(runtime_module.REFUSED_PAUSE_S - 1)
            assert runtime.meters["home"].counters.opened == 1
            await asyncio.sleep(2)
            assert runtime.meters["home"].counters.opened == 2

    run(test())
    assert caplog.text.count("refused: wrong password") == 1


def test_a_defect_of_ours_is_counted_and_does_not_end_the_meter(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add_protocol(monkeypatch, "driver", Driver(Snapshot((Reading(POWER, 5),)), ZeroDivisionError("oops")))

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")) as runtime:
            await until(lambda: runtime.meters["home"].counters.defects >= 2)
            assert runtime.meters["home"].value(*POWER) == 5

    run(test())
    assert "a defect in meterline; please report it" in caplog.text
    assert caplog.text.count("ZeroDivisionError: oops") == 1, "the traceback stands there once"


def test_every_kind_of_item_reaches_the_meter(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    speed = ("smartmeter_link_speed_bauds",)
    items = (Rejected("checksum"), Observation(speed, 1200), Hint("mind the gap"), Hint("mind the gap"))
    add_protocol(monkeypatch, "driver", Driver(*items))

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")) as runtime:
            home = runtime.meters["home"]
            await until(lambda: "mind the gap" in caplog.text)
            assert home.counters.rejected["checksum"] == 1
            assert home.counters.observed == {speed: 1200}
            assert not home.up

    run(test())
    assert caplog.text.count("mind the gap") == 1


def test_gauges_of_a_link_go_with_the_link_and_counters_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    items = (
        Observation(("smartmeter_link_speed_bauds",), 1200),
        Observation(("smartmeter_radio_rssi_dbm",), -70.0),
        Observation(("smartmeter_radio_limited",), 1.0),
        Observation(("smartmeter_session_start_timestamp_seconds",), 1e9),
        Observation(("smartmeter_session_up",), 1.0),
        Observation(("smartmeter_polls_failed_total",), 3.0, increment=True),
        Observation(("smartmeter_poll_duration_seconds",), 0.3),
    )
    add_protocol(monkeypatch, "driver", Driver(*items, OSError("the device was unplugged")))
    monkeypatch.setattr(runtime_module, "FIRST_PAUSE_S", 60.0)

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")) as runtime:
            home = runtime.meters["home"]
            await until(lambda: "smartmeter_session_up" in Page([home]).text())
            await until(
                lambda: home.counters.observed == {("smartmeter_session_up",): 0.0, ("smartmeter_polls_failed_total",): 3.0}
            )
            text = Page([home]).text()
            for gone in ("link_speed_bauds", "radio_rssi_dbm", "radio_limited", "session_start_timestamp_seconds"):
                assert f"smartmeter_{gone}" not in text
            assert 'smartmeter_session_up{meter="home"} 0.0' in text
            assert 'smartmeter_polls_failed_total{meter="home"} 3.0' in text
            assert 'smartmeter_poll_duration_seconds_count{meter="home"} 1.0' in text

    run(test())


def test_the_speed_of_a_line_goes_with_its_device_and_comes_back_with_it(tmp_path: Path) -> None:
    speed = ("smartmeter_link_speed_bauds",)

    async def test() -> None:
        path = str(tmp_path / "linky")
        async with reading(tic("home", path)) as runtime:
            home = runtime.meters["home"]
            for opened in (1, 2):
                async with talking(fake(), path):
                    await until(lambda: home.counters.observed.get(speed) == 1200)
                    assert home.counters.opened >= opened
                await until(lambda: speed not in home.counters.observed)
                assert home.counters.frames
                assert home.counters.received

    run(test())


def test_a_drivers_memory_lives_as_long_as_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(OSError("lost"))
    memories = driver.memories
    add_protocol(monkeypatch, "driver", driver)

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")):
            await until(lambda: len(memories) >= 3 and memories[0]["read"] >= 3)
            assert memories[0] is memories[1] is memories[2]

    run(test())


def test_readiness_waits_for_the_first_deadline() -> None:
    async def test() -> None:
        async with reading(tic("home", "/dev/serial/by-id/usb-nobody")) as runtime:
            assert not runtime.ready()
            await until(runtime.ready)
            assert runtime.silent() == ["home"]

    run(test())


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    pauses = runtime_module._pauses("/dev/ttyUSB0")
    lengths = [next(pauses) for _ in range(40)]
    assert all(0.75 * 0.5 <= length <= 5.0 * 1.25 for length in lengths)
    assert all(0.75 * 0.5 * 2**n <= length <= 0.5 * 2**n * 1.25 for n, length in enumerate(lengths[:4]))
    assert len(set(lengths)) > 30
    assert max(lengths) > 5.0


def test_another_meter_on_the_same_link_is_counted_as_a_swap() -> None:
    async def test() -> None:
        async with line() as (url, write), reading(tic("home", url)) as runtime:
            for number in (1, 2):
                meter = fake(number=number)
                for second in range(4):
                    meter.advance(1_763_800_000 + second)
                    write(meter.frame())
                    await asyncio.sleep(0.12)
            await until(lambda: runtime.meters["home"].counters.swaps == 1)
            assert runtime.meters["home"].address == fake(number=2).address

    run(test())


def test_a_meter_of_a_company_is_told_from_noise(caplog: pytest.LogCaptureFixture) -> None:
    def group(label: str, data: str) -> bytes:
        body = f"{label} {data}".encode()
        return b"\n" + body + b" " + bytes([(sum(body) & 0x3F) + 0x20]) + b"\r"

    async def test() -> None:
        groups = group("EAPP", "12345kWh") + group("PS", "36kVA") + group("PREAVIS", "0000")
        async with line() as (url, write), reading(tic("home", url)):
            await repeat(write, b"\x02" + groups + b"\x03", lambda: "not that of a household" in caplog.text)

    run(test())


def test_an_empty_frame_is_no_sign_of_life() -> None:
    async def test() -> None:
        async with line() as (url, write), reading(tic("home", url)) as runtime:
            for _ in range(10):
                write(encode_frame([]))
                await asyncio.sleep(0.05)
            assert runtime.meters["home"].counters.frames == 0

    run(test())


def test_the_device_can_be_a_link_to_a_link(tmp_path: Path) -> None:
    async def test() -> None:
        async with talking(fake(), str(tmp_path / "tty")):
            (tmp_path / "by-id").symlink_to(tmp_path / "tty")
            assert stat.S_ISCHR(os.stat(tmp_path / "by-id").st_mode)
            async with reading(tic("home", str(tmp_path / "by-id"))) as runtime:
                await until(lambda: runtime.meters["home"].up)

    run(test())


def test_a_host_whose_name_hangs_holds_up_no_other_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host: str, *rest: Any, **facts: Any) -> Any:
        if str(host).endswith("slow.example"):
            hanging.wait()
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **facts)

    monkeypatch.setattr(socket, "getaddrinfo", slow)

    async def test() -> None:
        dead = [tic(f"dead{n}", f"tcp://{n}.slow.example:2000") for n in range(40)]
        async with talking(fake()) as url, reading(*dead, tic("home", url)) as runtime:
            await until(lambda: runtime.meters["home"].up)
            assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 60) == 1

    try:
        run_in_real_time(test())
    finally:
        hanging.set()


def test_a_link_that_flaps_is_said_once_and_slows_down(caplog: pytest.LogCaptureFixture) -> None:
    connections = 0

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        meter = fake()
        for second in range(2):
            meter.advance(1_763_800_000 + second)
            writer.write(meter.frame())

    async def test() -> None:
        async with bridge(serve) as url, reading(tic("home", url)) as runtime:
            await asyncio.sleep(120)
            assert runtime.meters["home"].counters.opened <= 20  # 200 without slowing down

    run(test())
    assert connections > 5
    assert caplog.text.count("the other side closed the connection") == 1


def test_a_link_that_flaps_between_two_troubles_says_each_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [OSError(f"in use by process {number}") if number % 2 else OSError("lost") for number in range(1000)]

    class Flapping(Stub):
        async def read(self, *_: object) -> NoReturn:
            raise troubles.pop()

    add_protocol(monkeypatch, "driver", Flapping())

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")) as runtime:
            await until(lambda: runtime.meters["home"].counters.opened >= 10)

    run(test())
    assert [record.getMessage() for record in caplog.records if record.name == "meterline"] == ["in use by process 999", "lost"]


def test_a_meter_knows_how_its_links_ended_and_since_when_none_can_be_had(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "linky")
        async with reading(tic("home", path)) as runtime:
            reach = runtime.meters["home"].counters.reach

            def lost_since() -> float | None:
                return reach.lost_since(runtime.clock())

            await until(lambda: reach.ends["unopened"] >= 2)
            since = lost_since()
            await until(lambda: reach.ends["unopened"] >= 4)
            assert lost_since() == since is not None
            async with talking(fake(), path):
                await until(lambda: runtime.meters["home"].value(*POWER))
                assert lost_since() is None
            await until(lambda: reach.ends["lost"])
            assert lost_since() is not None
            async with line(path):
                await until(lambda: reach.ends["given_up"])
                assert lost_since() is None, "a silent line is no lost one"


def test_a_problem_is_logged_again_after_a_day(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process lives for years: what was said in its first hour is in no log that anybody still has."""
    add_protocol(monkeypatch, "driver", Driver(Hint("mind the gap"), OSError("lost")))
    monkeypatch.setattr("meterline.logs.DAY", 0.1)

    async def test() -> None:
        async with line() as (url, _), reading(MeterConfig("home", url, "driver")):
            await until(lambda: caplog.text.count("mind the gap") > 1)

    run(test())


def test_a_default_stale_after_follows_a_slow_meter_and_a_configured_one_does_not() -> None:
    async def test() -> None:
        async with line() as (url, _), line() as (other, _):
            chosen = MeterConfig("chosen", other, "tic", stale_after=60.0)
            async with reading(tic("home", url), chosen) as runtime:
                assert runtime.meters["home"].follows_pace
                assert not runtime.meters["chosen"].follows_pace

    run(test())


def follower(runtime: Runtime) -> Any:
    return runtime_module._LinkSupervisor(runtime, runtime.config.meters, 1)


def test_the_log_ends_with_what_is_so_of_a_line_that_is_bad_good_and_bad_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meterline")
    now = 1000.0

    async def test() -> None:
        nonlocal now
        runtime = Runtime(Config((tic("home", "/dev/home"),)), clock=lambda: now)
        meter, judge = runtime.meters["home"], follower(runtime)._judge
        for seconds, accepted, rejected in ((150, 9, 1), (150, 1, 19), (150, 9, 1), (7200, 1, 19)):
            for _ in range(seconds):
                now += 1
                meter.counters.line.count(accepted, rejected)
                judge(meter)

    asyncio.run(test())
    told = [record.getMessage() for record in caplog.records if "most of what arrives" in record.getMessage()]
    assert "is damaged" in told[-1]
    assert len(told) <= 4


def test_the_end_of_a_problem_is_logged_after_each_time_that_the_problem_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "meterline")

    async def test() -> None:
        runtime = Runtime(Config((tic("home", "/dev/home"),)))
        take, meter = follower(runtime)._take, runtime.meters["home"]
        for item in (Hint("joined", good=True), Hint("not let in"), Hint("joined", good=True), Hint("not let in")):
            take(item, meter, True)

    asyncio.run(test())
    assert [record.getMessage() for record in caplog.records if record.name == "meterline"] == [
        "joined",
        "not let in",
        "joined",
    ]


def test_the_trouble_of_a_link_shows_no_password_of_its_url_and_no_data_of_a_defect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)

    async def test() -> None:
        link = "tcp://user:secret@bridge:1"
        runtime = Runtime(Config((MeterConfig("home", link),)))
        following, meter = follower(runtime), runtime.meters["home"]
        following._report("refused: {}; next try in 300 s", Refused("a module", "it needs credentials", Wire(link).url))
        assert meter.counters.line.trouble == "refused: a module; it needs credentials; next try in 300 s"
        following._report("{}", errors.lost(link, None))
        assert meter.counters.line.trouble == "the other side closed the connection"
        assert [record.getMessage() for record in caplog.records if record.name == "meterline"] == [
            "refused: tcp://bridge:1: a module; it needs credentials; next try in 300 s",
            "tcp://bridge:1: the other side closed the connection",
        ]
        following._report_defect(KeyError("PRM 0123456789"))
        assert "0123456789" not in meter.counters.line.trouble
        await runtime.change(Config((MeterConfig("home", "tcp://elsewhere:1"),)))
        assert meter.counters.line.trouble == "", "that of another link"

    asyncio.run(test())


def test_a_link_that_was_a_module_before_is_listened_to_for_a_meter_that_talks(tmp_path: Path) -> None:
    async def test() -> None:
        path, state = str(tmp_path / "linky"), State(str(tmp_path / "state"))
        state.keep(path, {runtime_module.RECOGNISED: "broute", "protocol": {"channel": "21"}})
        runtime = Runtime(Config((MeterConfig("protocol", path),)), state)
        async with talking(fake(), path):
            task = asyncio.create_task(runtime.run())
            await until(lambda: runtime.meters["protocol"].value(*POWER))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert state.recall(path)[runtime_module.RECOGNISED] == "tic"

    run(test())
