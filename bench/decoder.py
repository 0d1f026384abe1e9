"""How fast the decoder is: bytes in, checked groups out.

Measured: `Decoder().feed` on 20 MB of consecutive frames of one simulated meter at the real frame rate from 06:00 on (two days
of historic mode, six hours of standard mode; nothing repeats but what a meter repeats), 4 KiB at a time, best of five.
"repeated" is the first 20 kB of it over and over, as a short capture would be.
Reference: `bytes.count` over the same 20 MB, best of five: of one byte, the fastest thing that Python can do with
every byte, and of the pair CR LF, a search like ours. The goals were set where `bytes.count` makes 650 MB/s:
20 MB/s historic and 40 MB/s standard, which is 1/33 and 1/17.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.line import at, frames, household
from bench.table import Row, ratio, show
from meterline.protocols.tic.frames import Decoder

SIZE = 20_000_000
CHUNK = 4096
ROUNDS = 5
MARKS = (b"\n", b"\r\n")
KINDS = ("a real day", "repeated")
REPEATED = 20_000
"""Bytes of a capture that is read again and again, as decoders are usually compared: some twenty frames or more."""
GOALS = {"historic": "1/33", "standard": "1/17"}


def _stream(mode: str) -> bytes:
    stream = bytearray()
    for frame in frames(household(mode), at(6)):
        stream += frame
        if len(stream) >= SIZE:
            return bytes(stream)
    raise AssertionError("frames never end")


def _decode(chunks: list[bytes]) -> None:
    feed = Decoder().feed
    for chunk in chunks:
        feed(chunk)


def _speeds(size: int, works: Sequence[Callable[[], object]]) -> list[float]:
    """MB/s of each: the best of several rounds, in turn, so that what else the machine does meets all of them."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, found in zip(works, seconds, strict=True):
            gc.collect()
            start = time.perf_counter()
            work()
            found.append(time.perf_counter() - start)
    return [size / min(found) / 1e6 for found in seconds]


def main() -> None:
    rows = []
    for mode, kind, goal in ((mode, kind, goal) for mode, goal in GOALS.items() for kind in KINDS):
        stream = _stream(mode)
        if kind == "repeated":
            stream = stream[:REPEATED] * (SIZE // REPEATED)
        chunks = [stream[start : start + CHUNK] for start in range(0, len(stream), CHUNK)]
        speed, *counts = _speeds(len(stream), [partial(_decode, chunks), *(partial(stream.count, mark) for mark in MARKS)])
        for mark, count in zip(MARKS, counts, strict=True):
            what = f"{mode}, {kind}, beside count({mark!r})"
            rows.append(Row(what, f"{speed:.0f} MB/s", f"{count:.0f} MB/s", ratio(speed, count), f">= {goal}"))
    show("decoder", (__doc__ or "").partition("\n\n")[2].strip(), rows)
