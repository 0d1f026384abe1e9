# mypy: ignore-errors
# ruff: noqa: I001
"""Make the files of 0.1.0/: a state file of version 0.1.0, and how that version went on with it.

This program runs in a checkout of version 0.1.0 (commit dfcf9bf), with the Python of that checkout, and never in this version:

    cd CHECKOUT_OF_0.1.0
    PYTHONPATH=tests/broute .venv/bin/python THIS_FILE

Three simulated TIC meters and two simulated B-route meters are read for nineteen days in June 2025. Twice the program is ended,
and the meters go on without it, so that the file also holds what was spread over days. Times and seeds are fixed.

state.sql      the file, as SQL
opened.prom    what /metrics shows of costs when 0.1.0 opens the file
readings.json  readings that follow: time, meter, registers, address, step, and the value at which registers begin anew
continued.sql  the file after these readings
continued.prom what /metrics shows of costs then
"""

import json
import math
import shutil
import sqlite3
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import world
from meterline.config import load
from meterline.cost.book import SURE_AFTER
from meterline.cost.books import Books
from meterline.house import House
from meterline.meter import Meter
from meterline.metrics import BOOKED, COLUMNS
from meterline.model import Reading, Snapshot
from meterline.protocols import PROTOCOLS
from meterline.protocols.broute import fake
from meterline.protocols.tic.fake import FakeMeter
from meterline.protocols.tic.fake_state import PARIS
from meterline.protocols.tic.frames import Assembler, Decoder
from meterline.protocols.tic.readings import readings
from meterline.state import FILE, State

FOLDER = Path(__file__).parent / "0.1.0"
LINK = "/dev/ttyUSB3"
DAY = 86_400
BEGIN = 1_749_074_400
"""2025-06-05 00:00 in Paris."""
TIC_RUNS = ((BEGIN, BEGIN + 8.5 * DAY), (BEGIN + 10.4 * DAY, BEGIN + 18.75 * DAY))
BROUTE_RUNS = ((BEGIN, BEGIN + 1.6 * DAY), (BEGIN + 17.2 * DAY, BEGIN + 18.75 * DAY))
END = BEGIN + 18.75 * DAY
SMALL_STEP_S, TIC_STEP_S = 2, 600
KEEP_EVERY_S = 900


class Program:
    """The books of version 0.1.0 over a file, for some of the configured meters."""

    def __init__(self, folder, names, now, clock):
        self.state = State(folder)
        self.now = now
        self.books = Books(self.state, now=now)
        self.kept_at = now()
        self.meters = {}
        for config in load(str(FOLDER / "meters.yml")).meters:
            if config.name in names:
                protocol = PROTOCOLS[config.protocol]
                meter = self.meters[config.name] = Meter(config.name, 1200.0, clock)
                self.books.open(meter, config.tariffs, protocol.TIME_ZONE, bool(protocol.TARIFF_REGISTERS))

    def take(self, name, snapshot):
        self.meters[name].take(snapshot)
        self.books.take(self.meters[name], snapshot)
        if self.books._due.is_set() or self.now() - self.kept_at >= KEEP_EVERY_S:
            self.kept_at = self.now()
            self.books.keep()

    def page(self):
        self.books.refresh()
        families = sorted(BOOKED)
        return "".join(meter.texts[COLUMNS[family]] for meter in self.meters.values() for family in families)

    def end(self):
        self.books.keep()
        self.state.close()


def read_tic(folder):
    """Read the TIC meters; the program that read them last."""
    simulated = {
        "maison": FakeMeter(House(PARIS), "historic", "HC"),
        "atelier": FakeMeter(House(PARIS, solar=3000, seed=2), "standard", "TEMPO", producer=True),
        "grange": FakeMeter(House(PARIS, seed=3), "historic", "BASE"),
    }
    clock = SimpleNamespace(now=0.0)
    for begin, end in TIC_RUNS:
        clock.now = begin
        program = Program(folder, simulated, lambda: clock.now, lambda: clock.now)
        decoders = {name: (Decoder(), Assembler()) for name in simulated}
        while clock.now < end:
            for name, meter in simulated.items():
                meter.advance(clock.now)
                decoder, assembler = decoders[name]
                for event in decoder.feed(meter.frame()):
                    if frame := assembler.take(event):
                        program.take(name, readings(frame))
            clock.now += SMALL_STEP_S if clock.now < begin + 5 * SMALL_STEP_S else TIC_STEP_S
        program.end()
    return program


def read_broute(folder):
    """Read the B-route meters with the driver of 0.1.0, over a simulated module; the program that read them last."""
    names = ("家", "annexe")
    house = House(fake.JST, solar=5000)
    simulated = [fake.FakeMeter(house), fake.FakeMeter(House(fake.JST, seed=2), number=2, channel=0x35, lqi=0x70)]
    for begin, end in BROUTE_RUNS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(world, "START", begin)
            program = world.play(lambda begin=begin, end=end: _run(folder, names, simulated, begin, end, patch), patch, 500)
    return program


async def _run(folder, names, simulated, begin, end, patch):
    loop = world.asyncio.get_running_loop()
    program = Program(folder, names, lambda: begin + loop.time(), loop.time)
    module = fake.FakeModule(simulated, start_unix=begin)
    memory = program.state.recall(LINK)
    watched = world.Watched(program.meters, module, world.MemoryLink(module), memory)
    take = world.take

    def book(watched, item):
        if isinstance(item, Snapshot):
            program.take(item.meter, item)
        else:
            take(watched, item)

    patch.setattr(world, "take", book)
    options = {
        name: PROTOCOLS["broute"].Options(id=meter.id, password=meter.password)
        for name, meter in zip(names, simulated, strict=True)
    }
    following = world.asyncio.create_task(world.follow(watched, options))
    await world.asyncio.sleep(end - begin)
    following.cancel()
    await world.asyncio.gather(following, return_exceptions=True)
    program.state.keep(LINK, memory)
    program.end()
    return program


def later_readings(programs):
    """Readings of all meters that follow: as many as a start needs, one after an hour, and some on the next two days."""
    found = []
    for passed in (*range(3600, 3600 + SURE_AFTER), 7200, DAY, DAY + 600, 2 * DAY):
        for program in programs:
            for name, meter in program.meters.items():
                snapshot, marks = meter.last_snapshot, program.books._books[name].account.marks
                step = int(snapshot.step)
                rises = {register: passed // 600 * (20 + 10 * number) for number, register in enumerate(marks)}
                registers = {register: int(mark.value) + rises[register] // step * step for register, mark in marks.items()}
                wraps_at = None if math.isinf(snapshot.wraps_at) else snapshot.wraps_at
                found.append([int(END + passed), name, registers, snapshot.address, snapshot.step, wraps_at])
    return found


SERIES = {
    "TOTAL": ("smartmeter_energy_import_watthours_total",),
    "EXPORT": ("smartmeter_energy_export_watthours_total",),
}


def series(register):
    return SERIES.get(register) or ("smartmeter_energy_import_tariff_watthours_total", register)


def go_on(folder, later):
    """Open the file again, take these readings; the two pages."""
    clock = SimpleNamespace(now=END + 3000.0)
    names = [config.name for config in load(str(FOLDER / "meters.yml")).meters]
    program = Program(folder, names, lambda: clock.now, lambda: clock.now)
    opened = program.page()
    for at, name, registers, address, step, wraps_at in later:
        clock.now = float(at)
        taken = tuple(Reading(series(register), value) for register, value in registers.items())
        program.take(name, Snapshot(taken, address=address, step=step, wraps_at=wraps_at or math.inf))
    program.books.keep()
    continued = program.page()
    program.end()
    return opened, continued


def dump(folder):
    file = sqlite3.connect(Path(folder) / FILE)
    try:
        return "".join(f"{line}\n" for line in file.iterdump())
    finally:
        file.close()


def main():
    honest = Meter.take

    def take(meter, snapshot, timed=True):
        if snapshot.address is not None or not hasattr(meter, "last_snapshot"):
            meter.last_snapshot = snapshot
        honest(meter, snapshot, timed)

    Meter.take = take
    with tempfile.TemporaryDirectory() as folder:
        later = later_readings([read_tic(folder), read_broute(folder)])
        (FOLDER / "state.sql").write_text(dump(folder), encoding="utf-8")
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in later)
        (FOLDER / "readings.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        again = shutil.copytree(folder, f"{folder}/again")
        opened, continued = go_on(again, later)
        (FOLDER / "opened.prom").write_text(opened, encoding="utf-8")
        (FOLDER / "continued.prom").write_text(continued, encoding="utf-8")
        (FOLDER / "continued.sql").write_text(dump(again), encoding="utf-8")


if __name__ == "__main__":
    main()
