"""A server with a web configuration on a stage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from meterline.config.schema import Config, MeterConfig
from meterline.service.supervisor import Runtime
from meterline.web.http.connections import Network
from meterline.web.http.reloading import Rules
from meterline.web.http.server import application, listen


@asynccontextmanager
async def serving(file: Path | None = None, allowed: Sequence[Network] = ()) -> AsyncIterator[int]:
    """Serve one meter that nobody reads: the port."""
    rules = Rules(str(file)) if file else None
    server = listen(application(Runtime(Config((MeterConfig("home", "/dev/home"),)))), "127.0.0.1:0", rules, allowed=allowed)
    try:
        yield server.port
    finally:
        server.stop()
        await server.close_all_connections()
