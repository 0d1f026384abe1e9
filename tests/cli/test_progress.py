"""On a terminal a command that takes a while shows that it is at work; elsewhere there is not a byte of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_meters import command, program
from support.terminal import on_terminal


@pytest.fixture
def linky(tmp_path: Path) -> Iterator[str]:
    """A simulated Linky on a terminal."""
    path = str(tmp_path / "linky")
    with program("simulate", "tic", "--mode", "historic", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        yield path


@pytest.fixture
def wisun(tmp_path: Path) -> Iterator[str]:
    """A simulated module without any meter in reach."""
    path = str(tmp_path / "wisun")
    with program("simulate", "broute", "--scale", "30", "--fault", "scan-empty=9", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        yield path


def test_detect_shows_the_speed_and_the_time_and_leaves_the_result_alone(linky: str) -> None:
    with on_terminal("detect", linky, stdout=subprocess.PIPE) as screen:
        screen.until(" s: listening at 9600 baud on ")
        screen.until(" s: listening at 1200 baud on ")
        assert screen.process.stdout
        result = screen.process.stdout.read()
        shown = screen.end()
    assert screen.process.returncode == 0
    assert result.startswith("meters:\n")
    assert "listening" not in shown.rpartition("\r\x1b[K")[2], "the line is gone at the end"


def test_capture_counts_the_bytes(linky: str, tmp_path: Path) -> None:
    file = tmp_path / "c.bin"
    with on_terminal("capture", linky, "-o", str(file), "--baud", "1200") as screen:
        screen.until(r"[1-9][0-9]* s: [1-9][0-9]* bytes; Ctrl-C ends the capture of ")
        screen.interrupt()
        shown = screen.end()
    assert screen.process.returncode == 0
    assert shown.endswith(f"{file}: {file.stat().st_size} bytes\r\n")


def test_doctor_shows_what_it_examines_below_its_findings(linky: str) -> None:
    with on_terminal("doctor", linky, "--seconds", "3", "--web.listen-address", "127.0.0.1:0") as screen:
        screen.until(r"[1-9][0-9]* s: examining ")
        shown = screen.end()
    kept = [line.rpartition("\r\x1b[K")[2] for line in shown.replace("\r\n", "\n").split("\n")]
    assert not [line for line in kept if "examining" in line]
    assert [line for line in kept if line.startswith("  ok ")]


def test_scan_and_read_show_it_too(linky: str, wisun: str) -> None:
    with on_terminal("scan", wisun) as screen:
        screen.until("channel 21: ")
    with on_terminal("read", linky) as screen:
        screen.until(" s: 0 frames of ")


def test_without_a_terminal_nothing_of_it_is_written(linky: str) -> None:
    for words in (["detect", linky], ["doctor", linky, "--seconds", "3", "--web.listen-address", "127.0.0.1:0"]):
        answer = command(*words)
        assert "\x1b" not in answer.stdout + answer.stderr
        assert " s: listening" not in answer.stderr
        assert "examining" not in answer.stderr
