"""meterline run: read meters and serve them, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from meterline import systemd
from meterline.config import Config
from meterline.runtime import Runtime
from meterline.state import State
from meterline.web.server import Face, application, listen

if TYPE_CHECKING:
    from meterline.web.live import Live

log = logging.getLogger("meterline")

MakeFace: TypeAlias = Callable[[Runtime], Face]


def run(config: Config, address: str, folder: str | None, page: bool = True) -> None:
    """Until SIGTERM or SIGINT. `folder`: where the state is kept; None: nowhere. `page`: serve the live page at /."""
    asyncio.run(serve(config, address, State(folder), page=page))


async def serve(
    config: Config, address: str, state: State | None = None, face: MakeFace | None = None, page: bool = True
) -> None:
    """The same inside a running loop. The state is closed at the end. `face`: what is served in place of all that is ours."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runtime = Runtime(config, state)
    shown = face(runtime) if face else None
    live = _live(runtime) if page and shown is None else None
    server = listen(application(runtime, shown, live.routes() if live else ()), address)
    log.info("serving %d meter%s on %s", len(config.meters), "s" * (len(config.meters) != 1), address)
    reading = asyncio.create_task(runtime.run())
    telling = asyncio.create_task(systemd.tell(lambda: systemd.status(runtime.silent(), len(runtime.meters))))
    remembering = asyncio.create_task(live.remember() if live else asyncio.sleep(0))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, asyncio.create_task(_outlive(reading))}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    systemd.stopping()
    server.stop()
    for task in (reading, telling, remembering):
        task.cancel()
    await asyncio.gather(reading, telling, remembering, return_exceptions=True)
    if live:
        live.hub.close()
    await server.close_all_connections()
    if shown and shown.at_end:
        shown.at_end()
    runtime.state.close()


def _live(runtime: Runtime) -> Live:
    """The page at /: its code is read only where it is served."""
    from meterline.web.live import Live

    return Live(runtime)


async def _outlive(reading: asyncio.Task[None]) -> None:
    """Captures that have all ended are no reason to stop serving; a defect is."""
    await reading
    await asyncio.Event().wait()
