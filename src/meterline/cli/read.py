"""meterline read LINK: what a meter says now, once or for as long as one looks; for people, or as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from unicodedata import east_asian_width

from meterline import world
from meterline.cli.progress import progress
from meterline.config.schema import Config, MeterConfig, load, single, with_options
from meterline.config.yaml_file import within
from meterline.errors import UserError
from meterline.link.open import open_link
from meterline.link.url import shown
from meterline.locale import Language, language, of_environment
from meterline.meter.intake import take_item
from meterline.meter.meter import Meter
from meterline.meter.readings import Hint, Item, Refused, Snapshot
from meterline.protocols import PROTOCOLS
from meterline.service.detect import detect, serial_of
from meterline.store import State, default_folder
from meterline.web.page.reading_texts import as_json, headline, rows
from meterline.web.page.view_model import facts

SETTLED = 3.0
"""Seconds without a new reading after which all is there: a frame of the slowest line lasts as long."""
PAUSE = 2.0
"""Seconds until a lost link is opened again."""
TICK = 0.1


def read(args: Namespace) -> None:
    """Print it. UserError where the meter says nothing."""
    wanted = _wanted(args)
    spoken = language(args.lang) if args.lang else of_environment(os.environ)
    reading = _Reading(wanted, args.protocol)
    if not args.watch:
        asyncio.run(_once(reading, spoken, args.as_json, args.seconds))
        return
    with suppress(KeyboardInterrupt):
        if args.as_json:
            asyncio.run(_watch(reading, _show_json))
        elif sys.stdout.isatty():
            asyncio.run(_draw(reading, _Screen(spoken)))
        else:
            asyncio.run(_watch(reading, _Lines(spoken).show))


def _wanted(args: Namespace) -> MeterConfig:
    """The one meter that is meant."""
    if bool(args.link) == bool(args.config):
        raise UserError("read: give either a LINK or --config.file FILE; meterline help read shows both")
    if args.config and (args.protocol or args.options):
        raise UserError("read: --protocol and --options are for a LINK; a file has its own")
    found: Config = load(args.config) if args.config else single(args.link)
    meters = [meter for meter in found.meters if args.meter in (None, meter.name)]
    if not meters:
        raise UserError(f"{args.config or shown(args.link)}: no meter has the name {args.meter!r}")
    if len(meters) > 1:
        raise UserError(f"{args.config}: which meter? --meter {' or '.join(meter.name for meter in meters)}")
    if args.options is not None and not args.protocol:
        raise UserError(f"read: --options needs --protocol {' or '.join(PROTOCOLS)} beside it")
    return with_options(meters[0], args.protocol, args.options) if args.options is not None else meters[0]


class _Reading:
    """One meter, read as `run` reads it, but for its books."""

    def __init__(self, config: MeterConfig, protocol: str | None) -> None:
        self.link = shown(config.link)
        self._config = config
        self._protocol = config.protocol or protocol
        self.meter = Meter(config.name)
        self.hints: list[str] = []
        self.series = 0
        """Readings that the meter has said so far."""
        self.grown_at = self.meter.clock()

    async def follow(self, on_frame: Callable[[Meter], None] = lambda _: None) -> None:
        """Until the meter is silent (Silent), the link is lost (OSError) or ends (EOFError), or Refused."""
        config = self._config
        async with open_link(config.link, serial_of(self._protocol)) as link:
            protocol = PROTOCOLS[self._protocol] if self._protocol else await detect(link)
            if config.options is None:
                config = _with_suggested(config, protocol.name, protocol.suggested_options(link))
            self.meter.max_power_va = protocol.max_power_va
            self.meter.stale_after = config.stale_after or config.options.stale_after(1)

            def take(item: Item) -> None:
                take_item(self.meter, item, link.timed)
                if isinstance(item, Snapshot):
                    self.note_growth()
                    on_frame(self.meter)
                elif isinstance(item, Hint) and not item.good and item.sentence not in self.hints:
                    self.hints.append(item.sentence)

            await protocol.read(link, {config.name: config.options}, _remembered(config.link), take)

    def note_growth(self) -> None:
        """After a frame: whether the meter says more than before."""
        if (found := len(self.meter.readings)) > self.series:
            self.series, self.grown_at = found, self.meter.clock()

    @property
    def complete(self) -> bool:
        """Nothing new comes any more. Where power or energy is missing, that takes longer: it may come with the next answer."""
        if not self.series:
            return False
        now = facts(self.meter)
        wait = SETTLED if now.power and now.imported is not None else self.meter.stale_after
        return self.meter.clock() - self.grown_at >= wait


def _with_suggested(config: MeterConfig, protocol: str, options: str) -> MeterConfig:
    """The meter with the options that `detect` prints for it; they may name variables of the environment."""
    try:
        return with_options(config, protocol, options)
    except UserError as error:
        raise within(f"read: the options of {protocol}: ", error) from None


def _remembered(link: str) -> dict[str, object]:
    """What `run` found out about the link, so that no radio need be scanned. Nothing is written."""
    state = State(default_folder(), only_read=True)
    try:
        return state.recall(link)
    except (OSError, sqlite3.Error):
        return {}
    finally:
        state.close()


async def _once(reading: _Reading, language: Language, wants_json: bool, seconds: float) -> None:
    meter, started = reading.meter, world.current.monotonic()
    following = asyncio.create_task(reading.follow())
    try:
        async with progress(partial(_waiting, reading)):
            while not (following.done() or reading.complete or world.current.monotonic() - started > seconds):
                await asyncio.wait({following}, timeout=TICK)
    finally:
        following.cancel()
        (end,) = await asyncio.gather(following, return_exceptions=True)
    if not meter.readings:
        raise _nothing(end, reading.link, seconds)
    for hint in reading.hints:
        print(f"note: {hint}", file=sys.stderr)
    if wants_json:
        _show_json(meter)
    else:
        print("\n".join(_block(meter, language)))


def _nothing(end: BaseException | None, link: str, seconds: float) -> Exception:
    """Why there is no reading, in one line."""
    if isinstance(end, EOFError):
        return UserError(f"read: {link}: the capture holds no frame of a meter", 1)
    if isinstance(end, OSError | Refused):
        return UserError(f"read: {end}", 1)
    if isinstance(end, Exception):  # a UserError, or a defect of ours
        return end
    return UserError(f"read: {link}: no reading in {seconds:g} s; meterline doctor {link} says why", 1)


def _complain(meter: Meter) -> None:
    print(f"meterline: {meter.counters.line.trouble}", file=sys.stderr)


async def _watch(reading: _Reading, show: Callable[[Meter], None], complain: Callable[[Meter], None] = _complain) -> None:
    """For ever; a link that is lost is opened again. UserError where the meter has never spoken.

    `complain` gets the meter when its line has another trouble than before, not at each try.
    """
    meter = reading.meter

    def on_frame(meter: Meter) -> None:
        meter.counters.line.trouble = ""
        show(meter)

    async with progress(lambda passed: "" if meter.counters.frames else _waiting(reading, passed)):
        while True:
            try:
                await reading.follow(on_frame)
            except EOFError:
                return
            except BrokenPipeError:  # whoever read our output has enough
                raise
            except Refused as error:
                raise UserError(f"read: {error}", 1) from None
            except OSError as error:
                if not meter.counters.frames:
                    raise UserError(f"read: {error}", 1) from None
                trouble = f"{error}; trying again"
                if trouble != meter.counters.line.trouble:
                    meter.counters.line.trouble = trouble
                    complain(meter)
            await world.current.sleep(PAUSE)


async def _draw(reading: _Reading, screen: _Screen) -> None:
    """The same on a terminal, where also what is not confirmed any more must go."""

    async def tick() -> None:
        while True:
            await world.current.sleep(1.0)
            screen.show(reading.meter)

    ticking = asyncio.create_task(tick())
    try:
        await _watch(reading, screen.show, screen.show)
    finally:
        ticking.cancel()
        print()


def _waiting(reading: _Reading, passed: float) -> str:
    return f"{passed:.0f} s: {reading.meter.counters.frames} frames of {reading.link}"


def _show_json(meter: Meter) -> None:
    print(json.dumps(as_json(meter), ensure_ascii=False), flush=True)


def _time_of_day() -> str:
    return time.strftime("%H:%M:%S", time.localtime(world.current.now()))


class _Lines:
    """A line a frame, where the output is no terminal."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def show(self, meter: Meter) -> None:
        if said := headline(meter, self._language):  # the first frame may be torn
            print(f"{_time_of_day()}  {said}", flush=True)


class _Screen:
    """All of it, drawn over itself."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._start = "\x1b[2J"

    def show(self, meter: Meter) -> None:
        size = shutil.get_terminal_size()
        last = f"{_time_of_day()}  {meter.counters.line.trouble}".rstrip()[: size.columns]
        lines = [*_block(meter, self._language)[: size.lines - 2], last]
        print(f"{self._start}\x1b[H" + "\x1b[K\n".join(lines) + "\x1b[J", end="", flush=True)
        self._start = ""


def _block(meter: Meter, language: Language) -> list[str]:
    """The meter's name and the most important, and below it everything."""
    said = (
        (headline(meter, language) or language.say("no_reading"))
        if meter.up
        else language.say("silent")
        if meter.counters.frames
        else language.say("never")
    )
    pairs = rows(meter, language)
    width = max((_width(name) for name, _ in pairs), default=0)
    return [f"{meter.name}: {said}", "", *(f"{name}{' ' * (width - _width(name))}  {text}" for name, text in pairs)]


def _width(text: str) -> int:
    """Columns of a terminal: a Japanese character takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
