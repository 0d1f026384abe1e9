"""What to look at where a meter does not speak: one file a subject. Each check gives findings, and prints nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Level: TypeAlias = Literal["ok", "warning", "fault"]


class Finding(NamedTuple):
    """One thing that was looked at. `remedy`: the command to type or the line to write, where something is wrong."""

    level: Level
    what: str
    remedy: str = ""


def ok(what: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", what)


def warning(what: str, remedy: str = "") -> Finding:
    """It works, or may well; it could be better."""
    return Finding("warning", what, remedy)


def fault(what: str, remedy: str = "") -> Finding:
    """No meter is read like that."""
    return Finding("fault", what, remedy)
