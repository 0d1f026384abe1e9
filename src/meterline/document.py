"""A YAML file → texts → frozen dataclasses. An error names the place; nothing of a value that may be a secret is repeated."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, Literal, NewType, get_args, get_origin

from meterline.errors import UserError

Lines = NewType("Lines", str)
"""Text of several lines, such as a certificate."""


def read(path: str) -> Any:
    """What a file holds, every scalar as text; {} where it holds nothing. UserError names the file and the line."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            # Every scalar stays text: an unquoted ID of digits must never become a number.
            return yaml.load(file, Loader=yaml.BaseLoader) or {}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error
    except RecursionError:
        raise UserError(f"{path}: brackets in brackets, too deep to be a configuration") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        # A text that begins with an asterisk is taken for a name, and repeated; it may be a secret.
        problem = re.sub(
            r"alias .*", "alias; a text that begins with * needs quotes", getattr(error, "problem", None) or "not YAML"
        )
        raise UserError(f"{path}: {where}{problem}") from None


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def substitute(value: Any) -> Any:
    """``${NAME}`` in every text becomes the environment's NAME: in parsed texts, never in the raw file."""
    if isinstance(value, dict):
        return {key: substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item) for item in value]
    return _VARIABLE.sub(_from_environment, value) if isinstance(value, str) else value


def _from_environment(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise UserError(f"${{{match[1]}}}: no such variable in the environment") from None


def within(place: str, error: UserError) -> UserError:
    """The same faults, each with the place in front."""
    return UserError("\n".join(place + line for line in str(error).splitlines()))


def typed(document: dict[str, Any], kind: type[Any], words: Callable[[str], str] = str) -> Any:
    """An instance of the dataclass `kind`. UserError: every fault with its place, in the caller's `words`, a line each."""
    import cattrs

    try:
        return _converter().structure(document, kind)
    except cattrs.BaseValidationError as error:
        faults = cattrs.transform_error(error, path="$", format_exception=_fault)
        raise UserError("\n".join(_place(fault, words) for fault in faults)) from None


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


def _place(fault: str, words: Callable[[str], str]) -> str:
    """``text @ $.meters[0].link`` → ``meter 'home': link: text``."""
    text, _, path = fault.rpartition(" @ $")
    return ": ".join([*filter(None, map(words, path.split("."))), text])


def _text(value: Any, _: Any) -> str:
    """Without what an editor or a variable left around it. The errors do not repeat it: it may be a secret."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, found {'nothing' if not value else 'a list' if isinstance(value, list) else 'keys'}")
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


def _is_choice(wanted: Any) -> bool:
    return get_origin(wanted) is Literal


def _choice(value: Any, wanted: Any) -> Any:
    if value not in get_args(wanted):
        raise ValueError(f"{value!r} is not allowed; allowed: {', '.join(get_args(wanted))}")
    return value


_HOOKS: dict[Any, Any] = {Lines: _lines, str: _text, bool: _truth, int: _whole, float: _seconds}
