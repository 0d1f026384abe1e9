"""meterline run: read meters and serve them, until told to stop; SIGHUP reads the configuration again."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from meterline import systemd
from meterline.config import Config
from meterline.errors import UserError
from meterline.exposition import Reloads
from meterline.runtime import Runtime
from meterline.state import State
from meterline.web.server import Face, application, listen

if TYPE_CHECKING:
    from meterline.web.rules import Rules

log = logging.getLogger("meterline")

MakeFace: TypeAlias = Callable[[Runtime], Face]


def run(
    config: Config, address: str, folder: str | None, read_again: Callable[[], Config] | None = None, web: str | None = None
) -> None:
    """Until SIGTERM or SIGINT. `folder`: where the state is kept; None: nowhere. `read_again` raises UserError.

    `web`: the file of TLS and passwords.
    """
    asyncio.run(serve(config, address, State(folder), read_again=read_again, web=web))


async def serve(
    config: Config,
    address: str,
    state: State | None = None,
    face: MakeFace | None = None,
    read_again: Callable[[], Config] | None = None,
    web: str | None = None,
) -> None:
    """The same inside a running loop. The state is closed at the end. `face`: what is served in place of our own page."""
    rules = _rules(web) if web else None
    stop, again = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set)
    runtime, reloads = Runtime(config, state), Reloads()
    server = listen(application(runtime, face(runtime) if face else None, reloads), address, rules)
    log.info("serving %d meter%s on %s", len(config.meters), "s" * (len(config.meters) != 1), address)
    reading = asyncio.create_task(runtime.run(for_ever=True))
    reloading = asyncio.create_task(_reload(again, runtime, reloads, read_again))
    telling = asyncio.create_task(systemd.tell(lambda: systemd.status(runtime.silent(), len(runtime.meters))))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, reading, reloading}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    systemd.stopping()
    server.stop()
    for task in (reading, reloading, telling):
        task.cancel()
    ends = await asyncio.gather(reading, reloading, telling, return_exceptions=True)
    await server.close_all_connections()
    runtime.state.close()
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _reload(again: asyncio.Event, runtime: Runtime, reloads: Reloads, read_again: Callable[[], Config] | None) -> None:
    """Read the configuration again, each time that `again` is set. One that is not good changes nothing."""
    while True:
        await again.wait()
        again.clear()
        if read_again is None:
            log.warning("SIGHUP: there is no configuration file to read again")
            continue
        try:
            config = await asyncio.to_thread(read_again)
        except UserError as error:
            for line in str(error).splitlines():
                log.error("not read again, the old configuration stays: %s", line)
            reloads.note(False)
            continue
        await runtime.change(config)
        reloads.note(True)
        log.info("configuration read again: %d meter%s", len(config.meters), "s" * (len(config.meters) != 1))


def _rules(web: str) -> Rules:
    from meterline.web.rules import Rules  # YAML and what follows, only where it is asked for

    return Rules(web)
