"""Adapter of the Linky exporter that is configured by a JSON file.

An environment variable overrides each key: its path in capitals, joined by `_`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

from meterline.billing.tariff import Period, Standing, Tariffs
from meterline.compat import linky_exporter
from meterline.compat.adapter import Dropin, Help, assigned, device, native
from meterline.compat.linky_json_page import INDEXES, Settings, metrics_source
from meterline.config.schema import Config, MeterConfig
from meterline.errors import UserError
from meterline.link.url import parse_url
from meterline.protocols.tic import Options

RATES = "indexwhrates"
LEVELS = {"DEBUG": "debug", "INFO": "info", "WARNING": "warn", "ERROR": "error", "FATAL": "error"}
SPEEDS = (300, 600, 1200, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200)
UNITS = {"Wh": Decimal(1), "kWh": Decimal(1000)}
BEGIN = date(1970, 1, 1)
"""Start of the only price: the original has no dates."""
PER_KWH_FROM = Decimal("0.01")
"""Euros: a rate from here on is for a kWh, a lower one for a Wh."""
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)[:60]


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected text, found {_shown(value)}")
    if not value.strip().isprintable():
        raise ValueError(f"{_shown(value)} holds characters that cannot be printed")
    return value.strip()


def _link(value: object) -> str:
    link = device(_text(value))
    parse_url(link)
    return link


def _namespace(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("([a-zA-Z_:][a-zA-Z0-9_:]*)?", value):
        raise ValueError(f"{_shown(value)} is not allowed; allowed: letters, digits, _ and :, such as linky")
    return value


def _choice(known: Mapping[str, object]) -> Callable[[object], str]:
    """Return a check that accepts one of these words in any case."""
    words = {word.lower(): word for word in known}

    def read(value: object) -> str:
        found = words.get(_text(value).lower())
        if found is None:
            raise ValueError(f"{_shown(value)} is not known; allowed: {', '.join(known)}")
        return found

    return read


def _number(lowest: int, highest: int, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"expected a number, found {_shown(value)}")
    if not lowest <= value <= highest:
        raise ValueError(f"{str(value)[:60]} is not allowed; allowed: a number from {lowest} to {highest}")
    return Decimal(value)


def _whole(lowest: int, highest: int, value: object) -> int:
    found = _number(lowest, highest, value)
    if found != int(found):
        raise ValueError(f"{str(value)[:60]} is not allowed; allowed: a whole number from {lowest} to {highest}")
    return int(found)


def _speed(value: object) -> int:
    if (speed := _whole(0, 10**9, value)) not in SPEEDS:
        raise ValueError(f"{speed} is not allowed; allowed: {', '.join(map(str, SPEEDS))}")
    return speed


class Key(NamedTuple):
    """A key of the file.

    Attributes:
        default: Its default.
        read: Checks and converts its value; raises ValueError with a text for people.
    """

    default: Any
    read: Callable[[Any], Any]


KEYS = {
    "device": Key("/dev/serial0", _link),
    "baudrate": Key(1200, _speed),
    "name": Key("linky-exporter", _text),
    "loop.interval": Key(Decimal(240), partial(_number, 1, 86_400)),
    "contract.monthlyrate": Key(Decimal(0), partial(_number, 0, 10**6)),
    "contract.timestart": Key(Decimal(0), partial(_number, 0, 10**10)),
    **{f"{RATES}.{index}": Key(Decimal(0), partial(_number, 0, 1000)) for index in INDEXES},
    "prometheus.port": Key(9100, partial(_whole, 0, 65_535)),
    "prometheus.namespace": Key("linky", _namespace),
    "linky.checksummethod": Key(1, partial(_whole, 1, 2)),
    "logging.level": Key("WARNING", _choice(LEVELS)),
    "rateunit": Key(None, _choice(UNITS)),
}
"""Path → default and check."""
_FILE = linky_exporter.JSON_FILE
HELP = f"""\
usage: linky-exporter [--config FILE] [NAME=VALUE ...]

Stands in for the Linky exporter that is set up by a JSON file (default {_FILE}). Its keys, which are also variables:
  {", ".join(KEYS)}"""
SECTIONS = {key.partition(".")[0] for key in KEYS if "." in key}


def adapt(words: Sequence[str], environment: Mapping[str, str]) -> Dropin:
    """Convert the settings. Arguments override variables, variables override the file; blank values count as not set.

    Args:
        words: Arguments: ``NAME=VALUE`` and ``--config FILE``.
        environment: The environment variables.

    Raises:
        UserError: A setting is not valid. The text names file or variable, key and reason.
    """
    if {"-h", "-help", "--help"} & set(words):
        raise Help(HELP)
    said, words = assigned(words, [_variable(key) for key in KEYS])
    environment = {**environment, **said}
    given = _config_file(words)
    path = given or linky_exporter.JSON_FILE
    file, strange = _file(path, given is not None)
    values, sources = {}, {}
    for key in KEYS:
        values[key], sources[key] = _value(key, path, file or {}, environment)
    settings = _settings(values, sources)
    address = f":{values['prometheus.port']}"
    per_kwh = {index: 1000 * rate / UNITS[_unit(rate, values["rateunit"])] for index, rate in settings.rates.items()}
    tariffs = _tariffs(per_kwh, settings.monthly)
    level = LEVELS[values["logging.level"]]
    meter = MeterConfig(settings.name, values["device"], "tic", Options(baud=values["baudrate"]), tariffs=tariffs)
    return Dropin(
        Config((meter,)),
        address,
        lambda runtime: metrics_source(runtime.meters[settings.name], runtime.books, settings),
        (
            f"{path}: {'read' if file is not None else 'not there'}",
            *(f"{key}={value} ({sources[key]})" for key, value in values.items() if _worth_saying(key, sources[key])),
        ),
        native(meter, f"{{baud: {values['baudrate']}}}", address, level=level, unsaid=_unsaid(values))
        + _native(per_kwh, settings.monthly),
        level,
        advice=(*strange, *_unknown_rates(environment), *_units(settings.rates, values["rateunit"])),
    )


def _config_file(words: Sequence[str]) -> str | None:
    """Return the file that the arguments name; None if they name none."""
    waiting, path = list(words), None
    while waiting:
        name, equals, path = waiting.pop(0).partition("=")
        if name != "--config":
            raise UserError(f"{name!r}: not known; this exporter takes variables, and --config FILE")
        if not equals:
            path = waiting.pop(0) if waiting else ""
        if not path:
            raise UserError("--config: needs a file")
    return path


def _file(path: str, needed: bool) -> tuple[dict[str, Any] | None, list[str]]:
    """Read the file. Returns its values by path, and advice, one line each; None: there is no file, and none is needed."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file, parse_float=Decimal, parse_constant=_no_constant)
    except FileNotFoundError as error:
        if not needed:
            return None, []
        raise UserError(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: expected keys and values in braces, found {_shown(document)}")
    values = {}
    for key, value in document.items():
        if key not in SECTIONS:
            values[key] = value
        elif isinstance(value, dict):
            values |= {f"{key}.{inner}": item for inner, item in value.items()}
        else:
            raise UserError(f"{path}: {key}: expected keys and values in braces, found {_shown(value)}")
    return values, [f"{path}: {key}: unknown key, not used{_known(key)}" for key in values if key not in KEYS]


def _known(unknown: str) -> str:
    """Return the known keys of the section of an unknown key, as a part of the advice."""
    section = unknown.rpartition(".")[0] + "." * ("." in unknown)
    known = [key for key in KEYS if key.rpartition(".")[0] + "." * ("." in key) == section]
    return f"; known: {', '.join(known)}" if known else ""


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _variable(key: str) -> str:
    return key.upper().replace(".", "_")


def _value(key: str, path: str, file: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[Any, str]:
    """Return the value of a key, and its origin."""
    variable = _variable(key)
    text = environment.get(variable, "").strip()
    try:
        if text:
            numeric = not isinstance(KEYS[key].default, str | None) and _NUMBER.fullmatch(text)
            return KEYS[key].read(Decimal(text) if numeric else text), f"variable {variable}"
        if key in file:
            return KEYS[key].read(file[key]), "file"
    except ValueError as error:
        raise UserError(f"{variable if text else f'{path}: {key}'}: {error}") from None
    return KEYS[key].default, "default"


def _settings(values: Mapping[str, Any], sources: Mapping[str, str]) -> Settings:
    rates = {index: values[key] for index in INDEXES if sources[key := f"{RATES}.{index}"] != "default"}
    return Settings(
        name=values["name"],
        namespace=values["prometheus.namespace"],
        interval=float(values["loop.interval"]),
        timestart=float(values["contract.timestart"]),
        checksum_method=values["linky.checksummethod"],
        monthly=values["contract.monthlyrate"],
        rates=rates,
    )


def _tariffs(per_kwh: dict[str, Decimal], monthly: Decimal) -> Tariffs:
    """Make the tariffs. Every register has a price, as in the original: 0 without a configured rate."""
    registers = dict.fromkeys(INDEXES, Decimal(0)) | per_kwh
    return Tariffs("EUR", (Period(BEGIN, registers=registers, standing=Standing(monthly, "month")),))


def _native(per_kwh: dict[str, Decimal], monthly: Decimal) -> str:
    """Return the tariffs as YAML for a meterline configuration; empty without any price."""
    if not any((*per_kwh.values(), monthly)):
        return ""
    prices = ", ".join(f"{index}: {rate.normalize():f}" for index, rate in per_kwh.items() if rate) or "BASE: 0"
    lines = [
        "    tariffs:",
        "      currency: EUR",
        "      periods:",
        "        - since: 1970-01-01",
        f"          registers: {{{prices}}}",
        *([f"          standing: {{amount: {monthly.normalize():f}, per: month}}"] if monthly else []),
    ]
    return "\n".join(lines) + "\n"


def _unsaid(values: Mapping[str, Any]) -> list[str]:
    """Return the settings without an equivalent in a meterline configuration."""
    why = {
        "loop.interval": "values are shown as the meter says them",
        "contract.timestart": "the registers carry no time of their begin",
        "prometheus.namespace": "families are named smartmeter_",
        "linky.checksummethod": "the line decides",
    }
    return [f"{key}={values[key]}: {reason}" for key, reason in why.items() if values[key] != KEYS[key].default]


def _unit(rate: Decimal, chosen: str | None) -> str:
    return chosen or ("Wh" if rate < PER_KWH_FROM else "kWh")


def _units(rates: Mapping[str, Decimal], chosen: str | None) -> list[str]:
    """Return advice about the assumed unit of the rates, if none is configured."""
    lines = []
    for unit in UNITS if not chosen else ():
        indexes = [index for index, rate in rates.items() if rate and _unit(rate, None) == unit]
        if indexes:
            side = "below" if unit == "Wh" else "not below"
            why = f"being {side} {PER_KWH_FROM}; the key rateunit settles it"
            lines.append(f"{RATES}: {', '.join(indexes)}: taken as euros per {unit}, {why}")
    return lines


def _unknown_rates(environment: Mapping[str, str]) -> list[str]:
    known = {_variable(key) for key in KEYS}
    prefix = f"{RATES.upper()}_"
    return [f"{name}: unknown index, not used" for name in environment if name.startswith(prefix) and name not in known]


def _worth_saying(key: str, source: str) -> bool:
    return source != "default" or not key.startswith((f"{RATES}.", "rateunit"))
