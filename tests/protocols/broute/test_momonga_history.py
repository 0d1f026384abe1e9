"""A client that is not ours reads all that the simulated meter remembers: momonga, of Home Assistant.

momonga takes the date of a day from its host, so the host stands in Tokyo here: elsewhere dates of slots are wrong for hours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import momonga
import pytest

from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule
from meterline.simulation.household import House
from meterline.simulation.responder import on_pty

HALF_HOUR = timedelta(minutes=30)


class Read(NamedTuple):
    """What momonga read: its own form, kWh."""

    days: dict[tuple[int, bool], list[dict[str, Any]]]
    half_hours: list[dict[str, Any]]
    minutes: list[dict[str, Any]]
    asked: datetime


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def meter_with_a_roof(**facts: Any) -> FakeMeter:
    return FakeMeter(House(JST, solar=5000), second_generation=True, unit=3, digits=8, **facts)


def played(meter: FakeMeter, days: range, **facts: Any) -> Read:
    """Let momonga read; the meter's clock is that of the host."""
    module = FakeModule([meter], haste=1000.0, start_unix=time.time(), **facts)

    async def test() -> Read:
        async with on_pty(module) as path:
            return await asyncio.to_thread(read, path, meter, days)

    return asyncio.run(test())


def read(path: str, meter: FakeMeter, days: range) -> Read:
    client = momonga.Momonga(meter.id, meter.password, path)
    client.internal_xmit_interval = 0
    with client:
        while True:
            today, asked = date.today(), datetime.now().replace(second=0, microsecond=0)
            found = {(day, way): client.get_historical_cumulative_energy_1(day, way) for day in days for way in (False, True)}
            half_hours = client.get_historical_cumulative_energy_2(asked.replace(minute=30 * (asked.minute // 30)), 12)
            minutes = client.get_historical_cumulative_energy_3(asked, 10)
            if date.today() == today:  # momonga's dates are right: no midnight came in between
                return Read(found, half_hours, minutes, asked)


def kwh(meter: FakeMeter, when: datetime) -> tuple[float, float]:
    """What the meter's registers showed at a time of its clock."""
    drawn, fed = meter.readings(when.replace(tzinfo=JST).timestamp())
    return drawn / 1000, fed / 1000


@pytest.mark.usefixtures("in_tokyo")
def test_momonga_reads_a_hundred_days_of_both_directions_half_hours_and_minutes() -> None:
    meter = meter_with_a_roof()
    seen = played(meter, range(100))
    midnight = datetime.combine(seen.asked, datetime.min.time())
    for (day, reverse), slots in seen.days.items():
        assert [slot["timestamp"] for slot in slots] == [midnight - timedelta(days=day) + HALF_HOUR * i for i in range(48)]
        known = [slot for slot in slots if slot["cumulative energy"] is not None]
        assert len(known) == 48 or day == 0
        for slot in known:
            assert slot["cumulative energy"] == pytest.approx(kwh(meter, slot["timestamp"])[reverse], abs=1e-6)
    today = [slot["timestamp"] for slot in seen.days[0, False] if slot["cumulative energy"] is not None]
    assert today[-1] <= datetime.fromtimestamp(meter.now, JST).replace(tzinfo=None) < today[-1] + 2 * HALF_HOUR
    for pairs, step, count in ((seen.half_hours, HALF_HOUR, 12), (seen.minutes, timedelta(minutes=1), 10)):
        assert [pair["timestamp"] for pair in pairs] == [pairs[0]["timestamp"] - step * back for back in range(count)]
        for pair in pairs:
            drawn, fed = kwh(meter, pair["timestamp"])
            assert pair["cumulative energy"] == {
                "normal direction": pytest.approx(drawn, abs=1e-6),
                "reverse direction": pytest.approx(fed, abs=1e-6),
            }


@pytest.mark.usefixtures("in_tokyo")
def test_momonga_sees_where_the_memory_of_the_meter_ends() -> None:
    seen = played(meter_with_a_roof(kept_days=2), range(1, 5))
    has_values = {day: slots[0]["cumulative energy"] is not None for (day, _), slots in seen.days.items()}
    assert has_values == {1: True, 2: True, 3: False, 4: False}
    assert all(slot["cumulative energy"] is None for slot in seen.days[3, False])
