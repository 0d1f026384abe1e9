"""Start in place of another exporter: `linky-exporter`, `smartmeter-exporter`, `meterline run --like …`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from meterline import logs
from meterline.cli.run import Web, serve
from meterline.compat.adapter import LIKE, Dropin
from meterline.compat.linky_exporter import choose
from meterline.compat.process_arguments import hide
from meterline.errors import UserError
from meterline.store import State, default_folder
from meterline.web.http.connections import Network

log = logging.getLogger("meterline")


def adapter(like: str) -> Callable[[Sequence[str], Mapping[str, str]], Dropin]:
    """Import the adapter of an exporter.

    Args:
        like: A key of `LIKE`.

    Returns:
        A function: arguments and environment → the drop-in. The function raises UserError.
    """
    return import_module(f"meterline.compat.{LIKE[like]}").adapt  # type: ignore[no-any-return]


def start(dropin: Dropin, folder: str | None = None, rules: str | None = None, allowed: tuple[Network, ...] = ()) -> None:
    """Log the settings and the equivalent meterline configuration, then serve until SIGTERM or SIGINT.

    Args:
        dropin: The settings of the replaced exporter, converted.
        folder: The folder of the state; None: the default.
        rules: The file of TLS and passwords; None: neither.
        allowed: Networks that may connect beside this machine; empty: all.
    """
    hidden = not dropin.secret_flags or hide(dropin.secret_flags)
    logs.set_up(dropin.level, dropin.style)
    for line in dropin.taken:
        log.info("setting: %s", line)
    for line in dropin.advice:
        log.warning("%s", line)
    if not hidden:
        flags = " and ".join(f"-{flag}" for flag in dropin.secret_flags)
        log.warning("%s can be read in the process list by every user of this machine: use environment variables", flags)
    for line in dropin.native.splitlines():
        log.info("equivalent meterline configuration: %s", line)
    web = Web(dropin.address, rules, allowed=allowed)
    asyncio.run(serve(dropin.config, web, State(folder or default_folder()), dropin.source))


def script(program: str, choose: Callable[[Sequence[str], Mapping[str, str]], str]) -> None:
    """Run a console script, and end the program. Errors of the user are printed in one line each.

    Args:
        program: Name of the script, for errors.
        choose: Returns, for arguments and environment, the exporter to replace: a key of `LIKE`.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        words = sys.argv[1:]
        start(adapter(choose(words, os.environ))(words, os.environ))
    except UserError as error:
        error.say(program)
        sys.exit(error.status)
    except KeyboardInterrupt:
        sys.exit(130)


def linky_exporter() -> None:
    """The console script `linky-exporter`."""
    script("linky-exporter", choose)


def smartmeter_exporter() -> None:
    """The console script `smartmeter-exporter`."""
    script("smartmeter-exporter", lambda words, environment: "smartmeter")
