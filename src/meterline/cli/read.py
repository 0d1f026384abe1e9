"""meterline read LINK: the current readings of a meter, once or continuously; as text or as JSON."""

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

COMPLETE_AFTER_S = 3.0
"""Time without a new series after which the readings are complete: a frame of the slowest line lasts as long."""
REOPEN_PAUSE_S = 2.0
"""Time until a lost link is opened again."""
CHECK_INTERVAL_S = 0.1


def read(args: Namespace) -> None:
    """Print the readings of a meter.

    Raises:
        UserError: The flags or the configuration are not valid, or no reading arrived.
    """
    wanted = _wanted(args)
    texts = language(args.lang) if args.lang else of_environment(os.environ)
    reading = _Reading(wanted, args.protocol)
    if not args.watch:
        asyncio.run(_once(reading, texts, args.as_json, args.seconds))
        return
    with suppress(KeyboardInterrupt):
        if args.as_json:
            asyncio.run(_watch(reading, _show_json))
        elif sys.stdout.isatty():
            asyncio.run(_draw(reading, _Screen(texts)))
        else:
            asyncio.run(_watch(reading, _Lines(texts).show))


def _wanted(args: Namespace) -> MeterConfig:
    """Return the configuration of the meter to read."""
    if bool(args.link) == bool(args.config):
        raise UserError("read: give either a LINK or --config.file FILE; meterline help read shows both")
    if args.config and (args.protocol or args.options):
        raise UserError("read: --protocol and --options need a LINK; a configuration file has its own")
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
    """The reading of one meter, as `run` reads it, without costs.

    Attributes:
        link: The link, for people.
        meter: The meter with its readings.
        hints: Problems of the line so far.
        series: Number of series that the meter has sent so far.
        grown_at: Time of the last new series, on the meter's clock.
    """

    def __init__(self, config: MeterConfig, protocol: str | None) -> None:
        self.link = shown(config.link)
        self._config = config
        self._protocol = config.protocol or protocol
        self.meter = Meter(config.name)
        self.hints: list[str] = []
        self.series = 0
        self.grown_at = self.meter.clock()

    async def follow(self, on_frame: Callable[[Meter], None] = lambda _: None) -> None:
        """Read the meter until the link ends.

        Args:
            on_frame: Called after each frame.

        Raises:
            Silent: The meter stopped sending.
            Refused: The meter or its adapter declined.
            EOFError: The capture has ended.
            OSError: The link cannot be opened, or was lost.
        """
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

            await protocol.read(link, {config.name: config.options}, _recall(config.link), take)

    def note_growth(self) -> None:
        """Record the time if the last frame brought a new series."""
        if (found := len(self.meter.readings)) > self.series:
            self.series, self.grown_at = found, self.meter.clock()

    @property
    def complete(self) -> bool:
        """Whether all readings have arrived. While power or energy is missing, the wait is longer: a reply may bring it."""
        if not self.series:
            return False
        now = facts(self.meter)
        wait = COMPLETE_AFTER_S if now.power and now.imported is not None else self.meter.stale_after
        return self.meter.clock() - self.grown_at >= wait


def _with_suggested(config: MeterConfig, protocol: str, options: str) -> MeterConfig:
    """Return the meter with the options that `detect` prints, which may name environment variables."""
    try:
        return with_options(config, protocol, options)
    except UserError as error:
        raise within(f"read: the options of {protocol}: ", error) from None


def _recall(link: str) -> dict[str, object]:
    """Return what `run` stored about the link, so that no radio scan is needed. Nothing is written."""
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
                await asyncio.wait({following}, timeout=CHECK_INTERVAL_S)
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
    """Return the error that explains why there is no reading."""
    if isinstance(end, EOFError):
        return UserError(f"read: {link}: the capture holds no frame of a meter", 1)
    if isinstance(end, OSError | Refused):
        return UserError(f"read: {end}", 1)
    if isinstance(end, Exception):  # A UserError, or a defect of meterline.
        return end
    return UserError(f"read: {link}: no reading in {seconds:g} s; meterline doctor {link} finds the reason", 1)


def _print_problem(meter: Meter) -> None:
    print(f"meterline: {meter.counters.line.trouble}", file=sys.stderr)


async def _watch(
    reading: _Reading, show: Callable[[Meter], None], on_problem: Callable[[Meter], None] = _print_problem
) -> None:
    """Show each frame, and open a lost link again, until cancelled.

    Args:
        reading: The meter.
        show: Called after each frame.
        on_problem: Called when the line has another problem than before, not at each try.

    Raises:
        UserError: The meter refused, or the link was lost before the first frame.
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
            except BrokenPipeError:  # The reader of standard output has closed it.
                raise
            except Refused as error:
                raise UserError(f"read: {error}", 1) from None
            except OSError as error:
                if not meter.counters.frames:
                    raise UserError(f"read: {error}", 1) from None
                trouble = f"{error}; trying again"
                if trouble != meter.counters.line.trouble:
                    meter.counters.line.trouble = trouble
                    on_problem(meter)
            await world.current.sleep(REOPEN_PAUSE_S)


async def _draw(reading: _Reading, screen: _Screen) -> None:
    """Show the readings on a terminal, once a second too, so that stale readings disappear."""

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
    """Prints one line for each frame, for an output that is no terminal."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def show(self, meter: Meter) -> None:
        if text := headline(meter, self._language):  # Empty if the first frame was cut.
            print(f"{_time_of_day()}  {text}", flush=True)


class _Screen:
    """Shows all readings on a terminal, in place of those before."""

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
    """Return the lines for a meter: its name with the headline, and all readings below."""
    summary = (
        (headline(meter, language) or language.say("no_reading"))
        if meter.up
        else language.say("silent")
        if meter.counters.frames
        else language.say("never")
    )
    pairs = rows(meter, language)
    width = max((_width(name) for name, _ in pairs), default=0)
    return [f"{meter.name}: {summary}", "", *(f"{name}{' ' * (width - _width(name))}  {text}" for name, text in pairs)]


def _width(text: str) -> int:
    """Return the columns of a text on a terminal: a Japanese character takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
