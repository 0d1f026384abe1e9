"""What a meter remembers, in the rows of its days: in place of what is absent, and never against what is known."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.virtual_time import START, play

from meterline.history.day_row import DAY_S, IMPORTED, LIVE, METER, DayRow, RowKey
from meterline.history.known_edges import DAYS, KnownEdges
from meterline.history.ledger import Ledger
from meterline.history.recorder import Recorder
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Remembered, Resolution, Snapshot

TOTAL = ("smartmeter_energy_import_watthours_total",)
SLOT_S = 1800
NUMBER = "M1"
TODAY = int(START) // DAY_S
FIRST = (int(START) // SLOT_S - 99 * 48) * SLOT_S


class Home:
    """A meter that has been read three times, and its ledger, which somebody asks for gaps."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(str(folder))
        self.meter = Meter("home", 90.0, asyncio.get_running_loop().time)
        self.recorder = Recorder(self.ledger)
        self.recorder.open(self.meter, SLOT_S, "Asia/Tokyo")
        self.running = asyncio.create_task(self.recorder.run())

    def say(self, address: str = NUMBER) -> None:
        self.meter.take(Snapshot((Reading(TOTAL, 5_000_000),), address, resolution=Resolution(1.0)))
        self.recorder.take(self.meter)

    async def ready(self) -> Home:
        for _ in range(3):
            self.say()
        assert self.absent(0, 1 << 40) is None, "the ledger is read in a thread first"
        await asyncio.sleep(5)
        return self

    def absent(self, since: int, until: int) -> Any:
        return self.recorder.absent("home", "import", since, until)

    async def heal(self, *edges: tuple[int, float], address: str = NUMBER) -> None:
        self.recorder.heal(self.meter, Remembered(tuple((at, "import", value) for at, value in edges), address))
        await asyncio.sleep(5)

    def value(self, at: int, generation: int = 1) -> tuple[int | None, int]:
        row = self.ledger.row(RowKey("home", generation, at // DAY_S, SLOT_S))
        if row is None or "import" not in row.registers:
            return None, 0
        column = row.registers["import"]
        return column.values[at % DAY_S // SLOT_S], column.origins[at % DAY_S // SLOT_S]

    def count(self, *series: str) -> float:
        return self.meter.counters.observed.get(series, 0.0)

    def refused(self, reason: str) -> float:
        return self.count("smartmeter_history_refused_total", reason)

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.recorder.close()


def at_home(tmp_path: Path, scene: Any) -> None:
    async def play_it() -> None:
        home = await Home(tmp_path).ready()
        await scene(home)
        await home.end()

    play(play_it)


@pytest.mark.parametrize("days", [0, 1, 2, 40, 98])
def test_a_remembered_register_is_recorded_on_its_day(days: int, tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        at = (int(START) // SLOT_S - days * 48) * SLOT_S
        assert at in home.absent(0, 1 << 40)
        await home.heal((at, 4000.5), (at - SLOT_S, 3999.0))
        assert home.value(at) == (4_000_500, METER)
        assert home.value(at - SLOT_S) == (3_999_000, METER)
        assert at not in home.absent(0, 1 << 40)
        assert home.count("smartmeter_history_edges_filled_total") == 2
        assert home.count("smartmeter_history_edges", "known") == 2

    at_home(tmp_path, scene)


def test_the_same_again_fills_nothing_and_writes_nothing(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        await home.heal((FIRST + DAY_S, 1.0))
        (row,) = home.ledger.rows("home", 0, TODAY)
        await home.heal((FIRST + DAY_S, 1.0))
        (again,) = home.ledger.rows("home", 0, TODAY)
        assert again.revision == row.revision
        assert home.count("smartmeter_history_edges_filled_total") == 1

    at_home(tmp_path, scene)


def test_what_is_filled_has_a_new_revision(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        await home.heal((FIRST + DAY_S, 1.0))
        (row,) = home.ledger.rows("home", 0, TODAY)
        await home.heal((FIRST + DAY_S + SLOT_S, 2.0))
        assert [changed.key for changed in home.ledger.changed_after(row.revision, 10)] == [row.key]

    at_home(tmp_path, scene)


@pytest.mark.parametrize(
    ("origin", "value", "is_refused"),
    [
        (METER, 4_000_000, False),
        (METER, 4_000_001, True),
        (LIVE + 20, 3_999_000, False),
        (LIVE + 20, 4_000_000 + 37_000_000, True),
        (IMPORTED, 9_000_000, False),
    ],
)
def test_a_reply_that_contradicts_the_ledger_is_refused_as_a_whole(
    origin: int, value: int, is_refused: bool, tmp_path: Path
) -> None:
    at = FIRST + 5 * DAY_S
    row = DayRow(RowKey("home", 1, at // DAY_S, SLOT_S))
    row.take("import", at % DAY_S // SLOT_S, value, origin)
    Ledger(str(tmp_path)).write([row])

    async def scene(home: Home) -> None:
        await home.heal((at - SLOT_S, 3999.0), (at, 4000.0))
        assert home.refused("known_edge") == is_refused
        assert home.value(at) == ((value, origin) if is_refused else (4_000_000, METER))
        assert home.value(at - SLOT_S)[0] == (None if is_refused else 3_999_000)

    at_home(tmp_path, scene)


def test_what_another_meter_remembers_is_refused(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        await home.heal((FIRST + DAY_S, 1.0), address="M2")
        assert home.refused("other_meter") == 1
        for _ in range(4):
            home.say("M2")
        await home.heal((FIRST + DAY_S, 1.0))
        assert home.refused("other_meter") == 2
        assert not list(home.ledger.rows("home", 0, TODAY))
        assert home.absent(0, 1 << 40) is None
        await asyncio.sleep(5)
        await home.heal((FIRST + DAY_S, 1.0), address="M2")
        assert home.value(FIRST + DAY_S, 2) == (1000, METER)

    at_home(tmp_path, scene)


def test_live_values_and_what_is_remembered_of_today_go_into_one_row(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        edge = (int(START) // SLOT_S + 1) * SLOT_S
        for end in (edge + 30, edge + SLOT_S + 30):
            while START + asyncio.get_running_loop().time() < end:
                home.say()
                await asyncio.sleep(10)
            if end == edge + 30:
                await home.heal((edge - SLOT_S, 4990.0))
            await asyncio.sleep(5)
            assert home.value(end - 30)[1] >= LIVE
            assert home.value(edge - SLOT_S) == (4_990_000, METER)

    at_home(tmp_path, scene)


def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        write, tries = home.ledger.write, list[int]()

        def refuse(rows: Any, entries: Any = ()) -> bool:
            tries.append(1)
            return len(tries) > 2 and write(rows, entries)

        home.ledger.write = refuse  # type: ignore[method-assign]
        await home.heal((FIRST + DAY_S, 1.0))
        assert home.value(FIRST + DAY_S) == (None, 0)
        await asyncio.sleep(200)
        assert home.value(FIRST + DAY_S) == (1000, METER)

    at_home(tmp_path, scene)


def test_the_known_edges_come_back_after_a_restart(tmp_path: Path) -> None:
    async def scene(home: Home) -> None:
        await home.heal(*((FIRST + DAY_S + slot * SLOT_S, float(slot)) for slot in range(100)))

    at_home(tmp_path, scene)

    async def again(home: Home) -> None:
        assert home.count("smartmeter_history_edges", "known") == 100
        assert FIRST + DAY_S not in home.absent(0, 1 << 40)
        assert FIRST + DAY_S + 100 * SLOT_S in home.absent(0, 1 << 40)

    at_home(tmp_path, again)


@pytest.mark.parametrize("slot_s", [900, 1800])
def test_edges_are_counted_over_99_days_whatever_the_hour(slot_s: int) -> None:
    by_day = DAY_S // slot_s
    for now in (TODAY * DAY_S, TODAY * DAY_S + 1, int(START), TODAY * DAY_S + DAY_S - 1):
        known = KnownEdges(slot_s)
        absent = known.absent("import", 0, 1 << 40, now)
        assert known.count(now) == (0, len(absent))
        assert len(absent) in (DAYS * by_day, DAYS * by_day + 1)
        row = DayRow(RowKey("home", 1, now // DAY_S - 50, slot_s))
        row.take("import", 7, 1, METER)
        known.take([row])
        assert known.count(now) == (1, len(absent) - 1)
        assert set(absent) - set(known.absent("import", 0, 1 << 40, now)) == {row.at(7)}
        assert known.absent("export", row.at(7), row.at(8), now) == [row.at(7)]


def test_days_that_are_over_for_long_are_forgotten() -> None:
    known = KnownEdges(SLOT_S)
    for day in range(1000):
        known.take([DayRow(RowKey("home", 1, day, SLOT_S))])
    assert len(known._bits) == DAYS + 2
