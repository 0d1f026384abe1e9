"""Timestamps and switching profiles of standard mode.

A timestamp is ``SYYMMDDhhmmss``. The season letter fixes the offset (H/h winter, UTC+1; E/e summer, UTC+2), so that even the
hour that repeats in October is unambiguous. The timestamps of announced peaks have a space in its place: legal time of
Europe/Paris. Source: 54E, the section on timestamps.
⚠ Overseas territories use other offsets, which no source gives: their timestamps are read as if in Paris.
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


def parse_timestamp(timestamp: str) -> datetime:
    """The instant of a timestamp that its pattern (`fields`) let pass, with its offset."""
    year, month, day, hour, minute, second = (int(timestamp[at : at + 2]) for at in range(1, 13, 2))
    zone = _OFFSETS.get(timestamp[0]) or _paris()
    return datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)


def unix_seconds(timestamp: str) -> int:
    """The Unix time of a timestamp that its pattern let pass."""
    return int(parse_timestamp(timestamp).timestamp())


class Switch(NamedTuple):
    """One block of a switching profile: the state from this time of the day on."""

    hour: int
    minute: int
    tariff: int | None
    """Number of the supplier's register; None: as before."""
    contact: bool | None
    """The dry contact closes (True) or opens (False); None: as before, or as the Tempo configuration says."""


def parse_profile(blocks: str) -> list[Switch | None]:
    """The switches of PJOURF+1 or PPOINTE.

    Args:
        blocks: Eleven blocks, each ``hhmmSSSS`` or ``NONUTILE``. SSSS: 54E, the table of the actions.

    Returns:
        Eleven items; None for a block that is not used.
    """
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


def switch_instant(day: datetime, switch: Switch) -> datetime:
    """The instant of a switch on the legal day (Paris) of `day`."""
    return datetime(day.year, day.month, day.day, switch.hour, switch.minute, tzinfo=_paris())


def next_day(day: datetime) -> datetime:
    """Noon of the next legal day."""
    return datetime(day.year, day.month, day.day, 12) + timedelta(days=1)
