"""A client that is not ours opens, joins and reads the simulated module over a pseudo-terminal: momonga, of Home Assistant."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import momonga
import pytest

from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule
from meterline.simulation.responder import on_pty

WATTS = -1234


def opened(path: str, meter: FakeMeter) -> momonga.Momonga:
    """It scans, joins and learns the unit, without its pauses between two questions."""
    client = momonga.Momonga(meter.id, meter.password, path)
    client.internal_xmit_interval = 0
    return client.open()


def read(path: str, meter: FakeMeter, dual: bool) -> None:
    """What its user does, from open to close; it blocks."""
    client = opened(path, meter)
    try:
        assert client.get_instantaneous_power() == WATTS
        assert client.get_instantaneous_current() == {"r phase current": -12.5, "t phase current": None}
        before = meter.imported
        energy = client.get_measured_cumulative_energy()
        assert energy is not None
        assert before - 100 <= 1000 * energy <= meter.imported, "whole tenths of a kWh"
        assert (client.lqi is not None) == dual, "only the dual edition has a column of the link quality"
        assert {0xC0, 0xD0, 0xE7, 0xEE, 0xEF} <= client.get_properties_to_get_values()
        assert 0xEF in client.get_properties_to_set_values()
        now = datetime.fromtimestamp(meter.now, meter.local.tzinfo).replace(second=0, microsecond=0, tzinfo=None)
        minutes = client.get_historical_cumulative_energy_3(now, 10)
        assert [minute["timestamp"] for minute in minutes] == [now - timedelta(minutes=back) for back in range(10)]
        assert len(client.get_historical_cumulative_energy_1(1)) == 48
    finally:
        client.close()


@pytest.mark.parametrize("binary", [False, True], ids=["hex", "binary"])
@pytest.mark.parametrize("dual", [True, False], ids=["dual", "single"])
def test_momonga_opens_joins_and_reads(dual: bool, binary: bool) -> None:
    says = {0xE7: WATTS.to_bytes(4, signed=True), 0xE8: (-125).to_bytes(2, signed=True) + bytes.fromhex("7FFE")}
    meter = FakeMeter(second_generation=True, overrides=dict(says))
    module = FakeModule([meter], dual=dual, binary=binary, haste=100.0)

    async def test() -> None:
        async with on_pty(module) as path:
            await asyncio.to_thread(read, path, meter, dual)

    asyncio.run(test())
    assert module.session is None, "it took its leave"
    assert not module.binary, "it had the module write hex digits"
