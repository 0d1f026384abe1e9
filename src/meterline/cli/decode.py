"""meterline decode FILE: a capture as JSON, one object a line, in the order of the stream."""

from __future__ import annotations

import json
import sys
from typing import Protocol, cast

from meterline.errors import UserError
from meterline.meter.readings import Rejected
from meterline.protocols import PROTOCOLS

CHUNK = 1 << 16
ENOUGH = 3
"""Events that make sure of a protocol."""
LOOKAHEAD = 1 << 20
"""Bytes in which the protocol must show itself: a quarter of an hour of a line at 9600 baud."""


class Pieces(Protocol):
    """A file that gives what is there, and does not wait until it is much."""

    def read1(self, size: int, /) -> bytes:
        """So many bytes at most; none at the end."""


def decode(path: str, protocol: str | None) -> None:
    """Print what the decoder accepts, and what it rejects with the reason. ``-`` is standard input.

    `protocol`: None finds it out. UserError where nothing in it can only be of that protocol.
    """
    if path == "-":
        proved = _decode(cast(Pieces, sys.stdin.buffer), protocol)
    else:
        with open(path, "rb") as file:
            proved = _decode(file, protocol)
    if not proved:
        names = " or ".join(PROTOCOLS)
        advice = "" if protocol else f"; --protocol {names} shows what is rejected"
        raise UserError(f"{path}: no capture of a meter: nothing in it is {protocol or names}{advice}", 1)


def _decode(file: Pieces, name: str | None) -> bool:
    """Whether it is a capture of a meter."""
    head = b""
    if name is None:
        name, head = _recognise(file)
    if name is None:
        return False
    protocol, proved, data = PROTOCOLS[name], False, head or file.read1(CHUNK)
    decoder = protocol.decoder()
    while data:
        for event in decoder.feed(data):
            proved = proved or protocol.proves(event)
            if isinstance(event, Rejected):
                print(json.dumps({"rejected": event.reason, "data": event.data.decode("latin-1")}))
            elif facts := protocol.describe(event):
                print(json.dumps(facts, ensure_ascii=False))
        data = file.read1(CHUNK)
    return proved


def _recognise(file: Pieces) -> tuple[str | None, bytes]:
    """The protocol of which the most is in it, and what was read to find out; None: there is nothing of any."""
    decoders = {name: protocol.decoder() for name, protocol in PROTOCOLS.items()}
    proofs, head = dict.fromkeys(decoders, 0), bytearray()
    while max(proofs.values()) < ENOUGH and len(head) < LOOKAHEAD and (data := file.read1(CHUNK)):
        head += data
        for name, decoder in decoders.items():
            proofs[name] += sum(map(PROTOCOLS[name].proves, decoder.feed(data)))
    best = max(proofs, key=proofs.__getitem__)
    return best if proofs[best] else None, bytes(head)
