"""Timestamps and switching profiles of standard mode → Unix seconds.

A timestamp is ``SYYMMDDhhmmss``: the season letter fixes the offset (H/h winter, UTC+1; E/e summer, UTC+2), so that even the
hour that repeats in October is unambiguous. Announced peaks carry a space: legal time of Europe/Paris.
⚠ Overseas territories use other offsets, which no source gives: read as if in Paris. Source: 54E, the section on timestamps.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_OFFSETS = {
    "H": timezone(timedelta(hours=1)),
    "h": timezone(timedelta(hours=1)),
    "E": timezone(timedelta(hours=2)),
    "e": timezone(timedelta(hours=2)),
}


@cache
def _paris() -> tzinfo:
    return ZoneInfo("Europe/Paris")


def moment(timestamp: str) -> datetime:
    """The instant of a timestamp that the label table let pass."""
    year, month, day, hour, minute, second = (int(timestamp[at : at + 2]) for at in range(1, 13, 2))
    zone = _OFFSETS.get(timestamp[0]) or _paris()
    return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)


class Switch(NamedTuple):
    """One block of a profile: from this time of day on."""

    hour: int
    minute: int
    tariff: int | None
    """Number of the supplier's register; None: as before."""
    contact: bool | None
    """The dry contact closes (True) or opens (False); None: as before, or as the Tempo configuration says."""


def profile(blocks: str) -> list[Switch | None]:
    """PJOURF+1 or PPOINTE: eleven blocks ``hhmmSSSS``; None for an unused one. SSSS: 54E, the table of the actions."""
    switches: list[Switch | None] = []
    for block in blocks.split(" "):
        if block == "NONUTILE":
            switches.append(None)
            continue
        action = int(block[4:], 16)
        tariff, contact = action & 0b1111, action >> 14
        switches.append(
            Switch(
                int(block[:2]),
                int(block[2:4]),
                tariff if 1 <= tariff <= 10 else None,
                {0b10: False, 0b11: True}.get(contact),
            )
        )
    return switches


def on_day(day: datetime, switch: Switch) -> datetime:
    """The instant at which the switch happens on the legal day (Paris) of `day`."""
    return datetime(day.year, day.month, day.day, switch.hour, switch.minute, tzinfo=_paris())


def day_after(day: datetime) -> datetime:
    """Any instant on the next legal day (noon)."""
    return datetime(day.year, day.month, day.day, 12) + timedelta(days=1)
