"""The programs that we replace: for each an adapter (its settings → our configuration) and a dialect (our readings → its page).

An adapter is `adapt(words, environment) -> Dropin`. It raises UserError, with the status that the original ends with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from meterline.errors import UserError

if TYPE_CHECKING:  # the command line wants the names alone
    from meterline.commands.run import MakeFace
    from meterline.config import Config


LIKE = {"linky-env": "linky_env", "linky-json": "linky_json", "smartmeter": "smartmeter"}
"""What --like takes → the adapter's module here."""


class Dropin(NamedTuple):
    """All that is needed to stand in for another program."""

    config: Config
    address: str
    face: MakeFace
    taken: tuple[str, ...]
    """What was taken from where, a line each, secrets masked."""
    native: str
    """The configuration of ours that would do the same, secrets as variables."""
    level: str = "info"
    style: str = "logfmt"
    advice: tuple[str, ...] = ()
    """What is strange about the settings, a line each."""
    secret_flags: tuple[str, ...] = ()
    """Flags whose values nobody else may see, and which were given."""


def whole(name: str, text: str, highest: int) -> int:
    """A setting that is a whole number from 1 on. UserError names it."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= highest):
        raise UserError(f"{name}: {text!r} is not allowed; allowed: a whole number from 1 to {highest}")
    return int(text)


def native(name: str, link: str, protocol: str, options: str, address: str, stale_after: float | None = None) -> str:
    """A configuration of ours for one meter. `options`: as YAML."""
    lines = [
        f"# meterline run --config.file meterline.yml --web.listen-address {address}",
        "meters:",
        f"  - name: {json.dumps(name)}",
        f"    link: {link}",
        f"    protocol: {protocol}",
        f"    options: {options}",
        *([f"    stale_after: {stale_after:g}"] if stale_after else []),
    ]
    return "\n".join(lines) + "\n"
