"""Which process holds a device or a port, as far as /proc lets us see: for error messages."""

from __future__ import annotations

import glob
import os


def _name(pid: str) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
        return f"process {pid} ({comm.read().strip()})"


def _holder(target: str) -> str | None:
    """The process, other than this one, with an open descriptor that is `target`."""
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        pid = link.split("/")[2]
        try:
            if pid != str(os.getpid()) and os.readlink(link) == target:
                return _name(pid)
        except OSError:  # gone meanwhile, or another user's
            continue
    return None


def of_device(path: str) -> str | None:
    """``process 123 (ModemManager)``, or None if it cannot be known."""
    return _holder(os.path.realpath(path))


def of_port(port: int) -> str | None:
    """Who listens on this TCP port, or None if it cannot be known."""
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
