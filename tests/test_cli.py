"""The commands, as a user types them: real processes, real output, never a traceback."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest
from stage import command, environment, fake, fetch, free_port, page, program

from meterline import __version__
from meterline.arguments import parser

NOW = 1_763_800_000


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Five frames of standard mode."""
    meter, file = fake("standard", "TEMPO", phases=3, producer=True, number=77), tmp_path / "x.bin"
    frames = []
    for second in range(5):
        meter.advance(NOW + second)
        frames.append(meter.frame())
    file.write_bytes(b"".join(frames))
    return file


def test_version() -> None:
    assert command("--version").stdout == f"meterline {__version__}\n"


def test_help_shows_every_command_and_examples() -> None:
    text = command("--help").stdout
    for word in ("run", "demo", "check", "detect", "capture", "decode", "simulate", "examples:"):
        assert word in text


def test_every_flag_has_a_help_text() -> None:
    def walk(node: argparse.ArgumentParser) -> None:
        for action in node._actions:
            if isinstance(action.choices, dict):
                for child in action.choices.values():
                    walk(child)
            else:
                assert action.help, f"{node.prog} {action.dest}"

    walk(parser())


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["run"], 2, "run: give either a LINK or --config.file FILE"),
        (["run", "ttyUSB0"], 2, "link 'ttyUSB0': a device begins with /"),
        (["run", "--config.file", "/nowhere.yml"], 2, "/nowhere.yml: No such file or directory"),
        (["run", "/dev/x", "--web.listen-address", "x"], 2, "expected HOST:PORT or :PORT"),
        (["check", "/nowhere.yml"], 2, "/nowhere.yml: No such file or directory"),
        (["detect", "/dev/serial/by-id/nobody"], 1, "no such device; is the adapter plugged in?"),
        (["detect", "/etc/hostname"], 1, "not a serial device; a capture is read as file:/etc/hostname"),
        (["detect", "tcp://127.0.0.1:1"], 1, "connection refused; is the bridge running?"),
        (["detect", "file:/etc/hostname"], 1, "hardly anything arrives: "),
        (["decode", "/nowhere.bin"], 1, "/nowhere.bin: No such file or directory"),
        (["decode", "/"], 1, "/: Is a directory"),
        (["capture", "/dev/serial/by-id/nobody", "-o", "/nowhere/x"], 1, "/nowhere/x: No such file or directory"),
        (["simulate", "tic", "--fault", "gremlins=1"], 2, "'gremlins' is not known; known: bit-errors, lost-bytes"),
        (["simulate", "tic", "--fault", "silence=1"], 2, "expected PERIOD/LENGTH in seconds, such as 300/60"),
        (["simulate", "tic", "--fault", "bit-errors=many"], 2, "expected a number"),
        (["simulate", "tic", "--overload", "0/0"], 2, "--overload 0/0: expected PERIOD/LENGTH"),
        (["simulate", "tic", "--pty", "/etc/hostname"], 1, "/etc/hostname: exists, and is not a link left by a simulator"),
        (["simulate", "tic", "--tcp", "here"], 2, "expected HOST:PORT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_one_line_that_says_what_to_do(words: list[str], status: int, text: str) -> None:
    answer = command(*words)
    assert answer.returncode == status
    assert answer.stderr.startswith("meterline: ")
    assert text in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert "Traceback" not in answer.stderr


def test_check_says_good_or_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "meterline.yml"
    file.write_text("meters: [{name: home, link: '${LINK}'}]")
    good = command("check", str(file), env=environment(LINK="/dev/ttyUSB0"))
    assert good.returncode == 0
    assert good.stdout == f"home: detected at /dev/ttyUSB0\n{file}: good, 1 meter\n"
    bad = command("check", str(file))
    assert bad.returncode == 2
    assert bad.stderr == f"meterline: {file}: ${{LINK}}: no such variable in the environment\n"


def test_decode_prints_accepted_groups_and_rejects_in_order(capture: Path) -> None:
    data = capture.read_bytes().replace(b"EAST", b"E@ST", 1).replace(b"URMS1", b"URMS9", 1)
    capture.write_bytes(data)
    answer = command("decode", str(capture))
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert answer.returncode == 0
    assert rows[0] == {"label": "ADSC", "timestamp": None, "data": "042176000077"}
    assert rows[2]["label"] == "DATE"
    assert rows[2]["timestamp"].startswith("H2511")
    assert [row["rejected"] for row in rows if "rejected" in row] == ["checksum", "checksum"]
    assert rows[5]["data"].startswith("E@ST\t")


def test_decode_reads_standard_input(capture: Path) -> None:
    with capture.open("rb") as file:
        answer = command("decode", "-", stdin=file)
    assert len(answer.stdout.splitlines()) == sum(line.count("\n") for line in [answer.stdout]) > 200


def test_decode_of_what_is_no_capture_says_so_and_still_ends_well(tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(bytes(range(256)) * 20)
    answer = command("decode", str(file))
    assert answer.returncode == 0
    assert answer.stderr == "meterline: nothing in it is tic; is it a capture of a meter?\n"
    assert all("rejected" in json.loads(line) for line in answer.stdout.splitlines())


def test_detect_prints_what_it_is_and_a_ready_configuration(capture: Path, tmp_path: Path) -> None:
    answer = command("detect", f"file:{capture}")
    assert answer.returncode == 0, answer.stderr
    assert "protocol: tic\nmode: standard\n" in answer.stdout
    assert "meter: Linky three-phase 60 A G3, Landis+Gyr\ncontract: TEMPO\n" in answer.stdout
    ready = tmp_path / "meterline.yml"
    ready.write_text(answer.stdout[answer.stdout.index("meters:") :])
    assert command("check", str(ready)).returncode == 0


def test_detect_finds_the_speed_of_a_real_terminal_and_leaves_out_the_household(tmp_path: Path) -> None:
    path = tmp_path / "meter"
    with program("simulate", "tic", "--mode", "historic", "--contract", "ejp", "--pty", str(path)) as simulator:
        assert simulator.stdout
        assert simulator.stdout.readline() == f"simulated meter at {path}; read it with: meterline run {path}\n"
        answer = command("detect", str(path))
    assert answer.returncode == 0, answer.stderr
    assert "mode: historic\nbaud: 1200\nmeter: Linky single-phase 90 A G3, Landis+Gyr\ncontract: EJP\n" in answer.stdout
    assert "042175000001" not in answer.stdout
    assert not path.is_symlink(), "the simulator takes its link away"


def test_capture_writes_the_bytes_of_the_line(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    answer = command("capture", f"file:{capture}", "-o", str(out))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == f"{out}: {out.stat().st_size} bytes\n"
    assert out.read_bytes() == capture.read_bytes()


def test_a_redacted_capture_decodes_as_before_without_the_household(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    assert command("capture", f"file:{capture}", "-o", str(out), "--redact").returncode == 0
    assert b"042176000077" not in out.read_bytes()
    assert b"00000000000077" not in out.read_bytes()
    before, after = ([json.loads(line) for line in command("decode", str(file)).stdout.splitlines()] for file in (capture, out))
    assert len(before) == len(after)
    changed = {row["label"] for row, other in zip(before, after, strict=True) if row != other}
    assert changed == {"ADSC", "MSG1", "PRM"}


def test_run_serves_a_capture_and_ends_at_sigterm_within_a_second(capture: Path) -> None:
    port = free_port()
    with program("run", f"file:{capture}", "--web.listen-address", f"127.0.0.1:{port}") as running:
        deadline = time.monotonic() + 10
        while 'smartmeter_up{meter="x"} 1.0' not in (text := page(port)):
            assert time.monotonic() < deadline
        assert 'smartmeter_voltage_volts{meter="x",phase="3"}' in text
        assert "prm=" not in text
        assert "00000000000077" not in text
        assert page(port, "/-/ready") == "meterline is ready.\n"
        start = time.monotonic()
        running.terminate()
        assert running.wait(5) == 0
        assert time.monotonic() - start < 1
        assert running.stdout
        log = running.stdout.read()
    assert "Traceback" not in log
    assert log.count("\n") == 4  # serving, the meter speaks, the capture has ended, stopping
    assert "042176000077" not in log


def test_the_prm_is_exported_only_on_request(capture: Path, tmp_path: Path) -> None:
    port, config = free_port(), tmp_path / "m.yml"
    config.write_text(f"meters: [{{name: home, link: 'file:{capture}', protocol: tic, options: {{prm: true}}}}]")
    with program("run", "--config.file", str(config), "--web.listen-address", f"127.0.0.1:{port}"):
        deadline = time.monotonic() + 10
        while 'prm="00000000000077"' not in page(port):
            assert time.monotonic() < deadline


def test_a_port_in_use_ends_run_with_one_line(capture: Path) -> None:
    port = free_port()
    with program("run", f"file:{capture}", "--web.listen-address", f"127.0.0.1:{port}"):
        page(port)
        answer = command("run", f"file:{capture}", "--web.listen-address", f"127.0.0.1:{port}")
    assert answer.returncode == 1
    assert f"port {port} is in use by process " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_log_can_be_json(capture: Path) -> None:
    port = free_port()
    words = ("--web.listen-address", f"127.0.0.1:{port}", "--log.format", "json", "--log.level", "debug")
    with program("run", f"file:{capture}", *words) as running:
        page(port)
        running.terminate()
        running.wait(5)
        assert running.stdout
        rows = [json.loads(line) for line in running.stdout]
    assert rows[0]["level"] == "info"
    assert rows[0]["msg"].startswith("serving 1 meter on")


def test_a_simulated_meter_on_tcp_is_read(tmp_path: Path) -> None:
    meter, port = free_port(), free_port()
    with (
        program("simulate", "tic", "--mode", "standard", "--producer", "--phases", "3", "--tcp", f"127.0.0.1:{meter}"),
        program("run", f"tcp://127.0.0.1:{meter}", "--web.listen-address", f"127.0.0.1:{port}"),
    ):
        deadline = time.monotonic() + 15
        while "smartmeter_energy_export_watthours_total{" not in page(port):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200
