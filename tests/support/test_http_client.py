"""The tests' own client, against a peer that ends at the worst moment."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial

from support.http_client import connected

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets."""


def test_a_peer_that_resets_between_two_steps_of_the_client_is_an_end_and_no_error() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            for steps_before in range(3):
                async with connected(server.getsockname()[1]) as client:
                    peer, _ = server.accept()
                    steps: list[Callable[[], None]] = [partial(client.send, b"x" * 100_000), client.finish]
                    for step in steps[:steps_before]:
                        step()
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    peer.close()
                    for step in steps[steps_before:]:
                        step()
                    assert await client.read() == b""

    asyncio.run(test())
