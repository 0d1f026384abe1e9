"""What to read and how: from a YAML file or the command line, into frozen classes. An error names file, meter and key."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin
from urllib.parse import parse_qs, urlsplit

from meterline.errors import UserError
from meterline.protocols import PROTOCOLS


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One meter: its name (the label `meter`), where it is, and how to read it."""

    name: str
    link: str
    protocol: str | None = None
    options: Any = None
    """The protocol's `Options`; None where the protocol is detected."""
    stale_after: float | None = None
    """Seconds without confirmation until a value disappears; None: the runtime's default."""


@dataclass(frozen=True, slots=True)
class Config:
    """Everything in the file."""

    meters: tuple[MeterConfig, ...]


def single(link: str) -> Config:
    """The configuration of `meterline run LINK`: one meter, all of it detected."""
    complaint = check_link(link)
    if complaint:
        raise UserError(complaint)
    return Config((MeterConfig(default_name(link), link),))


def default_name(link: str) -> str:
    """A short name for a link that was given none: ttyUSB0, the host of a bridge, the name of a capture."""
    parts = urlsplit(link)
    if parts.scheme == "tcp":
        return parts.hostname or link
    name = os.path.basename(parts.path).removesuffix(".bin") or link
    return name.encode("utf-8", "replace").decode("utf-8")  # a file's name may hold any byte, a label may not


def check_link(link: str) -> str | None:
    """What is wrong with a link's URL, or None."""
    try:
        parts = urlsplit(link)
        host, port = parts.hostname, parts.port if parts.scheme == "tcp" else None
        (host or "").encode("idna")
    except ValueError as error:
        wrong = "the port must be a number from 1 to 65535" if "ort" in str(error) else "not a name or address of a host"
        return f"link {link!r}: {wrong}"
    if parts.scheme == "":
        return None if link.startswith("/") else f"link {link!r}: a device begins with /, such as /dev/ttyUSB0"
    if parts.scheme == "file":
        pace = parse_qs(parts.query).get("baud", ["9600"])[0]
        return None if pace.isdigit() and int(pace) > 0 else f"link {link!r}: baud must be a whole number"
    if parts.scheme == "tcp":
        return None if host and port else f"link {link!r}: expected tcp://host:port"
    return f"link {link!r}: {parts.scheme}:// is not known; use a device, tcp://host:port or file:PATH"


def load(path: str) -> Config:
    """Read and check a file. UserError names the file, the meter and the key."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            # Every scalar stays text: an unquoted ID of digits must never become a number.
            document = yaml.load(file, Loader=yaml.BaseLoader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{path}: {where}{getattr(error, 'problem', None) or 'not YAML'}") from error
    try:
        return _config(_substitute(document or {}))
    except UserError as error:
        raise _within(f"{path}: ", error) from None


def _config(document: Any) -> Config:
    """The typed configuration; everything that is wrong with it, a line each, as one UserError."""
    entries = document.get("meters", []) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError("expected 'meters:' and under it a list of meters, each with '- name: …' and 'link: …'")
    config: Config = _structure(document, Config, [f"meter {entry.get('name', n)!r}" for n, entry in enumerate(entries, 1)])
    if not config.meters:
        raise UserError("meters: expected a list with at least one meter (- name: …)")
    for name, times in Counter(meter.name for meter in config.meters).items():
        if times > 1:
            raise UserError(f"meters: two meters with the name {name!r}; each needs its own")
    meters = tuple(_with_options(meter) for meter in config.meters)
    _check_sharing(meters)
    return Config(meters)


def _check_sharing(meters: tuple[MeterConfig, ...]) -> None:
    """A link has one meter, unless its protocol can ask several in turn."""
    known: dict[str, dict[Any, MeterConfig]] = {}
    for meter in meters:
        others = known.setdefault(meter.link, {})
        option = PROTOCOLS[meter.protocol].TOLD_APART_BY if meter.protocol else None
        for other in others.values():
            if option is None or meter.protocol != other.protocol:
                pair = f"meters {other.name!r} and {meter.name!r}"
                raise UserError(f"{pair}: two meters with the link {meter.link!r}; each needs its own")
        whose = getattr(meter.options, option) if option else None
        if whose in others:
            raise UserError(f"meters {others[whose].name!r} and {meter.name!r}: the same link and the same {option}")
        others[whose] = meter


def _with_options(meter: MeterConfig) -> MeterConfig:
    """The same with its options typed by its protocol, and its link checked."""
    where = f"meter {meter.name!r}: "
    complaint = check_link(meter.link)
    if complaint:
        raise UserError(where + complaint)
    if meter.protocol is None:
        if meter.options is not None:
            raise UserError(f"{where}options: they need 'protocol:' ({', '.join(PROTOCOLS)}) beside them")
        return meter
    if meter.protocol not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise UserError(f"{where}protocol: {meter.protocol!r} is not known; allowed: {known}, or left out")
    options = {} if meter.options is None else meter.options
    if not isinstance(options, dict):
        raise UserError(f"{where}options: expected keys and values, such as {{baud: 1200}}")
    try:
        return replace(meter, options=_structure(options, PROTOCOLS[meter.protocol].Options, []))
    except UserError as error:
        raise _within(f"{where}options: ", error) from None


def _within(place: str, error: UserError) -> UserError:
    """The same faults, each with the place in front."""
    return UserError("\n".join(place + line for line in str(error).splitlines()))


def _structure(document: dict[str, Any], kind: type[Any], meters: list[str]) -> Any:
    """An instance of the dataclass `kind`. UserError: every fault with its place, a line each."""
    import cattrs

    try:
        return _converter().structure(document, kind)
    except cattrs.BaseValidationError as error:
        faults = cattrs.transform_error(error, path="$", format_exception=_fault)
        raise UserError("\n".join(_place(fault, meters) for fault in faults)) from None


@cache
def _converter() -> Any:
    """Texts → the types of our dataclasses. Made once: it writes code for each class that it meets."""
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True)
    for wanted, hook in _HOOKS.items():
        converter.register_structure_hook(wanted, hook)
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_func(lambda wanted: wanted is Any, lambda value, _: value)
    return converter


def _fault(error: BaseException, wanted: type[Any] | None) -> str:
    from cattrs.errors import ForbiddenExtraKeysError

    if isinstance(error, ForbiddenExtraKeysError):
        # Without a space after its colon a key holds its value, which may be a secret.
        unknown = ", ".join(repr(key.partition(":")[0]) for key in sorted(error.extra_fields))
        return f"unknown key {unknown}; allowed: {', '.join(item.name for item in fields(error.cl))}"
    if isinstance(error, KeyError):
        return "missing"
    return str(error)


def _place(fault: str, meters: list[str]) -> str:
    """``text @ $.meters[0].link`` → ``meter 'home': link: text``."""
    text, _, path = fault.rpartition(" @ $")
    places = [re.sub(r"^meters\[(\d+)\]$", lambda match: meters[int(match[1])], place) for place in path.split(".")]
    return ": ".join([*filter(None, places), text])


def _text(value: Any, _: Any) -> str:
    """Without what an editor or a variable left around it. The errors do not repeat it: it may be a secret."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, found {'nothing' if not value else 'a list' if isinstance(value, list) else 'keys'}")
    if not value.strip().isprintable():
        raise ValueError("holds characters that cannot be printed")
    return value.strip()


def _truth(value: Any, _: Any) -> bool:
    if value not in ("true", "false"):
        raise ValueError(f"{value!r} is not allowed; allowed: true, false")
    return bool(value == "true")


def _whole(value: Any, _: Any) -> int:
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or int(value) == 0:
        raise ValueError(f"{value!r} is not allowed; allowed: a whole number above 0")
    return int(value)


def _seconds(value: Any, _: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{value!r} is not allowed; allowed: seconds above 0, such as 10")
    return seconds


def _is_choice(wanted: Any) -> bool:
    return get_origin(wanted) is Literal


def _choice(value: Any, wanted: Any) -> Any:
    if value not in get_args(wanted):
        raise ValueError(f"{value!r} is not allowed; allowed: {', '.join(get_args(wanted))}")
    return value


_HOOKS: dict[Any, Any] = {str: _text, bool: _truth, int: _whole, float: _seconds}


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _substitute(value: Any) -> Any:
    """``${NAME}`` in every text becomes the environment's NAME: in parsed texts, never in the raw file."""
    if isinstance(value, dict):
        return {key: _substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(item) for item in value]
    return _VARIABLE.sub(_from_environment, value) if isinstance(value, str) else value


def _from_environment(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise UserError(f"${{{match[1]}}}: no such variable in the environment") from None
