"""meterline run: read meters and serve them, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal

from meterline.config import Config
from meterline.runtime import Runtime
from meterline.state import State
from meterline.web.server import application, listen

log = logging.getLogger("meterline")


def run(config: Config, address: str, folder: str | None) -> None:
    """Until SIGTERM or SIGINT. `folder`: where the state is kept; None: nowhere."""
    asyncio.run(serve(config, address, State(folder)))


async def serve(config: Config, address: str, state: State | None = None) -> None:
    """The same inside a running loop. The state is closed at the end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runtime = Runtime(config, state)
    server = listen(application(runtime), address)
    log.info("serving %d meter%s on %s", len(config.meters), "s" * (len(config.meters) != 1), address)
    reading = asyncio.create_task(runtime.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, asyncio.create_task(_outlive(reading))}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    server.stop()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await server.close_all_connections()
    runtime.state.close()


async def _outlive(reading: asyncio.Task[None]) -> None:
    """Captures that have all ended are no reason to stop serving; a defect is."""
    await reading
    await asyncio.Event().wait()
