"""Frames and groups of the TIC for tests: encoded, damaged, cut, and taken apart again."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise

from hypothesis import strategies as st

from meterline.meter.readings import Rejected
from meterline.protocols.tic.contracts import PERIODS
from meterline.protocols.tic.fields import FIELDS, STANDARD, Matcher
from meterline.protocols.tic.frames import (
    Assembler,
    Decoder,
    Frame,
    Group,
)

FREE_TEXT = ("NGTF", "LTARF", "MSG1", "MSG2")
"""No check protects these wholly: any character may stand there."""


def is_text(event: object) -> bool:
    return isinstance(event, Group) and event.label in FREE_TEXT


def groups_of(data: bytes) -> list[Group]:
    return [event for event in Decoder().feed(data) if isinstance(event, Group)]


def rejects_of(data: bytes) -> list[Rejected]:
    return [event for event in Decoder().feed(data) if isinstance(event, Rejected)]


def frames_of(data: bytes) -> list[Frame]:
    return Assembler().feed(Decoder().feed(data))


def sealed(text: str) -> bytes:
    """The body of a group, with the checksum that 54E and 02E prescribe: the last character of `text` is the separator."""
    body = text.encode("ascii")
    summed = body if body.endswith(b"\t") else body[:-1]
    return body + bytes([(sum(summed) & 0x3F) + 0x20])


def even_parity(data: bytes) -> bytes:
    """The line's characters as an 8N1 port reads them: the parity bit is bit 7."""
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in data)


def legal_data(match: Matcher) -> st.SearchStrategy[str]:
    """Everything that the table allows."""
    pattern = getattr(match, "__self__", None)
    if pattern is PERIODS:
        return st.sampled_from(sorted(PERIODS))
    if match is STANDARD["STGE"].data:
        return st.integers(0, 2**32 - 1).map(lambda bits: f"{(bits | 1 << 17) & ~(1 << 5 | 1 << 18):08X}").filter(match)
    if not isinstance(pattern, re.Pattern):
        seasons = [season for season in "HEhe " if match(f"{season}250101000000")]
        days = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31))
        return st.builds(lambda season, day: f"{season}{day:%y%m%d%H%M%S}", st.sampled_from(seasons), days)
    return st.from_regex(str(pattern.pattern), fullmatch=True, alphabet=st.characters(max_codepoint=127))


def legal_groups(label: str) -> st.SearchStrategy[Group]:
    """Every group with that label."""
    known = FIELDS[label]
    timestamps = legal_data(known.timestamp) if known.timestamp else st.none()
    return st.builds(Group, st.just(label), timestamps, legal_data(known.data))


CUTS = st.lists(st.integers(0, 3000), max_size=12)


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 4000), st.sampled_from(["flip", "lose", "double", "insert", "swap"]), st.integers(0, 255)),
    min_size=1,
    max_size=12,
)


def cut_at(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def mutated(data: bytes, mutations: list[tuple[int, str, int]]) -> bytes:
    stream = bytearray(data)
    for place, kind, byte in mutations:
        place %= max(len(stream), 1)
        if not stream:
            break
        if kind == "flip":
            stream[place] ^= 1 << byte % 8
        elif kind == "lose":
            del stream[place]
        elif kind == "double":
            stream.insert(place, stream[place])
        elif kind == "insert":
            stream.insert(place, byte)
        else:
            stream[place - 1], stream[place] = stream[place], stream[place - 1]
    return bytes(stream)
