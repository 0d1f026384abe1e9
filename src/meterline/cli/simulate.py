"""meterline simulate: a simulated meter on a pseudo-terminal or a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
from argparse import Namespace
from functools import partial

from meterline.protocols import PROTOCOLS
from meterline.simulation.place import Place
from meterline.web.http.server import parse_address


def simulate(args: Namespace) -> None:
    """Simulate a meter until Ctrl-C or SIGTERM.

    Raises:
        UserError: A flag is not valid.
    """
    place = Place(args.pty, parse_address(args.tcp) if args.tcp else None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(PROTOCOLS[args.kind].simulator().simulate(args, place, partial(print, flush=True)))
