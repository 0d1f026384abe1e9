"""The commands, as a user types them: real processes, real output, never a traceback."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.live_meters import LIMIT, command, environment, fake, fetch, page, port_of, program, shows

from meterline import __version__
from meterline.cli.arguments import parser
from meterline.protocols import PROTOCOLS

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


def test_the_version_is_printed() -> None:
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
    assert good.stdout == f"home: detected at /dev/ttyUSB0\n{file}: valid, 1 meter\n"
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


@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 20, b"OOK\r\nwords of a text\r\nmore of them\r\n"])
def test_decode_of_what_is_no_capture_says_so_and_ends_with_1(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(content)
    answer = command("decode", str(file))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(f"meterline: {file}: not a capture of a meter: no data of tic or broute; --protocol ")
    for protocol in PROTOCOLS:
        named = command("decode", "--protocol", protocol, str(file))
        assert (named.returncode, named.stderr) == (
            1,
            f"meterline: {file}: not a capture of a meter: no data of {protocol}\n",
        )


def test_decode_finds_the_protocol_by_itself_also_on_a_pipe_that_stays_open(capture: Path) -> None:
    module = b"SKVER\r\nEVER 1.5.2\r\nOK\r\nEVENT 20 FE80:0000:0000:0000:021D:1290:1234:5678 0\r\n"
    for sent, wanted in (
        (module, {"ok": ""}),
        (capture.read_bytes(), {"label": "ADSC", "timestamp": None, "data": "042176000077"}),
    ):
        words = [sys.executable, "-u", "-m", "meterline", "decode", "-"]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as decoding:
            limit = threading.Timer(60, decoding.kill)
            limit.start()
            assert decoding.stdin
            assert decoding.stdout
            decoding.stdin.write(sent)
            decoding.stdin.flush()
            while json.loads(line := decoding.stdout.readline()) != wanted:
                assert line, "it ended"
            decoding.stdin.close()
            decoding.stdout.read()
            limit.cancel()
        assert decoding.returncode == 0


def test_detect_prints_what_it_is_and_a_ready_configuration(capture: Path, tmp_path: Path) -> None:
    answer = command("detect", f"file:{capture}")
    assert answer.returncode == 0, answer.stderr
    assert "protocol: tic\nmode: standard\n" in answer.stderr
    assert "meter: Linky three-phase 60 A G3, Landis+Gyr\ncontract: TEMPO\n" in answer.stderr
    ready = tmp_path / "meterline.yml"
    ready.write_text(answer.stdout)
    assert command("check", str(ready)).returncode == 0


def test_detect_finds_the_speed_of_a_real_terminal_and_leaves_out_the_household(tmp_path: Path) -> None:
    path = tmp_path / "meter"
    with program("simulate", "tic", "--mode", "historic", "--contract", "ejp", "--pty", str(path)) as simulator:
        assert simulator.stdout
        assert simulator.stdout.readline() == f"simulated meter at {path}; read it with: meterline run {path}\n"
        answer = command("detect", str(path))
    assert answer.returncode == 0, answer.stderr
    assert "mode: historic\nbaud: 1200\nmeter: Linky single-phase 90 A G3, Landis+Gyr\ncontract: EJP\n" in answer.stderr
    assert "042175000001" not in answer.stdout + answer.stderr
    assert not path.is_symlink(), "the simulator takes its link away"


def test_capture_writes_the_bytes_of_the_line(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.bin"
    answer = command("capture", f"file:{capture}", "-o", str(out))
    assert answer.returncode == 0, answer.stderr
    assert (answer.stdout, answer.stderr) == ("", f"{out}: {out.stat().st_size} bytes\n")
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


def test_run_serves_a_capture_says_where_and_ends_at_sigterm(capture: Path) -> None:
    with program("run", f"file:{capture}", "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        text = shows(port, 'smartmeter_up{meter="x"} 1.0')
        assert 'smartmeter_voltage_volts{meter="x",phase="3"}' in text
        assert "prm=" not in text
        assert "00000000000077" not in text
        assert page(port, "/-/ready") == "meterline is ready.\n"
        running.terminate()
        assert running.wait(LIMIT) == 0
        assert running.stdout
        log = running.stdout.read()
    assert "Traceback" not in log
    assert f'msg="serving 1 meter at http://127.0.0.1:{port}/"' in log
    lines = [line for line in log.splitlines() if "Executing" not in line]  # asyncio's debug mode says what was slow
    assert len(lines) == 5  # serving, the meter speaks, the capture has ended, what it draws, stopping
    assert "042176000077" not in log


def test_the_prm_is_exported_only_on_request(capture: Path, tmp_path: Path) -> None:
    config = tmp_path / "m.yml"
    config.write_text(f"meters: [{{name: home, link: 'file:{capture}', protocol: tic, options: {{prm: true}}}}]")
    with program("run", "--config.file", str(config), "--web.listen-address", "127.0.0.1:0") as running:
        shows(port_of(running), 'prm="00000000000077"')


def test_a_port_in_use_ends_run_with_one_line(capture: Path) -> None:
    with program("run", f"file:{capture}", "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        answer = command("run", f"file:{capture}", "--web.listen-address", f"127.0.0.1:{port}")
    assert answer.returncode == 1
    assert f"port {port} is in use by process " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_log_can_be_json(capture: Path) -> None:
    words = ("--web.listen-address", "127.0.0.1:0", "--log.format", "json", "--log.level", "debug")
    with program("run", f"file:{capture}", *words) as running:
        page(port_of(running))
        running.terminate()
        running.wait(LIMIT)
        assert running.stdout
        rows = [json.loads(line) for line in running.stdout]
    assert rows[0]["level"] == "info"
    assert rows[0]["msg"].startswith("serving 1 meter at http://127.0.0.1:")


def test_a_simulated_meter_on_tcp_is_read(tmp_path: Path) -> None:
    words = ("--mode", "standard", "--producer", "--phases", "3", "--tcp", "127.0.0.1:0")
    with (
        program("simulate", "tic", *words) as meter,
        program("run", f"tcp://127.0.0.1:{port_of(meter)}", "--web.listen-address", "127.0.0.1:0") as running,
    ):
        port = port_of(running)
        shows(port, "smartmeter_energy_export_watthours_total{")
        assert fetch(f"http://127.0.0.1:{port}/-/ready")[0] == 200
