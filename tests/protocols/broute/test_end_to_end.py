"""The whole program against a simulated module on a real pseudo-terminal or TCP port."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from support.live_meters import command, fake, page, port_of, program, reading, shows, talking, until
from support.virtual_lines import run

from meterline.config.schema import Config, MeterConfig
from meterline.protocols.broute import Options
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule
from meterline.service.supervisor import Runtime
from meterline.simulation import responder
from meterline.store import State

POWER = ("smartmeter_power_watts",)
SCANS = ("smartmeter_radio_scans_total", "found")


def module(*meters: FakeMeter, **facts: Any) -> FakeModule:
    """A module in a hurry, whose clock is right."""
    return FakeModule(meters or (FakeMeter(),), haste=100.0, start_unix=time.time(), **facts)


def configured(name: str, link: str, meter: FakeMeter | None = None, **facts: Any) -> MeterConfig:
    meter = meter or FakeMeter()
    return MeterConfig(name, link, "broute", Options(id=meter.id, password=meter.password, interval=10, **facts))


@pytest.mark.parametrize("binary", [False, True], ids=["hex", "binary"])
@pytest.mark.parametrize("dual", [True, False], ids=["dual", "single"])
def test_values_over_a_pseudo_terminal(dual: bool, binary: bool) -> None:
    async def test() -> None:
        async with responder.on_pty(module(dual=dual, binary=binary)) as path, reading(configured("tokyo", path)) as runtime:
            meter = runtime.meters["tokyo"]
            await until(lambda: meter.value("smartmeter_energy_import_watthours_total"))
            assert isinstance(meter.value(*POWER), int)
            assert meter.stale_after == 30
            assert meter.counters.rejected == dict.fromkeys(meter.counters.rejected, 0)

    run(test())


def test_a_terminal_that_goes_and_comes_back_in_mid_session_needs_no_scan(tmp_path: Path) -> None:
    async def test() -> None:
        path, plugged = str(tmp_path / "module"), module()
        runtime = Runtime(Config((configured("tokyo", path),)))
        following = asyncio.create_task(runtime.run())
        meter = runtime.meters["tokyo"]
        async with responder.on_pty(plugged, path):
            await until(lambda: meter.value(*POWER))
            before = meter.counters.frames
        await until(lambda: not meter.counters.observed[("smartmeter_session_up",)])
        async with responder.on_pty(plugged, path):
            await until(lambda: meter.counters.frames > before)
            assert meter.counters.opened >= 2
            assert meter.counters.observed[SCANS] == 1
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    run(test())


def test_a_restart_needs_no_scan(tmp_path: Path) -> None:
    async def once(config: Config) -> float:
        state = State(str(tmp_path / "state"))
        runtime = Runtime(config, state)
        following = asyncio.create_task(runtime.run())
        await until(lambda: runtime.meters["tokyo"].value(*POWER))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        state.close()
        return runtime.meters["tokyo"].counters.observed[SCANS]

    async def test() -> None:
        async with responder.on_tcp(module, "127.0.0.1", 0) as link:
            config = Config((configured("tokyo", link),))
            assert await once(config) == 1
            assert await once(config) == 0

    run(test())


def test_two_meters_on_one_module_beside_a_linky() -> None:
    async def test() -> None:
        meters = [FakeMeter(number=n, overrides={0xE7: (n * 1000).to_bytes(4)}) for n in (1, 2)]
        async with responder.on_pty(module(*meters)) as path, talking(fake()) as linky:
            configs = [configured(f"flat{meter.number}", path, meter) for meter in meters]
            async with reading(*configs, MeterConfig("linky", linky, "tic")) as runtime:
                flats = [runtime.meters[config.name] for config in configs]
                await until(lambda: [flat.value(*POWER) for flat in flats] == [1000, 2000])
                await until(lambda: runtime.meters["linky"].up)
                assert {flat.stale_after for flat in flats} == {150.0}

    run(test())


def test_the_program_is_started_with_the_configuration_that_the_simulator_prints(tmp_path: Path) -> None:
    path = tmp_path / "wisun"
    with program(
        "simulate", "broute", "--edition", "single", "--form", "binary", "--scale", "50", "--pty", str(path)
    ) as simulator:
        assert simulator.stdout
        lines = [simulator.stdout.readline() for _ in range(5)]
        config = tmp_path / "meterline.yml"
        config.write_text("".join(lines), encoding="utf-8")
        assert command("check", str(config)).returncode == 0
        words = [
            "--config.file",
            str(config),
            "--web.listen-address",
            "127.0.0.1:0",
            "--state.dir",
            str(tmp_path / "state"),
        ]
        with program("run", *words) as running:
            port = port_of(running)
            shows(port, "smartmeter_power_watts{")
            assert 'protocol="broute"' in page(port)
        assert running.stdout is not None
        assert sorted(os.listdir(tmp_path / "state")) == ["meterline.sqlite"]


def test_the_log_of_a_whole_session_holds_no_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wisun"
    meter = FakeMeter()
    config = tmp_path / "meterline.yml"
    config.write_text(
        f"meters:\n  - name: tokyo\n    link: {path}\n    protocol: broute\n"
        '    options: {id: "${TOKYO_ID}", password: "ABCDEFGHIJKL"}\n'
    )
    environment = os.environ | {"TOKYO_ID": meter.id, "XDG_STATE_HOME": str(tmp_path)}
    with program("simulate", "broute", "--scale", "100", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        words = ("capture", str(path), "--config.file", str(config), "-o", str(tmp_path / "raw.bin"), "--seconds", "3")
        answer = command(*words, env=environment)
        captured = (tmp_path / "raw.bin").read_bytes()
        assert len(captured) > 500
        for secret in (meter.id, "ABCDEFGHIJKL"):
            assert secret.encode() not in captured
            assert secret.encode().hex().upper().encode() not in captured
            assert secret not in answer.stdout + answer.stderr


def test_a_capture_of_a_session_can_be_read(tmp_path: Path) -> None:
    path, file = tmp_path / "wisun", tmp_path / "capture.bin"
    with program("simulate", "broute", "--scale", "100", "--form", "binary", "--pty", str(path)) as simulator:
        assert simulator.stdout
        lines = [simulator.stdout.readline() for _ in range(5)]
        (tmp_path / "meterline.yml").write_text("".join(lines), encoding="utf-8")
        words = ("--config.file", str(tmp_path / "meterline.yml"), "-o", str(file), "--redact", "--seconds", "3")
        answer = command("capture", str(path), *words)
        assert answer.returncode == 0, answer.stderr
    facts = [json.loads(line) for line in command("decode", "--protocol", "broute", str(file)).stdout.splitlines()]
    assert any("smartmeter_power_watts" in fact.get("readings", {}) for fact in facts)
    assert {"ok": ""} in facts
    text = json.dumps(facts)
    assert "0014224455667788" not in text


def test_capture_of_a_module_without_credentials_says_what_to_give(tmp_path: Path) -> None:
    path = tmp_path / "wisun"
    with program("simulate", "broute", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        answer = command("capture", str(path), "-o", str(tmp_path / "capture.bin"), "--protocol", "broute")
    assert answer.returncode == 2
    assert "options id and password" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_detect_knows_a_module_and_scan_finds_its_meter(tmp_path: Path) -> None:
    path = tmp_path / "wisun"
    with program("simulate", "broute", "--scale", "30", "--edition", "single", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        found = command("detect", str(path))
        assert found.returncode == 0, found.stderr
        assert "protocol: broute\nbaud: 115200\n" in found.stderr
        assert "SKSTACK 1.2.10, single edition" in found.stderr
        scanned = command("scan", str(path))
        assert scanned.returncode == 0, scanned.stderr
        assert "channel 31, PAN ID 7788, MAC 0014224455667788: signal good (-6" in scanned.stderr
        assert 'channel: "31", pan_id: "7788", mac: "0014224455667788"' in scanned.stdout
        for answer in (found, scanned):
            ready = tmp_path / "meterline.yml"
            ready.write_text(answer.stdout)
            secrets = {"BROUTE_ID": "0" * 31 + "1", "BROUTE_PASSWORD": "0123456789AB"}
            assert command("check", str(ready), env=os.environ | secrets).returncode == 0, answer.stdout
        wrong = command("scan", str(path), env=os.environ | {"BROUTE_ID": "0123"})
        assert wrong.returncode == 2
        assert "id: expected 32 characters" in wrong.stderr


def test_scan_says_what_to_do_when_nothing_is_found_or_nothing_is_there(tmp_path: Path) -> None:
    path = tmp_path / "wisun"
    words = ("--scale", "200", "--fault", "scan-empty=9", "--pty", str(path))
    with program("simulate", "broute", *words) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        empty = command("scan", str(path))
        assert (empty.returncode, empty.stdout) == (1, "")
        assert "bring the module nearer" in empty.stderr
    gone = command("scan", str(tmp_path / "nothing"))
    assert gone.returncode == 1
    assert "no such device" in gone.stderr
