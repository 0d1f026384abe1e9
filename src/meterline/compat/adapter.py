"""The interface of an adapter, and what all adapters share.

An adapter is a module with `adapt(words, environment) -> Dropin`, which raises UserError with the exit status of the original.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, NamedTuple

from meterline.errors import UserError

if TYPE_CHECKING:  # The command line needs the names of `LIKE` only.
    from meterline.cli.run import MakeSource
    from meterline.config.schema import Config, MeterConfig


LIKE = {"linky-env": "linky_env", "linky-json": "linky_json", "smartmeter": "smartmeter"}
"""Value of --like → module of the adapter."""


class Help(UserError):
    """The help of a replaced exporter, which ends the program with status 0."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 0)

    def say(self, program: str) -> None:
        """Print the help to standard output."""
        print(self)


class Dropin(NamedTuple):
    """The converted settings of a replaced exporter.

    Attributes:
        config: The meters.
        address: ``HOST:PORT`` or ``:PORT`` to serve on.
        source: Makes the metrics of the replaced exporter.
        taken: Each setting with its origin, one line each; secrets are masked.
        native: The equivalent meterline configuration, with secrets as environment variables.
        level: Log level.
        style: Log format.
        advice: Settings that are not used or need attention, one line each.
        secret_flags: Given flags whose values must not appear in the process list.
    """

    config: Config
    address: str
    source: MakeSource
    taken: tuple[str, ...]
    native: str
    level: str = "info"
    style: str = "logfmt"
    advice: tuple[str, ...] = ()
    secret_flags: tuple[str, ...] = ()


def whole(name: str, text: str, highest: int) -> int:
    """Parse a whole number from 1 to `highest`.

    Raises:
        UserError: `text` is no such number. The error begins with `name`.
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 0 < number <= highest:
        raise UserError(f"{name}: {text!r} is not allowed; allowed: a whole number from 1 to {highest}")
    return number


def device(text: str) -> str:
    """Return a device as an absolute path, if it exists relative to the current folder; otherwise `text`."""
    return os.path.abspath(text) if text and not text.startswith("/") and os.path.exists(text) else text


def assigned(words: Sequence[str], known: Container[str]) -> tuple[dict[str, str], list[str]]:
    """Split arguments into settings `NAME=VALUE` with a known name, and all others."""
    pairs = [(word, *word.partition("=")) for word in words]
    settings = {name: value for _, name, equals, value in pairs if equals and name in known}
    return settings, [word for word, name, equals, _ in pairs if not (equals and name in known)]


def quoted(text: str) -> str:
    """Format a text as a YAML scalar, in quotes unless YAML takes it as text without."""
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
    """Return the equivalent meterline configuration of a meter, as YAML.

    Args:
        meter: The meter.
        options: Its options, as YAML.
        address: Address to serve on.
        level: Log level.
        style: Log format.
        unsaid: Settings without an equivalent, one line each.
    """
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
