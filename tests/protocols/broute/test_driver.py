"""The driver against a simulated module, in a world whose time jumps: each fault ends in recovery or in `Refused`."""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from support.virtual_time import HOUR, PASSWORD, START, MemoryLink, Watched, follow, options, play, run, up

from meterline.meter.families import COLUMNS
from meterline.meter.meter import Meter
from meterline.meter.readings import Item, Refused, Snapshot
from meterline.protocols.broute import Options, echonet, read
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule, Faults
from meterline.simulation.household import House


@pytest.mark.parametrize("echo", [True, False], ids=["echo", "no-echo"])
@pytest.mark.parametrize("binary", [False, True], ids=["hex", "binary"])
@pytest.mark.parametrize("dual", [True, False], ids=["dual", "single"])
def test_any_module_gives_values_without_a_setting(dual: bool, binary: bool, echo: bool) -> None:
    seen = run(0.05, dual=dual, binary=binary, echo=echo)
    assert up(seen)
    assert isinstance(seen.meter.value("smartmeter_power_watts"), int)
    assert isinstance(seen.meter.value("smartmeter_energy_import_watthours_total"), float)
    assert seen.retries() == dict.fromkeys(("request", "join", "scan", "reset", "reopen"), 0.0)
    assert not seen.errors
    assert not seen.rejects


def test_what_the_meter_sends_is_what_is_shown() -> None:
    meter = FakeMeter(overrides={0xE7: (-1500).to_bytes(4, signed=True), 0xE8: bytes.fromhex("FFF67FFE")})
    seen = run(0.05, [meter])
    assert seen.meter.value("smartmeter_power_watts") == -1500
    assert seen.meter.value("smartmeter_current_amperes", "r") == -1.0
    assert seen.meter.value("smartmeter_current_amperes", "t") is None
    assert 'phase="t"' not in "".join(seen.meter.text.columns)


def test_what_the_meter_says_is_kept_as_it_says_it_where_somebody_looks() -> None:
    def look(seen: Watched) -> None:
        seen.meter.keeps_words = True

    seen = run(0.05, [FakeMeter(overrides={0xE7: (-1500).to_bytes(4, signed=True)})], act=look)
    assert seen.meter.words["E7"] == "FFFFFA24"


def test_a_property_that_the_meter_refuses_costs_no_other() -> None:
    seen = run(0.05, [FakeMeter(overrides={0xE8: None})])
    assert seen.meter.value("smartmeter_power_watts") is not None
    assert seen.meter.value("smartmeter_energy_import_watthours_total") is not None
    assert seen.meter.value("smartmeter_current_amperes", "r") is None


def test_no_energy_without_its_unit() -> None:
    seen = run(0.05, [FakeMeter(overrides={0xE1: None})])
    assert seen.meter.value("smartmeter_power_watts") is not None
    assert seen.meter.value("smartmeter_energy_import_watthours_total") is None


def test_a_coefficient_that_is_refused_is_one() -> None:
    with_it = run(0.05, [FakeMeter(overrides={0xD3: (1).to_bytes(4)})])
    without = run(0.05, [FakeMeter(overrides={0xD3: None})])
    family = "smartmeter_energy_import_watthours_total"
    assert with_it.meter.value(family) == without.meter.value(family) is not None


def test_a_meter_that_answers_only_six_properties_is_asked_for_the_rest() -> None:
    seen = run(0.05, [FakeMeter(truncates=True)])
    assert up(seen)
    assert seen.meter.value("smartmeter_operating") == 1.0


def test_a_wrap_of_the_register_is_a_reset_and_not_a_wrong_value() -> None:
    values = []

    def note(seen: Watched) -> None:
        if isinstance(value := seen.meter.value("smartmeter_energy_import_watthours_total"), float):
            values.append(value)

    seen = run(2, faults=Faults(wrap=True), act=note)
    assert up(seen)
    assert max(values) > 99_999_000
    assert values[-1] < 100_000
    assert sum(later < before for before, later in pairwise(values)) == 1
    assert seen.meter.counters.rejected["implausible"] == 0


RECOVERED = {
    "drop": Faults(drop=0.3),
    "late": Faults(late=0.2),
    "duplicate": Faults(duplicate=0.5),
    "inf_during": Faults(inf_during=0.5),
    "refused21": Faults(refused21=0.3),
    "solicit": Faults(solicit=0.5),
    "er09": Faults(er09=0.3),
    "er10": Faults(er10=0.3),
    "sna": Faults(sna=0.3),
    "wrong_pdc": Faults(wrong_pdc=0.3),
    "wrong_length": Faults(wrong_length=0.2),
    "garbage": Faults(garbage=0.2),
    "crlf_payload": Faults(crlf_payload=True),
    "lone_cr_echo": Faults(lone_cr_echo=True),
    "no_ropt": Faults(no_ropt=True),
    "wrap": Faults(wrap=True),
    "mute": Faults(mute=600),
    "moves": Faults(moves=1800),
    "end26": Faults(end26=600),
    "expire29": Faults(expire29=900),
    "scan_empty": Faults(scan_empty=4),
    "limit32": Faults(limit32=(1800, 300)),
    "stall": Faults(stall=(900, 60)),
    "outage": Faults(outage=(1800, 600)),
    "sentinels": Faults(sentinels=0.3),
    "set_refused": Faults(set_refused=0.3),
    "slow_e2": Faults(slow_e2=0.5),
    "lost_fragment": Faults(lost_fragment=0.3),
    "older_day": Faults(older_day=0.3),
    "wrong_digit": Faults(wrong_digit=0.3),
    "unkept": Faults(unkept=0.3),
    "late_slots": Faults(late_slots=300),
    "midnight": Faults(midnight=600),
    "power_cut": Faults(power_cut=(1800, 300)),
    "replaced": Faults(replaced=1800),
    "replaced_register": Faults(replaced=1800, replaced_register=90_000),
}


@pytest.mark.parametrize("form", [{}, {"binary": True, "dual": False, "echo": False}], ids=["dual-hex", "single-binary"])
@pytest.mark.parametrize("fault", RECOVERED)
def test_after_each_fault_the_meter_is_read_again(fault: str, form: dict[str, Any]) -> None:
    last: list[float] = []

    def note(seen: Watched) -> None:
        seen.meter.expire()
        if seen.meter.up:
            last.append(asyncio.get_running_loop().time())

    seen = run(2.3, faults=RECOVERED[fault], act=note, step=5, **form)
    assert last, "never up"
    assert last[-1] > 2 * HOUR, "not up any more"
    assert seen.meter.counters.frames > 50


def test_every_fault_of_the_simulator_has_a_test() -> None:
    tried = {*RECOVERED, "silent", "lies", "seed"}
    assert tried == set(Faults.__dataclass_fields__)


def test_a_meter_that_never_answers_shows_nothing_and_is_not_hammered() -> None:
    seen = run(6, faults=Faults(silent=True))
    assert seen.meter.value("smartmeter_power_watts") is None
    assert seen.count("smartmeter_polls_failed_total") > 10
    assert all(seen.retries()[rung] > 0 for rung in ("request", "join", "scan", "reset", "reopen"))
    assert any("check that it is in radio reach" in error for error in seen.errors)
    assert seen.count("smartmeter_session_joins_total", "joined") < 24 * 6


def test_wrong_credentials_are_refused_in_words_and_without_the_secret() -> None:
    seen = run(0.5, wrong={"password": "AAAAAAAAAAAA"})
    assert seen.errors
    assert set(seen.errors) == {
        "refused: the meter is well in reach but does not let us in; check id and password; "
        "another controller (HEMS) may hold its only session"
    }
    assert "AAAAAAAAAAAA" not in repr(seen.hints)


def test_a_weak_signal_is_never_taken_for_wrong_credentials() -> None:
    seen = run(1, [FakeMeter(lqi=0x20)], faults=Faults(lies=True))
    assert seen.errors
    assert not any("refused" in error for error in seen.errors)


def test_values_vanish_after_three_silent_polls() -> None:
    def note(seen: Watched) -> None:
        now = asyncio.get_running_loop().time()
        if seen.meter.counters.frames:
            seen.shown.append((now - seen.meter.last_frame, seen.meter.value("smartmeter_power_watts")))

    seen = run(1, faults=Faults(outage=(1800, 900)), act=note)
    assert max(age for age, value in seen.shown if value is not None) <= 90
    assert all(value is None for age, value in seen.shown if age > 90)
    assert any(age > 300 for age, _ in seen.shown)


def test_days_with_lost_replies_renewals_and_a_nightly_outage() -> None:
    """`make week` plays seven."""
    days = int(os.environ.get("METERLINE_DAYS", "1"))
    oldest = 0.0
    missing = Counter[bool]()

    def scrape(seen: Watched) -> None:
        nonlocal oldest
        seen.meter.refresh()
        shown = bool(seen.meter.text.columns[COLUMNS["smartmeter_power_watts"]])
        missing[not shown] += 1
        if shown:
            oldest = max(oldest, asyncio.get_running_loop().time() - seen.meter.last_frame)

    meter = FakeMeter(House(JST, solar=5000))
    faults = Faults(drop=0.05, outage=(86_400, 3600))
    seen = run(24 * days + 2, [meter], faults=faults, act=scrape, step=15.0)
    assert up(seen)
    assert oldest <= 90
    # It is out of reach for an hour a day, and then found again within ten minutes at most.
    assert missing[True] / missing.total() < (3600 + 600) / 86_400
    assert seen.count("smartmeter_session_renewals_total") >= days
    assert seen.meter.counters.rejected == dict.fromkeys(seen.meter.counters.rejected, 0)
    assert seen.meter.value("smartmeter_energy_import_watthours_total") == pytest.approx(meter.imported, abs=200)


def test_a_cold_start_on_a_remembered_network_does_not_scan() -> None:
    first = run(0.05)
    again = run(0.05, memory=first.memory)
    assert up(again)
    assert again.count("smartmeter_radio_scans_total", "found") == 0
    assert b"SKSCAN" not in again.link.written


@pytest.mark.parametrize("powered", [True, False], ids=["the module goes on", "the module lost its power"])
def test_a_lost_link_in_mid_session_comes_back_without_a_scan(powered: bool) -> None:
    lost: list[float] = []

    def lose(seen: Watched) -> None:
        if seen.meter.counters.frames > 20 and not lost:
            lost.append(asyncio.get_running_loop().time())
            seen.link.lose()
            if not powered:
                seen.module._skreset()

    seen = run(0.5, act=lose)
    assert seen.errors == ["/dev/ttyTEST: the device was unplugged"]
    assert up(seen)
    assert seen.count("smartmeter_radio_scans_total", "found") == 1
    assert seen.count("smartmeter_session_joins_total", "joined") == (1 if powered else 2)


def test_a_lost_link_means_that_the_session_is_down() -> None:
    downs: list[float] = []

    def lose(seen: Watched) -> None:
        if seen.meter.counters.frames > 20 and not seen.errors:
            seen.link.lose()
        elif seen.errors and len(downs) < 3:
            downs.append(seen.count("smartmeter_session_up"))

    seen = run(0.5, act=lose)
    assert downs == [0.0] * 3
    assert seen.count("smartmeter_session_up") == 1.0


def test_remembered_nonsense_is_scanned_over() -> None:
    nonsense: list[Any] = [{"channel": "zz", "pan_id": 1, "mac": None}, {"channel": 1, "pan_id": 2, "mac": 3}, {}, 3, "x", None]
    for memory in nonsense:
        assert up(run(0.05, memory={"meter0": memory}))


def test_flash_is_never_written_unasked() -> None:
    assert b"WOPT" not in run(0.05, binary=True).link.written
    asked = run(0.05, binary=True, wrong={"write_flash": True})
    assert asked.link.written.count(b"WOPT 01\r") == 1
    assert b"WOPT" not in run(0.05, binary=False, wrong={"write_flash": True}).link.written


def test_known_facts_of_the_radio_save_the_scan() -> None:
    meter = FakeMeter()
    facts = {"channel": f"{meter.channel:02X}", "pan_id": f"{meter.pan_id:04X}", "mac": meter.mac}
    seen = run(0.05, [meter], wrong=facts)
    assert up(seen)
    assert b"SKSCAN" not in seen.link.written


def test_a_known_channel_narrows_the_scan() -> None:
    meter = FakeMeter(channel=0x22)
    seen = run(0.05, [meter], wrong={"channel": "22"})
    assert up(seen)
    assert b"SKSCAN 2 00000002 6" in seen.link.written


def test_half_hourly_registers_are_taken_from_notifications_and_asked_for_when_they_do_not_come() -> None:
    moments = set()

    def note(seen: Watched) -> None:
        moments.add(seen.meter.value("smartmeter_fixed_energy_import_timestamp_seconds", "30m"))

    seen = run(2, act=note)
    known = {moment for moment in moments if moment is not None}
    assert known == {START // 1800 * 1800 + 1800 * n for n in range(5)} or len(known) >= 4
    assert all(moment % 1800 == 0 for moment in known if isinstance(moment, float))
    assert seen.count("smartmeter_notifications_total") >= 4


def test_a_second_generation_meter_gives_its_registers_of_the_minute() -> None:
    seen = run(0.1, [FakeMeter(second_generation=True)])
    assert isinstance(seen.meter.value("smartmeter_fixed_energy_import_watthours", "1m"), float)
    assert seen.meter.value("smartmeter_info", "identification")


def test_the_clock_of_a_good_meter_is_not_off() -> None:
    assert run(0.05).meter.value("smartmeter_clock_offset_seconds") == 0.0


def test_several_meters_share_a_module_each_with_its_own_values() -> None:
    meters = [
        FakeMeter(
            id=f"{number:032X}",
            mac=f"00142244556677{number:02X}",
            channel=0x30 + number,
            overrides={0xE7: (100 * (number + 1)).to_bytes(4)},
        )
        for number in range(3)
    ]
    ages: list[float] = []

    def note(seen: Watched) -> None:
        if asyncio.get_running_loop().time() > 600:
            ages.extend(asyncio.get_running_loop().time() - meter.last_frame for meter in seen.meters.values())

    seen = run(1, meters, act=note, stale_after=225.0)
    powers = [meter.value("smartmeter_power_watts") for meter in seen.meters.values()]
    assert powers == [100, 200, 300]
    assert max(ages) < 225, "a meter was not visited in three rotations"
    assert [meter.counters.observed[("smartmeter_radio_scans_total", "found")] for meter in seen.meters.values()] == [1, 1, 1]
    assert all(meter.counters.swaps == 0 for meter in seen.meters.values())


def test_a_meter_out_of_reach_for_moments_costs_no_scan_once_all_is_well() -> None:
    """Each of two meters is joined anew at each turn, so no session gets old: failed steps are forgotten."""
    good, flaky = FakeMeter(id="A" * 32, mac="0014224455660001"), FakeMeter(id="B" * 32, mac="0014224455660002", channel=0x22)
    outages, first, pause, length = 4, 1800, 1200, 240
    well = first + outages * pause + 600

    class Air(FakeModule):
        def on_air(self, address: str) -> FakeMeter | None:
            meter, now = super().on_air(address), asyncio.get_running_loop().time()
            away = first <= now < first + outages * pause and (now - first) % pause < length
            return None if away and meter is flaky else meter

    async def scene() -> Watched:
        module, loop = Air([good, flaky], start_unix=START), asyncio.get_running_loop()
        configured = {
            "good": Options(id=good.id, password=good.password),
            "flaky": Options(id=flaky.id, password=flaky.password),
        }
        watched = Watched({name: Meter(name, 150, loop.time) for name in configured}, module, MemoryLink(module))
        following = asyncio.create_task(follow(watched, configured))
        steps = []
        for until in (well, well + 2 * HOUR):
            await asyncio.sleep(until - loop.time())
            steps.append(
                sum(meter.counters.observed[("smartmeter_retries_total", "scan")] for meter in watched.meters.values())
            )
            steps.append(watched.link.written.count(b"SKRESET"))
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert steps[2:] == steps[:2], "scans and resets while all was well"
        assert steps[0], "the outages were none"
        return watched

    assert not play(scene).errors


class Mute(FakeMeter):
    """Lets anybody in, and answers no question."""

    def answer(self, frame: echonet.Frame, now: float) -> echonet.Frame | None:
        return None


@pytest.mark.parametrize("company", [0, 1], ids=["alone", "beside a good one"])
def test_a_meter_that_lets_us_in_and_never_answers_is_reported(company: int) -> None:
    meters = [*(FakeMeter() for _ in range(company)), Mute(id="B" * 32, mac="0014224455660002", channel=0x22)]
    seen = run(3, meters, stale_after=150.0)
    mute = [*seen.meters.values()][-1].counters.observed
    assert any("questions get no answer" in text for text in seen.hints)
    assert mute[("smartmeter_retries_total", "join")]
    assert mute[("smartmeter_retries_total", "scan")], "the ladder is not climbed"


def test_one_refused_meter_does_not_hold_up_the_others() -> None:
    good, bad = FakeMeter(id="A" * 32, mac="0014224455660001"), FakeMeter(id="B" * 32, mac="0014224455660002", channel=0x22)

    async def scene() -> Watched:
        module = FakeModule([good, bad], start_unix=START)
        loop = asyncio.get_running_loop()
        configured = {"good": Options(id=good.id, password=good.password), "bad": Options(id=bad.id, password="C" * 12)}
        watched = Watched({name: Meter(name, 150, loop.time) for name in configured}, module, MemoryLink(module))
        following = asyncio.create_task(follow(watched, configured))
        for _ in range(1800):
            await asyncio.sleep(1)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert watched.meters["good"].up
        assert not watched.meters["bad"].counters.frames
        return watched

    seen = play(scene)
    assert not seen.errors
    assert any(text.startswith("refused:") for text in seen.hints)


def test_a_module_without_credentials_is_refused_in_words() -> None:
    async def scene() -> str:
        link = MemoryLink(FakeModule([FakeMeter()], start_unix=START, dual=False))
        with pytest.raises(Refused) as caught:
            await read(link, {"home": None}, {}, lambda _: None)
        assert (link.baud, link.form) == (115_200, "8N1")
        return str(caught.value)

    assert "Wi-SUN module with SKSTACK 1.2.10, single edition" in play(scene)


def test_no_secret_is_in_anything_that_is_said() -> None:
    for faults in (Faults(), Faults(garbage=0.2), Faults(er10=1.0), Faults(lies=True), Faults(mute=300)):
        meter = FakeMeter()
        said: list[str] = []
        seen = run(0.4, [meter], faults=faults)
        said += [*seen.hints, *seen.errors, repr(seen.memory), "".join(seen.meter.text.columns)]
        for secret in (meter.id, meter.password, PASSWORD):
            assert secret not in "".join(said)


def test_a_datagram_of_another_sender_or_in_clear_is_no_value() -> None:
    """Whoever is on the air can send UDP: only the meter that was joined, encrypted, is believed."""
    frame = echonet.encode(
        echonet.Frame(1, echonet.METER, echonet.CONTROLLER, echonet.INF, (echonet.Property(0xE7, (77_777).to_bytes(4)),))
    ).hex()
    ours = "FE80:0000:0000:0000:021D:1290:1234:0001"
    meter_s, another = "FE80:0000:0000:0000:0214:2244:5566:7788", "FE80:0000:0000:0000:0214:2244:5566:FFFF"
    forged = [
        f"ERXUDP {another} {ours} 0E1A 0E1A 001422445566FFFF 1 0 0012 {frame}",
        f"ERXUDP {meter_s} {ours} 0E1A 0E1A 0014224455667788 0 0 0012 {frame}",
        f"ERXUDP {meter_s} {ours} 02CC 02CC 0014224455667788 1 0 0012 {frame}",
    ]

    async def scene() -> float | str | None:
        module = FakeModule([FakeMeter()], start_unix=START)
        link = MemoryLink(module)
        honest = link.read

        async def read_forged() -> bytes:
            data = await honest()
            return data + b"".join(line.encode() + b"\r\n" for line in forged) if data.endswith(b"\r\n") else data

        link.read = read_forged  # type: ignore[method-assign]
        meter = Meter("home", 90, asyncio.get_running_loop().time)
        values = set()

        def take(item: Item) -> None:
            if isinstance(item, Snapshot):
                meter.take(item)
                values.add(meter.value("smartmeter_power_watts"))

        with suppress(TimeoutError):
            async with asyncio.timeout(300):
                await read(link, {"home": options(module)}, {}, take)
        assert values - {None}
        assert 77_777 not in values
        return meter.value("smartmeter_power_watts")

    assert play(scene) is not None


def test_the_poll_histogram_counts_rounds() -> None:
    seen = run(0.5)
    text = "".join(seen.meter.text.columns)
    count = next(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("smartmeter_poll_duration_seconds_count")
    )
    assert 50 < count <= 60
    assert 'smartmeter_poll_duration_seconds_bucket{le="90.0"' in text
    assert not math.isnan(count)
