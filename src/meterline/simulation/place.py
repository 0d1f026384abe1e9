"""Where a simulated meter is reached, whether it talks by itself or answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from meterline.simulation import line, responder


class Place(NamedTuple):
    """A TCP port, or else a new pseudo-terminal.

    Attributes:
        pty: Path that becomes a symbolic link to the pseudo-terminal; None: it has only its own name.
        tcp: Host and port to serve on instead.
    """

    pty: str | None = None
    tcp: tuple[str, int] | None = None

    def talk(self) -> AbstractAsyncContextManager[tuple[str, line.Write, Callable[[], int | None]]]:
        """Open the place for a meter that talks: its URL, how to write, and the reader's speed."""
        return line.on_tcp(*self.tcp) if self.tcp else line.on_pty(self.pty)

    def answer(self, meter: responder.Asked) -> AbstractAsyncContextManager[str]:
        """Open the place for a meter that answers: its URL."""
        return responder.on_tcp(lambda: meter, *self.tcp) if self.tcp else responder.on_pty(meter, self.pty)
