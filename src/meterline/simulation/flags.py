"""Values of the flags of `meterline simulate`, from text. UserError names the flag and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeVar, get_type_hints

from meterline.errors import UserError

Kind = TypeVar("Kind")


def parse_faults(words: Iterable[str], faults: type[Kind]) -> Kind:
    """Turn ``bit-errors=0.001``, ``silence=300/60``, ``silent=yes`` … into an instance of the dataclass `faults`."""
    kinds = get_type_hints(faults)
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        key = name.replace("-", "_")
        if key not in kinds:
            raise UserError(f"--fault {word}: {name!r} is not known; known: {', '.join(kinds).replace('_', '-')}")
        values[key] = _parse_fault(word, kinds[key], text)
    return faults(**values)


def _parse_fault(word: str, kind: Any, text: str) -> Any:
    if kind is bool:
        if text not in ("yes", "no"):
            raise UserError(f"--fault {word}: expected yes or no")
        return text == "yes"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise UserError(f"--fault {word}: expected a number") from None
    return parse_period(f"--fault {word.partition('=')[0]}", text)


def parse_period(flag: str, text: str) -> tuple[int, int]:
    """Turn ``300/60``, the last 60 seconds of every 300, into two numbers."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match or not 0 < int(match[2]) <= int(match[1]):
        raise UserError(f"{flag} {text}: expected PERIOD/LENGTH in seconds, such as 300/60")
    return int(match[1]), int(match[2])


def parse_factor(flag: str, factor: float) -> float:
    """Return the factor, which must be above 0."""
    if not factor > 0:
        raise UserError(f"{flag} {factor:g}: expected a factor above 0")
    return factor


def parse_count(flag: str, count: int, most: int) -> int:
    """Return the count, which must be from 0 to `most`."""
    if not 0 <= count <= most:
        raise UserError(f"{flag} {count}: expected a number from 0 to {most}")
    return count
