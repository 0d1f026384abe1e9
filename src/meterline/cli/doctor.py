"""meterline doctor [LINK]: report the problems of one link, or of all links, with remedies."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import IO, TypeAlias

from meterline import world
from meterline.cli.output import output
from meterline.cli.progress import Progress, progress
from meterline.config.schema import Config, load, single
from meterline.diagnostics import host, report, running_instance, serial_device
from meterline.diagnostics.link_check import Case, Surroundings, examine
from meterline.errors import UserError
from meterline.history.clock import synchronised
from meterline.link.url import shown
from meterline.protocols.api import Finding, fault
from meterline.store import default_folder

Show: TypeAlias = Callable[[str, Finding], None]
"""Prints a finding. Args: the link, or empty for this machine; the finding."""

LISTEN_MIN_S, LISTEN_MAX_S = 3.0, 3600.0
"""Limits of --seconds. The longest frame lasts three seconds."""


def doctor(args: Namespace) -> int:
    """Examine the links and print each finding at once.

    Returns:
        Exit status: 1 if a finding is a fault, else 0.

    Raises:
        UserError: A flag, the configuration file or the file of the report is not usable.
    """
    if not LISTEN_MIN_S <= args.seconds <= LISTEN_MAX_S:
        raise UserError(f"--seconds {args.seconds:g}: expected {LISTEN_MIN_S:.0f} to {LISTEN_MAX_S:.0f}")
    config = _wanted(args.link, args.config)
    with ExitStack() as stack:
        try:
            out = stack.enter_context(output(args.bundle, args.force)) if args.bundle else None
        except OSError as error:
            raise UserError(f"{args.bundle}: {error.strerror}") from None
        status = asyncio.run(_doctor(args, config, out.file if out else None))
        if out:
            out.publish()
    if out:
        print(f"{args.bundle}: written; read its files before you send it", file=sys.stderr)
    return status


def _wanted(link: str | None, file: str | None) -> Config:
    """Return the meters of the file, or of one link; without either, one meter for each serial device of this machine."""
    if not file:
        links = [link] if link else serial_device.candidates()
        return Config(tuple(meter for each in links for meter in single(each).meters))
    config = load(file)
    if link:
        config = replace(config, meters=tuple(meter for meter in config.meters if meter.link == link))
    if not config.meters:
        raise UserError(f"{file}: no meter has the link {shown(link or '')}")
    return config


async def _doctor(args: Namespace, config: Config, file: IO[bytes] | None) -> int:
    line = Progress()
    show = _clearing(line, _show_json if args.json else _TextOutput().show)
    line.show(f"asking whether a meterline serves at {args.address}")
    own = await world.current.in_thread(running_instance.running, args.address)
    kept = synchronised()
    findings = [host.clock(kept, world.current.now()), host.state_folder(args.state or default_folder())]
    findings.append(own.serves(args.address) if own else host.port(args.address))
    if not config.meters:
        findings.append(
            fault("no serial device on this machine", "plug the adapter in, then: sudo dmesg | tail; ls /dev/serial/by-id/")
        )
    for finding in findings:
        show("", finding)
    here, cases = Surroundings(serial_device.this_user(), own, kept, args.seconds), []
    for url, meters in groupby(sorted(config.meters, key=attrgetter("link")), attrgetter("link")):
        async with progress(partial("{1:.0f} s: examining {0}".format, shown(url)), line):
            cases.append(Case(url, tuple(meters), partial(show, shown(url))))
            await examine(cases[-1], here)
    if file:
        report.write(file, config, findings, cases, own)
    return int(any(case.failed for case in cases) or any(finding.level == "fault" for finding in findings))


def _clearing(line: Progress, show: Show) -> Show:
    """Wrap `show` so that each finding is printed above the line of the progress."""

    def show_above(link: str, finding: Finding) -> None:
        line.clear()
        show(link, finding)

    return show_above


class _TextOutput:
    """Prints findings for people: a headline for each link, and a line for each finding, with the remedy below."""

    def __init__(self) -> None:
        self._about: str | None = None

    def show(self, link: str, finding: Finding) -> None:
        if link != self._about:
            print(f"{'' if self._about is None else chr(10)}{link or 'this machine'}")
            self._about = link
        print(f"  {finding.level:8} {finding.what}", flush=True)
        if finding.remedy:
            print(f"           → {finding.remedy}", flush=True)


def _show_json(link: str, finding: Finding) -> None:
    print(json.dumps({"link": link or None, **finding._asdict()}, ensure_ascii=False), flush=True)
