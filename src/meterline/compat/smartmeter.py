"""Adapter of the B-route exporter `smartmeter-exporter`: flags in the form of Go, variables `SMARTMETER_…`, defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address

from meterline.compat.adapter import Dropin, Help, device, native, whole
from meterline.compat.smartmeter_page import metrics_source
from meterline.config.schema import Config, MeterConfig
from meterline.errors import UserError
from meterline.link.url import UrlError, parse_url
from meterline.protocols.broute import skstack
from meterline.protocols.broute.options import CHANNEL, SHORTEST_INTERVAL, Options

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
STYLES = {"text": "logfmt", "logfmt": "logfmt", "json": "json"}
HELP = f"""\
usage: smartmeter-exporter [-FLAG VALUE ...]

Stands in for the B-route exporter of that name. Each flag is also a variable, SMARTMETER_ and the flag in capitals:
  {", ".join("-" + flag for flag in DEFAULTS)}
SMARTMETER_LOG_FORMAT is text or json."""


def adapt(words: Sequence[str], environment: Mapping[str, str]) -> Dropin:
    """Convert the settings. Flags override variables. Blank values count as not set: compose files pass unset variables so.

    A setting that the original accepts and meterline cannot use becomes advice.

    Args:
        words: Arguments.
        environment: The environment variables.

    Raises:
        UserError: A setting is not valid, or ID or password is missing.
    """
    advice: list[str] = []
    given = _flags(words, advice)
    settings, sources = {}, {}
    for flag, default in DEFAULTS.items():
        variable = environment.get(f"SMARTMETER_{flag.upper()}", "").strip()
        settings[flag] = given.get(flag, "").strip() or variable or default
        sources[flag] = "flag" if given.get(flag, "").strip() else "environment" if variable else "default"
    for flag in SECRETS:
        if not settings[flag]:
            raise UserError(f"-{flag} (or SMARTMETER_{flag.upper()}) is required", 1)
    style = _style(environment.get("SMARTMETER_LOG_FORMAT", "").strip(), advice)
    link = device(settings["device"])
    try:
        parse_url(link)
    except UrlError as error:
        raise UserError(f"-device: {error}") from None
    level = _level(settings["verbosity"], sources["verbosity"], advice)
    options = _options(settings, advice)
    meter = MeterConfig(NAME, link, "broute", options)
    address = f":{whole('-port', settings['port'], 65_535)}"
    return Dropin(
        Config((meter,)),
        address,
        lambda runtime: metrics_source(runtime.meters[NAME], options.interval),
        tuple(f"-{flag}={_shown(flag, value)} ({sources[flag]})" for flag, value in settings.items()),
        native(meter, _native(options), address, level=level, style=style),
        level,
        style,
        tuple(advice),
        secret_flags=tuple(flag for flag in SECRETS if sources[flag] == "flag"),
    )


def _flags(words: Sequence[str], advice: list[str]) -> dict[str, str]:
    """Parse flags as Go does: one dash or two, ``-flag value`` or ``-flag=value``; ``-dse`` alone is true.

    The first argument that is no flag ends the flags.
    """
    given: dict[str, str] = {}
    waiting = list(words)
    while waiting and re.match("-.", waiting[0]) and waiting[0] != "--":
        word = waiting.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if word in ("-h", "--h", "-help", "--help"):
            raise Help(HELP)
        if not re.match("--?[a-z]", word) or name not in DEFAULTS:
            raise UserError(f"{word.partition('=')[0]}: not a flag; known: {', '.join('-' + flag for flag in DEFAULTS)}")
        if not equals and name == "dse":
            value = "true"
        elif not equals:
            if not waiting:
                raise UserError(f"-{name}: needs a value")
            value = waiting.pop(0)
        given[name] = value
    if waiting and waiting != ["--"]:
        # The words themselves are not repeated: one of them may be the password.
        lost = [word.partition("=")[0] for word in waiting if re.match("--?[a-z]", word)]
        flags = f", so not {', '.join(lost)}" if lost else ""
        advice.append(f"argument {len(words) - len(waiting) + 1} is not a flag: it and what follows is not used{flags}")
    if given.get("dse", "true") not in (*_TRUE, *_FALSE):
        raise UserError(f"-dse: {given['dse']!r} is not allowed; allowed: true, false")
    return given


def _style(text: str, advice: list[str]) -> str:
    if text and text.lower() not in STYLES:
        advice.append(f"SMARTMETER_LOG_FORMAT: {text!r} is not known, text is used; allowed: text, json")
    return STYLES.get(text.lower(), "logfmt")


def _interval(text: str, advice: list[str]) -> float:
    if re.fullmatch(r"\+?[0-9]{1,9}", text, re.ASCII) and int(text) >= SHORTEST_INTERVAL:
        return float(text)
    advice.append(f"-interval: {text!r} is not a whole number of {SHORTEST_INTERVAL:.0f} or more; 60 is used")
    return 60.0


def _level(verbosity: str, source: str, advice: list[str]) -> str:
    """Return the log level: 0: error, 1: info, 2 and more: debug. As in the original, only a flag must be a number."""
    if not re.fullmatch("[+-]?[0-9]+", verbosity, re.ASCII):
        if source == "flag":
            raise UserError(f"-verbosity: {verbosity!r} is not a whole number")
        advice.append(f"SMARTMETER_VERBOSITY: {verbosity!r} is not a whole number; 1 is used")
        return "info"
    return "error" if int(verbosity) <= 0 else "info" if int(verbosity) == 1 else "debug"


def _options(settings: Mapping[str, str], advice: list[str]) -> Options:
    """Make the options. Channel and address, which holds the MAC, shorten the scan if they are valid."""
    if settings["dse"]:
        advice.append("-dse is not needed: the module's edition is found out")
    channel, address = settings["channel"], settings["ipaddr"]
    mac = _mac(address)
    if address and not mac:
        advice.append(f"-ipaddr: {address!r} is not used: it is no link-local IPv6 address such as FE80:0000:0000:0000:…")
    if channel and not re.fullmatch(CHANNEL, channel, re.IGNORECASE):
        advice.append(f"-channel: {channel!r} is not used, all are searched; allowed: 21 to 3C")
        channel = ""
    interval = _interval(settings["interval"], advice)
    try:
        return Options(id=settings["id"], password=settings["password"], interval=interval, channel=channel or None, mac=mac)
    except ValueError as error:
        raise UserError(f"-{error}", 1) from None


def _mac(address: str) -> str | None:
    """Return the MAC address of a link-local address in any notation; None if it is none."""
    try:
        return skstack.mac_of(IPv6Address(address.partition("%")[0]).exploded)
    except ValueError:
        return None


def _shown(flag: str, value: str) -> str:
    return "(masked)" if flag in SECRETS else value


def _native(options: Options) -> str:
    radio = "".join(f', {key}: "{value}"' for key in ("channel", "mac") if (value := getattr(options, key)))
    return f'{{id: "${{SMARTMETER_ID}}", password: "${{SMARTMETER_PASSWORD}}", interval: {options.interval:g}{radio}}}'
