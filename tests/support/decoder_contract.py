"""What every decoder promises, as checks that any protocol's tests can use.

`assert_decodes` holds them all: the same events however the stream is cut; noise, a cut frame or a second frame cost nothing
around them; damage costs values but never changes one; endless noise costs no memory. A decoder is anything with
``feed(bytes) -> list of events``; which of its events are *values* (what would be shown) the caller says.
"""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from hypothesis import settings


class Decoder(Protocol):
    """Sans-IO: bytes in, however cut; events out."""

    def feed(self, data: bytes, /) -> Sequence[Any]: ...


Make: TypeAlias = Callable[[], Decoder]
Test: TypeAlias = Callable[[Any], bool]

KEPT = 4096
"""Bytes that a decoder may keep of noise, pickled: several times the longest frame of any meter."""

_noise = random.Random(1)
NOISE = (
    b"\0" * 7,
    b"\xff" * 300,
    b"U" * 1000,
    *(_noise.randbytes(size) for size in (1, 2, 10, 100, 200, 1000, 5000)),
)
"""What may come before a frame."""
ENDLESS = (b"\0", b"\xff", b"7", b"A ", _noise.randbytes(997))
"""What a broken line repeats for ever."""

fuzz = settings(max_examples=int(os.environ.get("METERLINE_EXAMPLES", "200")), deadline=None)
"""Settings of the Hypothesis properties; their names hold "fuzz", so that `make fuzz` runs them for longer."""


def _never(event: object) -> bool:
    return False


def assert_decodes(
    make: Make,
    data: bytes,
    expected: Sequence[Any],
    *,
    is_value: Test,
    is_text: Test = _never,
    noise: Iterable[bytes] = NOISE,
    endless: Iterable[bytes] = ENDLESS,
    kept: int = KEPT,
    damage: bool = True,
) -> None:
    """`data`, one or more whole frames, gives the `expected` events, and goes on doing so whatever the line does to it.

    `is_value`: what would be shown, not a mark or a rejection. `is_text`: values that no check protects wholly (free text),
    exempt from damage. `kept`: bytes that the decoder may keep. `damage` false leaves the slow checks out: every bit flipped,
    every byte lost.
    """
    assert_cut_anyhow(make, data, expected)
    assert_noise_costs_nothing(make, data, is_value, noise)
    assert decode(make, [data, data]) == [*expected, *expected], "two frames back to back"
    assert_truncated(make, data, expected, is_value)
    if damage:
        assert_damage_changes_no_value(make, data, is_value, is_text)
    for pattern in endless:
        events = assert_bounded(make, pattern, kept)
        assert events, f"endless {pattern[:4]!r} is not reported"
        assert not any(map(is_value, events)), f"endless {pattern[:4]!r} gives a value"


def decode(make: Make, pieces: Iterable[bytes]) -> list[Any]:
    """All events of a stream that comes in pieces."""
    decoder = make()
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut(data: bytes, size: int) -> list[bytes]:
    """Pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def assert_cut_anyhow(make: Make, data: bytes, expected: Sequence[Any]) -> None:
    """Whole, byte by byte, in pieces of several sizes, and cut in two at every place."""
    assert decode(make, [data]) == list(expected), "whole"
    for size in (1, 2, 3, 7, 64, 127, 128, 129):
        assert decode(make, cut(data, size)) == list(expected), f"in pieces of {size}"
    for place in range(len(data) + 1):
        assert decode(make, [data[:place], data[place:]]) == list(expected), f"cut at {place}"
    assert decode(make, [b"", *cut(data, 100), b""]) == list(expected), "reads that give nothing"


def assert_noise_costs_nothing(make: Make, data: bytes, is_value: Test, noise: Iterable[bytes] = NOISE) -> None:
    """Noise before, of any kind and however cut, gives no value and costs none."""
    values = list(filter(is_value, decode(make, [data])))
    for start in noise:
        for size in (1, 64, len(start) + len(data)):
            events = decode(make, cut(start + data, size))
            assert list(filter(is_value, events)) == values, f"{start[:8]!r} before, in pieces of {size}"


def assert_truncated(make: Make, data: bytes, expected: Sequence[Any], is_value: Test) -> None:
    """The start of a frame gives the first of its events and nothing else; what follows the cut is not harmed."""
    values = list(filter(is_value, expected))
    for end in range(len(data)):
        events = decode(make, [data[:end]])
        assert events == list(expected[: len(events)]), f"cut off at {end}"
        both = list(filter(is_value, decode(make, [data[:end] + data])))
        first = len(both) - len(values)
        assert both == values[: max(first, 0)] + values, f"cut off at {end}, then whole"


def flipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every copy of the data with one bit wrong, and which."""
    for place in range(len(data)):
        for bit in range(8):
            yield f"bit {bit} of byte {place}", data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]


def without_a_byte(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every copy of the data with one byte lost, and which."""
    for place in range(len(data)):
        yield f"byte {place}", data[:place] + data[place + 1 :]


def assert_damage_changes_no_value(make: Make, data: bytes, is_value: Test, is_text: Test = _never) -> None:
    """Any bit flipped, any byte lost: each value that still comes is one of the undamaged data, in its order."""

    def values(pieces: list[bytes]) -> list[Any]:
        return [event for event in decode(make, pieces) if is_value(event) and not is_text(event)]

    right = values([data, data])
    for kind, damaged in (("flipped", flipped(data)), ("lost", without_a_byte(data))):
        for where, bad in damaged:
            rest = iter(right)
            wrong = [value for value in values([bad, data]) if value not in rest]
            assert not wrong, f"{where} {kind}: {wrong}"


def assert_bounded(make: Make, pattern: bytes, kept: int = KEPT, total: int = 1 << 19) -> list[Any]:
    """`total` bytes of a repeated pattern: the decoder keeps no more than `kept` of them. Its events."""
    decoder = make()
    events: list[Any] = []
    for piece in cut(pattern * (total // len(pattern)), 1 << 14):
        events += decoder.feed(piece)
        size = len(pickle.dumps(decoder))
        assert size <= kept, f"{size} bytes kept of endless {pattern[:4]!r}"
    return events
