"""How much is written to the disk to keep the costs: an SD card has only so many writes.

Measured: bytes handed to the kernel (wchar) over one day of the books, whose clock is turned by hand: registers that rise every
minute, kept as the running program does it: at the first reading, every 15 minutes, at midnight and at the end.
Reference: the same account kept with every minute, in the same file format.
"""

from __future__ import annotations

import asyncio
import tempfile
from datetime import date
from decimal import Decimal
from pathlib import Path

from bench.table import Row, ratio, show
from meterline.billing.billing import KEEP_EVERY, BillingService
from meterline.billing.tariff import Period, Standing, Tariffs
from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Snapshot
from meterline.store import State

MIDNIGHT = 1_774_998_000
"""In Paris, on 1 April 2026."""
MINUTES = 1440
HISTORIC = ("HCHC", "HCHP")
STANDARD = tuple(f"EASF{n:02}" for n in range(1, 11))
FAMILY = "smartmeter_energy_import_tariff_watthours_total"


def _written() -> int:
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


async def _day(registers: tuple[str, ...], meters: int, every: float) -> int:
    """Bytes of one day, beginning at noon, so that midnight is in it."""
    with tempfile.TemporaryDirectory() as folder:
        now = float(MIDNIGHT + 12 * 3600)
        state = State(folder)
        books = BillingService(state, lambda: now)
        prices = dict.fromkeys(registers, Decimal("0.2"))
        contract = Tariffs("EUR", (Period(date(2025, 1, 1), registers=prices, standing=Standing(Decimal(15), "month")),))
        known = [Meter(f"meter-{n}", clock=lambda: now) for n in range(meters)]
        for meter in known:
            books.open(meter, contract, "Europe/Paris", by_tariff=True)
        before, kept = _written(), now
        for minute in range(MINUTES):
            now += 60
            for meter in known:
                values = ((register, 1000 * n + minute * 7) for n, register in enumerate(registers))
                said = Snapshot(tuple(Reading((FAMILY, register), value) for register, value in values), "042175000001")
                meter.take(said)
                books.take(meter, said)
            if books.due or now - kept >= every:
                books.keep()
                kept = now if now - kept >= every else kept
        await books.close()
        state.close()
        return _written() - before


def main() -> None:
    """Print the table."""
    rows = []
    for what, registers, meters in (
        ("a historic meter", HISTORIC, 1),
        ("a standard meter", STANDARD, 1),
        ("5 standard meters", STANDARD, 5),
        ("100 historic meters", HISTORIC, 100),
    ):
        ours, reference = (asyncio.run(_day(registers, meters, every)) for every in (KEEP_EVERY, 60.0))
        goal = "<= 1 MiB" if meters == 1 else ""
        rows.append(Row(what, f"{ours / 2**20:.2f} MiB", f"{reference / 2**20:.2f} MiB", ratio(ours, reference), goal))
    show("Written to the disk in a day", "Costs kept as the program does it; reference: with every minute.", rows)
