"""Where a meter is on the air: several networks with its pairing ID, and places that are so no more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from support.virtual_time import Watched, run

from meterline.protocols.broute.simulator.commands import FakeMeter

POWER = ("smartmeter_power_watts",)
OLD = {"channel": "22", "pan_id": "ABCD", "mac": "001422445566ABCD"}


def now() -> float:
    return asyncio.get_running_loop().time()


class Moments:
    """When the first value of a run was shown."""

    def __init__(self) -> None:
        self.first: float | None = None

    def __call__(self, seen: Watched) -> None:
        if self.first is None and seen.meters["meter0"].value(*POWER) is not None:
            self.first = now()


def facts(meter: FakeMeter) -> dict[str, str]:
    return {"channel": f"{meter.channel:02X}", "pan_id": f"{meter.pan_id:04X}", "mac": meter.mac}


@pytest.mark.parametrize("signals", [(0x8C, 0xC0), (0x40, 0xC0), (0xC0, 0x40)], ids=str)
def test_of_two_networks_with_our_pairing_id_the_other_is_tried_too(signals: tuple[int, int]) -> None:
    ours = FakeMeter(id="1" * 24 + "0194BFAD", lqi=signals[0], overrides={0xE7: (111).to_bytes(4)})
    theirs = FakeMeter(id="2" * 24 + "0194BFAD", lqi=signals[1], mac="0014224455660002", channel=0x25)
    moments, memory = Moments(), dict[str, Any]()
    seen = run(0.2, [ours], [theirs], act=moments, memory=memory)
    assert moments.first
    assert moments.first < 60
    assert seen.meter.value(*POWER) == 111
    assert memory["meter0"] == facts(ours), "and remembered"
    assert not any("check id and password" in text for text in seen.hints)


def test_where_no_network_lets_us_in_it_is_said() -> None:
    ours = FakeMeter(id="1" * 24 + "0194BFAD")
    theirs = FakeMeter(id="2" * 24 + "0194BFAD", mac="0014224455660002", channel=0x25)
    seen = run(0.3, [ours], [theirs], wrong={"password": "A" * 12})
    assert any("check id and password" in error for error in seen.errors)


def test_a_place_from_the_configuration_that_is_so_no_more_costs_one_join() -> None:
    moments, memory = Moments(), dict[str, Any]()
    seen = run(0.1, wrong=OLD, act=moments, memory=memory)
    assert moments.first
    assert moments.first < 75, "40 s until the module gives up, and a scan"
    said = next(text for text in seen.hints if "configuration" in text)
    assert said == (
        "the configuration is old: the meter is not where channel, pan_id, mac says; "
        "take that out; the meter is found without it"
    )
    again = Moments()
    second = run(0.1, wrong=OLD, act=again, memory=memory)
    assert again.first
    assert again.first < 6, "what was found is newer"
    assert any("the configuration is old" in text for text in second.hints), "it is said at each start"


def test_a_configuration_that_was_changed_is_newer_than_what_is_remembered() -> None:
    memory: dict[str, Any] = {"meter0": OLD | {"configured": " ".join(OLD.values())}}
    moments = Moments()
    seen = run(0.1, wrong=facts(FakeMeter()), act=moments, memory=memory)
    assert moments.first
    assert moments.first < 6
    assert not any("the configuration is old" in text for text in seen.hints)


def test_a_channel_of_the_configuration_that_is_so_no_more_costs_seconds() -> None:
    moments = Moments()
    seen = run(0.1, wrong={"channel": "22"}, act=moments)
    assert moments.first
    assert moments.first < 35
    assert any("the meter is not where channel says" in text for text in seen.hints)


def test_a_remembered_place_that_is_so_no_more_costs_one_join() -> None:
    moments = Moments()
    seen = run(0.1, memory={"meter0": dict(OLD)}, act=moments)
    assert moments.first
    assert moments.first < 75
    assert not any("configuration" in text for text in seen.hints), "nobody wrote that"
