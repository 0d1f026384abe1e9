"""A device before it is opened: what is there, who may have it, who wants it. Trees of files stand in for /dev and /proc."""

from __future__ import annotations

import os
import termios
from pathlib import Path

import pytest

from meterline.diagnostics import serial_device
from meterline.diagnostics.serial_device import (
    User,
    candidates,
    examine,
    in_use,
    may_open,
    permission,
    service,
    stable_name,
    wanted_by_others,
)
from meterline.link import errors
from meterline.link.processes import Process
from meterline.protocols.api import Finding

BY_ID = "usb-FTDI_FT230X_Basic_UART_D307PBVT-if00-port0"
ALICE = User("alice", 1000, frozenset({1000}))
DIALOUT = 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with one adapter."""
    (tmp_path / "dev/serial/by-id").mkdir(parents=True)
    (tmp_path / "dev/ttyUSB0").touch()
    (tmp_path / "dev/ttyUSB0").chmod(0o666)
    (tmp_path / "dev/serial/by-id" / BY_ID).symlink_to("../../ttyUSB0")
    return tmp_path


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def worst(findings: list[Finding]) -> Finding:
    return max(findings, key=lambda finding: ("ok", "warning", "fault").index(finding.level))


def test_an_adapter_is_listed_once_by_its_stable_name(root: Path) -> None:
    assert candidates(root) == [f"/dev/serial/by-id/{BY_ID}"]
    (root / "dev/ttyACM0").touch()
    (root / "dev/ttyS0").touch()
    assert candidates(root) == [f"/dev/serial/by-id/{BY_ID}", "/dev/ttyACM0"]


def test_the_uart_of_a_pi_is_listed_once(root: Path) -> None:
    put(root, "proc/device-tree/model", "Raspberry Pi 4 Model B\0")
    (root / "dev/ttyS0").touch()
    (root / "dev/serial0").symlink_to("ttyS0")
    assert candidates(root) == [f"/dev/serial/by-id/{BY_ID}", "/dev/serial0"]


def test_a_device_under_its_stable_name_is_as_it_should_be(root: Path) -> None:
    findings = list(examine(f"/dev/serial/by-id/{BY_ID}", ALICE, root))
    assert {finding.level for finding in findings} == {"ok"}
    assert findings[0].what == "the device is there: /dev/ttyUSB0"


def test_a_name_that_changes_is_said_with_the_line_to_write(root: Path) -> None:
    finding = worst(list(examine("/dev/ttyUSB0", ALICE, root)))
    assert finding.level == "warning"
    assert finding.remedy == f"link: /dev/serial/by-id/{BY_ID}"
    assert stable_name("/dev/ttyUSB0", root) == f"/dev/serial/by-id/{BY_ID}"
    assert stable_name("/dev/ttyUSB7", root) == "/dev/ttyUSB7"


def test_a_missing_device_is_said_with_those_that_are_there(root: Path) -> None:
    (finding,) = examine("/dev/ttyUSB7", ALICE, root)
    assert finding == ("fault", f"no such device; there are: /dev/serial/by-id/{BY_ID}", f"link: /dev/serial/by-id/{BY_ID}")


def test_a_machine_without_any_adapter_has_the_remedy_to_plug_one_in(tmp_path: Path) -> None:
    (finding,) = examine("/dev/ttyUSB0", ALICE, tmp_path)
    assert finding.level == "fault"
    assert finding.remedy.startswith("plug the adapter in")


@pytest.mark.parametrize(
    ("mode", "owner", "groups", "may"),
    [
        (0o660, 0, {1000, DIALOUT}, True),
        (0o660, 0, {1000}, False),
        (0o640, 0, {DIALOUT}, False),
        (0o666, 0, {1000}, True),
        (0o600, 1000, {1000}, True),
        (0o066, 1000, {DIALOUT}, False),  # the first class that fits decides
        (0o606, 0, {DIALOUT}, False),
    ],
)
def test_the_permission_follows_owner_then_group_then_others(mode: int, owner: int, groups: set[int], may: bool) -> None:
    assert may_open(mode, owner, DIALOUT, User("alice", 1000, frozenset(groups))) is may
    assert may_open(mode, owner, DIALOUT, User("root", 0, frozenset()))


def test_a_user_outside_the_group_gets_the_command_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "CONTAINER_MARKS", ())
    group = errors.group_name(DIALOUT)
    finding = permission("/dev/ttyUSB0", 0o660, 0, DIALOUT, ALICE)
    assert finding == (
        "fault",
        f"permission denied: the device belongs to group {group!r}",
        f"sudo usermod -aG {group} $USER, then log in again",
    )


def test_the_remedy_in_a_container_is_a_flag_of_the_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(errors, "CONTAINER_MARKS", (str(tmp_path),))
    assert permission("/dev/ttyUSB0", 0o660, 0, DIALOUT, ALICE).remedy == f"start the container with --group-add {DIALOUT}"


def test_a_user_who_joined_the_group_since_the_login_has_to_log_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "CONTAINER_MARKS", ())
    monkeypatch.setattr(serial_device, "_members", lambda group: ["alice"])
    finding = permission("/dev/ttyUSB0", 0o660, 0, DIALOUT, ALICE)
    assert finding.level == "fault"
    assert finding.remedy == "log out and in again, or restart"


@pytest.mark.parametrize(("mode", "group"), [(0o600, DIALOUT), (0o640, DIALOUT), (0o660, 0)])
def test_a_udev_rule_is_the_remedy_where_joining_the_group_does_not_help(mode: int, group: int) -> None:
    finding = permission("/dev/ttyUSB0", mode, 0, group, ALICE)
    assert finding.level == "fault"
    assert "usermod" not in finding.remedy
    assert f'KERNEL=="ttyUSB0", GROUP="{errors.group_name(DIALOUT)}", MODE="0660"' in finding.remedy


@pytest.mark.parametrize("console", ["ttyS0", "serial0"])
def test_a_line_that_the_kernel_talks_on_is_named(root: Path, console: str) -> None:
    (root / "dev/ttyS0").touch()
    (root / "dev/serial0").symlink_to("ttyS0")
    put(root, "proc/cmdline", f"console={console},115200 console=tty1 root=/dev/mmcblk0p2\n")
    for name in ("/dev/serial0", "/dev/ttyS0"):
        (finding,) = wanted_by_others(name, root)
        assert finding.level == "warning"
        assert "raspi-config" in finding.remedy
    assert not list(wanted_by_others("/dev/ttyUSB0", root))


def test_the_mini_uart_of_a_pi_is_named(root: Path) -> None:
    (root / "dev/ttyS0").touch()
    put(root, "sys/class/tty/ttyS0/device/of_node/compatible", "brcm,bcm2835-aux-uart\0")
    (finding,) = wanted_by_others("/dev/ttyS0", root)
    assert "mini-UART" in finding.what
    assert "dtoverlay=disable-bt" in finding.remedy


def test_a_modem_manager_is_named_unless_a_rule_keeps_it_off(root: Path) -> None:
    put(root, "proc/123/comm", "ModemManager\n")
    put(root, "sys/class/tty/ttyUSB0/dev", "188:0\n")
    (finding,) = wanted_by_others("/dev/ttyUSB0", root)
    assert finding.level == "warning"
    assert "disable --now ModemManager" in finding.remedy
    put(root, "run/udev/data/c188:0", "E:ID_MM_PORT_IGNORE=1\n")
    assert not list(wanted_by_others("/dev/ttyUSB0", root))


@pytest.mark.parametrize(
    ("program", "remedy"),
    [
        ("ModemManager", "disable --now ModemManager"),
        ("gpsd", "disable --now gpsd.socket gpsd"),
        ("agetty", "raspi-config"),
        ("minicom", "sudo kill 7"),
        ("meterline", "--web.listen-address"),
    ],
)
def test_the_holder_of_a_device_is_named_with_how_to_stop_it(program: str, remedy: str) -> None:
    finding = in_use(Process(7, program))
    assert finding.level == "fault"
    assert finding.what == f"in use by process 7 ({program})"
    assert remedy in finding.remedy


def test_a_device_has_the_settings_for_a_service_and_a_container(root: Path) -> None:
    group = (root / "dev/ttyUSB0").stat().st_gid
    path = f"/dev/serial/by-id/{BY_ID}"
    assert [finding.what for finding in service(path, root)] == [
        f"for systemd: SupplementaryGroups={errors.group_name(group)} and DeviceAllow=char-ttyUSB rw",
        f"for Docker: --device {path} --group-add {group}",
    ]
    assert not list(service("/dev/ttyUSB9", root))


def test_settings_that_another_program_makes_on_an_open_line_are_seen() -> None:
    master, slave = os.openpty()
    try:
        flags = termios.tcgetattr(slave)
        flags[0], flags[3] = 0, 0
        termios.tcsetattr(slave, termios.TCSANOW, flags)
        assert serial_device.cooked(os.ttyname(slave)) == []
        flags[0], flags[3] = termios.ICRNL | termios.ISTRIP, termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, flags)
        assert serial_device.cooked(os.ttyname(slave)) == ["ICRNL", "ISTRIP", "ECHO"]
    finally:
        os.close(slave)
        os.close(master)
    assert serial_device.cooked("/nowhere") == []
    assert serial_device.cooked("/etc/hostname") == []
