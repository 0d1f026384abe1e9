"""meterline run: read meters and serve them until SIGTERM or SIGINT; SIGHUP reloads the configuration."""

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
from meterline.web.http.connections import Network
from meterline.web.http.server import MetricsSource, application, listen, urls

if TYPE_CHECKING:
    from meterline.web.http.reloading import Rules
    from meterline.web.page.routes import Live

log = logging.getLogger("meterline")

FILES_WANTED = 16_384
"""Open files: each meter over TCP, each connection and each open page needs one. Many systems allow 1,024 at first."""

MakeSource: TypeAlias = Callable[[Runtime], MetricsSource]


class Web(NamedTuple):
    """How to serve.

    Attributes:
        address: ``HOST:PORT`` or ``:PORT``.
        rules: The file of TLS and passwords; None: neither.
        page: Whether to serve the live page at /.
        sockets: Sockets that listen on `address` already; empty: they are made.
        allowed: Networks that may connect beside this machine; empty: all.
    """

    address: str
    rules: str | None = None
    page: bool = True
    sockets: tuple[socket.socket, ...] = ()
    allowed: tuple[Network, ...] = ()


def run(config: Config, web: Web, folder: str | None, load: Callable[[], Config] | None = None) -> None:
    """Read meters and serve them until SIGTERM or SIGINT.

    Args:
        config: The meters.
        web: How to serve.
        folder: The folder of the state; None: no state is stored.
        load: Loads the configuration again at SIGHUP; raises UserError. None: SIGHUP ends the program.

    Raises:
        UserError: The address or the web configuration is not usable.
    """
    asyncio.run(serve(config, web, State(folder), load=load))


async def serve(
    config: Config,
    web: Web,
    state: State | None = None,
    source: MakeSource | None = None,
    load: Callable[[], Config] | None = None,
) -> None:
    """Read meters and serve them, in a running event loop. See `run`.

    Args:
        config: The meters.
        web: How to serve.
        state: Closed at the end; None: no state is stored.
        source: Makes the metrics of a replaced exporter, which are served in place of meterline's; None: meterline's own.
        load: Loads the configuration again at SIGHUP.
    """
    _allow_many_files()
    rules = _rules(web.rules) if web.rules else None
    stop, reload = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.set if load else stop.set)
    runtime, reloads = Runtime(config, state), Reloads()
    outputs = Outputs(runtime)
    live = _live(runtime, outputs) if web.page and source is None else None
    if live:
        runtime.on_frame = _log_first_readings()
    pages = live.routes() if live else ()
    routes = application(runtime, source(runtime) if source else None, reloads, pages, lambda: outputs.broker)
    server = listen(routes, web.address, rules, web.sockets, web.allowed)
    found = urls(server.addresses, bool(rules and rules.context))
    log.info("serving %d meter%s at %s", len(config.meters), "s" * (len(config.meters) != 1), " and ".join(found))
    work = [
        runtime.run(for_ever=True),
        _reload_config(reload, runtime, reloads, load or (lambda: config), live, outputs),
        systemd.notify_systemd(lambda: systemd.status(runtime.silent(), len(runtime.meters))),
        *([live.sample_power()] if live else []),
    ]
    outputs.begin()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
            try:
                await stop.wait()  # Cancelled if a task fails.
            finally:
                log.info("stopping")
                systemd.notify_stopping()
                server.stop()
                for task in tasks:
                    task.cancel()
    finally:
        farewell = asyncio.create_task(outputs.end())
        if live:
            live.hub.close()
        await server.close_all_connections()
        runtime.state.close()
        await farewell  # Last: a broker that does not answer must not delay the rest.


def _log_first_readings() -> Callable[[Meter], None]:
    """Return a function that logs the first power of each meter: the user sees at once whether the readings are right."""
    from meterline.locale import FALLBACK, language
    from meterline.web.page.reading_texts import headline
    from meterline.web.page.view_model import power

    logged: set[str] = set()

    def log_once(meter: Meter) -> None:
        if meter.name not in logged and power(meter):
            logged.add(meter.name)
            log.info("now: %s", headline(meter, language(FALLBACK)), extra=about(meter.name))

    return log_once


async def _reload_config(
    requested: asyncio.Event,
    runtime: Runtime,
    reloads: Reloads,
    load: Callable[[], Config],
    live: Live | None,
    outputs: Outputs,
) -> None:
    """Reload the configuration each time `requested` is set. A configuration that is not valid changes nothing."""
    while True:
        await requested.wait()
        requested.clear()
        try:
            config = await world.current.in_thread(load)
        except UserError as error:
            for line in str(error).splitlines():
                log.error("not reloaded, the previous configuration stays in force: %s", line)
            reloads.note(False)
            continue
        await runtime.change(config)
        await outputs.change()
        if live:
            live.hub.close_streams()
        reloads.note(True)
        log.info("configuration reloaded: %d meter%s", len(config.meters), "s" * (len(config.meters) != 1))


def _allow_many_files() -> None:
    """Raise the limit of open files to `FILES_WANTED`, or as far as the system permits."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if most == resource.RLIM_INFINITY else min(FILES_WANTED, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), most))


def _rules(web: str) -> Rules:
    from meterline.web.http.reloading import Rules  # Imports YAML, which a run without configuration files does not need.

    return Rules(web)


def _live(runtime: Runtime, outputs: Outputs) -> Live:
    """Make the page at /. Its modules are imported only if the page is served: they cost memory."""
    from meterline.web.page.routes import Live

    return Live(runtime, runtime.books.today, lambda: outputs.broker)
