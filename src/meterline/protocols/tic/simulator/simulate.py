"""A simulated Linky for `meterline simulate` and `meterline demo`."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from meterline.protocols.api import SimulatedMeter
from meterline.protocols.tic import Options
from meterline.protocols.tic.simulator.meter import MODES, FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation.flags import parse_faults, parse_period
from meterline.simulation.household import House
from meterline.simulation.line import Faults, talk
from meterline.simulation.place import Place

TEMPO = {"EASF01": "0.1356", "EASF02": "0.1654", "EASF03": "0.1536", "EASF04": "0.1921", "EASF05": "0.1615", "EASF06": "0.7295"}


class TicSimulator:
    """See `Simulator`."""

    summary = "the Linky of a household, with a mode, contract and wiring of your choice"
    faults = "bit-errors=RATE, lost-bytes=RATE, silence=PERIOD/LENGTH, eot=FRAMES, mode=SECONDS (between changes), seed=NUMBER"

    def add_flags(self, parser: ArgumentParser) -> None:
        """See `Simulator.add_flags`."""
        parser.add_argument("--mode", choices=("historic", "standard"), default="historic", help="the mode (default historic)")
        parser.add_argument("--contract", choices=("base", "hc", "ejp", "tempo"), default="hc", help="contract (default hc)")
        parser.add_argument("--phases", type=int, choices=(1, 3), default=1, help="number of phases (default 1)")
        parser.add_argument(
            "--producer", action="store_true", help="a producer with 3 kW of solar panels, and export registers"
        )
        parser.add_argument("--subscribed", type=int, default=0, metavar="VA", help="power (default 6000; three-phase 18000)")
        overload = "exceed the subscribed power for the last LENGTH s of every PERIOD s"
        parser.add_argument("--overload", metavar="PERIOD/LENGTH", help=overload)

    async def simulate(self, args: Namespace, place: Place, announce: Callable[[str], object]) -> None:
        """See `Simulator.simulate`."""
        house = House(
            PARIS,
            args.subscribed or 6000 * args.phases,
            3000 if args.producer else 0,
            parse_period("--overload", args.overload) if args.overload else None,
            args.seed,
        )
        meter = FakeMeter(house, args.mode, args.contract.upper(), args.phases, args.producer, args.seed)
        faults = parse_faults(args.fault, Faults)
        async with place.talk() as (url, write, heard_at):
            announce(f"simulated meter at {url}; read it with: meterline run {url}")
            await talk(meter, MODES, write, faults, heard_at)

    def demo(self) -> Iterator[SimulatedMeter]:
        """See `Simulator.demo`."""
        home = FakeMeter(House(PARIS, 6000, overload=(180, 20)), contract="HC", number=1)
        farm = FakeMeter(House(PARIS, 18_000, solar=9000, seed=2), "standard", "TEMPO", phases=3, producer=True, number=2)
        annexe = FakeMeter(House(PARIS, 3000, seed=3), contract="BASE", number=3)
        yield _demo("home", home, _tariffs("15.86", registers={"HCHC": "0.1589", "HCHP": "0.2142"}))
        yield _demo("farm", farm, _tariffs("23.50", registers=TEMPO, feed_in="0.04"))
        yield _demo("annexe", annexe, None, Faults(silence=(300, 60)))


def _demo(name: str, meter: FakeMeter, tariffs: dict[str, Any] | None, faults: Faults | None = None) -> SimulatedMeter:
    return SimulatedMeter(name, Options(baud=MODES[meter.mode]), tariffs, partial(_serve, meter, faults or Faults()))


def _tariffs(a_month: str, **prices: Any) -> dict[str, Any]:
    period = {"since": "2024-01-01", "standing": {"amount": a_month, "per": "month"}, **prices}
    return {"currency": "EUR", "periods": [period]}


@asynccontextmanager
async def _serve(meter: FakeMeter, faults: Faults, place: Place) -> AsyncIterator[str]:
    async with place.talk() as (url, write, heard_at), asyncio.TaskGroup() as tasks:
        talking = tasks.create_task(talk(meter, MODES, write, faults, heard_at))
        yield url
        talking.cancel()
