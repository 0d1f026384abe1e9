"""meterline doctor, as a user types it: its marks, its remedies, its status."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_meters import LIMIT, command, environment, free_port, port_of, program, shows


@pytest.fixture
def here() -> list[str]:
    """An address that is free."""
    return ["--web.listen-address", f"127.0.0.1:{free_port()}"]


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A simulated meter on a pseudo-terminal."""
    path = tmp_path_factory.mktemp("line") / "meter"
    with program("simulate", "tic", "--mode", "standard", "--pty", str(path)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        yield str(path)


def test_a_good_line_ends_with_status_0_and_warnings_do_not_count(meter: str, here: list[str], tmp_path: Path) -> None:
    answer = command("doctor", meter, "--seconds", "3", "--state.dir", "/proc/version/x", *here)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "  warning  the state cannot be stored in /proc/version/x" in answer.stdout
    assert "           → --state.dir FOLDER\n" in answer.stdout
    assert f"\n{meter}\n  ok       the device is there" in answer.stdout
    assert "this is the output of a meter" in answer.stdout
    assert "fault" not in answer.stdout
    assert "042175000001" not in answer.stdout


def test_a_fault_ends_with_status_1_and_its_remedy(here: list[str]) -> None:
    answer = command("doctor", "tcp://127.0.0.1:1", *here)
    assert answer.returncode == 1
    assert answer.stderr == ""
    assert (
        "  fault    connection refused: nothing listens on port 1 of 127.0.0.1\n           → on that machine: " in answer.stdout
    )


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["ttyUSB0"], "link 'ttyUSB0': a device begins with /"),
        (["/dev/x", "--seconds", "0"], "--seconds 0: expected 3 to 3600"),
        (["/dev/x", "--seconds", "nan"], "--seconds nan: expected 3 to 3600"),
        (["/dev/x", "--bundle", "/nowhere/x.zip"], "/nowhere/x.zip: No such file or directory"),
        (["/dev/x", "--web.listen-address", "here"], "expected HOST:PORT or :PORT"),
        (["--config.file", "/nowhere.yml"], "/nowhere.yml: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_ends_with_status_2_and_one_line(words: list[str], text: str) -> None:
    answer = command("doctor", *words)
    assert answer.returncode == 2
    assert text in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_file_gives_every_link_of_it_or_the_one_that_is_named(tmp_path: Path, here: list[str]) -> None:
    file = tmp_path / "meterline.yml"
    file.write_text("meters: [{name: a, link: 'tcp://127.0.0.1:1'}, {name: b, link: /dev/serial/by-id/nobody}]")
    both = command("doctor", "--config.file", str(file), *here)
    assert both.returncode == 1
    assert both.stdout.count("connection refused") == both.stdout.count("no such device") == 1
    one = command("doctor", "/dev/serial/by-id/nobody", "--config.file", str(file), *here)
    assert "connection refused" not in one.stdout
    assert "no such device" in one.stdout
    other = command("doctor", "/dev/ttyUSB9", "--config.file", str(file), *here)
    assert other.returncode == 2
    assert other.stderr == f"meterline: {file}: no meter has the link /dev/ttyUSB9\n"


def test_the_json_output_has_an_object_for_each_finding(here: list[str]) -> None:
    answer = command("doctor", "tcp://127.0.0.1:1", "--json", *here)
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert {tuple(row) for row in rows} == {("link", "level", "what", "remedy")}
    assert rows[0]["link"] is None
    assert rows[-1]["link"] == "tcp://127.0.0.1:1"
    assert rows[-1]["level"] == "fault"
    assert answer.returncode == 1


def test_a_link_that_our_own_meterline_reads_is_left_to_it(meter: str, here: list[str]) -> None:
    port = int(here[1].rpartition(":")[2])
    with program("run", meter, *here):
        shows(port, 'smartmeter_up{meter="meter"} 1.0')
        answer = command("doctor", meter, *here)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"the running meterline serves {here[1]}" in answer.stdout
    assert "in use by the running meterline, as expected; its page reports:" in answer.stdout
    assert "ok       meter 'meter': " in answer.stdout


def test_a_bridge_that_our_own_meterline_reads_is_not_connected_to(tmp_path: Path, here: list[str]) -> None:
    port, file = int(here[1].rpartition(":")[2]), tmp_path / "meterline.yml"
    words = ["--config.file", str(file), *here]
    with contextlib.ExitStack() as stack:
        simulator = stack.enter_context(program("simulate", "tic", "--mode", "standard", "--tcp", "127.0.0.1:0"))
        farm = f"name: farm, link: 'tcp://127.0.0.1:{port_of(simulator)}'"
        file.write_text(f"meters: [{{{farm}, stale_after: {LIMIT}}}]")
        running = stack.enter_context(program("run", *words))
        shows(port, 'smartmeter_up{meter="farm"} 1.0')
        answer = command("doctor", *words)
        assert "in use by the running meterline" in answer.stdout
        assert "it opens" not in answer.stdout
        simulator.kill()
        file.write_text(f"meters: [{{{farm}, stale_after: 0.5}}]")
        running.send_signal(signal.SIGHUP)
        shows(port, 'smartmeter_up{meter="farm"} 0.0')
        answer = command("doctor", *words)
    assert answer.returncode == 1
    assert "connection refused" in answer.stdout


def test_another_server_on_our_port_is_a_fault_and_no_instance_of_ours(tmp_path: Path, here: list[str]) -> None:
    with program("simulate", "tic", "--mode", "standard", "--tcp", here[1]) as other:
        assert other.stdout
        other.stdout.readline()
        answer = command("doctor", "/dev/serial/by-id/nobody", *here)
    assert answer.returncode == 1
    assert f"{here[1]}: port {here[1].rpartition(':')[2]} is in use by" in answer.stdout


def test_a_proxy_of_the_environment_is_not_asked_for_our_own_page(meter: str, here: list[str]) -> None:
    port = int(here[1].rpartition(":")[2])
    with program("run", meter, *here):
        shows(port, "smartmeter_up")
        answer = command("doctor", meter, *here, env=environment(http_proxy="http://127.0.0.1:1"))
    assert "the running meterline serves" in answer.stdout
