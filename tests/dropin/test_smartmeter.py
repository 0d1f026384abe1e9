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
from stage import LIMIT, fetch, free_port

from meterline import asked
from meterline.dropin.smartmeter import DEFAULTS, adapt
from meterline.dropin.smartmeter_page import page as render
from meterline.errors import UserError
from meterline.meter import Meter
from meterline.model import Observation, Reading, Rejected, Snapshot
from meterline.protocols.broute import Options
from meterline.protocols.broute.fake import FakeMeter, FakeModule, Faults

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
    async with asked.on_pty(module) as path:
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
            return await page(port, "scrape_duration_seconds_count")

    assert masked(asyncio.run(test())) == masked((shared / "golden" / "smartmeter.prom").read_text())


def test_power_that_is_sold_is_negative_and_an_absent_phase_is_no_series() -> None:
    async def test() -> str:
        async with exporter(module({0xE7: (-1500).to_bytes(4, signed=True), 0xE8: bytes.fromhex("FFF67FFE")})) as (port, _):
            return await page(port, "smartmeter_power_watts")

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
        "# HELP smartmeter_scrape_errors_total Total number of failed scrapes\n# TYPE smartmeter_scrape_errors_total counter"
        in text
    )
    assert "smartmeter_power_watts" not in text, "no value before the first success"
    assert RIGHT["SMARTMETER_ID"] not in log
    assert RIGHT["SMARTMETER_PASSWORD"] not in log
    assert "-id=(masked) (environment)" in log
    assert "the same for meterline" in log


def test_after_joining_the_log_says_channel_and_address_to_paste() -> None:
    async def test() -> str:
        async with exporter(module(), "-dse") as (port, log):
            await page(port, "smartmeter_power_watts")
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


@pytest.mark.parametrize("words", [("-nope",), ("-device",), ("-dse=maybe",), ("positional",), ("-port=x",), ("-verbosity=a",)])
def test_a_wrong_flag_is_one_line(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as caught:
        adapt(words, RIGHT)
    assert "\n" not in str(caught.value)


def test_log_format_is_text_or_json() -> None:
    assert adapt((), RIGHT | {"SMARTMETER_LOG_FORMAT": "json"}).style == "json"
    with pytest.raises(UserError, match="SMARTMETER_LOG_FORMAT"):
        adapt((), RIGHT | {"SMARTMETER_LOG_FORMAT": "xml"})


def test_channel_and_address_narrow_the_scan() -> None:
    found = options("-channel", "31", "-ipaddr", "FE80:0000:0000:0000:0214:2244:5566:7788")
    assert found.channel == "31"
    assert found.mac == "0014224455667788"
    with pytest.raises(UserError, match="-ipaddr"):
        options("-ipaddr=fe80::1")


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("ip_resolve", Observation(("smartmeter_radio_scans_total", "empty"), 1.0, True)),
        ("auth", Observation(("smartmeter_session_joins_total", "failed"), 1.0, True)),
        ("query", Observation(("smartmeter_polls_failed_total",), 1.0, True)),
        ("parse", Rejected("malformed")),
    ],
)
def test_every_type_of_error_of_the_readme_is_counted(kind: str, item: Observation | Rejected) -> None:
    meter = Meter("m")
    assert "scrape_errors" not in render(meter)
    for _ in range(3):
        if isinstance(item, Rejected):
            meter.reject(item)
        else:
            meter.observe(item)
    assert f'smartmeter_scrape_errors_total{{type="{kind}"}} 3\n' in render(meter)


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
    said = (
        Reading(("smartmeter_power_watts",), 366),
        Reading(("smartmeter_current_amperes", "r"), 2.8),
        Reading(("smartmeter_current_amperes", "t"), 1.2),
    )
    meter.take(Snapshot(said))
    meter.observe(Observation(("smartmeter_poll_duration_seconds",), 0.2))
    text = render(meter, openmetrics)
    assert f"\n{row} " in text
    parse = openmetrics_families if openmetrics else text_string_to_metric_families
    assert {family.name.removesuffix("_total") for family in parse(text)} >= {"smartmeter_power_watts"}
