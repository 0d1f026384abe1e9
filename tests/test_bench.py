"""What the measurements stand on."""

from __future__ import annotations

import os
import time

import pytest
from support.live_meters import free_port, page, port_of, program

from bench import cpu, process


def test_a_moment_that_has_passed_since_the_machine_was_busy_is_not_waited_for() -> None:
    process.sleep(-1.0)
    begin = time.monotonic()
    process.sleep(0.05)
    assert time.monotonic() - begin >= 0.05


def test_a_window_that_is_over_before_the_last_scrape_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WINDOW", "SCRAPE_EVERY", "WARM_UP"):
        monkeypatch.setattr(cpu, name, {"WINDOW": 0.002, "SCRAPE_EVERY": 0.001}.get(name, 0.0))
    with program("run", "/dev/null", "--web.listen-address", "127.0.0.1:0") as running:
        server = process.Server(running.pid, port_of(running))
        rate, wake_ups, shares = cpu._measure(server, ())
    assert rate == 0
    assert wake_ups >= 0
    assert all(share >= 0 for share in shares)


def test_a_process_that_slept_was_woken() -> None:
    before = process.wake_ups(os.getpid())
    time.sleep(0.01)
    assert process.wake_ups(os.getpid()) > before


def test_the_port_of_a_program_is_the_one_on_which_it_answers() -> None:
    with program("run", "/dev/null", "--web.listen-address", "127.0.0.1:0") as running:
        assert page(port_of(running), "/-/healthy") == "meterline is healthy.\n"


def test_a_program_that_ends_has_no_port() -> None:
    with program("run", "ttyUSB0") as running, pytest.raises(RuntimeError, match="it ended with status 2"):
        port_of(running)


def test_a_held_port_is_given_to_nobody_else_and_a_server_may_listen_on_it() -> None:
    held = free_port()
    assert len({held, *(free_port() for _ in range(100))}) == 101
    for _ in range(2):
        with program("run", "/dev/null", "--web.listen-address", f"127.0.0.1:{held}") as running:
            assert port_of(running) == held
