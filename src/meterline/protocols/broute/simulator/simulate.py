"""A simulated Wi-SUN module and meter for `meterline simulate` and `meterline demo`."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator

from meterline import world
from meterline.protocols.api import SimulatedMeter
from meterline.protocols.broute.options import Options
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule, Faults
from meterline.protocols.broute.simulator.registers import MOST_DAYS
from meterline.simulation.flags import parse_count, parse_factor, parse_faults
from meterline.simulation.household import House
from meterline.simulation.place import Place

CONFIGURATION = """\
meters:
  - name: simulated
    link: {url}
    protocol: broute
    options: {{id: "{id}", password: "{password}"}}"""
"""Configuration that reads a simulated meter. Its secrets are made up."""
TIERS = [{"up_to": "120", "price": "29.80"}, {"up_to": "300", "price": "36.40"}, {"price": "40.49"}]


class BrouteSimulator:
    """See `Simulator`."""

    summary = "a Wi-SUN module, and a B-route meter of a household in its reach"
    faults = (
        "drop=RATE, late=RATE, duplicate=RATE, inf-during=RATE, sna=RATE, wrong-pdc=RATE, sentinels=RATE (of replies); "
        "set-refused=RATE (of SetC); slow-e2=RATE (of E2 and E4: after 20 to 60 s), lost-fragment=RATE (of long replies), "
        "older-day=RATE (of E2, E4, EC, EE: the one asked before), wrong-digit=RATE (of them), "
        "unkept=RATE (of half-hours: never remembered), "
        "late-slots=SECONDS (until a half-hour is remembered), midnight=SECONDS (before it: E2 and E4 wait for the new date); "
        "refused21=RATE, solicit=RATE, er09=RATE, er10=RATE (of SKSENDTO); wrong-length=RATE (of ERXUDP), "
        "garbage=RATE (of lines); crlf-payload=yes, lone-cr-echo=yes, no-ropt=yes, silent=yes, lies=yes, wrap=yes; "
        "mute=SECONDS, moves=SECONDS, replaced=SECONDS, replaced-register=KWH (of the meter that comes then), end26=SECONDS, "
        "expire29=SECONDS; limit32=PERIOD/LENGTH, stall=PERIOD/LENGTH, outage=PERIOD/LENGTH, "
        "power-cut=PERIOD/LENGTH (of the meter: selectors and session are lost); scan-empty=SCANS; seed=NUMBER"
    )

    def add_flags(self, parser: ArgumentParser) -> None:
        """See `Simulator.add_flags`."""
        parser.add_argument("--edition", choices=("single", "dual"), default="dual", help="the edition (default dual)")
        parser.add_argument("--form", choices=("hex", "binary"), default="hex", help="form of received data (default hex)")
        parser.add_argument("--no-echo", dest="echo", action="store_false", help="a module that does not repeat commands")
        parser.add_argument("--solar", action="store_true", help="a house with 5 kW of solar panels, and export registers")
        parser.add_argument("--generation", type=int, choices=(1, 2), default=1, help="generation of the meter (default 1)")
        faster = "simulated time runs FACTOR times faster than real time (default 1)"
        kept = "days of half-hours that the meter remembers (default and most: 99)"
        parser.add_argument("--kept-days", type=int, default=MOST_DAYS, metavar="DAYS", help=kept)
        parser.add_argument("--scale", type=float, default=1.0, metavar="FACTOR", help=faster)

    async def simulate(self, args: Namespace, place: Place, announce: Callable[[str], object]) -> None:
        """See `Simulator.simulate`."""
        house = House(JST, solar=5000 if args.solar else 0, seed=args.seed)
        kept_days = parse_count("--kept-days", args.kept_days, MOST_DAYS)
        meter = FakeMeter(house, args.seed, second_generation=args.generation == 2, kept_days=kept_days)
        module = FakeModule(
            [meter],
            dual=args.edition == "dual",
            binary=args.form == "binary",
            echo=args.echo,
            scale=parse_factor("--scale", args.scale),
            faults=parse_faults(args.fault, Faults),
            seed=args.seed,
            start_unix=world.current.now(),
        )
        async with place.answer(module) as url:
            announce(CONFIGURATION.format(url=url, id=meter.id, password=meter.password))
            await asyncio.Event().wait()

    def demo(self) -> Iterator[SimulatedMeter]:
        """Yield a meter in Tokyo that exports by day, with a module ten times faster than a real one; without a scan."""
        meter = FakeMeter(House(JST, solar=6000, seed=4), mac="0014224455665566", second_generation=True)
        module = FakeModule([meter], haste=10, start_unix=world.current.now())
        pan, channel = f"{meter.pan_id:04X}", f"{meter.channel:02X}"
        options = Options(id=meter.id, password=meter.password, interval=10, channel=channel, pan_id=pan, mac=meter.mac)
        standing = {"amount": "935.25", "per": "month"}
        period = {"since": "2024-01-01", "standing": standing, "tiers": TIERS, "feed_in": "24"}
        yield SimulatedMeter("tokyo", options, {"currency": "JPY", "periods": [period]}, lambda place: place.answer(module))
