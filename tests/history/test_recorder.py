"""What meters say, as it stands in the ledger: the last accepted register before each edge, its age, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from support.virtual_lines import VirtualWorld
from support.virtual_time import START, play

from meterline import world
from meterline.history.day_row import ABSENT, DAY_S, LIVE, METER, DayRow, RowKey
from meterline.history.ledger import Ledger
from meterline.history.recorder import Recorder
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Resolution, Snapshot

TOTAL = ("smartmeter_energy_import_watthours_total",)
SLOT_S = 900


def at(unix: float) -> tuple[int, int]:
    """Day and edge of a moment."""
    day, second = divmod(int(unix), DAY_S)
    return day, second // SLOT_S


class Home:
    """A meter whose register rises by 1 Wh a second, and the ledger that it is recorded in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ledger = folder, Ledger(str(folder))
        self.meter = Meter("home", 10.0, asyncio.get_running_loop().time)
        self.recorder = Recorder(self.ledger)
        self.number = "1"
        self.recorder.open(self.meter, SLOT_S, "Europe/Paris")
        self.offset = 1_000_000.0

    def register(self, unix: float) -> float:
        return self.offset + unix - START

    def say(self, *more: Reading) -> None:
        now = START + asyncio.get_running_loop().time()
        self.meter.take(
            Snapshot((Reading(TOTAL, round(self.register(now))), *more), resolution=Resolution(1.0), address=self.number)
        )
        self.recorder.take(self.meter)

    async def speak(self, seconds: float, every: float = 2.0) -> None:
        end = world.current.now() + seconds
        while world.current.now() < end:
            self.say()
            await asyncio.sleep(every)

    def row(self, unix: float, generation: int = 1) -> DayRow:
        row = Ledger(str(self.folder)).row(RowKey("home", generation, at(unix)[0], SLOT_S))
        assert row is not None
        return row


def test_each_edge_has_the_last_register_before_it_and_its_age(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        await home.speak(2 * SLOT_S, every=7.0)
        home.recorder.close()
        first = (START // SLOT_S + 1) * SLOT_S
        column = home.row(first).registers["import"]
        for unix in (first, first + SLOT_S):
            edge = at(unix)[1]
            age = column.origins[edge] - LIVE
            assert 0 <= age < 7
            assert column.values[edge] == round(home.register(unix - age)) * 1000
        assert sum(origin != ABSENT for origin in column.origins) == 2

    play(scene)


def test_an_edge_without_a_fresh_register_stays_absent(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        first = (START // SLOT_S + 1) * SLOT_S
        await home.speak(first - world.current.now() - 60)
        await asyncio.sleep(120)
        await home.speak(2 * SLOT_S)
        home.recorder.close()
        origins = home.row(first).registers["import"].origins
        assert origins[at(first)[1]] == ABSENT
        assert origins[at(first + SLOT_S)[1]] >= LIVE

    play(scene)


def test_what_the_meter_says_of_an_edge_stands_before_what_was_live(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        first = int((START // 1800 + 1) * 1800)
        await home.speak(first - world.current.now() + 30, every=7.0)
        family = "smartmeter_fixed_energy_import_watthours"
        said = Reading((family, "30m"), round(home.register(first)))
        time = Reading(("smartmeter_fixed_energy_import_timestamp_seconds", "30m"), first)
        home.say(said, time)
        home.say(said, time)
        home.recorder.close()
        column = home.row(first).registers["import"]
        assert (column.values[at(first)[1]], column.origins[at(first)[1]]) == (round(home.register(first)) * 1000, METER)

    play(scene)


def test_another_meter_begins_another_generation_also_after_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        await home.speak(2 * SLOT_S)
        home.number, home.offset = "2", 50.0
        await home.speak(2 * SLOT_S)
        home.recorder.close()
        again = Home(tmp_path)
        again.number, again.offset = "2", 50.0
        await again.speak(2 * SLOT_S)
        again.recorder.close()
        old, new = home.row(START, 1).registers["import"], home.row(START, 2).registers["import"]
        assert all(value is None or value > 900_000_000 for value in old.values)
        assert all(value is None or value < 900_000_000 for value in new.values)
        assert sum(origin != ABSENT for origin in new.origins) >= 3
        assert Ledger(str(tmp_path)).row(RowKey("home", 3, at(START)[0], SLOT_S)) is None

    play(scene)


def test_rows_that_could_not_be_written_are_written_later(tmp_path: Path) -> None:
    async def scene() -> None:
        home = Home(tmp_path)
        running = asyncio.create_task(home.recorder.run())
        refused = list[int]()
        write = home.ledger.write

        def refuse(rows: Any, entries: Any) -> bool:
            refused.append(1)
            return len(refused) > 1 and write(rows, entries)

        home.ledger.write = refuse  # type: ignore[method-assign, assignment]
        await home.speak(SLOT_S + 120)
        assert len(refused) >= 2
        assert any(home.row(START).registers["import"].origins)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    play(scene)


def test_a_clock_that_was_ahead_leaves_no_register_of_the_wrong_time(tmp_path: Path) -> None:
    """Set back, the time comes again, and its edges are recorded again."""

    async def scene() -> None:
        home, wall = Home(tmp_path), world.current
        assert isinstance(wall, VirtualWorld)
        wall.wall += 1900
        await home.speak(1300)
        wall.wall -= 1900
        await home.speak(6000)
        home.recorder.close()
        values = [value for value in home.row(START).registers["import"].values if value is not None]
        assert values == sorted(values)
        assert len(values) >= 6

    play(scene)
