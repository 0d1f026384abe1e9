"""The machine that a meter is read on: its clock, its folder, its port."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from support.live_meters import free_port

from meterline.diagnostics import host
from meterline.errors import UserError

NOW = 1_763_800_000.0


def test_a_clock_that_was_never_set_is_a_fault() -> None:
    finding = host.clock(None, 3600.0)
    assert finding.level == "fault"
    assert finding.what == "the clock was never set: the time is 1970-01-01 01:00 UTC"
    assert "timedatectl set-ntp true" in finding.remedy


@pytest.mark.parametrize(("kept", "level"), [(True, "ok"), (None, "ok"), (False, "warning")])
def test_a_clock_that_nobody_keeps_right_is_a_warning(kept: bool | None, level: str) -> None:
    finding = host.clock(kept, NOW)
    assert finding.level == level
    assert bool(finding.remedy) == (level != "ok")


@pytest.mark.parametrize(
    ("ahead", "kept", "level"),
    [(0, False, "ok"), (-59, None, "ok"), (61, True, "warning"), (61, False, "fault"), (-3600, None, "fault")],
)
def test_two_clocks_that_disagree_are_blamed_on_the_one_that_nobody_keeps(ahead: int, kept: bool | None, level: str) -> None:
    assert host.meters_clock(ahead, kept).level == level


def test_a_folder_that_can_be_made_is_good_and_is_not_made(tmp_path: Path) -> None:
    assert host.state_folder(str(tmp_path / "a" / "b")).level == "ok"
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    finding = host.state_folder(str(tmp_path / "a"))
    assert finding.level == "warning"
    assert finding.remedy == f"sudo install -d -o $USER {tmp_path / 'a'}"


@pytest.mark.parametrize("folder", ["/proc/meterline", "/etc/hostname/meterline"])
def test_a_place_where_nobody_may_write_is_a_warning(folder: str) -> None:
    if folder.startswith("/proc") and os.access("/proc", os.W_OK):
        pytest.skip("this /proc says that root may write there")
    finding = host.state_folder(folder)
    assert finding.level == "warning"
    assert "--state.dir FOLDER" in finding.remedy


def test_a_free_port_is_good_and_is_given_back() -> None:
    address = f"127.0.0.1:{free_port()}"
    assert host.port(address).level == host.port(address).level == "ok"


def test_a_port_that_another_program_has_is_a_fault_with_another_to_choose() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        finding = host.port(f"127.0.0.1:{other.getsockname()[1]}")
    assert finding.level == "fault"
    assert "is in use by" in finding.what
    assert "choose another address: --web.listen-address" in finding.remedy


def test_an_address_that_is_none_is_the_user_s_error() -> None:
    with pytest.raises(UserError, match="expected HOST:PORT"):
        host.port("here")
