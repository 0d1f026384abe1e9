"""The B-route exporter `smartmeter-exporter`: flags as Go programs take them, over variables `SMARTMETER_…`, over defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from meterline.config import Config, MeterConfig, check_link
from meterline.dropin import Dropin, native, whole
from meterline.dropin.smartmeter_page import face
from meterline.dropin.start import script
from meterline.errors import UserError
from meterline.protocols.broute import skstack
from meterline.protocols.broute.options import SHORTEST_INTERVAL, Options

NAME = "smartmeter"
DEFAULTS = {
    "id": "",
    "password": "",
    "device": "/dev/ttyACM0",
    "interval": "60",
    "port": "9102",
    "channel": "",
    "ipaddr": "",
    "dse": "",
    "verbosity": "1",
}
"""Flag → its default; the variable is SMARTMETER_ and the flag in capitals."""
SECRETS = ("id", "password")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


def adapt(words: Sequence[str], environment: Mapping[str, str]) -> Dropin:
    """Flags win over variables. Blank values count as unset: compose files hand them over so."""
    given = _flags(words)
    settings, sources = {}, {}
    for flag, default in DEFAULTS.items():
        variable = environment.get(f"SMARTMETER_{flag.upper()}", "").strip()
        settings[flag] = given.get(flag, "").strip() or variable or default
        sources[flag] = "flag" if given.get(flag, "").strip() else "environment" if variable else "default"
    for flag in SECRETS:
        if not settings[flag]:
            raise UserError(f"-{flag} (or SMARTMETER_{flag.upper()}) is required", 1)
    style = environment.get("SMARTMETER_LOG_FORMAT", "").strip() or "text"
    if style not in ("text", "json"):
        raise UserError(f"SMARTMETER_LOG_FORMAT: {style!r} is not allowed; allowed: text, json")
    if complaint := check_link(settings["device"]):
        raise UserError(f"-device: {complaint}")
    interval, advice = _interval(settings["interval"])
    port = whole("-port", settings["port"], 65_535)
    return Dropin(
        Config((MeterConfig(NAME, settings["device"], "broute", _options(settings, interval)),)),
        f":{port}",
        lambda runtime: face(runtime.meters[NAME]),
        tuple(f"-{flag}={_shown(flag, value)} ({sources[flag]})" for flag, value in settings.items()),
        _native(settings, interval, port),
        _level(settings["verbosity"]),
        "json" if style == "json" else "logfmt",
        (*advice, *_advice(settings)),
        secret_flags=tuple(flag for flag in SECRETS if sources[flag] == "flag"),
    )


def _flags(words: Sequence[str]) -> dict[str, str]:
    """As Go reads them: one dash or two, ``-flag value`` or ``-flag=value``; ``-dse`` alone is true."""
    given: dict[str, str] = {}
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not re.fullmatch("--?[a-z].*", word) or name not in DEFAULTS:
            raise UserError(f"{word}: not a flag; known: {', '.join('-' + flag for flag in DEFAULTS)}")
        if not equals and name == "dse":
            value = "true"
        elif not equals:
            if not waiting:
                raise UserError(f"-{name}: needs a value")
            value = waiting.pop(0)
        given[name] = value
    if given.get("dse", "true") not in (*_TRUE, *_FALSE):
        raise UserError(f"-dse: {given['dse']!r} is not allowed; allowed: true, false")
    return given


def _interval(text: str) -> tuple[float, tuple[str, ...]]:
    if text.isascii() and text.isdigit() and int(text) >= SHORTEST_INTERVAL:
        return float(text), ()
    return 60.0, (f"-interval: {text!r} is not a whole number of {SHORTEST_INTERVAL:.0f} or more; 60 is used",)


def _level(verbosity: str) -> str:
    """0: errors, 1: info, 2 and more: debug."""
    if not re.fullmatch("-?[0-9]+", verbosity):
        raise UserError(f"-verbosity: {verbosity!r} is not a whole number")
    return "error" if int(verbosity) <= 0 else "info" if int(verbosity) == 1 else "debug"


def _options(settings: Mapping[str, str], interval: float) -> Options:
    """The radio's facts narrow the scan: the address holds the MAC."""
    try:
        return Options(
            id=settings["id"],
            password=settings["password"],
            interval=interval,
            channel=settings["channel"] or None,
            mac=_mac(settings["ipaddr"]) if settings["ipaddr"] else None,
        )
    except ValueError as error:
        raise UserError(f"-{error}", 1 if str(error).startswith(("id", "password")) else 2) from None


def _mac(address: str) -> str:
    if mac := skstack.mac_of(address):
        return mac
    raise UserError(f"-ipaddr: {address!r} is not allowed; allowed: FE80:0000:0000:0000:… with four more groups of four digits")


def _advice(settings: Mapping[str, str]) -> tuple[str, ...]:
    if settings["dse"]:
        return ("-dse is not needed: the module's edition is found out",)
    return ()


def _shown(flag: str, value: str) -> str:
    return "(masked)" if flag in SECRETS else value


def _native(settings: Mapping[str, str], interval: float, port: int) -> str:
    channel = f', channel: "{settings["channel"]}"' if settings["channel"] else ""
    options = f'{{id: "${{SMARTMETER_ID}}", password: "${{SMARTMETER_PASSWORD}}", interval: {interval:g}{channel}}}'
    return native(NAME, settings["device"], "broute", options, f":{port}")


def main() -> None:
    """The console script `smartmeter-exporter`."""
    script("smartmeter-exporter", lambda words, environment: "smartmeter")
