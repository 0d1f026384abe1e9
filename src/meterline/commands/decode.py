"""meterline decode FILE: a capture as JSON, one object a line, in the order of the stream."""

from __future__ import annotations

import json
import sys
from typing import BinaryIO

from meterline.model import Rejected
from meterline.protocols import PROTOCOLS


def decode(path: str, protocol: str) -> None:
    """Print what the decoder accepts, and what it rejects with the reason. ``-`` is standard input."""
    if path == "-":
        _decode(sys.stdin.buffer, protocol)
    else:
        with open(path, "rb") as file:
            _decode(file, protocol)


def _decode(file: BinaryIO, name: str) -> None:
    protocol = PROTOCOLS[name]
    decoder = protocol.Decoder()
    accepted = 0
    while data := file.read(65_536):
        for event in decoder.feed(data):
            if isinstance(event, Rejected):
                print(json.dumps({"rejected": event.reason, "data": event.data.decode("latin-1")}))
            elif facts := protocol.facts(event):
                accepted += 1
                print(json.dumps(facts, ensure_ascii=False))
    if not accepted:
        print(f"meterline: nothing in it is {name}; is it a capture of a meter?", file=sys.stderr)
