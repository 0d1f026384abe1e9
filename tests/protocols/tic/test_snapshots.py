"""A frame that is compared with the one before shows, at every step, what the same frame shows that is looked at as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz
from support.meter_state import state
from support.tic_bytes import MUTATIONS, frames_of, legal_groups, mutated
from support.tic_frames import EJP_NOTICE, EJP_PEAK, IN_OVERLOAD, RED_ANNOUNCED, SUMMER_NOON, simulated

from meterline.meter.meter import Meter
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.fields import FIELDS
from meterline.protocols.tic.frames import Assembler, Decoder, Group, encode_frame
from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.protocols.tic.snapshots import SnapshotBuilder


def meters() -> list[FakeMeter]:
    """A meter of each kind, at a time at which its frames hold something rare."""
    return [
        simulated("historic", "BASE", SUMMER_NOON),
        simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True),
        simulated("historic", "EJP", EJP_NOTICE),
        simulated("historic", "TEMPO", IN_OVERLOAD, overload=True),
        simulated("standard", "BASE", SUMMER_NOON, producer=True),
        simulated("standard", "TEMPO", RED_ANNOUNCED, phases=3),
        simulated("standard", "EJP", EJP_PEAK),
    ]


def pool() -> dict[str, list[Group]]:
    """Label → what meters say under it, at some times."""
    found: dict[str, dict[Group, None]] = {}
    for meter in meters():
        for hours in (0, 1, 5, 9, 30):
            meter.advance(meter.now + hours * 3600)
            for frame in frames_of(meter.frame()):
                for label, group in frame.groups.items():
                    found.setdefault(label, {})[group] = None
    return {label: list(groups) for label, groups in found.items()}


POOL = pool()


class Step(NamedTuple):
    """The next frame of a line, and what happens to it."""

    seconds: float
    meter: int | None
    """Another one, from now on."""
    others: list[tuple[int, int]]
    """Groups by their place, and what is said in their stead: something that meters say there."""
    said: Group | None
    """Any group in place of the one of its label."""
    lost: list[int]
    damage: list[tuple[int, str, int]]


RARELY = [False] * 9 + [True]
PLACES = st.integers(0, 80)
STEPS = st.builds(
    Step,
    st.sampled_from([1.5] * 8 + [11.0, 40.0]),
    st.sampled_from([None] * 30 + list(range(len(meters())))),
    st.lists(st.tuples(PLACES, st.integers(0, 20)), max_size=6),
    st.none() | st.sampled_from(sorted(FIELDS)).flatmap(legal_groups),
    st.sampled_from(RARELY).flatmap(lambda loses: st.lists(PLACES, max_size=9) if loses else st.just([])),
    st.sampled_from(RARELY).flatmap(lambda damages: MUTATIONS if damages else st.just([])),
)


def frame_bytes(meter: FakeMeter, step: Step) -> bytes:
    """The bytes of the next frame."""
    sent = meter.frame()
    if frames := frames_of(sent):
        groups = dict(frames[0].groups)
        labels = list(groups)
        for place, pick in step.others:
            label = labels[place % len(labels)]
            known = POOL.get(label, [groups[label]])
            groups[label] = known[pick % len(known)]
        if step.said and step.said.label in groups:
            groups[step.said.label] = step.said
        for place in step.lost:
            groups.pop(labels[place % len(labels)], None)
        sent = encode_frame(groups.values())
    return mutated(sent, step.damage) if step.damage else sent


@fuzz
@given(st.integers(0, len(meters()) - 1), st.booleans(), st.lists(STEPS, min_size=4, max_size=16))
def test_fuzz_frames_compared_and_frames_looked_at_as_a_whole_show_the_same(
    first: int, prm: bool, steps: Sequence[Step]
) -> None:
    now, talking = [1000.0], meters()
    fast, plain = (Meter("home", clock=lambda: now[0]) for _ in range(2))
    decoder, assembler, builder, after_short = Decoder(), Assembler(), SnapshotBuilder(prm), False
    speaker = talking[first]
    for step in steps:
        now[0] += step.seconds
        speaker = speaker if step.meter is None else talking[step.meter]
        speaker.advance(speaker.now + step.seconds)
        for frame in assembler.feed(decoder.feed(frame_bytes(speaker, step))):
            whole = readings(frame, prm, after_short)
            after_short = whole.short
            snapshot = builder.build(frame)
            assert tuple(snapshot.readings) == whole.readings
            assert snapshot._replace(readings=whole.readings, change=None) == whole._replace(words=snapshot.words)
            assert dict(snapshot.words) == dict(whole.words)
            plain.take(whole)
            fast.take(snapshot)
            assert state(fast) == state(plain)


@pytest.mark.parametrize("number", range(len(meters())))
def test_most_frames_of_a_meter_are_compared(number: int) -> None:
    meter, decoder, assembler, builder = meters()[number], Decoder(), Assembler(), SnapshotBuilder(False)
    compared, count = 0, 0
    for _ in range(60):
        meter.advance(meter.now + 2)
        for frame in assembler.feed(decoder.feed(meter.frame())):
            change = builder.build(frame).change
            assert change
            compared += change.readings is not None
            count += 1
    assert compared > (0 if number in (1, 3) else 55), f"of {count}"
