"""Meters that refuse, or do not answer, what they have where too much is asked at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.virtual_time import Watched, run

from meterline.protocols.broute import echonet
from meterline.protocols.broute.poller import LIVE
from meterline.protocols.broute.simulator.commands import FakeMeter, Faults

POWER = ("smartmeter_power_watts",)
IMPORT = ("smartmeter_energy_import_watthours_total",)
EXPORT = ("smartmeter_energy_export_watthours_total",)


def now() -> float:
    return asyncio.get_running_loop().time()


class Fussy(FakeMeter):
    """Bears `most` properties of a Get: refuses those beyond (or `all` of them), or does not answer at all."""

    most = 6
    refuses_all = False
    mute = False
    asked: list[tuple[float, frozenset[int]]]

    def answer(self, frame: echonet.Frame, when: float) -> echonet.Frame | None:
        self.asked = getattr(self, "asked", [])
        self.asked.append((now(), frozenset(epc for epc, _ in frame.properties)))
        reply = super().answer(frame, when)
        if reply is None or len(frame.properties) <= self.most:
            return reply
        if self.mute:
            return None
        kept = 0 if self.refuses_all else self.most
        said = tuple(echonet.Property(epc, edt if at < kept else b"") for at, (epc, edt) in enumerate(reply.properties))
        return reply._replace(esv=echonet.GET_SNA, properties=said)


def fussy(most: int, **facts: Any) -> Fussy:
    meter = Fussy(export=True, **{key: value for key, value in facts.items() if key == "overrides"})
    meter.most = most
    for name in ("refuses_all", "mute"):
        setattr(meter, name, facts.get(name, False))
    return meter


@pytest.mark.parametrize("kind", ["beyond", "all", "mute"])
@pytest.mark.parametrize("most", [1, 2, 3, 4])
def test_a_meter_that_bears_few_properties_at_once_is_read_whole(most: int, kind: str) -> None:
    meter = fussy(most, refuses_all=kind == "all", mute=kind == "mute")
    seen = run(0.3, [meter])
    for series in (
        POWER,
        IMPORT,
        EXPORT,
        ("smartmeter_fault",),
        ("smartmeter_operating",),
        ("smartmeter_info", "manufacturer"),
    ):
        assert seen.meter.value(*series) is not None, series
    assert seen.count("smartmeter_session_joins_total", "joined") == 1
    later = [epcs for when, epcs in meter.asked if when > 900 and 0xE7 in epcs]
    if kind != "mute":
        assert max(map(len, later)) <= max(most, 3), "how many it bears is learnt"


def test_what_is_refused_alone_is_asked_seldom_and_again_each_day() -> None:
    meter = Fussy(overrides={0x9F: echonet.encode_property_map((0x80, 0x88, 0x9F, 0xD7, 0xE0, 0xE1, 0xE3, 0xE7, 0xE8))})
    seen = run(72, [meter], step=60)
    assert seen.meter.value(*POWER) is not None
    assert seen.meter.value(*EXPORT) is None
    asked = [when for when, epcs in meter.asked if epcs == {0xE3}]
    assert len(asked) < 20
    assert max(asked) > 24 * 3600, "asked again each day"
    assert sum(0xE3 in epcs for _, epcs in meter.asked) < 40


def test_a_property_that_is_refused_for_an_hour_comes_back() -> None:
    meter = FakeMeter()
    shown = []

    def act(seen: Watched) -> None:
        if 600 < now() < 4200:
            meter.overrides[0xE7] = None
        else:
            meter.overrides.pop(0xE7, None)
        shown.append((now(), seen.meter.value(*POWER) is not None))

    run(4, [meter], act=act, step=5)
    assert not any(there for when, there in shown if 800 < when < 4200)
    assert all(there for when, there in shown if when > 3 * 3600)


def test_a_refusal_or_a_silence_in_a_batch_is_never_taken_for_a_coefficient_of_1() -> None:
    values = set()
    for most in (1, 2):
        for facts in ({"refuses_all": True}, {"mute": True}, {}):
            meter = fussy(most, **facts)
            meter.coefficient = 10
            seen = run(0.3, [meter])
            values.add(round(float(seen.meter.value(*IMPORT) or 0), -4))
    assert values == {12_340_000.0}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({0xE1: None}, "no energy of this meter: unit of the registers (E1) is not in the meter's property map (9F)"),
        ({0xE0: None}, "no energy of this meter: import register (E0) is not in the meter's property map (9F)"),
        ({0xE7: None}, "no power of this meter: instantaneous power (E7) is not in the meter's property map (9F)"),
        ({0xE7: bytes.fromhex("7FFFFFFE")}, "no power of this meter: instantaneous power (E7) is not measured"),
        ({0xE1: b"\x09"}, "no energy: the meter says something of its registers' unit that cannot be (E1)"),
    ],
)
def test_the_log_says_once_why_there_is_no_power_or_no_energy(overrides: dict[int, bytes | None], said: str) -> None:
    hints = "\n".join(set(run(0.5, [FakeMeter(overrides=dict(overrides))]).hints))
    assert said in hints


@pytest.mark.parametrize(("refused", "said"), [(0xE1, "(E1) is refused by the meter"), (0xE7, "(E7) is refused by the meter")])
def test_the_log_says_that_what_the_map_lists_is_refused(refused: int, said: str) -> None:
    meter = FakeMeter(overrides={refused: None, 0x9F: echonet.encode_property_map(FakeMeter().epcs())})
    assert said in "\n".join(run(0.5, [meter]).hints)


def test_the_log_says_that_a_unit_is_never_answered() -> None:
    class Mum(FakeMeter):
        def answer(self, frame: echonet.Frame, when: float) -> echonet.Frame | None:
            return None if 0xE1 in {epc for epc, _ in frame.properties} else super().answer(frame, when)

    seen = run(1, [Mum()])
    assert seen.meter.value(*POWER) is not None
    assert seen.meter.value(*IMPORT) is None
    assert "unit of the registers (E1) was not answered by the meter" in "\n".join(seen.hints)


def test_a_good_meter_is_not_explained() -> None:
    assert not any(text.startswith("no ") for text in run(1).hints)


@pytest.mark.parametrize("fault", ["drop", "refused21", "er09", "er10", "sna", "wrong_pdc", "wrong_length"])
def test_bad_luck_is_not_taken_for_what_a_meter_cannot_do(fault: str) -> None:
    faults: dict[str, Any] = {fault: 0.3}
    shown = list[bool]()

    def note(seen: Watched) -> None:
        if now() > 300:
            shown.append(seen.meter.value(*POWER) is not None)

    run(6, act=note, step=5, faults=Faults(**faults))
    assert sum(shown) > 0.98 * len(shown)


class Unwilling(FakeMeter):
    """From ten minutes on, for two hours, it refuses everything that is asked in each round; its map says otherwise."""

    def answer(self, frame: echonet.Frame, when: float) -> echonet.Frame | None:
        reply = super().answer(frame, when)
        if reply is None or not 600 < now() < 7800:
            return reply
        said = tuple(echonet.Property(epc, b"" if epc in LIVE else edt) for epc, edt in reply.properties)
        refuses = any(not edt for _, edt in said)
        return reply._replace(esv=echonet.GET_SNA if refuses else reply.esv, properties=said)


def test_a_meter_that_refuses_all_that_is_asked_each_time_is_there_and_the_log_says_what_it_does() -> None:
    back = list[float]()

    def note(seen: Watched) -> None:
        if not back and now() > 7800 and seen.meter.value(*POWER) is not None:
            back.append(now())

    seen = run(4, [Unwilling()], act=note, step=5)
    assert seen.count("smartmeter_session_joins_total", "joined") == 1
    assert seen.count("smartmeter_polls_failed_total") == 0
    assert any("is refused by the meter" in text for text in seen.hints)
    assert back[0] < 7800 + 3700
