"""The programs that we replace: for each an adapter (its settings → our configuration) and a dialect (our readings → its page).

An adapter is `adapt(words, environment) -> Dropin`. It raises UserError, with the status that the original ends with.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, NamedTuple

from meterline.errors import UserError

if TYPE_CHECKING:  # the command line wants the names alone
    from meterline.cli.run import MakeSource
    from meterline.config.schema import Config, MeterConfig


LIKE = {"linky-env": "linky_env", "linky-json": "linky_json", "smartmeter": "smartmeter"}
"""What --like takes → the adapter's module here."""


class Help(UserError):
    """Somebody asked how the program is used: no error, so its status is 0."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 0)

    def say(self, program: str) -> None:
        """On standard output."""
        print(self)


class Dropin(NamedTuple):
    """All that is needed to stand in for another program."""

    config: Config
    address: str
    source: MakeSource
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
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 0 < number <= highest:
        raise UserError(f"{name}: {text!r} is not allowed; allowed: a whole number from 1 to {highest}")
    return number


def device(text: str) -> str:
    """A device may be named from the folder in which the program was started."""
    return os.path.abspath(text) if text and not text.startswith("/") and os.path.exists(text) else text


def assigned(words: Sequence[str], known: Container[str]) -> tuple[dict[str, str], list[str]]:
    """Settings that are given as `NAME=VALUE`, and the other words."""
    pairs = [(word, *word.partition("=")) for word in words]
    settings = {name: value for _, name, equals, value in pairs if equals and name in known}
    return settings, [word for word, name, equals, _ in pairs if not (equals and name in known)]


def quoted(text: str) -> str:
    """A text as YAML takes it: in quotes, unless it cannot be taken for anything else."""
    plain = re.fullmatch(r"[A-Za-z/][A-Za-z0-9/._+@=-]*(:[A-Za-z0-9/._+@=?-]+)*", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def native(
    meter: MeterConfig,
    options: str,
    address: str,
    *,
    level: str = "info",
    style: str = "logfmt",
    unsaid: Sequence[str] = (),
) -> str:
    """A configuration of ours for this meter. `options`: as YAML. `unsaid`: what it cannot express, a line each."""
    flags = " --log.format json" if style == "json" else ""
    lines = [
        f"# meterline run --config.file meterline.yml --web.listen-address {address}{flags}",
        *(f"# not here: {line}" for line in unsaid),
        *([f"log_level: {level}"] if level != "info" else []),
        "meters:",
        f"  - name: {json.dumps(meter.name, ensure_ascii=False)}",
        f"    link: {quoted(meter.link)}",
        f"    protocol: {meter.protocol}",
        f"    options: {options}",
        *([f"    stale_after: {meter.stale_after:g}"] if meter.stale_after else []),
    ]
    return "\n".join(lines) + "\n"
