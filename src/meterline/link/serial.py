"""A serial device: raw, with an exclusive lock."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import serialx

from meterline.link import errors
from meterline.link.stream import Form, SerialSettings, Wire

_SHAPES: dict[Form, dict[str, Any]] = {
    "7E1": {"byte_size": 7, "parity": serialx.Parity.EVEN},
    "8N1": {"byte_size": 8, "parity": serialx.Parity.NONE},
}
_OPENING: dict[str, Any] = {"exclusive": True, "low_latency": False}
"""How a device is opened. With low latency, the default of serialx, an FTDI adapter wakes this machine for each byte. Else it
gathers bytes for up to 16 ms.
"""


class SerialLine(Wire):
    """An open serial device."""

    def __init__(self, path: str, settings: SerialSettings) -> None:
        super().__init__(path, settings.baud)
        self._form = settings.form

    async def set_baud(self, baud: int, form: Form = "7E1") -> None:
        """See `Link`."""
        if self._lost:
            raise self._lost
        if (self.baud, self._form) == (baud, form):
            return
        shape = {} if form == self._form else _SHAPES[form]
        # The change drops what has come. A reader that was told of it already would read nothing, which means "unplugged".
        self._transport.pause_reading()
        try:
            try:
                await self._transport.reconfigure_port(baudrate=baud, **shape)
            except OSError as error:
                if not shape or error.errno != errno.EINVAL:
                    raise
                await self._transport.reconfigure_port(baudrate=baud)  # a pseudo-terminal, as in `open_device`
        except OSError as error:
            raise errors.lost(self.url, error) from error
        finally:
            if self._resume is None:
                self._transport.resume_reading()
        self._buffer.clear()
        self.baud, self._form = baud, form

    async def close(self) -> None:
        """Close, and wait until the device is free for whoever opens it next."""
        await super().close()
        await self._transport.wait_closed()


async def open_device(path: str, settings: SerialSettings) -> SerialLine:
    """Open and lock a serial device.

    Raises:
        LinkError: There is no such device, another process holds it, or this user may not open it.
    """
    try:
        try:
            return await _open(path, settings, _SHAPES[settings.form])
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # A pseudo-terminal keeps 8N1 and glibc refuses the change: open it as it is, bit 7 is masked anyway.
            return await _open(path, settings, {})
    except (OSError, serialx.SerialException) as error:
        raise errors.not_opened(path, error) from error


async def _open(path: str, settings: SerialSettings, shape: dict[str, Any]) -> SerialLine:
    line, loop = SerialLine(path, settings), asyncio.get_running_loop()
    await serialx.create_serial_connection(loop, lambda: line, path, baudrate=settings.baud, **_OPENING, **shape)
    return line
