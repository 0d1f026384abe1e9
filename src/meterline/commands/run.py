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
    from meterline.web.rules import Rules

log = logging.getLogger("meterline")

MakeFace: TypeAlias = Callable[[Runtime], Face]


def run(config: Config, address: str, folder: str | None, web: str | None = None) -> None:
    """Until SIGTERM or SIGINT. `folder`: where the state is kept; None: nowhere. `web`: the file of TLS and passwords."""
    asyncio.run(serve(config, address, State(folder), web=web))


async def serve(
    config: Config, address: str, state: State | None = None, face: MakeFace | None = None, web: str | None = None
) -> None:
    """The same inside a running loop. The state is closed at the end. `face`: what is served in place of our own page."""
    rules = _rules(web) if web else None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runtime = Runtime(config, state)
    shown = face(runtime) if face else None
    server = listen(application(runtime, shown), address, rules)
    log.info("serving %d meter%s on %s", len(config.meters), "s" * (len(config.meters) != 1), address)
    reading = asyncio.create_task(runtime.run())
    telling = asyncio.create_task(systemd.tell(lambda: systemd.status(runtime.silent(), len(runtime.meters))))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, asyncio.create_task(_outlive(reading))}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    systemd.stopping()
    server.stop()
    reading.cancel()
    telling.cancel()
    await asyncio.gather(reading, telling, return_exceptions=True)
    await server.close_all_connections()
    if shown and shown.at_end:
        shown.at_end()
    runtime.state.close()


def _rules(web: str) -> Rules:
    from meterline.web.rules import Rules  # YAML and what follows, only where it is asked for

    return Rules(web)


async def _outlive(reading: asyncio.Task[None]) -> None:
    """Captures that have all ended are no reason to stop serving; a defect is."""
    await reading
    await asyncio.Event().wait()
