"""Parsed texts of a file → frozen dataclasses. All faults are reported at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, Literal, NewType, get_args, get_origin
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from meterline.billing.public_holidays import Holidays, PublicHolidays
from meterline.billing.time_conditions import Clock, Dates, Days, Hours
from meterline.config.labels import Labels, check_name
from meterline.errors import UserError

Lines = NewType("Lines", str)
"""Text of several lines, such as a certificate."""


def structure(document: dict[str, Any], kind: type[Any], place_name: Callable[[str], str] = str) -> Any:
    """Make an instance of a dataclass from parsed texts.

    Args:
        document: Keys and values; every scalar is text.
        kind: The dataclass.
        place_name: Translates a place such as ``meters[0]`` for the user.

    Raises:
        UserError: All faults, one line each, with their places.
    """
    import cattrs

    try:
        return _converter().structure(document, kind)
    except cattrs.BaseValidationError as error:
        faults = cattrs.transform_error(error, path="$", format_exception=_fault)
        raise UserError("\n".join(_place(fault, place_name) for fault in faults)) from None


@cache
def _converter() -> Any:
    """Return the converter for the types of the dataclasses. Cached, since cattrs generates code for each class."""
    import cattrs
    from cattrs.cols import homogenous_tuple_structure_factory

    converter = cattrs.Converter(forbid_extra_keys=True)
    for wanted, hook in _HOOKS.items():
        converter.register_structure_hook(wanted, hook)
    converter.register_structure_hook_factory(
        _is_list, lambda wanted, converter: _list(homogenous_tuple_structure_factory(wanted, converter))
    )
    converter.register_structure_hook_func(_is_choice, _choice)
    converter.register_structure_hook_func(
        lambda wanted: wanted == Holidays, lambda value, _: _holidays(value, converter.structure)
    )
    converter.register_structure_hook_func(lambda wanted: wanted is Any, lambda value, _: value)
    return converter


def _fault(error: BaseException, wanted: type[Any] | None) -> str:
    from cattrs.errors import ForbiddenExtraKeysError

    if isinstance(error, ForbiddenExtraKeysError):
        # Without a space after its colon a key holds its value, which may be a secret.
        unknown = ", ".join(repr(key.partition(":")[0]) for key in sorted(error.extra_fields))
        return f"unknown key {unknown}; allowed: {', '.join(item.name for item in fields(error.cl) if item.init)}"
    if isinstance(error, KeyError):
        return "missing"
    if isinstance(error, AttributeError):  # cattrs has asked the value for its keys.
        return "expected keys and values"
    return str(error)


def _place(fault: str, place_name: Callable[[str], str]) -> str:
    """Reword ``text @ $.meters[0].tariffs.periods[1].price`` as ``meter 'home': tariffs: periods 2: price: text``."""
    text, _, path = fault.rpartition(" @ $")
    places = (re.sub(r"\[(\d+)\]$", lambda match: f" {int(match[1]) + 1}", place_name(place)) for place in path.split("."))
    return ": ".join([*filter(None, places), text])


def _text(value: Any, _: Any) -> str:
    """Strip the space that an editor or a variable has left. No error repeats the text, which may be a secret."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {'nothing' if not value else 'a list' if isinstance(value, list) else 'keys'}")
    if not value.strip():
        raise ValueError("expected text, found nothing")
    if not value.strip().isprintable():
        raise ValueError("holds characters that cannot be printed")
    return value.strip()


def _lines(value: Any, _: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected text: a | after the colon, and the lines indented under it")
    return value


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


def _decimal(value: Any, _: Any) -> Decimal:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError(f"{value!r} is not allowed; allowed: a number such as 0.2146")
    return Decimal(value)


def _day(value: Any, _: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not allowed; allowed: a date such as 2026-02-01") from None


def _zone(value: Any, _: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (OSError, TypeError, ValueError, ZoneInfoNotFoundError):
        raise ValueError(f"{value!r} is not known; allowed: a time zone such as Europe/Paris") from None


def _condition(value: Any, wanted: Any) -> Any:
    """Parse a condition from a text, or from a list of texts that are its parts."""
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("expected text, or a list of texts")
    return wanted.parse(",".join(parts))


def _holidays(value: Any, structured: Callable[[Any, Any], Any]) -> Any:
    """Parse the code of a country, or a list of dates."""
    return PublicHolidays.parse(value) if isinstance(value, str) else structured(value, tuple[date, ...])


def _labels(value: Any, wanted: type[Labels]) -> Labels:
    """Keys and texts. All that is wrong is said at once: of a name beside `labels`, of a text beside its name as well."""
    from cattrs.errors import AttributeValidationNote, ClassValidationError

    if not isinstance(value, dict):
        raise ValueError("expected names and texts, such as {flat: 12, building: north}")
    faults: list[Exception] = []
    found = Labels()
    for name, text in value.items():
        try:
            check_name(name)
        except ValueError as error:
            faults.append(error)
            continue
        try:
            found[name] = _text(text, str)
        except ValueError as error:
            error.add_note(AttributeValidationNote("", name, str))
            faults.append(error)
    if faults:
        raise ClassValidationError("labels", faults, wanted)
    return found


def _is_list(wanted: Any) -> bool:
    return get_origin(wanted) is tuple and get_args(wanted)[1:] == (...,)


def _list(hook: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap cattrs' hook for lists, which also accepts texts and keys."""

    def structured(value: Any, wanted: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"expected a list, found {'keys' if isinstance(value, dict) else 'text'}")
        return hook(value, wanted)

    return structured


def _is_choice(wanted: Any) -> bool:
    return get_origin(wanted) is Literal


def _choice(value: Any, wanted: Any) -> Any:
    if value not in get_args(wanted):
        raise ValueError(f"{value!r} is not allowed; allowed: {', '.join(get_args(wanted))}")
    return value


_NUMBER = re.compile(r"[+-]?\d{1,9}(\.\d{1,9})?", re.ASCII)

_HOOKS: dict[Any, Any] = {
    str: _text,
    Lines: _lines,
    Labels: _labels,
    bool: _truth,
    int: _whole,
    float: _seconds,
    Decimal: _decimal,
    date: _day,
    ZoneInfo: _zone,
    **dict.fromkeys((Clock, Hours, Days, Dates), _condition),
}
