"""Write docs/page-phone.png and docs/page-desktop.png: the page of the demo's simulated meters, in headless Chromium.

The demo has run for a minute then; the half hour before is filled in from the same simulated households.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.browser import chromium, tab  # noqa: E402
from support.live_meters import free_port  # noqa: E402

from meterline.cli import demo  # noqa: E402
from meterline.web.page import routes  # noqa: E402
from meterline.web.page.power_history import POINTS, STEP_S, History  # noqa: E402
from meterline.web.page.view_model import Power  # noqa: E402

SIZES = {"phone": (375, 812, 2), "desktop": (1280, 800, 1)}


def _households() -> dict[str, demo.House]:
    houses = {name: meter.house for name, (meter, _) in demo.meters().items()}
    return houses | {"tokyo": demo.module().meters[0].house}


def _fill(history: History) -> None:
    """With what the households drew in the last half hour."""
    clock, now = history._clock, time.time()
    start, units = clock(), dict(history.units)
    for back in range(POINTS - 1, -1, -1):
        moment = now - back * STEP_S
        history._clock = lambda at=start - back * STEP_S: at
        history._step = int(history._clock() // STEP_S)
        history.note(
            (name, Power(round(house.load(moment) - house.sun(moment)), units[name])) for name, house in _households().items()
        )
    history._clock = clock


async def _take(browser: int) -> None:
    port = free_port()

    histories: list[History] = []
    routes.History = lambda clock: histories.append(History(clock)) or histories[-1]
    serving = asyncio.create_task(demo._demo(f"127.0.0.1:{port}"))
    await asyncio.sleep(25)
    _fill(histories[0])
    async with tab(browser) as page:
        for name, size in SIZES.items():
            await page.size(*size)
            await page.call("Network.enable")
            await page.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": "en"})
            await page.go(f"http://127.0.0.1:{port}/")
            await asyncio.sleep(2)
            (ROOT / "docs" / f"page-{name}.png").write_bytes(await page.picture())
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
        await serving


if __name__ == "__main__":
    with chromium() as port:
        asyncio.run(_take(port))
