"""meterline demo: four simulated meters on real pseudo-terminals, read and served as real ones are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time

from meterline import asked
from meterline.commands.run import serve
from meterline.config import Config, MeterConfig
from meterline.house import House
from meterline.protocols import broute, tic
from meterline.protocols.broute import fake as wisun
from meterline.protocols.tic.fake import MODES, FakeMeter
from meterline.protocols.tic.fake_state import PARIS
from meterline.simulator import Faults, on_pty, talk
from meterline.web.server import parse_address


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


def module() -> wisun.FakeModule:
    """A Wi-SUN module that needs a tenth of the time of a real one, and a meter in Tokyo: it feeds in by day."""
    meter = wisun.FakeMeter(House(wisun.JST, solar=6000, seed=4), mac="0014224455665566", second_generation=True)
    return wisun.FakeModule([meter], haste=10, start_unix=time.time())


def options(meter: wisun.FakeMeter) -> broute.Options:
    """Everything is known, so no scan is needed."""
    pan, channel = f"{meter.pan_id:04X}", f"{meter.channel:02X}"
    return broute.Options(id=meter.id, password=meter.password, interval=10, channel=channel, pan_id=pan, mac=meter.mac)


async def _demo(address: str) -> None:
    host, port = parse_address(address)
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-demo-"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        configs, talking = [], []
        for name, (meter, faults) in meters().items():
            path, write, heard_at = await stack.enter_async_context(on_pty(os.path.join(folder, name)))
            talking.append(tasks.create_task(talk(meter, MODES, write, faults, heard_at)))
            configs.append(MeterConfig(name, path, "tic", tic.Options(baud=MODES[meter.mode])))
        dongle = module()
        path = await stack.enter_async_context(asked.on_pty(dongle, os.path.join(folder, "tokyo")))
        configs.append(MeterConfig("tokyo", path, "broute", options(dongle.meters[0])))
        print(f"four simulated meters: look at http://{host or 'localhost'}:{port}/ (Ctrl-C ends)", flush=True)
        await serve(Config(tuple(configs)), address)
        for task in talking:
            task.cancel()
