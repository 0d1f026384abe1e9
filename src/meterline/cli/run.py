"""meterline run: read meters and serve them, until told to stop; SIGHUP reads the configuration again."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from meterline import world
from meterline.config.schema import Config
from meterline.errors import UserError
from meterline.logs import about
from meterline.meter.exposition import Reloads
from meterline.meter.meter import Meter
from meterline.outputs.running import Outputs
from meterline.service import systemd
from meterline.service.supervisor import Runtime
from meterline.store import State
from meterline.web.http.server import MetricsSource, application, listen, urls

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules
    from meterline.web.page.routes import Live

log = logging.getLogger("meterline")

ENOUGH_FILES = 16_384

MakeFace: TypeAlias = Callable[[Runtime], MetricsSource]


class Web(NamedTuple):
    """How to serve."""

    address: str
    rules: str | None = None
    """The file of TLS and passwords."""
    page: bool = True
    """The live page at /."""
    sockets: tuple[socket.socket, ...] = ()
    """Those bound to the address already."""


def run(config: Config, web: Web, folder: str | None, read_again: Callable[[], Config] | None = None) -> None:
    """Until SIGTERM or SIGINT. `folder`: where the state is kept; None: nowhere. `read_again` raises UserError."""
    asyncio.run(serve(config, web, State(folder), read_again=read_again))


async def serve(
    config: Config,
    web: Web,
    state: State | None = None,
    face: MakeFace | None = None,
    read_again: Callable[[], Config] | None = None,
) -> None:
    """The same inside a running loop. The state is closed at the end. `face`: what is served in place of all that is ours."""
    _allow_many_files()
    rules = _rules(web.rules) if web.rules else None
    stop, again = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, again.set if read_again else stop.set)
    runtime, reloads = Runtime(config, state), Reloads()
    outputs = Outputs(runtime)
    live = _live(runtime, outputs) if web.page and face is None else None
    if live:
        runtime.on_frame = _greet()
    pages = live.routes() if live else ()
    routes = application(runtime, face(runtime) if face else None, reloads, pages, lambda: outputs.broker)
    server = listen(routes, web.address, rules, web.sockets)
    found = urls(server.addresses, bool(rules and rules.context))
    log.info("serving %d meter%s at %s", len(config.meters), "s" * (len(config.meters) != 1), " and ".join(found))
    reading = asyncio.create_task(runtime.run(for_ever=True))
    reloading = asyncio.create_task(_reload(again, runtime, reloads, read_again or (lambda: config), live, outputs))
    outputs.begin()
    telling = asyncio.create_task(systemd.tell(lambda: systemd.status(runtime.silent(), len(runtime.meters))))
    remembering = asyncio.create_task(live.remember() if live else world.current.sleep(0))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({stopping, reading, reloading}, return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    systemd.stopping()
    server.stop()
    farewell = asyncio.create_task(outputs.end())  # a broker that does not answer holds up no books
    tasks = (reading, reloading, telling, remembering)
    for task in tasks:
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    if live:
        live.hub.close()
    await server.close_all_connections()
    runtime.state.close()
    await farewell
    for end in ends:
        if isinstance(end, Exception):
            raise end


def _greet() -> Callable[[Meter], None]:
    """Gets each frame. Logs once for each meter what it draws: whoever starts the program sees that the numbers are right."""
    from meterline.locale import FALLBACK, language
    from meterline.web.page.reading_texts import headline
    from meterline.web.page.view_model import power

    said: set[str] = set()

    def greet(meter: Meter) -> None:
        if meter.name not in said and power(meter):
            said.add(meter.name)
            log.info("now: %s", headline(meter, language(FALLBACK)), extra=about(meter.name))

    return greet


async def _reload(
    again: asyncio.Event,
    runtime: Runtime,
    reloads: Reloads,
    read_again: Callable[[], Config],
    live: Live | None,
    outputs: Outputs,
) -> None:
    """Read the configuration again, each time that `again` is set. One that is not good changes nothing."""
    while True:
        await again.wait()
        again.clear()
        try:
            config = await world.current.in_thread(read_again)
        except UserError as error:
            for line in str(error).splitlines():
                log.error("not read again, the old configuration stays: %s", line)
            reloads.note(False)
            continue
        await runtime.change(config)
        await outputs.change()
        if live:
            live.hub.begin_anew()
        reloads.note(True)
        log.info("configuration read again: %d meter%s", len(config.meters), "s" * (len(config.meters) != 1))


def _allow_many_files() -> None:
    """Each meter over TCP, each connection and each open page is one: many systems allow 1,024 where more may be had."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if most == resource.RLIM_INFINITY else min(ENOUGH_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), most))


def _rules(web: str) -> Rules:
    from meterline.web.http.reloading import Rules  # YAML and what follows, only where it is asked for

    return Rules(web)


def _live(runtime: Runtime, outputs: Outputs) -> Live:
    """The page at /: its code is read only where it is served."""
    from meterline.web.page.routes import Live

    return Live(runtime, runtime.books.today, lambda: outputs.broker)
