"""Lines and datagrams of a Wi-SUN module for tests, in each of its forms."""

from __future__ import annotations

from typing import TypeAlias

import pytest

Columns: TypeAlias = tuple[str, int | None, int | None]


MAC = "02AB5C00D1E2F301"


METER = "FE80:0000:0000:0000:00AB:5C00:D1E2:F301"


MODULE = "FE80:0000:0000:0000:00AB:5C00:D1E2:F3FE"


PASSWORD, ID = "7QK2ZX9WMB4T", "0000ABCD12345678FEDC9876A1B2C3D4"


SINGLE: Columns = ("1", None, None)


DUAL: Columns = ("1 0", None, 0)


SA2: Columns = ("50 1 0", 0x50, 0)


SHAPES = pytest.mark.parametrize("columns", [SINGLE, DUAL, SA2], ids=["nine_tokens", "ten_tokens", "eleven_tokens"])


FORMS = pytest.mark.parametrize("in_hex", [True, False], ids=["hex", "binary"])


def erxudp(
    payload: bytes,
    columns: Columns = SINGLE,
    *,
    in_hex: bool = False,
    length: int | None = None,
    destination: str = MODULE,
    port: str = "0E1A",
) -> bytes:
    size = len(payload) if length is None else length
    body = payload.hex().upper().encode() if in_hex else payload
    return f"ERXUDP {METER} {destination} {port} {port} {MAC} {columns[0]} {size:04X} ".encode() + body + b"\r\n"
