"""The URL of a link: which device, bridge or capture is meant.

    /dev/serial/by-id/…      a serial device
    tcp://HOST:PORT          a raw TCP bridge (ser2net, ESPHome stream server …)
    file:PATH[?baud=1200]    a capture: as fast as possible, or at the pace of a line

A URL may hold a user and a password (``tcp://user:password@host:port``); `shown` takes them out for every text.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import SplitResult, parse_qs, urlsplit

_USER = re.compile(r"\A(?!/|file:)([a-z][a-z0-9+.-]*:(?://)?)?.*@", re.ASCII | re.DOTALL | re.IGNORECASE)


class UrlError(ValueError):
    """A text that is not the URL of a link. `str()` names the URL, without user and password, and says what is wrong."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"link {shown(url)!r}: {problem}")


@dataclass(frozen=True, slots=True)
class Device:
    """A serial device of this machine."""

    path: str

    @property
    def name(self) -> str:
        """Short name of a meter behind this link, such as ``ttyUSB0``."""
        return _file_name(self.path)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A TCP bridge: bytes of a serial line on another machine."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """Short name of a meter behind this link: the host."""
        return self.host


@dataclass(frozen=True, slots=True)
class Capture:
    """A file with the bytes of a line.

    Attributes:
        path: The file.
        baud: Speed of the line at whose pace the file is replayed; None: as fast as possible.
    """

    path: str
    baud: int | None = None

    @property
    def name(self) -> str:
        """Short name of a meter behind this link: the file's name without ``.bin``."""
        return _file_name(self.path)


Endpoint: TypeAlias = Device | Bridge | Capture
"""Where a link leads to."""


def parse_url(url: str) -> Endpoint:
    """Read the URL of a link.

    Raises:
        UrlError: The URL is incomplete, or of a kind that is not known.
    """
    if url.startswith("/"):
        return Device(url)
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise UrlError(url, "not a name or address of a host") from None
    match parts.scheme:
        case "":
            raise UrlError(url, "a device begins with /, such as /dev/ttyUSB0")
        case "file":
            return _capture(url, parts)
        case "tcp":
            return _bridge(url, parts, host)
    raise UrlError(url, f"{parts.scheme}:// is not known; use a device, tcp://host:port or file:PATH")


def shown(url: str) -> str:
    """The URL as a log, an error or a page may show it: without user and password. Any text may be given."""
    return _USER.sub(r"\1", url) if "@" in url else url


def _capture(url: str, parts: SplitResult) -> Capture:
    pace = parse_qs(parts.query).get("baud")
    if pace is None:
        return Capture(parts.path)
    if not pace[0].isdecimal() or int(pace[0]) == 0:
        raise UrlError(url, "baud must be a whole number")
    return Capture(parts.path, int(pace[0]))


def _bridge(url: str, parts: SplitResult, host: str) -> Bridge:
    try:
        port = parts.port
    except ValueError:
        raise UrlError(url, "the port must be a number from 1 to 65535") from None
    try:
        host.encode("idna")
    except UnicodeError:
        raise UrlError(url, "not a name or address of a host") from None
    if not host or not port:
        raise UrlError(url, "expected tcp://host:port")
    return Bridge(host, port)


def _file_name(path: str) -> str:
    name = os.path.basename(path).removesuffix(".bin") or path
    return name.encode("utf-8", "replace").decode("utf-8")  # a file's name may hold any byte, a label may not
