"""The log: one line an event, as logfmt or JSON, on standard error. What is about one meter names it in a key of its own."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")
QUIET = 1800.0
"""Seconds in which the same news is not written a second time."""

DAY = 86_400.0
"""Seconds after which a reminder is written again."""
REMEMBERED = 64
"""Reminders of one link, or of the books of one meter, that are remembered."""

log = logging.getLogger("meterline")


def set_up(level: str = "info", style: str = "logfmt") -> None:
    """Everything of ours at `level`; libraries speak only when something is wrong."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Json() if style == "json" else _Logfmt())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    set_level(level)


def set_level(level: str) -> None:
    """How much is said of what is ours."""
    logging.getLogger("meterline").setLevel({"warn": "WARNING"}.get(level, level.upper()))
    # There Tornado says what clients do wrong, a line for each request and handshake: anybody could fill a disk.
    logging.getLogger("tornado.general").setLevel("INFO" if level == "debug" else "ERROR")


def about(meter: str) -> dict[str, str]:
    """The `extra` of a message that is about this meter."""
    return {"meter": meter}


class RepeatFilter:
    """Writes the states of one link to the log: each change is a line, but the same line not twice in `QUIET` seconds.

    So a link that flaps stays quiet. A line that was held back is written as soon as it may be, if it is still so, with how
    often it was held back. The log never ends with a state that is long past, as long as `tell` is called while a state lasts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._now = self._written = ""
        self._held: dict[str, tuple[float, int]] = {}
        """Text, whatever its numbers → when it was written, and how often it was held back since."""

    def tell(self, level: int, text: str, meter: str = "", defect: Exception | None = None) -> bool:
        """Write a state, or hold it back.

        Args:
            level: Of `logging`.
            text: The state in words. Two texts that differ in numbers only are the same state.
            meter: The name of the meter, where the state is of one meter.
            defect: An error of our own code, whose traceback belongs to the line.

        Returns:
            Whether the log says so now.
        """
        kind = re.sub(r"[0-9]+", "0", text)
        changed, self._now = kind != self._now, kind
        if kind == self._written and not changed:
            return True
        written, times = self._held.get(kind, (self._clock() - QUIET, 0))
        if self._clock() - written < QUIET:
            self._held[kind] = (written, times + changed)
            return kind == self._written
        again = f" (repeated {times} time{'s' * (times != 1)})" if times else ""
        log.log(level, "%s%s", text, again, exc_info=defect, extra=about(meter) if meter else None)
        self._held[kind], self._written = (self._clock(), 0), kind
        return True


class Reminders:
    """What is written to the log once, and again after a day where it is still so: by its words or by its subject. Bounded."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._written: dict[tuple[str, ...], float] = {}
        """What was written, the oldest first, and when."""

    def due(self, *words: str) -> bool:
        """Whether this is to be written now."""
        now = self._clock()
        if now - self._written.get(words, -DAY) < DAY:
            return False
        self._written.pop(words, None)
        self._written[words] = now
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]
        return True

    def forget(self, *words: str) -> None:
        """What begins with these words may be written again at once."""
        for known in [known for known in self._written if known[: len(words)] == words]:
            del self._written[known]


class _Formatter(logging.Formatter):
    def facts(self, record: logging.LogRecord) -> dict[str, str]:
        """Key → value, in the order of the line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
        facts = {"time": f"{moment}.{record.msecs:03.0f}Z", "level": level}
        if meter := getattr(record, "meter", ""):
            facts["meter"] = meter
        facts["msg"] = record.getMessage()
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return facts


class _Logfmt(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return " ".join(f"{key}={_quoted(value)}" for key, value in self.facts(record).items())


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.facts(record), ensure_ascii=False)


def _quoted(value: str) -> str:
    plain = value and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain else json.dumps(value, ensure_ascii=False)
