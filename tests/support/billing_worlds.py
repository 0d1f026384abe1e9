"""A program with its books, without a link: a real file, a meter fed with snapshots, and a clock on the wall to turn."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from types import SimpleNamespace

from meterline.billing.account import Account
from meterline.billing.billing import KEEP_EVERY, BillingService
from meterline.billing.meter_account import SURE_AFTER
from meterline.billing.pricing import EXPORT
from meterline.billing.tariff import WHOLE
from meterline.billing.totals import Day
from meterline.meter.families import COLUMNS
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Resolution, Snapshot
from meterline.store import State
from meterline.world import World, replaced
from support.sample_tariffs import Contract

ADDRESS = "042175000001"


class Program:
    """`BillingService` over a real file, and a meter fed with snapshots; killed, it leaves the file as it is."""

    def __init__(self, contract: Contract, folder: Path, clock: SimpleNamespace) -> None:
        self.contract, self.folder, self.clock = contract, folder, clock
        self.generation = 0
        self.shown: dict[str, float] = {}
        self.kept_at = 0
        self.start()

    def start(self) -> None:
        self.state = State(str(self.folder / str(self.generation)))
        self.books = BillingService(self.state)
        self.meter = Meter("home", clock=lambda: float(self.clock.now))
        self.books.open(self.meter, self.contract.tariffs, self.contract.zone.key, WHOLE not in self.contract.registers)
        self.look()

    def kill(self) -> None:
        """The file and its log as they are on the disk: what the next program finds."""
        old, self.generation = self.folder / str(self.generation), self.generation + 1
        shutil.copytree(old, self.folder / str(self.generation)) if old.exists() else None
        self.state.close()
        self.start()

    def restart(self) -> None:
        self.keep()
        self.state.close()
        self.start()

    def read(self, values: Mapping[str, D], address: str | None = ADDRESS, wraps_at: float = math.inf) -> None:
        """One snapshot, taken as the runtime does."""
        readings = []
        for register, value in values.items():
            series: tuple[str, ...] = ("smartmeter_energy_import_tariff_watthours_total", register)
            if register == EXPORT:
                series = ("smartmeter_energy_export_watthours_total",)
            elif register == WHOLE:
                series = ("smartmeter_energy_import_watthours_total",)
            readings.append(Reading(series, int(value) if value == int(value) else float(value)))
        snapshot = Snapshot(tuple(readings), address=address, resolution=Resolution(float(self.contract.step), wraps_at))
        self.meter.take(snapshot)
        self.books.take(self.meter, snapshot)

    def speak(self, **values: D | int) -> None:
        """As often as it takes to be sure, a second apart."""
        for _ in range(SURE_AFTER):
            self.read({register: D(value) for register, value in values.items()})
            self.clock.now += 1

    def keep(self) -> None:
        """Everything, now."""
        self.books.keep(self.books._books.values())

    def page(self, family: str) -> dict[str, float]:
        """Labels (without the meter's) → value of the lines of a family that a page shows now."""
        self.books.refresh()
        found = {}
        for line in self.meter.text.columns[COLUMNS[family]].splitlines():
            series, _, value = line.rpartition(" ")
            labels = re.findall(r'(\w+)="([^"]*)"', series)
            found[",".join(text for name, text in labels if name != "meter")] = float(value)
        return found

    def keep_due(self) -> None:
        due = [book for book in self.books._books.values() if book.account.due]
        if self.clock.now - self.kept_at >= KEEP_EVERY:
            due, self.kept_at = list(self.books._books.values()), self.clock.now
        self.books.keep(due)
        self.look()

    def look(self) -> None:
        """The counters of /metrics never fall."""
        self.books.refresh()
        for text in self.meter.text.columns:
            for line in text.splitlines():
                series, _, value = line.rpartition(" ")
                if "_cost_total" in series or "_credit_total" in series or "_cost_estimated" in series:
                    assert float(value) >= self.shown.get(series, 0.0)
                    self.shown[series] = float(value)

    @property
    def account(self) -> Account:
        return self.books._books["home"].account

    def all_days(self) -> dict[date, Day]:
        days = {date.fromisoformat(day): Day.from_json(found) for day, found in self.state.days("home").items()}
        return days | self.account.days


@contextmanager
def wall(now: int) -> Iterator[SimpleNamespace]:
    """The wall clock of the program: `now` is what it shows, and may be set."""
    clock, here = SimpleNamespace(now=now), World()
    here.now = lambda: clock.now
    with replaced(here):
        yield clock


def memory() -> str | None:
    """Where a commit costs no disk, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
