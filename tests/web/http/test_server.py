"""The HTTP side, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import gzip
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import ANY

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from support.http_client import Client, connected
from support.live_meters import fetch, until

from meterline.config.labels import Labels
from meterline.config.schema import Config, MeterConfig
from meterline.errors import UserError
from meterline.meter.exposition import Page, takes_gzip
from meterline.meter.readings import Reading, Snapshot
from meterline.service.supervisor import Runtime
from meterline.store import State
from meterline.web.http import connections
from meterline.web.http import server as server_module
from meterline.web.http.server import application, listen, parse_address

VOLTS = Snapshot((Reading(("smartmeter_voltage_volts", "1"), 230),))


@asynccontextmanager
async def serving(*meters: MeterConfig | str, state: State | None = None) -> AsyncIterator[tuple[str, Runtime]]:
    """A server over meters that nobody reads: its address, and the runtime."""
    configs = (MeterConfig(one, f"/dev/{one}") if isinstance(one, str) else one for one in meters)
    runtime = Runtime(Config(tuple(configs)), state)
    server = listen(application(runtime), "127.0.0.1:0")
    try:
        yield f"http://127.0.0.1:{server.port}", runtime
    finally:
        server.stop()
        await server.close_all_connections()


async def get(url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    status, answer, body = await asyncio.to_thread(lambda: fetch(url, **headers))
    text = gzip.decompress(body) if answer.get("Content-Encoding") == "gzip" else body
    return status, answer, text.decode()


def test_metrics_are_served_as_text_and_as_openmetrics() -> None:
    async def test() -> None:
        async with serving("home") as (url, runtime):
            runtime.meters["home"].take(VOLTS)
            status, headers, text = await get(f"{url}/metrics")
            assert status == 200
            assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert 'smartmeter_voltage_volts{meter="home",phase="1"} 230.0' in text
            _, headers, text = await get(f"{url}/metrics", Accept="application/openmetrics-text;version=1.0.0")
            assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
            assert text.endswith("# EOF\n")

    asyncio.run(test())


@pytest.mark.parametrize("accept", ["application/openmetrics-text;version=x", ";;,=", "é"])
def test_who_accepts_nonsense_gets_text(accept: str) -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            status, headers, _ = await get(f"{url}/metrics", Accept=accept)
            assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")

    asyncio.run(test())


@pytest.mark.parametrize("meters", [1, 300])
def test_gzip_is_used_where_the_client_takes_it(meters: int) -> None:
    async def test() -> None:
        async with serving(*(f"m{n}" for n in range(meters))) as (url, runtime):
            _, headers, text = await get(f"{url}/metrics", Accept_Encoding="gzip")
            assert headers["Content-Encoding"] == "gzip"
            assert text.count("smartmeter_up{") == len(runtime.meters)
            _, headers, plain = await get(f"{url}/metrics", Accept_Encoding="identity")
            assert "Content-Encoding" not in headers
            assert plain.count("smartmeter_up{") == meters
            assert (len(plain) > server_module.COMPRESS_IN_THREAD_FROM_BYTES) == (meters == 300)

    asyncio.run(test())


def test_two_scrapers_at_once_both_get_the_whole_page() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            answers = await asyncio.gather(*(get(f"{url}/metrics") for _ in range(8)))
            assert all(status == 200 and "smartmeter_up" in text for status, _, text in answers)

    asyncio.run(test())


def test_a_state_that_cannot_be_written_is_a_gauge(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    state = State(str(tmp_path / "file" / "state"))

    async def test() -> None:
        async with serving("home", state=state) as (url, _):
            assert "\nmeterline_state_writable 1.0\n" in (await get(f"{url}/metrics"))[2]
            state.keep("/dev/home", {"channel": "21"})
            assert "\nmeterline_state_writable 0.0\n" in (await get(f"{url}/metrics"))[2]
        async with serving("home") as (url, _):
            assert "meterline_state_writable" not in (await get(f"{url}/metrics"))[2], "nothing is to be kept"

    asyncio.run(test())


def test_the_server_is_healthy_as_soon_as_it_answers() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            assert (await get(f"{url}/-/healthy"))[0] == 200

    asyncio.run(test())


def test_the_server_is_ready_once_every_meter_has_spoken() -> None:
    async def test() -> None:
        async with serving("home", "farm") as (url, runtime):
            runtime.meters["home"].take(VOLTS)
            status, _, text = await get(f"{url}/-/ready")
            assert (status, text) == (503, "meterline is not ready: it waits for its meters.\nsilent: farm\n")
            runtime.meters["farm"].take(VOLTS)
            status, _, text = await get(f"{url}/-/ready")
            assert (status, text) == (200, "meterline is ready.\n")

    asyncio.run(test())


def test_the_server_is_ready_when_the_first_deadline_has_passed_and_says_who_is_silent() -> None:
    async def test() -> None:
        async with serving("home") as (url, runtime):
            runtime.started -= 10.1
            status, _, text = await get(f"{url}/-/ready")
            assert (status, text) == (200, "meterline is ready.\nsilent: home\n")

    asyncio.run(test())


def test_the_page_at_the_root_links_the_others_and_escapes_names() -> None:
    async def test() -> None:
        async with serving("<b>home</b>") as (url, _):
            status, headers, text = await get(f"{url}/")
            assert status == 200
            assert headers["Content-Type"] == "text/html; charset=utf-8"
            assert "href=metrics" in text
            assert "&lt;b&gt;home" in text
            assert "<b>" not in text

    asyncio.run(test())


def test_what_is_not_there_is_one_line_without_a_traceback() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            assert (await get(f"{url}/nothing"))[0::2] == (404, "404 Not Found\n")

    asyncio.run(test())


def test_a_failure_of_ours_is_one_line_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(Page, "text", lambda *_: 1 / 0)
        async with serving("home") as (url, _):
            assert (await get(f"{url}/metrics"))[0::2] == (500, "500 Internal Server Error\n")

    asyncio.run(test())


def test_slow_clients_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEADER_TIMEOUT_S", 0.3)

    async def test() -> None:
        async with serving("home") as (url, _), contextlib.AsyncExitStack() as stack:
            port = int(url.rpartition(":")[2])
            slow: list[Client] = [await stack.enter_async_context(connected(port)) for _ in range(50)]
            for client in slow:
                client.send(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            assert [await client.read() for client in slow] == [b""] * 50

    asyncio.run(test())


def test_a_client_that_does_not_take_its_answer_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.3)
    monkeypatch.setattr(Page, "text", lambda *_: "x" * (30 << 20))

    async def test() -> None:
        server, loop, taken = listen(application(Runtime(Config(()))), "127.0.0.1:0"), asyncio.get_running_loop(), 0
        with socket.socket() as client:
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", server.port))
            await loop.sock_sendall(client, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            await until(lambda: server._share)
            await until(lambda: not server._share)
            with contextlib.suppress(OSError):
                while chunk := await loop.sock_recv(client, 1 << 20):
                    taken += len(chunk)
        server.stop()
        assert taken < 30 << 20

    asyncio.run(test())


def test_a_header_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "DRAIN_TIMEOUT_S", 60.0)

    async def test() -> None:
        async with serving("home") as (url, _):
            async with connected(int(url.rpartition(":")[2])) as client:
                client.send(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 100_000)
                assert (await client.read()).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
            assert (await get(f"{url}/metrics"))[0] == 200

    asyncio.run(test())


TORNADO_LEAKS = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
"""Tornado leaves the socket that it could not bind to the garbage collector."""


@pytest.mark.filterwarnings(TORNADO_LEAKS)
def test_a_port_in_use_names_who_holds_it() -> None:
    async def test() -> None:
        child = await asyncio.create_subprocess_exec(
            "python3",
            "-c",
            "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert child.stdout
            port = int(await child.stdout.readline())
            with pytest.raises(UserError, match=rf"port {port} is in use by process {child.pid} \(python3.*\); stop it"):
                listen(application(Runtime(Config(()))), f"127.0.0.1:{port}")
        finally:
            child.terminate()
            await child.communicate()
            gc.collect()

    asyncio.run(test())


@pytest.mark.parametrize("address", ["", "10230", "localhost", ":x", "host:", ":99999"])
def test_a_wrong_address_is_one_line(address: str) -> None:
    with pytest.raises(UserError, match="expected HOST:PORT or :PORT"):
        parse_address(address)


@pytest.mark.parametrize(
    ("address", "parsed"), [(":10230", ("", 10230)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:9100", ("::1", 9100))]
)
def test_addresses_are_those_of_official_exporters(address: str, parsed: tuple[str, int]) -> None:
    assert parse_address(address) == parsed


@pytest.mark.filterwarnings(TORNADO_LEAKS)
def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(UserError, match="not an address of this machine"):
        listen(application(Runtime(Config(()), clock=time.monotonic)), "192.0.2.1:10230")
    gc.collect()


def test_sd_lists_the_meters_as_targets_of_probe() -> None:
    async def test() -> None:
        async with serving("home", 'a"b') as (url, _):
            status, headers, text = await get(f"{url}/sd")
            assert (status, headers["Content-Type"]) == (200, "application/json")
            groups = json.loads(text)
            assert [group["targets"] for group in groups] == [[url.removeprefix("http://")]] * 2
            assert groups[1]["labels"] == {
                "instance": 'a"b',
                "__scheme__": "http",
                "__metrics_path__": "/probe",
                "__param_meter": 'a"b',
                "__meta_meterline_meter": 'a"b',
                "__meta_meterline_protocol": "",
            }

    asyncio.run(test())


def test_sd_says_the_labels_of_a_meter_for_relabelling_since_its_series_have_them_already() -> None:
    async def test() -> None:
        async with serving(MeterConfig("home", "/dev/x", labels=Labels(flat="12"))) as (url, _):
            (group,) = json.loads((await get(f"{url}/sd"))[2])
            assert group["labels"]["__meta_meterline_label_flat"] == "12"
            assert "flat" not in group["labels"]
            assert 'smartmeter_up{flat="12",meter="home"} 0.0' in (await get(f"{url}/probe?meter=home"))[2]

    asyncio.run(test())


def test_probe_shows_one_meter_alone_in_both_formats() -> None:
    async def test() -> None:
        async with serving("home", "farm") as (url, runtime):
            for meter in runtime.meters.values():
                meter.take(VOLTS)
            status, _, text = await get(f"{url}/probe?meter=farm")
            assert status == 200
            assert 'smartmeter_voltage_volts{meter="farm",phase="1"} 230.0' in text
            assert 'meter="home"' not in text
            assert "process_" not in text
            assert list(text_string_to_metric_families(text))
            _, headers, text = await get(f"{url}/probe?meter=farm", Accept="application/openmetrics-text;version=1.0.0")
            assert headers["Content-Type"].startswith("application/openmetrics-text")
            assert list(openmetrics_families(text))

    asyncio.run(test())


def test_probe_of_a_silent_meter_says_that_it_is_down() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            status, _, text = await get(f"{url}/probe?meter=home")
            assert (status, 'smartmeter_up{meter="home"} 0.0' in text) == (200, True)

    asyncio.run(test())


def test_probe_of_no_meter_is_one_line() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            assert await get(f"{url}/probe?meter=moon") == (404, ANY, "no meter 'moon' here\n")
            assert await get(f"{url}/probe") == (400, ANY, "which meter? /probe?meter=NAME\n")

    asyncio.run(test())


def test_head_is_answered_as_get_without_a_body() -> None:
    async def test() -> None:
        async with serving("home") as (url, _):
            request = urllib.request.Request(f"{url}/metrics", method="HEAD")
            with await asyncio.to_thread(urllib.request.urlopen, request) as answer:
                assert (answer.status, answer.read()) == (200, b"")

    asyncio.run(test())


@pytest.mark.parametrize(
    ("header", "takes"),
    [("gzip", True), ("gzip, deflate, br", True), ("gzip;q=0", False), ("gzip;q=0.5", True), ("deflate", False), ("", False)],
)
def test_an_answer_is_compressed_for_who_takes_it(header: str, takes: bool) -> None:
    assert takes_gzip(header) is takes
