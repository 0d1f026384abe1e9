"""The drop-in for the B-route exporter: its flags, its variables, its page."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from support.live_meters import LIMIT, fetch, free_port

from meterline.cli import replacements
from meterline.compat.smartmeter import DEFAULTS, adapt
from meterline.compat.smartmeter_page import Page
from meterline.errors import UserError
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Reading, Snapshot
from meterline.protocols.broute import Options
from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.simulation import responder

SCRIPT = str(Path(sys.executable).with_name("smartmeter-exporter"))
RIGHT = {"SMARTMETER_ID": f"{1:032X}", "SMARTMETER_PASSWORD": "0123456789AB"}
PAGE = {0xE7: (366).to_bytes(4), 0xE8: bytes.fromhex("001C000C")}


def options(*words: str, **environment: str) -> Options:
    found = adapt(words, RIGHT | environment).config.meters[0].options
    assert isinstance(found, Options)
    return found


def environment(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SMARTMETER_")}
    return clean | RIGHT | more


@asynccontextmanager
async def exporter(module: FakeModule, *words: str, **more: str) -> AsyncIterator[tuple[int, Path]]:
    """The console script while it reads a simulated module on a pty: its port, and its log."""
    port = free_port()
    async with responder.on_pty(module) as path:
        log = Path(path.replace("/", "_")).with_suffix(".log")
        log = Path(os.environ["XDG_STATE_HOME"]) / log.name
        with log.open("w") as file:
            flags = (f"-device={path}", "-port", str(port), "--interval=10", *words)
            process = subprocess.Popen([SCRIPT, *flags], env=environment(**more), stdout=file, stderr=file)  # noqa: ASYNC220
        try:
            yield port, log
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, LIMIT)


async def page(port: int, wanted: str, **headers: str) -> str:
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            text = (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics", **headers))[2].decode()
            if wanted in text:
                return text
        except OSError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def module(overrides: Mapping[int, bytes | None] = PAGE, **facts: object) -> FakeModule:
    return FakeModule([FakeMeter(overrides=dict(overrides))], haste=100.0, start_unix=time.time(), **facts)  # type: ignore[arg-type]


def masked(text: str) -> str:
    """Without what depends on the moment: timestamps, durations."""
    text = re.sub(r"(?m)^(smartmeter_last_scrape_timestamp_seconds) .*$", r"\1 T", text)
    return re.sub(r"(?m)^(smartmeter_scrape_duration_seconds_(?:bucket\{.*\}|sum|count)) .*$", r"\1 N", text)


def test_the_page_is_the_golden_one_byte_for_byte(shared: Path) -> None:
    async def test() -> str:
        async with exporter(module()) as (port, _):
            return await page(port, "scrape_duration_seconds_count 1\n")

    assert masked(asyncio.run(test())) == masked((shared / "golden" / "smartmeter.prom").read_text())


def test_power_that_is_sold_is_negative_and_an_absent_phase_is_no_series() -> None:
    async def test() -> str:
        async with exporter(module({0xE7: (-1500).to_bytes(4, signed=True), 0xE8: bytes.fromhex("FFF67FFE")})) as (port, _):
            return await page(port, "\nsmartmeter_power_watts ")

    text = asyncio.run(test())
    assert "\nsmartmeter_power_watts -1500\n" in text
    assert '\nsmartmeter_current_amperes{phase="r"} -1\n' in text
    assert 'phase="t"' not in text


def test_errors_are_counted_by_type_and_no_secret_is_in_the_log() -> None:
    async def test() -> tuple[str, str]:
        async with exporter(module(faults=Faults(lies=True)), "-verbosity", "2") as (port, log):
            text = await page(port, 'smartmeter_scrape_errors_total{type="auth"}')
            return text, log.read_text()

    text, log = asyncio.run(test())
    assert (
        "# HELP smartmeter_scrape_errors_total Total number of failed scrapes, labeled by error type\n"
        "# TYPE smartmeter_scrape_errors_total counter\n"
    ) in text
    assert "\nsmartmeter_power_watts " not in text, "no value before the first success"
    assert "\nsmartmeter_last_scrape_timestamp_seconds 0\n" in text
    assert RIGHT["SMARTMETER_ID"] not in log
    assert RIGHT["SMARTMETER_PASSWORD"] not in log
    assert "-id=(masked) (environment)" in log
    assert "equivalent meterline configuration" in log


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="this system does not show arguments as Linux does")
def test_an_id_and_a_password_given_as_flags_vanish_from_the_process_list(tmp_path: Path) -> None:
    secrets = RIGHT["SMARTMETER_ID"], RIGHT["SMARTMETER_PASSWORD"]
    flags = [f"-device={tmp_path / 'module'}", "-id", secrets[0], f"--password={secrets[1]}", f"-port={free_port()}"]
    clean = {name: value for name, value in environment().items() if name not in RIGHT}
    with subprocess.Popen([SCRIPT, *flags], env=clean, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            log = ""
            while "equivalent meterline configuration" not in log:
                log += (line := process.stderr.readline())
                assert line, "it ended"
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode().split("\0")
        finally:
            process.terminate()
    assert shown[-6:-1] == [flags[0], "-id", "x" * 32, f"--password={'x' * 12}", flags[4]]
    assert "process list" not in log
    assert not [secret for secret in secrets if secret in log]


def test_where_arguments_cannot_be_hidden_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(*_: object) -> None:
        """Not here."""

    monkeypatch.setattr(replacements, "serve", serve)
    monkeypatch.setattr(replacements, "hide", lambda flags: False)
    monkeypatch.setattr("meterline.logs.set_up", lambda *_: None)
    told = "-password can be read in the process list by every user of this machine: use environment variables"
    replacements.start(adapt((), RIGHT))
    assert told not in caplog.messages
    replacements.start(adapt((f"-password={RIGHT['SMARTMETER_PASSWORD']}",), RIGHT))
    assert told in caplog.messages
    assert RIGHT["SMARTMETER_PASSWORD"] not in caplog.text


def test_without_a_device_the_program_goes_on_and_what_alerts_read_stays_true(tmp_path: Path) -> None:
    async def test() -> str:
        port = free_port()
        flags = (f"-device={tmp_path}/nowhere", f"-port={port}", "-interval=10")
        process = subprocess.Popen([SCRIPT, *flags], env=environment(), stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            return await page(port, 'smartmeter_scrape_errors_total{type="ip_resolve"}')
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 60)

    text = asyncio.run(test())
    assert "\nsmartmeter_last_scrape_timestamp_seconds 0\n" in text
    assert "\nsmartmeter_scrape_duration_seconds_count 1\n" in text
    assert "\nsmartmeter_power_watts " not in text


def test_after_joining_the_log_says_channel_and_address_to_paste() -> None:
    async def test() -> str:
        async with exporter(module(), "-dse") as (port, log):
            await page(port, "\nsmartmeter_power_watts ")
            return log.read_text()

    log = asyncio.run(test())
    assert "channel 31" in log
    assert "FE80:0000:0000:0000:0214:2244:5566:7788" in log


@pytest.mark.parametrize("flag", DEFAULTS)
def test_every_row_of_the_readmes_table_is_a_flag_and_a_variable(flag: str) -> None:
    other = {
        "id": "A" * 32,
        "password": "B" * 12,
        "device": "/dev/ttyUSB7",
        "interval": "30",
        "port": "9999",
        "channel": "31",
        "ipaddr": "FE80:0000:0000:0000:0214:2244:5566:7788",
        "dse": "true",
        "verbosity": "0",
    }[flag]
    by_flag = adapt((f"-{flag}", *((other,) if flag != "dse" else ())), RIGHT)
    equals = adapt((f"--{flag}={other}",), RIGHT)
    by_variable = adapt((), RIGHT | {f"SMARTMETER_{flag.upper()}": other})
    for found in (by_flag, equals, by_variable):
        assert (found.config, found.address, found.level) == (by_flag.config, by_flag.address, by_flag.level)
    plain = adapt((), RIGHT)
    assert (plain.config, plain.address, plain.level, plain.advice) != (
        by_flag.config,
        by_flag.address,
        by_flag.level,
        by_flag.advice,
    )


def test_defaults_are_those_of_the_readme() -> None:
    found = adapt((), RIGHT)
    assert found.config.meters[0].link == "/dev/ttyACM0"
    assert found.address == ":9102"
    assert found.level == "info"
    assert found.style == "logfmt"
    assert options().interval == 60


def test_flags_win_over_variables_and_blank_ones_count_as_unset() -> None:
    assert adapt(("-port=1",), RIGHT | {"SMARTMETER_PORT": "2"}).address == ":1"
    assert adapt((), RIGHT | {"SMARTMETER_PORT": " ", "SMARTMETER_CHANNEL": "", "SMARTMETER_IPADDR": ""}).address == ":9102"


@pytest.mark.parametrize("text", ["5", "x", "-1", "10.5", "0"])
def test_an_interval_that_cannot_be_is_sixty_with_a_warning(text: str) -> None:
    found = adapt((f"-interval={text}",), RIGHT)
    assert options(f"-interval={text}").interval == 60
    assert "60 is used" in found.advice[0]


@pytest.mark.parametrize("missing", ["SMARTMETER_ID", "SMARTMETER_PASSWORD"])
def test_without_id_or_password_it_ends_with_status_1_and_one_line(missing: str) -> None:
    clean = environment()
    del clean[missing]
    answer = subprocess.run([SCRIPT], env=clean, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert missing in answer.stderr


def test_a_wrong_id_is_not_repeated() -> None:
    with pytest.raises(UserError) as caught:
        adapt((), RIGHT | {"SMARTMETER_ID": "0123SECRET"})
    assert "SECRET" not in str(caught.value)
    assert caught.value.status == 1


@pytest.mark.parametrize("words", [("-nope",), ("-device",), ("-dse=maybe",), ("-port=x",), ("-verbosity=a",)])
def test_a_wrong_flag_is_one_line(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        adapt(words, RIGHT)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "style", "known"),
    [
        *(("json", "json", True), ("JSON", "json", True), ("Json", "json", True)),
        *(("text", "logfmt", True), ("TEXT", "logfmt", True), ("logfmt", "logfmt", True), ("xml", "logfmt", False)),
    ],
)
def test_log_format_is_text_or_json_in_any_case_and_else_text(text: str, style: str, known: bool) -> None:
    found = adapt((), RIGHT | {"SMARTMETER_LOG_FORMAT": text})
    assert found.style == style
    assert [line.partition(":")[0] for line in found.advice] == ([] if known else ["SMARTMETER_LOG_FORMAT"])


@pytest.mark.parametrize(
    ("text", "level"), [("debug", "info"), ("1.5", "info"), ("-1", "error"), ("+2", "debug"), ("0", "error")]
)
def test_a_verbosity_in_the_environment_that_is_no_number_is_one(text: str, level: str) -> None:
    found = adapt((), RIGHT | {"SMARTMETER_VERBOSITY": text})
    assert found.level == level
    assert ("SMARTMETER_VERBOSITY" in "".join(found.advice)) == (text in ("debug", "1.5"))


@pytest.mark.parametrize("words", [("stray",), ("stray", "-port=1"), ("-",), ("--", "-port=1"), ("-dse", "true", "-port", "1")])
def test_words_from_the_first_that_is_no_flag_on_are_not_used_and_a_warning_says_so(words: tuple[str, ...]) -> None:
    found = adapt(words, RIGHT)
    assert found.address == ":9102"
    (line,) = [line for line in found.advice if "is not a flag" in line]
    assert ("not -port" in line) == any(word.startswith("-port") for word in words)
    assert "stray" not in line, "it may be the password"


@pytest.mark.parametrize("word", ["-h", "--h", "-help", "--help"])
def test_help_is_printed_and_no_error(word: str) -> None:
    answer = subprocess.run([SCRIPT, word], env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "-channel" in answer.stdout


def test_channel_and_address_narrow_the_scan() -> None:
    found = options("-channel", "31", "-ipaddr", "FE80:0000:0000:0000:0214:2244:5566:7788")
    assert found.channel == "31"
    assert found.mac == "0014224455667788"


@pytest.mark.parametrize(
    "text", ["fe80::214:2244:5566:7788", "FE80:0:0:0:214:2244:5566:7788", "fe80::0214:2244:5566:7788%wpan0"]
)
def test_an_address_may_be_written_in_any_form_of_ipv6(text: str) -> None:
    found = adapt(("-ipaddr", text), RIGHT)
    assert options("-ipaddr", text).mac == "0014224455667788"
    assert found.advice == ()


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        *(("channel", text) for text in ("99", "0x21", "3D", "x")),
        *(("ipaddr", text) for text in ("2001:db8::1", "192.0.2.1", "x")),
    ],
)
def test_facts_of_the_radio_that_cannot_be_are_not_used_and_a_warning_names_them(flag: str, text: str) -> None:
    found = adapt((f"-{flag}", text), RIGHT)
    assert (options(f"-{flag}", text).channel, options(f"-{flag}", text).mac) == (None, None)
    assert [line.partition(":")[0] for line in found.advice] == [f"-{flag}"]


@pytest.mark.parametrize(
    "row",
    [
        "smartmeter_power_watts",
        'smartmeter_current_amperes{phase="r"}',
        'smartmeter_current_amperes{phase="t"}',
        "smartmeter_last_scrape_timestamp_seconds",
        "smartmeter_scrape_duration_seconds_count",
    ],
)
@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "openmetrics"])
def test_every_metric_of_the_readme_is_there_in_both_formats(row: str, openmetrics: bool) -> None:
    meter = Meter("m")
    shown = Page(meter, 10.0)
    said = (
        Reading(("smartmeter_power_watts",), 366),
        Reading(("smartmeter_current_amperes", "r"), 2.8),
        Reading(("smartmeter_current_amperes", "t"), 1.2),
    )
    meter.take(Snapshot(said))
    meter.counters.observe(Observation(("smartmeter_poll_duration_seconds",), 0.2))
    text = shown.text(openmetrics)
    assert f"\n{row} " in text
    parse = openmetrics_families if openmetrics else text_string_to_metric_families
    assert {family.name.removesuffix("_total") for family in parse(text)} >= {"smartmeter_power_watts"}
