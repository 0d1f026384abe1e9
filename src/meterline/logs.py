"""The log: one line an event, as logfmt or JSON, on standard error."""

from __future__ import annotations

import json
import logging
import time

LEVELS = ("debug", "info", "warn", "error")
FORMATS = ("logfmt", "json")


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


def _facts(record: logging.LogRecord) -> dict[str, str]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    level = "warn" if record.levelno == logging.WARNING else record.levelname.lower()
    return {"time": f"{moment}.{record.msecs:03.0f}Z", "level": level, "msg": record.getMessage()}


class _Logfmt(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{key}={_quoted(value)}" for key, value in _facts(record).items())
        return line if not record.exc_info else f"{line}\n{self.formatException(record.exc_info)}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = _facts(record)
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if not value or set(value) & set(' ="\n\t') else value
