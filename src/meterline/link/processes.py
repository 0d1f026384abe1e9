"""Which process holds a device or a port, as far as /proc tells this user."""

from __future__ import annotations

import glob
import os
from typing import NamedTuple


class Process(NamedTuple):
    """A process of this machine.

    Attributes:
        pid: Its number.
        program: Its name as the kernel keeps it: at most 15 bytes, such as ``ModemManager``.
    """

    pid: int
    program: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.program})"

    @property
    def is_meterline(self) -> bool:
        """Whether its program is this one."""
        return self.program == "meterline"


def of_device(path: str) -> Process | None:
    """Find who has a device open.

    Args:
        path: The device; symbolic links are followed.

    Returns:
        A process other than this one; None where nobody holds the device, or where the holder belongs to another user.
    """
    return _holder(os.path.realpath(path))


def of_port(port: int) -> Process | None:
    """Find who listens on a TCP port of this machine.

    Returns:
        A process other than this one; None where nobody listens, or where the process belongs to another user.
    """
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split() for line in lines][1:]
        except OSError:
            continue
        for row in rows:
            listening = row[3] == "0A"
            if listening and int(row[1].rpartition(":")[2], 16) == port:
                return _holder(f"socket:[{row[9]}]")
    return None


def _holder(target: str) -> Process | None:
    """The process, other than this one, with an open descriptor that is `target`."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        pid = int(link.split("/")[2])
        try:
            if pid != os.getpid() and os.readlink(link) == target:
                return Process(pid, _program(pid))
        except OSError:  # gone meanwhile, or another user's
            continue
    return None


def _program(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
        return comm.read().strip()
