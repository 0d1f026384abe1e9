"""meterline decode FILE: print a capture as JSON, one object a line, in the order of the stream."""

from __future__ import annotations

import json
import sys
from typing import Protocol, cast

from meterline.errors import UserError
from meterline.meter.readings import Rejected
from meterline.protocols import PROTOCOLS

CHUNK_BYTES = 1 << 16
PROOFS_NEEDED = 3
"""Events of a protocol after which it counts as recognised."""
LOOKAHEAD_BYTES = 1 << 20
"""Bytes at the start in which the protocol is searched for: a quarter of an hour of a line at 9600 baud."""


class ByteSource(Protocol):
    """A file or pipe whose reads return the available bytes without waiting for more."""

    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes; none at the end."""


def decode(path: str, protocol: str | None) -> None:
    """Print what the decoder accepts, and what it rejects, with the reason.

    Args:
        path: The capture; ``-``: standard input.
        protocol: Name of the protocol; None: recognise it.

    Raises:
        UserError: Nothing in the capture proves that it is of the protocol.
        OSError: The file is not readable.
    """
    if path == "-":
        proved = _decode(cast(ByteSource, sys.stdin.buffer), protocol)
    else:
        with open(path, "rb") as file:
            proved = _decode(file, protocol)
    if not proved:
        names = " or ".join(PROTOCOLS)
        advice = "" if protocol else f"; --protocol {names} shows what is rejected"
        raise UserError(f"{path}: not a capture of a meter: no data of {protocol or names}{advice}", 1)


def _decode(file: ByteSource, name: str | None) -> bool:
    """Print the events; return whether one of them proves the protocol."""
    head = b""
    if name is None:
        name, head = _recognise(file)
    if name is None:
        return False
    protocol, proved, data = PROTOCOLS[name], False, head or file.read1(CHUNK_BYTES)
    decoder = protocol.decoder()
    while data:
        for event in decoder.feed(data):
            proved = proved or protocol.proves(event)
            if isinstance(event, Rejected):
                print(json.dumps({"rejected": event.reason, "data": event.data.decode("latin-1")}))
            elif facts := protocol.describe(event):
                print(json.dumps(facts, ensure_ascii=False))
        data = file.read1(CHUNK_BYTES)
    return proved


def _recognise(file: ByteSource) -> tuple[str | None, bytes]:
    """Return the protocol with the most events, and the bytes that were read to find it; None if no protocol has any."""
    decoders = {name: protocol.decoder() for name, protocol in PROTOCOLS.items()}
    proofs, head = dict.fromkeys(decoders, 0), bytearray()
    while max(proofs.values()) < PROOFS_NEEDED and len(head) < LOOKAHEAD_BYTES and (data := file.read1(CHUNK_BYTES)):
        head += data
        for name, decoder in decoders.items():
            proofs[name] += sum(map(PROTOCOLS[name].proves, decoder.feed(data)))
    best = max(proofs, key=proofs.__getitem__)
    return best if proofs[best] else None, bytes(head)
