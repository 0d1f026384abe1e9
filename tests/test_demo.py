"""The demo, as a newcomer starts it; and what promtool thinks of its page."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
from stage import fetch, free_port, page, program


@pytest.fixture(scope="module")
def demo() -> Iterator[int]:
    """A demo whose meters speak: its port."""
    port = free_port()
    with program("demo", "--web.listen-address", f"127.0.0.1:{port}") as running:
        assert running.stdout
        first = running.stdout.readline()
        assert first == f"four simulated meters: look at http://127.0.0.1:{port}/ (Ctrl-C ends)\n"
        deadline = time.monotonic() + 20
        # the annexe is silent in the last minute of every five
        while page(port).count("} 1.0\n# ") == 0 or 'smartmeter_up{meter="home"} 1.0' not in page(port):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(3)
        yield port


def test_live_values_of_the_simulated_meters_are_served(demo: int) -> None:
    text = page(demo)
    assert 'smartmeter_up{meter="home"} 1.0' in text
    assert 'smartmeter_up{meter="farm"} 1.0' in text
    assert 'smartmeter_up{meter="annexe"}' in text
    assert 'smartmeter_tempo_colour{colour="blue",day="today",meter="farm"}' in text
    assert 'smartmeter_energy_export_watthours_total{meter="farm"}' in text
    assert 'smartmeter_overload{meter="home"}' in text
    assert 'smartmeter_current_amperes{meter="farm",phase="3"}' in text
    assert 'smartmeter_up{meter="tokyo"} 1.0' in text
    assert 'smartmeter_power_watts{meter="tokyo"}' in text
    assert 'smartmeter_energy_export_watthours_total{meter="tokyo"}' in text


def test_the_values_live(demo: int) -> None:
    def frames() -> str:
        return next(line for line in page(demo).splitlines() if line.startswith('smartmeter_frames_total{meter="farm"}'))

    before, deadline = frames(), time.monotonic() + 10
    while frames() == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4"])
def test_promtool_finds_nothing_to_say(demo: int, accept: str) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("no promtool here: it is in Debian's package prometheus")
    body = fetch(f"http://127.0.0.1:{demo}/metrics", Accept=accept)[2]
    answer = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")
