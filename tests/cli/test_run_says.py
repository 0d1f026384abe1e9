"""The first lines of `run`: where its page is, and what the meter draws."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from support.certificates import make
from support.live_meters import fetch, program

from meterline.web.http import server
from meterline.web.http.server import bound, urls


def first_line(log: object) -> str:
    line = log.readline()  # type: ignore[attr-defined]
    assert isinstance(line, str)
    return line


def test_run_says_where_a_browser_finds_the_page_also_where_the_system_chose_the_port(tmp_path: Path) -> None:
    with program("run", str(tmp_path / "none"), "--web.listen-address", ":0") as running:
        said = first_line(running.stdout)
        found = re.findall(r"http://[^ \"]+", said)
        assert re.fullmatch(r"http://localhost:[1-9][0-9]+/", found[0])
        for url in found:
            assert fetch(url)[0] == 200


def test_with_tls_the_page_is_at_https(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server-key.pem}\n")
    words = ("--web.listen-address", "127.0.0.1:0", "--web.config.file", str(tmp_path / "web.yml"))
    with program("run", str(tmp_path / "none"), *words) as running:
        lines = iter(lambda: first_line(running.stdout), "")
        assert re.search(r"https://127\.0\.0\.1:[1-9]", next(line for line in lines if "serving" in line))


def test_run_says_what_each_meter_draws_once_it_speaks(tmp_path: Path) -> None:
    path = str(tmp_path / "linky")
    with program("simulate", "tic", "--mode", "standard", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        with program("run", path, "--web.listen-address", "127.0.0.1:0") as running:
            assert running.stdout
            lines = iter(running.stdout.readline, "")
            assert next(line for line in lines if "the meter speaks" in line)
            said = next(lines)
    assert re.search(r'level=info meter=linky msg="now: [\d,]+\W(VA|kVA|W|kW)\b', said), said


@pytest.mark.parametrize(
    ("address", "secure", "found"),
    [
        (("127.0.0.1", 80), False, ["http://127.0.0.1:80/"]),
        (("::1", 8443), True, ["https://[::1]:8443/"]),
        (("0.0.0.0", 1), True, ["https://localhost:1/", "https://192.0.2.7:1/"]),
        (("::", 1), False, ["http://localhost:1/", "http://192.0.2.7:1/"]),
    ],
)
def test_an_address_that_is_listened_on_becomes_one_that_can_be_opened(
    address: tuple[str, int], secure: bool, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_own_address", lambda: "192.0.2.7")
    assert urls([address], secure) == found
    monkeypatch.setattr(server, "_own_address", lambda: "")
    assert urls([address], secure) == found[:1]


def test_a_machine_without_a_network_has_no_address_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server._own_address() == "" or socket.inet_aton(server._own_address())
    monkeypatch.setattr(server, "_OUTSIDE_ADDRESS", "not an address")
    assert server._own_address() == ""


def test_the_port_is_the_real_one() -> None:
    sockets = bound("127.0.0.1:0")
    assert urls([one.getsockname()[:2] for one in sockets], False) == [f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"]
    for one in sockets:
        one.close()
