"""Why a link does not open or was lost: a kind for the program, a problem and a remedy for people.

Every text about a link that cannot be had stands in this file. Code decides by `LinkError.kind` and `LinkError.holder`.
"""

from __future__ import annotations

import errno
import grp
import os
import stat
from enum import Enum, auto
from socket import gaierror

from meterline.link import processes
from meterline.link.processes import Process
from meterline.link.url import shown

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
"""What Docker and Podman put into every container."""


class LinkErrorKind(Enum):
    """Why there is no link."""

    NOT_FOUND = auto()
    """No such device or file."""
    PERMISSION = auto()
    """This user may not open the device."""
    IN_USE = auto()
    """Another process has locked the device; `LinkError.holder` is that process, where /proc tells."""
    NOT_SERIAL = auto()
    """The path is no serial device."""
    NAME_UNKNOWN = auto()
    """The host's name leads to no address, or cannot be a name."""
    REFUSED = auto()
    """The host answers, and nothing listens on its port."""
    TIMEOUT = auto()
    """The host does not answer."""
    UNPLUGGED = auto()
    """The device went away while the link was open."""
    CLOSED = auto()
    """The other side closed the connection."""
    SYSTEM = auto()
    """Any other error of the operating system; the problem is its text."""


class LinkError(OSError):
    """A link cannot be opened, or was lost. `str()` is one line: link, problem, remedy.

    Attributes:
        link: URL or path of the link, without user and password.
        kind: Why, for the program.
        problem: What happened, for people, without the link.
        remedy: What to do about the problem; empty where nothing is known.
        holder: The process that holds the device (kind IN_USE), where it is known.
    """

    def __init__(self, link: str, kind: LinkErrorKind, problem: str, remedy: str = "", holder: Process | None = None) -> None:
        super().__init__(problem)
        self.link = shown(link)
        self.kind = kind
        self.problem = problem
        self.remedy = remedy
        self.holder = holder

    @property
    def sentence(self) -> str:
        """Problem and remedy in one line."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem

    def __str__(self) -> str:
        return f"{self.link}: {self.sentence}"


def not_opened(path: str, error: Exception) -> LinkError:
    """Why a serial device does not open.

    Args:
        path: The device.
        error: What the operating system or the serial library raised.
    """
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENXIO | errno.ENODEV:
            remedy = "is the adapter plugged in? Stable names are in /dev/serial/by-id/"
            return LinkError(path, LinkErrorKind.NOT_FOUND, "no such device", remedy)
        case errno.EACCES | errno.EPERM:
            return LinkError(path, LinkErrorKind.PERMISSION, *_permission(path))
        case errno.EBUSY | errno.EAGAIN:
            holder = processes.of_device(path)
            problem = f"in use by {holder or 'another program'}"
            return LinkError(path, LinkErrorKind.IN_USE, problem, "stop it first", holder)
        case errno.ENOTTY | errno.EISDIR | errno.EINVAL:
            remedy = f"a capture is read as file:{path}"
            return LinkError(path, LinkErrorKind.NOT_SERIAL, "not a serial device", remedy)
    return LinkError(path, LinkErrorKind.SYSTEM, _text(error))


def not_read(path: str, error: OSError) -> LinkError:
    """Why a capture cannot be read."""
    kinds = {errno.ENOENT: LinkErrorKind.NOT_FOUND, errno.EACCES: LinkErrorKind.PERMISSION}
    return LinkError(path, kinds.get(error.errno or 0, LinkErrorKind.SYSTEM), _text(error))


def not_connected(url: str, host: str, error: OSError | UnicodeError) -> LinkError:
    """Why a bridge cannot be connected to. `error`: of the look-up of its name, or of the last address that was tried."""
    if isinstance(error, UnicodeError):
        return LinkError(url, LinkErrorKind.NAME_UNKNOWN, f"{host!r} cannot be the name of a host")
    if isinstance(error, gaierror):
        return LinkError(url, LinkErrorKind.NAME_UNKNOWN, _text(error))
    if error.errno == errno.ECONNREFUSED:
        return LinkError(url, LinkErrorKind.REFUSED, "connection refused", "is the bridge running?")
    return LinkError(url, LinkErrorKind.SYSTEM, _text(error))


def not_answered(url: str, seconds: float) -> LinkError:
    """A bridge did not answer for so many seconds."""
    return LinkError(url, LinkErrorKind.TIMEOUT, f"no answer in {seconds:.0f} s", "is the bridge on, and reachable?")


def lost(url: str, error: Exception | None) -> LinkError:
    """Why an open link is gone. `error`: what asyncio or the serial library says; None: the end of the stream."""
    if error is None:
        return LinkError(url, LinkErrorKind.CLOSED, "the other side closed the connection")
    if getattr(error, "errno", None) in (errno.EIO, errno.ENXIO, errno.ENODEV):
        return LinkError(url, LinkErrorKind.UNPLUGGED, "the device was unplugged")
    return LinkError(url, LinkErrorKind.SYSTEM, _text(error))


def group_name(gid: int) -> str:
    """The group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _permission(path: str) -> tuple[str, str]:
    """Problem and remedy."""
    try:
        status = os.stat(path)
    except OSError:
        return "permission denied", ""
    if not status.st_mode & stat.S_IRGRP:
        return "permission denied, and its group may not read it either", "check its udev rule"
    if any(map(os.path.exists, CONTAINER_MARKS)):
        group = status.st_gid
        remedy = f"the device belongs to group {group}: start the container with --group-add {group}"
    else:
        name = group_name(status.st_gid)
        remedy = f"the device belongs to group {name!r}: sudo usermod -aG {name} $USER, then log in again"
    return "permission denied", remedy
