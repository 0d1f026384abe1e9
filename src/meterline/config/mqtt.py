"""What the configuration says about an MQTT broker, and what a meter is called there. Imported where `mqtt:` is configured."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from importlib import util
from typing import Literal
from urllib.parse import unquote, urlsplit
from zlib import crc32

from meterline.errors import UserError
from meterline.extras import how_to_install
from meterline.locale import FALLBACK, codes

PORTS: Mapping[str, int] = {"mqtt": 1883, "mqtts": 8883}
"""Scheme of the URL → the port where none is given."""
SHORTEST_INTERVAL_S = 1.0
LONGEST_INTERVAL_S = 60.0
_PUBLIC = {"public": True}
_FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker, how to get in, and what is sent. User and password appear in no `repr` and in no error."""

    url: str = field(repr=False)
    """``mqtt://host[:port]``, or ``mqtts://`` with TLS. User and password may stand in it."""
    user: str = field(default="", repr=False)
    user_file: str | None = None
    password: str = field(default="", repr=False)
    password_file: str | None = None
    ca_file: str | None = None
    """Certificates of the authorities that may sign the broker's; None: those of the system."""
    cert_file: str | None = None
    """Our certificate, where the broker asks for one, with its chain; `key_file` is its key, where that is not in it."""
    key_file: str | None = None
    verify: bool = field(default=True, metadata=_PUBLIC)
    """False: any certificate of the broker will do."""
    prefix: str = field(default="meterline", metadata=_PUBLIC)
    instance: str = field(default="main", metadata=_PUBLIC)
    """Tells processes on one broker apart."""
    discovery: Literal["device", "component", "off"] = field(default="device", metadata=_PUBLIC)
    discovery_prefix: str = field(default="homeassistant", metadata=_PUBLIC)
    birth_topic: str = field(default="", metadata=_PUBLIC)
    """Where Home Assistant says that it has started; empty: ``status`` below `discovery_prefix`."""
    language: str = field(default=FALLBACK, metadata=_PUBLIC)
    """Of the names of entities."""
    interval: float = field(default=10.0, metadata=_PUBLIC)
    """Seconds between two messages of a meter."""
    serial: bool = field(default=False, metadata=_PUBLIC)
    """The numbers of a meter may be sent. The number of a delivery point needs the option of its protocol as well."""
    host: str = field(init=False, default="", repr=False)
    port: int = field(init=False, default=0, repr=False)
    tls: bool = field(init=False, default=False, repr=False)

    def __post_init__(self) -> None:
        self._take_url()
        for name in ("user", "password"):
            object.__setattr__(self, name, _secret(name, getattr(self, name), getattr(self, f"{name}_file")))
        if self.password and not self.user:
            raise ValueError("password: it needs a user beside it")
        self._check_files()
        for name in ("prefix", "discovery_prefix", "birth_topic"):
            _check_topic(name, getattr(self, name))
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", self.instance):
            raise ValueError(f"instance: {self.instance!r} is not allowed; allowed: a-z, 0-9 and hyphens between them")
        if not SHORTEST_INTERVAL_S <= self.interval <= LONGEST_INTERVAL_S:
            limits = f"{SHORTEST_INTERVAL_S:.0f} to {LONGEST_INTERVAL_S:.0f} seconds"
            raise ValueError(f"interval: {self.interval:g} is not allowed; allowed: {limits}")
        if self.language not in codes():
            raise ValueError(f"language: {self.language!r} is not known; allowed: {', '.join(codes())}")
        if not self.birth_topic:
            object.__setattr__(self, "birth_topic", f"{self.discovery_prefix}/status")

    def _take_url(self) -> None:
        """Host, port, TLS, and user and password where they stand in the URL."""
        try:
            parts = urlsplit(self.url)
            host, port = parts.hostname or "", parts.port
            host.encode("idna")
        except ValueError:
            raise ValueError("url: not a host and a port; expected mqtt://host:port or mqtts://host:port") from None
        if parts.scheme not in PORTS or not host or parts.path not in ("", "/") or parts.query or parts.fragment or port == 0:
            raise ValueError("url: expected mqtt://host:port or, with TLS, mqtts://host:port")
        found = {"host": host, "port": port or PORTS[parts.scheme], "tls": parts.scheme == "mqtts"}
        for name, text in (("user", parts.username), ("password", parts.password)):
            if text:
                if getattr(self, name) or getattr(self, f"{name}_file"):
                    raise ValueError(f"{name}: it stands in the url already")
                found[name] = unquote(text)
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def of_shard(self, number: int) -> Mqtt:
        """The same for one of several processes: each says for itself on the broker whether it lives."""
        shard = copy(self)
        object.__setattr__(shard, "instance", f"{self.instance}-{number}")
        return shard

    def _check_files(self) -> None:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file: it needs cert_file beside it")
        for name in _FILES:
            if path := getattr(self, name):
                if not self.tls:
                    raise ValueError(f"{name}: it needs TLS: a url that begins with mqtts://")
                _read(name, path)

    @property
    def place(self) -> tuple[object, ...]:
        """What, when it changes, leaves everything that was published in a place where nobody keeps it any more."""
        return self.host, self.port, self.prefix, self.instance, self.discovery_prefix


def check_library() -> None:
    """Make sure that the library is there. UserError says how to install it."""
    if util.find_spec("aiomqtt") is None:
        how = how_to_install("mqtt", "aiomqtt")
        raise UserError(f"mqtt: it needs the library aiomqtt, which is not installed; {how}")


def slug(name: str) -> str:
    """What a meter is called in topics and identifiers.

    Args:
        name: Its name in the configuration: any text.

    Returns:
        a-z, 0-9 and single hyphens between them; for a name without any of these, ``meter-`` and a number made of the name.
    """
    letters = (letter for letter in unicodedata.normalize("NFKD", name.lower()) if not unicodedata.combining(letter))
    found = re.sub(r"[^a-z0-9]+", "-", "".join(letters)).strip("-")
    return found or f"meter-{crc32(name.encode('utf-8', 'backslashreplace')):08x}"


def check_names(names: Iterable[str]) -> None:
    """Make sure that no two meters have the same slug. UserError names them."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(slug(name), name)
        if other != name:
            raise UserError(f"mqtt: meters {other!r} and {name!r}: both are {slug(name)!r} in topics; rename one of them")


def _check_topic(name: str, text: str) -> None:
    if re.search(r"[+#\x00]|//|^/|/$|^\$|\s", text):
        raise ValueError(f"{name}: {text!r} is not allowed; allowed: a topic such as home/meters, without + # and spaces")


def _secret(name: str, given: str, file: str | None) -> str:
    """A user or password. ValueError says what is wrong with it, and not what it is."""
    if given and file:
        raise ValueError(f"{name}: expected either {name} or {name}_file")
    return _read(f"{name}_file", file).strip() if file else given


def _read(name: str, file: str) -> str:
    """A file; a bare name is one of systemd's credentials."""
    path = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", ""), file)
    try:
        with open(path, encoding="utf-8") as opened:
            return opened.read()
    except OSError as error:
        raise ValueError(f"{name}: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name}: {path}: not a text file in UTF-8") from None
