"""meterline demo: simulated meters on pseudo-terminals, read and served like real meters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile

from meterline.billing.tariff import Tariffs
from meterline.cli.run import Web, serve
from meterline.config.schema import Config, MeterConfig
from meterline.config.structure import structure
from meterline.protocols import PROTOCOLS
from meterline.simulation.place import Place
from meterline.web.http.server import bound, parse_address


def demo(address: str) -> None:
    """Simulate, read and serve the meters until Ctrl-C.

    Args:
        address: ``HOST:PORT`` or ``:PORT`` to serve on.

    Raises:
        UserError: `address` is not an address, or in use.
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_demo(address))


async def _demo(address: str) -> None:
    host, _ = parse_address(address)
    sockets = bound(address)  # Before the meters start: an error is then the only output.
    port = sockets[0].getsockname()[1]
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="meterline-demo-"))
        configs = []
        for protocol in PROTOCOLS.values():
            for meter in protocol.simulator().demo():
                path = await stack.enter_async_context(meter.serve(Place(os.path.join(folder, meter.name))))
                tariffs = structure(dict(meter.tariffs), Tariffs) if meter.tariffs else None
                configs.append(MeterConfig(meter.name, path, protocol.name, meter.options, tariffs=tariffs))
        count = {4: "four"}.get(len(configs), str(len(configs)))
        print(f"{count} simulated meters: open http://{host or 'localhost'}:{port}/ (Ctrl-C ends)", flush=True)
        await serve(Config(tuple(configs)), Web(address, sockets=tuple(sockets)))
