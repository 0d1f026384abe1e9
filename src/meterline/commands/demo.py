"""meterline demo: three simulated meters on real pseudo-terminals, read and served as real ones are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile

from meterline.commands.run import serve
from meterline.config import Config, MeterConfig
from meterline.house import House
from meterline.protocols.tic import Options
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


async def _demo(address: str) -> None:
    host, port = parse_address(address)
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-demo-"))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        configs, talking = [], []
        for name, (meter, faults) in meters().items():
            path, write, heard_at = await stack.enter_async_context(on_pty(os.path.join(folder, name)))
            talking.append(tasks.create_task(talk(meter, MODES, write, faults, heard_at)))
            configs.append(MeterConfig(name, path, "tic", Options(baud=MODES[meter.mode])))
        print(f"three simulated meters: look at http://{host or 'localhost'}:{port}/metrics (Ctrl-C ends)", flush=True)
        await serve(Config(tuple(configs)), address)
        for task in talking:
            task.cancel()
