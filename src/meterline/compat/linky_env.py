"""Adapter of the Linky exporter that is configured by environment variables `LINKY_EXPORTER_…`."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence

from meterline.compat.adapter import Dropin, Help, assigned, device, native, whole
from meterline.compat.linky_env_page import metrics_source
from meterline.config.schema import Config, MeterConfig
from meterline.errors import UserError
from meterline.link.url import UrlError, parse_url
from meterline.protocols.tic import Options

DEFAULTS = {
    "LINKY_EXPORTER_INTERFACE": "/dev/ttyUSB0",
    "LINKY_EXPORTER_LOGLEVEL": "INFO",
    "LINKY_EXPORTER_NAME": "linky-exporter",
    "LINKY_EXPORTER_PORT": "8123",
    "LINKY_EXPORTER_MODE": "HISTORIQUE",
    "LINKY_EXPORTER_PRM": "0",
    "LINKY_FRAME_TIMEOUT": "10",
    "TZ": "Europe/Paris",
}
LEVELS = {
    "NOTSET": "debug",
    "DEBUG": "debug",
    "INFO": "info",
    "WARNING": "warn",
    "WARN": "warn",
    "ERROR": "error",
    "CRITICAL": "error",
    "FATAL": "error",
}
"""Level of Python's logging → log level of meterline."""
MODES = {"HISTORIQUE": 1200, "STANDARD": 9600}
SOCAT = ("LINKY_SOCAT_HOST", "LINKY_SOCAT_FILE")
"""Address of a serial line over TCP, and the pseudo-terminal that the original's container connects to it."""
HELP = f"""\
usage: linky-exporter [NAME=VALUE ...]

Stands in for the Linky exporter that is set up by the environment, and takes its variables:
  {", ".join((*DEFAULTS, *SOCAT))}"""


def adapt(words: Sequence[str], environment: Mapping[str, str]) -> Dropin:
    """Convert the settings.

    Args:
        words: Arguments; ``NAME=VALUE`` overrides the environment.
        environment: The environment variables.

    Raises:
        UserError: A setting is not valid. The text names the variable.
    """
    if {"-h", "-help", "--help"} & set(words):
        raise Help(HELP)
    given, stray = assigned(words, (*DEFAULTS, *SOCAT))
    said = {name: text for name in (*DEFAULTS, *SOCAT) if (text := given.get(name, environment.get(name, "")).strip())}
    settings = DEFAULTS | {name: text for name, text in said.items() if name in DEFAULTS}
    advice = [f"{word!r}: not used; this exporter takes environment variables" for word in stray]
    link = _link(settings, said, advice)
    level = _level(settings, advice)
    baud = _baud(settings["LINKY_EXPORTER_MODE"])
    port = whole("LINKY_EXPORTER_PORT", settings["LINKY_EXPORTER_PORT"], 65_535)
    timeout = whole("LINKY_FRAME_TIMEOUT", settings["LINKY_FRAME_TIMEOUT"], 10**9)
    _check_zone(settings["TZ"])
    prm = settings["LINKY_EXPORTER_PRM"] == "1"
    name = settings["LINKY_EXPORTER_NAME"]
    meter = MeterConfig(name, link, "tic", Options(baud=baud, prm=prm), float(timeout))
    zone = [f"TZ={settings['TZ']}: the log is in UTC"] if "TZ" in said else []
    return Dropin(
        Config((meter,)),
        f":{port}",
        lambda runtime: metrics_source(runtime.meters[name], name, prm),
        tuple(f"{key}={value} ({_source(key, given, said)})" for key, value in (settings | said).items()),
        native(meter, f"{{baud: {baud}{', prm: true' if prm else ''}}}", f":{port}", level=level, unsaid=zone),
        level,
        advice=tuple(advice),
    )


def _source(name: str, given: Mapping[str, str], said: Mapping[str, str]) -> str:
    return "argument" if name in given else "environment" if name in said else "default"


def _link(settings: Mapping[str, str], said: Mapping[str, str], advice: list[str]) -> str:
    """Return the link: the device, or the serial line over TCP that the original's container would connect a device to."""
    host, file = (said.get(name, "").partition(",")[0] for name in SOCAT)  # Options of socat may follow.
    if host and _is_address(host):
        return f"tcp://{host}"
    if host:
        advice.append(f"LINKY_SOCAT_HOST: {host!r} is not IP:PORT; LINKY_EXPORTER_INTERFACE is read")
    elif file:
        advice.append("LINKY_SOCAT_FILE: not used without LINKY_SOCAT_HOST")
    link = device(settings["LINKY_EXPORTER_INTERFACE"])
    try:
        parse_url(link)
    except UrlError as error:
        raise UserError(f"LINKY_EXPORTER_INTERFACE: {error}") from None
    return link


def _is_address(text: str) -> bool:
    """Return whether a text is HOST:PORT."""
    try:
        parse_url(f"tcp://{text}")
    except UrlError:
        return False
    return True


def _check_zone(name: str) -> None:
    """Check the time zone. meterline does not use it, but a wrong name ends the original, which ignores case."""
    try:
        zoneinfo.ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        if name.lower() not in map(str.lower, zoneinfo.available_timezones()):
            raise UserError(f"TZ: {name!r} is no time zone; allowed: names such as Europe/Paris") from None


def _level(settings: Mapping[str, str], advice: list[str]) -> str:
    word = settings["LINKY_EXPORTER_LOGLEVEL"]
    if word.upper() not in LEVELS:
        advice.append(f"LINKY_EXPORTER_LOGLEVEL: {word!r} is not known, INFO is used; allowed: {', '.join(LEVELS)}")
    return LEVELS.get(word.upper(), "info")


def _baud(mode: str) -> int:
    if mode.upper() not in MODES:
        raise UserError(f"LINKY_EXPORTER_MODE: {mode!r} is not known; allowed: {', '.join(MODES)}")
    return MODES[mode.upper()]
