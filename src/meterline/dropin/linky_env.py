"""The Linky exporter that is set up by environment variables `LINKY_EXPORTER_…`."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Any

from meterline.config import Config, MeterConfig, check_link
from meterline.dropin import Dropin, native, whole
from meterline.dropin.linky_env_page import face
from meterline.errors import UserError
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
LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "WARN": "warn", "ERROR": "error", "CRITICAL": "error"}
MODES = {"HISTORIQUE": 1200, "STANDARD": 9600}


def adapt(words: Sequence[str], environment: Mapping[str, str]) -> Dropin:
    """From the environment alone. UserError names the variable."""
    if words:
        raise UserError(f"linky-exporter: {words[0]!r}: this exporter takes environment variables, and no arguments")
    settings = {name: environment.get(name, "").strip() or default for name, default in DEFAULTS.items()}
    link = settings["LINKY_EXPORTER_INTERFACE"]
    if complaint := check_link(link):
        raise UserError(f"LINKY_EXPORTER_INTERFACE: {complaint}")
    level = _chosen("LINKY_EXPORTER_LOGLEVEL", settings, LEVELS)
    baud = _chosen("LINKY_EXPORTER_MODE", settings, MODES)
    port = whole("LINKY_EXPORTER_PORT", settings["LINKY_EXPORTER_PORT"], 65_535)
    timeout = whole("LINKY_FRAME_TIMEOUT", settings["LINKY_FRAME_TIMEOUT"], 86_400)
    try:
        zoneinfo.ZoneInfo(settings["TZ"])
    except (KeyError, ValueError, OSError):
        raise UserError(f"TZ: {settings['TZ']!r} is no time zone; allowed: names such as Europe/Paris") from None
    prm = settings["LINKY_EXPORTER_PRM"] == "1"
    name = settings["LINKY_EXPORTER_NAME"]
    meter = MeterConfig(name, link, "tic", Options(baud=baud, prm=prm), float(timeout))
    return Dropin(
        Config((meter,)),
        f":{port}",
        lambda runtime: face(runtime.meters[name], name, prm),
        tuple(f"{key}={value} ({_source(key, environment)})" for key, value in settings.items()),
        native(name, link, "tic", f"{{baud: {baud}{', prm: true' if prm else ''}}}", f":{port}", timeout),
        level,
    )


def _source(name: str, environment: Mapping[str, str]) -> str:
    return "environment" if environment.get(name, "").strip() else "default"


def _chosen(name: str, settings: Mapping[str, str], known: Mapping[str, str] | Mapping[str, int]) -> Any:
    try:
        return known[settings[name].upper()]
    except KeyError:
        raise UserError(f"{name}: {settings[name]!r} is not known; allowed: {', '.join(known)}") from None
