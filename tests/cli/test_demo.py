"""The demo, as a newcomer starts it; and what promtool thinks of its page."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest
from support.live_meters import fetch, page, port_of, program, shows, wait_until


@pytest.fixture(scope="module")
def demo() -> Iterator[int]:
    """A demo whose meters speak: its port."""
    with program("demo", "--web.listen-address", "127.0.0.1:0") as running:
        port = port_of(running)
        assert running.stdout
        first = running.stdout.readline()
        assert first == f"four simulated meters: open http://127.0.0.1:{port}/ (Ctrl-C ends)\n"
        shows(port, 'smartmeter_up{meter="home"} 1.0')
        yield port


def test_live_values_of_the_simulated_meters_are_served(demo: int) -> None:
    shows(demo, 'smartmeter_up{meter="home"} 1.0')
    shows(demo, 'smartmeter_up{meter="farm"} 1.0')
    shows(demo, 'smartmeter_up{meter="annexe"}')  # which is silent in the last minute of every five
    shows(demo, 'smartmeter_tempo_colour{colour="blue",day="today",meter="farm"}')
    shows(demo, 'smartmeter_energy_export_watthours_total{meter="farm"}')
    shows(demo, 'smartmeter_overload{meter="home"}')
    shows(demo, 'smartmeter_current_amperes{meter="farm",phase="3"}')
    shows(demo, 'smartmeter_up{meter="tokyo"} 1.0')
    shows(demo, 'smartmeter_power_watts{meter="tokyo"}')
    shows(demo, 'smartmeter_energy_export_watthours_total{meter="tokyo"}')


def test_the_values_live(demo: int) -> None:
    def frames() -> str:
        return next(line for line in page(demo).splitlines() if line.startswith('smartmeter_frames_total{meter="farm"}'))

    before = frames()
    wait_until(lambda: frames() != before)


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4"])
def test_promtool_finds_nothing_to_say(demo: int, accept: str) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("no promtool here: it is in Debian's package prometheus")
    body = fetch(f"http://127.0.0.1:{demo}/metrics", Accept=accept)[2]
    answer = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, timeout=300, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")
