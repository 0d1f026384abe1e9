"""The place where a simulated meter is reached."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

from meterline.simulation import line, responder


class Place(NamedTuple):
    """A TCP port, or a new pseudo-terminal.

    Attributes:
        pty: Path of a symbolic link to the pseudo-terminal; None: no link.
        tcp: Host and port; None: a pseudo-terminal.
    """

    pty: str | None = None
    tcp: tuple[str, int] | None = None

    def talk(self) -> AbstractAsyncContextManager[tuple[str, line.Write, Callable[[], int | None]]]:
        """Open the place for a meter that sends unasked. See `line.on_pty`."""
        return line.on_tcp(*self.tcp) if self.tcp else line.on_pty(self.pty)

    def answer(self, meter: responder.Responder) -> AbstractAsyncContextManager[str]:
        """Open the place for a meter that sends replies only; the context's value is the URL."""
        return responder.on_tcp(lambda: meter, *self.tcp) if self.tcp else responder.on_pty(meter, self.pty)
