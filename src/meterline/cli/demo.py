"""meterline demo: four simulated meters on real pseudo-terminals, read and served as real ones are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from typing import Any

from meterline import world
from meterline.billing.tariff import Tariffs
from meterline.cli.run import Web, serve
from meterline.config.schema import Config, MeterConfig
from meterline.config.structure import structure
from meterline.protocols import broute, tic
from meterline.protocols.broute.simulator import commands as wisun
from meterline.protocols.tic.simulator.meter import MODES, FakeMeter
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation import responder
from meterline.simulation.household import House
from meterline.simulation.line import Faults, on_pty, talk
from meterline.web.http.server import bound, parse_address

TEMPO = {"EASF01": "0.1356", "EASF02": "0.1654", "EASF03": "0.1536", "EASF04": "0.1921", "EASF05": "0.1615", "EASF06": "0.7295"}
TIERS = [{"up_to": "120", "price": "29.80"}, {"up_to": "300", "price": "36.40"}, {"price": "40.49"}]


def demo(address: str) -> None:
    """Until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_demo(address))


def meters() -> dict[str, tuple[FakeMeter, Faults]]:
    """Name → meter and what goes wrong on its line."""
    return {
        "home": (FakeMeter(House(PARIS, 6000, overload=(180, 20)), contract="HC", number=1), Faults()),
        "farm": (
            FakeMeter(House(PARIS, 18_000, solar=9000, seed=2), "standard", "TEMPO", phases=3, producer=True, number=2),
            Faults(),
        ),
        "annexe": (FakeMeter(House(PARIS, 3000, seed=3), contract="BASE", number=3), Faults(silence=(300, 60))),
    }


def tariffs() -> dict[str, Tariffs]:
    """Name → contract, written as in a configuration; the annexe has none."""
    return {
        "home": _contract("EUR", "15.86", registers={"HCHC": "0.1589", "HCHP": "0.2142"}),
        "farm": _contract("EUR", "23.50", registers=TEMPO, feed_in="0.04"),
        "tokyo": _contract("JPY", "935.25", tiers=TIERS, feed_in="24"),
    }


def _contract(currency: str, a_month: str, **prices: Any) -> Tariffs:
    period = {"since": "2024-01-01", "standing": {"amount": a_month, "per": "month"}, **prices}
    typed: Tariffs = structure({"currency": currency, "periods": [period]}, Tariffs)
    return typed


def module() -> wisun.FakeModule:
    """A Wi-SUN module that needs a tenth of the time of a real one, and a meter in Tokyo: it feeds in by day."""
    meter = wisun.FakeMeter(House(wisun.JST, solar=6000, seed=4), mac="0014224455665566", second_generation=True)
    return wisun.FakeModule([meter], haste=10, start_unix=world.current.now())


def options(meter: wisun.FakeMeter) -> broute.Options:
    """Everything is known, so no scan is needed."""
    pan, channel = f"{meter.pan_id:04X}", f"{meter.channel:02X}"
    return broute.Options(id=meter.id, password=meter.password, interval=10, channel=channel, pan_id=pan, mac=meter.mac)


async def _demo(address: str) -> None:
    host, _ = parse_address(address)
    sockets = bound(address)  # before the meters are made: what is wrong here is one line
    port = sockets[0].getsockname()[1]
    contracts = tariffs()
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-demo-"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        configs, talking = [], []
        for name, (meter, faults) in meters().items():
            path, write, heard_at = await stack.enter_async_context(on_pty(os.path.join(folder, name)))
            talking.append(tasks.create_task(talk(meter, MODES, write, faults, heard_at)))
            speed = tic.Options(baud=MODES[meter.mode])
            configs.append(MeterConfig(name, path, "tic", speed, tariffs=contracts.get(name)))
        dongle = module()
        path = await stack.enter_async_context(responder.on_pty(dongle, os.path.join(folder, "tokyo")))
        configs.append(MeterConfig("tokyo", path, "broute", options(dongle.meters[0]), tariffs=contracts["tokyo"]))
        print(f"four simulated meters: look at http://{host or 'localhost'}:{port}/ (Ctrl-C ends)", flush=True)
        await serve(Config(tuple(configs)), Web(address, sockets=tuple(sockets)))
        for task in talking:
            task.cancel()
