"""Findings about a serial device before it is opened: existence, stable name, permissions, other users.

`root` of each function is the folder that takes the place of /; tests pass one of their own.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from meterline.link import errors
from meterline.link.processes import Process
from meterline.protocols.api import Finding, fault, ok, warning

ROOT = Path("/")
_RULE = 'a line in /etc/udev/rules.d/99-meterline.rules: SUBSYSTEM=="tty", KERNEL=="{name}", GROUP="{group}", MODE="0660"'
_NO_CONSOLE = "sudo raspi-config (Interface Options, Serial Port: login shell no, hardware yes), then restart"
_COOKED = ((0, "ICRNL"), (0, "INLCR"), (0, "ISTRIP"), (0, "IXON"), (3, "ICANON"), (3, "ISIG"), (3, "ECHO"))
"""Index into `termios.tcgetattr` and flag: each of these settings changes, drops or echoes bytes."""
_CULPRITS = {
    "ModemManager": "ModemManager takes the adapter for a modem: sudo systemctl disable --now ModemManager",
    "gpsd": "gpsd takes the adapter for a GPS receiver: sudo systemctl disable --now gpsd.socket gpsd",
    "brltty": "brltty takes the adapter for a Braille display: sudo systemctl disable --now brltty brltty-udev",
    "agetty": f"a login prompt is on this line: {_NO_CONSOLE}",
    "login": f"a login prompt is on this line: {_NO_CONSOLE}",
    "meterline": "if that is your service, say where it serves: meterline doctor --web.listen-address ADDRESS",
}
"""Programs that are known to open serial devices unasked → the remedy."""


class User(NamedTuple):
    """A user, with the groups that decide about access to a device."""

    name: str
    uid: int
    groups: frozenset[int]


def this_user() -> User:
    """Return the user that this process runs as."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return User(name, uid, frozenset((os.getegid(), *os.getgroups())))


def resolved(path: str, root: Path = ROOT) -> str:
    """Return the path that a chain of symbolic links leads to."""
    top = os.path.realpath(root)
    return "/" + os.path.relpath(os.path.realpath(os.path.join(top, path.lstrip("/"))), top)


def stable_name(path: str, root: Path = ROOT) -> str:
    """Return the name of a device in /dev/serial/by-id, which does not depend on the USB socket; without one, `path`."""
    for link in sorted((root / "dev/serial/by-id").glob("*")):
        if resolved(name := f"/dev/serial/by-id/{link.name}", root) == resolved(path, root):
            return name
    return path


def candidates(root: Path = ROOT) -> list[str]:
    """Return the serial devices that a meter may be connected to, each once, by its stable name if there is one."""
    names = [*(root / "dev/serial/by-id").glob("*"), *(root / "dev").glob("ttyUSB*"), *(root / "dev").glob("ttyACM*")]
    if "Raspberry Pi" in _text(root / "proc/device-tree/model"):
        names += [root / "dev" / name for name in ("serial0", "ttyAMA0", "ttyS0")]
    paths = ["/" + str(name.relative_to(root)) for name in names if name.exists()]
    found = {resolved(path, root): path for path in reversed(paths)}
    return sorted(found.values(), key=lambda path: (not path.startswith("/dev/serial/"), path))


def examine(path: str, user: User, root: Path = ROOT) -> Iterator[Finding]:
    """Yield all findings that need no open device; a fault is the last one."""
    real = resolved(path, root)
    try:
        status = os.stat(root / real.lstrip("/"))
    except OSError:
        yield _missing(path, root)
        return
    yield ok("the device is there" + (f": {real}" if real != path else ""))
    if (stable := stable_name(path, root)) != path and not (root / path.lstrip("/")).is_symlink():
        yield warning(f"{path} may be another adapter after the next restart; this name stays the same", f"link: {stable}")
    yield from wanted_by_others(path, root)
    yield permission(real, status.st_mode, status.st_uid, status.st_gid, user)


def _missing(path: str, root: Path) -> Finding:
    others = candidates(root)
    if others:
        return fault(f"no such device; there are: {', '.join(others)}", f"link: {others[0]}")
    return fault(
        "no such device, and no other serial adapter", "plug the adapter in, then: sudo dmesg | tail; ls /dev/serial/by-id/"
    )


def may_open(mode: int, owner: int, group: int, user: User) -> bool:
    """Return whether `user` may read and write a file of this mode, owner and group."""
    if user.uid == 0:
        return True
    shift = 6 if user.uid == owner else 3 if group in user.groups else 0
    return mode >> shift & 0o6 == 0o6


def permission(real: str, mode: int, owner: int, group: int, user: User) -> Finding:
    """Return the finding about the rights to open a device, with the command that grants them.

    Args:
        real: Path of the device, with all links resolved.
        mode: Its file mode.
        owner: User ID of its owner.
        group: Group ID of its group.
        user: The user who wants to open it.
    """
    name = errors.group_name(group)
    if may_open(mode, owner, group, user):
        return ok(f"readable as root; a service must join group {name!r}" if user.uid == 0 else "you may open the device")
    what = f"permission denied: the device belongs to group {name!r}"
    if group == 0 or mode & 0o060 != 0o060:
        rule = _RULE.format(name=os.path.basename(real), group=name if group else "dialout")
        return fault(f"{what}, mode {mode & 0o777:03o}: joining the group does not help", rule)
    if any(map(os.path.exists, errors.CONTAINER_MARKS)):
        return fault(what, f"start the container with --group-add {group}")
    if user.name in _members(group):
        return fault(f"{what}, which this session does not know yet", "log out and in again, or restart")
    return fault(what, f"sudo usermod -aG {name} $USER, then log in again")


def _members(group: int) -> list[str]:
    try:
        return grp.getgrgid(group).gr_mem
    except KeyError:
        return []


def wanted_by_others(path: str, root: Path = ROOT) -> Iterator[Finding]:
    """Yield a warning for each program or setting that uses the line for another purpose."""
    name = os.path.basename(resolved(path, root))
    consoles = re.findall(r"\bconsole=(\w+)", _text(root / "proc/cmdline"))
    if name in consoles or ("serial0" in consoles and resolved("/dev/serial0", root) == f"/dev/{name}"):
        yield warning("the kernel writes its messages on this line (console= in its command line)", _NO_CONSOLE)
    if "bcm2835-aux-uart" in _text(root / f"sys/class/tty/{name}/device/of_node/compatible"):
        yield warning(
            "the mini-UART of a Raspberry Pi: without parity, its speed follows the processor's; Bluetooth has the good one",
            "dtoverlay=disable-bt and enable_uart=1 in /boot/firmware/config.txt, sudo systemctl disable hciuart, restart; "
            "then link: /dev/ttyAMA0",
        )
    if name.startswith(("ttyUSB", "ttyACM")) and _runs("ModemManager", root) and not _is_left_alone(name, root):
        yield warning(
            "ModemManager is running, and may send commands to this line when the adapter is plugged in",
            _CULPRITS["ModemManager"],
        )


def _runs(program: str, root: Path) -> bool:
    return any(_text(comm).strip() == program for comm in (root / "proc").glob("[0-9]*/comm"))


def _is_left_alone(name: str, root: Path) -> bool:
    """Return whether a udev rule tells ModemManager to ignore the device."""
    major_minor = _text(root / f"sys/class/tty/{name}/dev").strip()
    return bool(major_minor) and "ID_MM_PORT_IGNORE=1" in _text(root / f"run/udev/data/c{major_minor}")


def cooked(path: str) -> list[str]:
    """Return the flags of `_COOKED` that are set on a line which was opened raw: another program has set them since.

    A line whose settings cannot be read counts as one without flags.
    """
    try:
        line = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        flags = termios.tcgetattr(line)
    except termios.error:
        return []
    finally:
        os.close(line)
    return [name for place, name in _COOKED if flags[place] & getattr(termios, name)]


def in_use(holder: Process) -> Finding:
    """Return the fault of a device that another process has open."""
    otherwise = f"systemctl status {holder.pid} names its service: stop the service, or: sudo kill {holder.pid}"
    return fault(f"in use by {holder}", _CULPRITS.get(holder.program, otherwise))


def service(path: str, root: Path = ROOT) -> Iterator[Finding]:
    """Yield the settings that let a systemd service or a container open the device."""
    real = resolved(path, root)
    kind = os.path.basename(real).rstrip("0123456789")
    try:
        group = os.stat(root / real.lstrip("/")).st_gid
    except OSError:
        return
    if not kind:  # A pseudo-terminal: no service opens one.
        return
    yield ok(f"for systemd: SupplementaryGroups={errors.group_name(group)} and DeviceAllow=char-{kind} rw")
    yield ok(f"for Docker: --device {path} --group-add {group}")


def _text(file: Path) -> str:
    """Return the text of a file; empty if the file cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
