"""The drop-in for the Linky exporter of environment variables: its page, its settings, its defects mended."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.live_meters import LIMIT, fake, fetch, free_port, line, talking

from meterline.compat.linky_env import DEFAULTS, adapt
from meterline.compat.linky_env_page import Page
from meterline.compat.linky_exporter import choose
from meterline.meter.meter import Meter
from meterline.protocols.tic import Options
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder, Group, encode_frame

SCRIPT = str(Path(sys.executable).with_name("linky-exporter"))
PROMETHEUS = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
HEADERS = {
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
    "Expires": "0",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
KNOWN = (
    *DEFAULTS,
    *("PROMETHEUS_PORT", "DEVICE"),
)


def clean(**more: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in KNOWN} | more


@asynccontextmanager
async def exporter(link: str, **more: str) -> AsyncIterator[int]:
    """The console script while it reads this link: its port."""
    port = free_port()
    settings = {"LINKY_EXPORTER_INTERFACE": link, "LINKY_EXPORTER_PORT": str(port)} | more
    process = subprocess.Popen([SCRIPT], env=clean(**settings), stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        yield port
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, LIMIT)


async def page(port: int, wanted: str = "linky_", gone: bool = False, **headers: str) -> str:
    deadline = time.monotonic() + LIMIT
    while True:
        try:
            text = (await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}/metrics", **headers))[2].decode()
            if (wanted in text) != gone:
                return text
        except OSError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


def test_the_page_is_the_golden_one_whatever_is_accepted(shared: Path) -> None:
    frame = (shared / "golden" / "linky-env.bin").read_bytes()

    async def test() -> list[str]:
        async with line() as (path, write), exporter(path) as port:

            async def send() -> None:
                while True:
                    write(frame)
                    await asyncio.sleep(0.2)

            sending = asyncio.create_task(send())
            pages = [await page(port, "linky_papp"), await page(port, "linky_papp", Accept=PROMETHEUS)]
            sending.cancel()
            return pages

    golden = (shared / "golden" / "linky-env.prom").read_text(encoding="utf-8")
    assert asyncio.run(test()) == [golden, golden]


def test_after_silence_the_series_vanish_and_a_lost_device_is_opened_again(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "linky")
        async with exporter(path, LINKY_FRAME_TIMEOUT="1") as port:
            async with talking(fake(), path):
                assert "linky_papp" in await page(port, "linky_hchc")
            assert await page(port, gone=True) == ""
            async with talking(fake(), path):
                assert "linky_papp" in await page(port, "linky_papp")

    asyncio.run(test())


def test_home_redirects_the_icon_is_empty_and_the_headers_are_the_originals(tmp_path: Path) -> None:
    async def test() -> None:
        async with talking(fake()) as link, exporter(link) as port:
            await page(port)

            def ask(path: str) -> tuple[int, dict[str, str], bytes]:
                connection = HTTPConnection("127.0.0.1", port, timeout=LIMIT)
                connection.request("GET", path)
                answer = connection.getresponse()
                found = answer.status, dict(answer.headers), answer.read()
                connection.close()
                return found

            status, headers, _ = await asyncio.to_thread(ask, "/")
            assert (status, headers["Location"]) == (301, "/metrics")
            assert (await asyncio.to_thread(ask, "/favicon.ico"))[2] == b""
            for place in ("/", "/favicon.ico", "/metrics"):
                _, headers, body = await asyncio.to_thread(ask, place)
                assert {name: headers[name] for name in HEADERS} == HEADERS
            assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert b"process_" not in body
            assert b"python_" not in body

    asyncio.run(test())


def said(mode: str = "historic", contract: str = "HC", prm: bool = False, **facts: object) -> str:
    """The page of a simulated meter."""
    meter, simulated = Meter("m"), fake(mode, contract, **facts)
    shown = Page(meter, "job", prm)
    simulated.advance(1_750_000_000)
    decoder, assembler = Decoder(), Assembler()
    for _ in range(2):
        for frame in assembler.feed(decoder.feed(simulated.frame())):
            meter.take(readings(frame, prm))
    return shown.text()


@pytest.mark.parametrize(
    ("contract", "names"),
    [
        ("BASE", ["linky_base"]),
        ("HC", ["linky_hchc", "linky_hchp"]),
        ("EJP", ["linky_ejphn", "linky_ejphpm"]),
        ("TEMPO", [f"linky_bbr{hours}j{day}" for day in "bwr" for hours in ("hc", "hp")]),
    ],
)
def test_every_contract_has_its_indexes(contract: str, names: list[str]) -> None:
    text = said(contract=contract)
    for name in names:
        assert f"# TYPE {name}_total counter\n{name}{{" in text
    assert "linky_isousc{" in text
    assert "linky_papp{" in text


def test_three_phases_have_a_current_and_a_maximum_each_and_no_label_of_their_own() -> None:
    text = said(phases=3)
    for phase in "123":
        assert f"# TYPE linky_iinst{phase} gauge" in text
        assert f"# TYPE linky_imax{phase} gauge\nlinky_imax{phase}{{" in text
    assert {*re.findall(r'[{,](\w+)="', text)} == {"adco", "hhphc", "job", "motdetat", "optarif", "ptec"}


def test_standard_mode_follows_the_same_rule() -> None:
    text = said("standard", "TEMPO", phases=3, producer=True)
    families = {family.name: family.type for family in text_string_to_metric_families(text.replace("_total", "_total"))}
    assert "# TYPE linky_east_total counter\nlinky_east{" in text
    for name in ("linky_easf01", "linky_easd01", "linky_eait", "linky_erq1"):
        assert f"# TYPE {name}_total counter\n{name}{{" in text
    for name in ("linky_sinsts", "linky_irms1", "linky_urms1", "linky_pref", "linky_pcoup", "linky_ntarf", "linky_njourf_1"):
        assert f"# TYPE {name} gauge\n{name}{{" in text
    assert families
    for label in ("adsc", "job", "ltarf", "ngtf", "vtic"):
        assert f'{label}="' in text
    assert 'prm="' not in text
    assert 'prm="' in said("standard", "BASE", prm=True)


def test_a_register_that_is_not_believed_is_not_shown() -> None:
    meter = Meter("m")
    shown = Page(meter, "job")
    for base, papp in (("002354947", "02610"), ("002354947", "02610"), ("902354947", "02620")):
        said = {"ADCO": "041876097767", "OPTARIF": "BASE", "BASE": base, "PTEC": "TH..", "PAPP": papp}
        decoder, assembler = Decoder(), Assembler()
        for frame in assembler.feed(decoder.feed(encode_frame(Group(label, None, data) for label, data in said.items()))):
            meter.take(readings(frame))
    base, papp = [line for line in shown.text().splitlines() if not line.startswith("#")]
    assert base.endswith("} 2.354947e+06")
    assert papp.endswith("} 2620.0")


@pytest.mark.parametrize("name", [*DEFAULTS])
def test_every_variable_of_the_readmes_table_is_read(name: str) -> None:
    other = {
        "LINKY_EXPORTER_INTERFACE": "tcp://192.0.2.1:2000",
        "LINKY_EXPORTER_LOGLEVEL": "DEBUG",
        "LINKY_EXPORTER_NAME": "cave",
        "LINKY_EXPORTER_PORT": "9000",
        "LINKY_EXPORTER_MODE": "STANDARD",
        "LINKY_EXPORTER_PRM": "1",
        "LINKY_FRAME_TIMEOUT": "30",
        "TZ": "Europe/London",
    }[name]
    default, changed = adapt((), {}), adapt((), {name: other})
    assert f"{name}={DEFAULTS[name]} (default)" in default.taken
    assert f"{name}={other} (environment)" in changed.taken
    if name != "TZ":
        assert (default.config, default.address, default.level) != (changed.config, changed.address, changed.level)


def test_defaults_are_those_of_the_readme() -> None:
    found = adapt((), {})
    (meter,) = found.config.meters
    assert (meter.link, meter.name, found.address, found.level) == ("/dev/ttyUSB0", "linky-exporter", ":8123", "info")
    assert meter.options == Options(baud=1200)
    assert meter.stale_after == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LINKY_EXPORTER_PORT", "http"),
        ("LINKY_EXPORTER_MODE", "MODERN"),
        ("LINKY_EXPORTER_INTERFACE", "ttyUSB0"),
        ("LINKY_FRAME_TIMEOUT", "soon"),
        ("TZ", "Europe/Nowhere"),
    ],
)
def test_a_wrong_value_ends_the_program_with_status_2_and_one_line_that_names_it(name: str, value: str) -> None:
    answer = subprocess.run([SCRIPT], env=clean(**{name: value}), capture_output=True, text=True, check=False, timeout=LIMIT)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"linky-exporter: {name}: ")
    assert answer.stderr.count("\n") == 1


def test_the_adapter_says_what_it_took_from_where_and_what_would_do_the_same() -> None:
    found = adapt((), {"LINKY_EXPORTER_PORT": "9000"})
    assert "LINKY_EXPORTER_PORT=9000 (environment)" in found.taken
    assert "    link: /dev/ttyUSB0\n" in found.native


def test_the_script_tells_the_two_programs_of_its_name_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("meterline.compat.linky_exporter.JSON_FILE", str(tmp_path / "none.json"))
    assert choose((), {}) == "linky-env"
    assert choose((), {"LINKY_EXPORTER_PORT": "1", "PROMETHEUS_PORT": "2"}) == "linky-env"
    assert choose((), {"PROMETHEUS_PORT": "2"}) == "linky-json"
    assert choose((), {"INDEXWHRATES_BASE": "0.25"}) == "linky-json"
    assert choose((), {"DEVICE": "/dev/serial0"}) == "linky-json"
    assert choose(("--config", "x.json"), {}) == "linky-json"
    (tmp_path / "none.json").write_text("{}")
    assert choose((), {}) == "linky-json"


# When there is nothing to scrape, and what a setting that cannot be used does ---------------------------------------


async def status(port: int, wanted: int, path: str = "/metrics") -> tuple[int, str]:
    """Status and body, once the status is that one."""
    deadline = time.monotonic() + 60
    while True:
        try:
            found, _, body = await asyncio.to_thread(fetch, f"http://127.0.0.1:{port}{path}")
            if found == wanted:
                return found, body.decode()
        except OSError:
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_without_a_device_a_scrape_fails_and_the_program_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        path = str(tmp_path / "linky")
        async with exporter(path, LINKY_FRAME_TIMEOUT="2") as port:
            assert (await status(port, 503))[0] == 503
            assert (await status(port, 200, "/-/healthy"))[0] == 200
            async with talking(fake(), path):
                assert "linky_papp" in (await status(port, 200))[1]
            assert (await status(port, 503))[0] == 503, "it was lost"

    asyncio.run(test())


def test_with_a_line_that_says_nothing_a_scrape_fails_until_the_first_frame_and_never_after_it() -> None:
    async def test() -> None:
        async with line() as (path, write), exporter(path, LINKY_FRAME_TIMEOUT="1") as port:
            await status(port, 503)
            frame = encode_frame(
                Group(label, None, data)
                for label, data in {"ADCO": "041876097767", "OPTARIF": "BASE", "BASE": "002354947", "PTEC": "TH.."}.items()
            )

            async def send() -> None:
                while True:
                    write(frame)
                    await asyncio.sleep(0.1)

            sending = asyncio.create_task(send())
            assert "linky_base" in await page(port, "linky_base")
            sending.cancel()
            assert await page(port, gone=True) == ""
            for _ in range(30):
                assert await status(port, 200) == (200, "")
                await asyncio.sleep(0.05)

    asyncio.run(test())


@pytest.mark.parametrize(
    ("word", "level"),
    [
        *(("NOTSET", "debug"), ("debug", "debug"), ("WARN", "warn"), ("WARNING", "warn"), ("ERROR", "error")),
        *(("CRITICAL", "error"), ("FATAL", "error"), ("LOUD", "info")),
    ],
)
def test_every_level_of_python_is_known_and_another_word_is_info_with_a_warning(word: str, level: str) -> None:
    found = adapt((), {"LINKY_EXPORTER_LOGLEVEL": word})
    assert found.level == level
    assert [line.partition(":")[0] for line in found.advice] == (["LINKY_EXPORTER_LOGLEVEL"] if word == "LOUD" else [])


def test_arguments_are_settings_or_are_not_used_and_a_warning_names_them() -> None:
    found = adapt(("LINKY_EXPORTER_PORT=18602", "stray"), {"LINKY_EXPORTER_PORT": "9000"})
    assert found.address == ":18602"
    assert found.advice == ("'stray': not used; this exporter takes environment variables",)


def test_the_address_of_a_serial_line_over_tcp_is_read_in_place_of_its_pseudo_terminal() -> None:
    both = {"LINKY_SOCAT_HOST": " 192.0.2.1:2000 ", "LINKY_SOCAT_FILE": "/dev/tty0", "LINKY_EXPORTER_INTERFACE": "/dev/tty0"}
    assert adapt((), both).config.meters[0].link == "tcp://192.0.2.1:2000"
    assert adapt((), both).advice == ()
    for wrong in ({"LINKY_SOCAT_HOST": "192.0.2.1"}, {"LINKY_SOCAT_HOST": "", "LINKY_SOCAT_FILE": "/dev/tty0"}):
        found = adapt((), wrong)
        assert found.config.meters[0].link == "/dev/ttyUSB0"
        assert len(found.advice) == 1
        assert found.advice[0].startswith("LINKY_SOCAT_")
    assert choose((), {"LINKY_SOCAT_HOST": "192.0.2.1:2000", "DEVICE": "x"}) == "linky-env"


@pytest.mark.parametrize(
    ("name", "value"),
    [("LINKY_EXPORTER_PORT", "+8123"), ("LINKY_FRAME_TIMEOUT", "100000"), ("TZ", "europe/paris"), ("TZ", "UTC")],
)
def test_what_the_original_starts_with_is_taken(name: str, value: str) -> None:
    assert adapt((), {name: value}).address == ":8123"


def test_a_line_over_tcp_is_read(tmp_path: Path) -> None:
    async def test() -> None:
        link = str(tmp_path / "none")
        async with talking(fake(), tcp=True) as url, exporter(link, LINKY_SOCAT_HOST=url.removeprefix("tcp://")) as port:
            await page(port, "linky_papp")

    asyncio.run(test())
