"""What the configuration says about a B-route meter. The ID and the password appear in no `repr` and in no error."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

SHORTEST_INTERVAL = 10.0
"""Seconds: what other clients use; the law's limit of 360 s on air an hour is far away from it."""
VISIT = 25.0
"""Seconds for a visit to one of several meters on a module: leave, join and ask (others measured 15 to 20)."""
POLLS = 3
"""Silent polls after which a value disappears."""


@dataclass(frozen=True, slots=True)
class Options:
    """`id` and `password` come from the grid company; each may be in a file instead. The radio's facts only save a scan."""

    id: str = field(default="", repr=False)
    id_file: str | None = None
    password: str = field(default="", repr=False)
    password_file: str | None = None
    interval: float = field(default=30.0, metadata={"public": True})
    """Seconds between two polls."""
    channel: str | None = field(default=None, metadata={"public": True})
    """21 to 3C, hexadecimal, as modules and scans write it."""
    pan_id: str | None = None
    mac: str | None = None
    write_flash: bool = field(default=False, metadata={"public": True})
    """Set the module to answer in hex digits, once; without need, since both forms are read."""

    def __post_init__(self) -> None:
        for name in _SECRETS:
            object.__setattr__(self, name, secret(name, getattr(self, name), getattr(self, f"{name}_file")))
        if self.interval < SHORTEST_INTERVAL:
            raise ValueError(f"interval: {self.interval:g} is not allowed; allowed: {SHORTEST_INTERVAL:.0f} seconds or more")
        for name, shape, words in _FACTS:
            text = getattr(self, name)
            if text is not None:
                if not re.fullmatch(shape, text, re.IGNORECASE):
                    raise ValueError(f"{name}: {text!r} is not allowed; allowed: {words}")
                object.__setattr__(self, name, text.upper())

    @property
    def pairing_id(self) -> str:
        """The end of the ID, which the scan uses."""
        return self.id[-8:]

    @property
    def facts(self) -> dict[str, str]:
        """What is said of the radio: key → value."""
        known = ((name, getattr(self, name)) for name, _, _ in _FACTS)
        return {name: text for name, text in known if text}

    def stale_after(self, meters: int) -> float:
        """Three polls; where meters share a module, three rounds over all of them."""
        return POLLS * max(self.interval, VISIT * meters if meters > 1 else 0)


_SECRETS = {"id": (32, "0-9A-F", "0-9 and A-F"), "password": (12, "0-9A-Z", "0-9 and A-Z")}
"""Name → length and characters."""
CHANNEL = "2[1-9A-F]|3[0-9A-C]"
_FACTS = (
    ("channel", CHANNEL, "21 to 3C (hexadecimal, as a scan shows it)"),
    ("pan_id", "[0-9A-F]{4}", "four hexadecimal digits, as a scan shows them"),
    ("mac", "[0-9A-F]{16}", "16 hexadecimal digits, as a scan shows them"),
)


def secret(name: str, given: str, file: str | None = None) -> str:
    """The ID or password without the spaces and hyphens that letters and web pages put in, in capitals.

    ValueError says what is wrong with it, and not what it is.
    """
    if bool(given) == bool(file):
        raise ValueError(f"{name}: expected either {name} or {name}_file" if given else f"{name}: missing; or {name}_file")
    if file:
        # A bare name is one of systemd's credentials.
        path = os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", ""), file)
        try:
            with open(path, encoding="ascii") as opened:
                given = opened.read()
        except OSError as error:
            raise ValueError(f"{name}_file: {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{name}_file: {path}: holds other characters than 0-9 and A-Z") from None
    text = re.sub(r"[\s-]", "", given)
    text = text.upper() if text.isascii() else text  # a dotless i would become a capital I
    length, allowed, words = _SECRETS[name]
    foreign = ", and others than those" if re.sub(f"[{allowed}]", "", text) else ""
    if len(text) != length or foreign:
        expected = f"expected {length} characters {words}, as the grid company wrote them"
        raise ValueError(f"{name}: {expected}; this one has {len(text)} characters{foreign}")
    return text
