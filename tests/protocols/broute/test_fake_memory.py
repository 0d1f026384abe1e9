"""The simulated meter remembers: days of half-hours and minutes that are the numbers of its live replies, and their faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from support.skstack_host import Host, events, frames, replies
from support.virtual_time import START, run, up

from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import CONTROLLER, METER, Frame, Property
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, Faults
from meterline.protocols.broute.simulator.registers import HALF_HOUR_S, MOST_DAYS, Registers
from meterline.protocols.broute.skstack import Pan, sendto
from meterline.simulation.household import House

DAY = 86_400
NOON = datetime(2025, 6, 17, 12, 10, 20, tzinfo=JST).timestamp()
MIDNIGHT = datetime(2025, 6, 17, 0, 0, 0, tzinfo=JST).timestamp()
NEVER = 0xFFFFFFFE


def solar(**facts: Any) -> FakeMeter:
    """Counts of one watt-hour: what differs by one shows."""
    return FakeMeter(House(JST, solar=5000), **({"unit": 3, "digits": 8, "second_generation": True} | facts))


def got(meter: FakeMeter, epc: int, at: float) -> bytes:
    answer = meter.answer(Frame(1, CONTROLLER, METER, echonet.GET, (Property(epc),)), at)
    assert answer
    assert answer.esv == echonet.GET_RES
    return answer.properties[0].edt


def choose(meter: FakeMeter, epc: int, edt: bytes, at: float) -> None:
    answer = meter.answer(Frame(1, CONTROLLER, METER, echonet.SETC, (Property(epc, edt),)), at)
    assert answer
    assert answer.esv == echonet.SET_RES


def numbers(edt: bytes) -> list[int]:
    return [int.from_bytes(edt[place : place + 4]) for place in range(0, len(edt), 4)]


def day(meter: FakeMeter, back: int, at: float, epc: int = 0xE2) -> list[int]:
    choose(meter, 0xE5, bytes([back]), at)
    edt = got(meter, epc, at)
    assert int.from_bytes(edt[:2]) == back
    slots = numbers(edt[2:])
    assert len(slots) == 48
    return slots


def pairs(meter: FakeMeter, selector: int, when: float, count: int, at: float) -> list[tuple[int, int]]:
    """Import and export of EC or EE, going back from a time."""
    local = datetime.fromtimestamp(when, JST)
    choice = local.year.to_bytes(2) + bytes([local.month, local.day, local.hour, local.minute, count])
    choose(meter, selector, choice, at)
    edt = got(meter, selector - 1, at)
    assert edt[:7] == choice
    found = numbers(edt[7:])
    return list(zip(found[::2], found[1::2], strict=True))


def half_hours(first: float, count: int) -> Iterator[float]:
    return (first + HALF_HOUR_S * place for place in range(count))


class TestOneTruth:
    def test_a_register_does_not_depend_on_how_often_it_is_asked(self) -> None:
        often, once = solar(), solar()
        once.advance(NOON)
        for second in range(0, 3 * 3600, 7):
            often.advance(NOON + second)
        end = NOON + 3 * 3600
        for epc in (0xE0, 0xE3, 0xEA, 0xEB, 0xD0):
            assert got(often, epc, end) == got(once, epc, end), f"{epc:02X}"
        assert day(often, 0, end) == day(once, 0, end)
        assert (often.imported, often.exported) == (once.imported, once.exported)

    def test_what_was_announced_is_what_it_remembers(self) -> None:
        meter, now, announced = solar(), MIDNIGHT - 1, []
        meter.advance(now)
        for _ in range(48):
            now = meter.next_notification(now)
            announced.append([int.from_bytes(edt[7:]) for _, edt in meter.notification(now).properties])
        tomorrow = MIDNIGHT + DAY + 600
        assert list(zip(day(meter, 1, tomorrow), day(meter, 1, tomorrow, 0xE4), strict=True)) == [
            tuple(one) for one in announced
        ]

    def test_the_past_before_its_start_is_what_another_meter_counted_live(self) -> None:
        live = solar()
        live.advance(NOON - 3 * DAY)
        for second in range(0, 3 * DAY + 1, 600):
            live.advance(NOON - 3 * DAY + second)
        later = solar(imported=live.imported, exported=live.exported)
        for back in range(5):
            for epc in (0xE2, 0xE4):
                assert day(later, back, NOON, epc) == day(live, back, NOON, epc), back

    def test_every_slot_is_the_register_at_its_time(self) -> None:
        meter = solar()
        for back in (1, 45, 99):
            shown = zip(day(meter, back, NOON), day(meter, back, NOON, 0xE4), strict=True)
            assert list(shown) == [meter.readings(when) for when in half_hours(MIDNIGHT - back * DAY, 48)]

    def test_pairs_of_half_hours_are_the_slots_of_the_days(self) -> None:
        meter = solar()
        last = MIDNIGHT + 2 * HALF_HOUR_S
        assert pairs(meter, 0xED, last, 12, NOON) == [meter.readings(last - HALF_HOUR_S * back) for back in range(12)]
        assert [drawn for drawn, _ in pairs(meter, 0xED, last, 3, NOON)] == day(meter, 0, NOON)[2::-1]

    def test_minutes_are_what_was_said_live(self) -> None:
        meter = solar()
        live = [numbers(got(meter, 0xD0, NOON + 60 * minute)[7:]) for minute in range(10)]
        found = pairs(meter, 0xEF, NOON - 20 + 9 * 60, 10, NOON + 9 * 60)
        assert [list(pair) for pair in found] == live[::-1]

    def test_a_register_wraps_in_the_middle_of_a_remembered_day(self) -> None:
        meter = solar(imported=10.0**8 + 3000, exported=5e6)
        slots = day(meter, 0, NOON)[:25]
        falls = [place for place in range(1, 25) if slots[place] < slots[place - 1]]
        assert len(falls) == 1
        assert slots[0] > 99_000_000

    def test_registers_are_exact_in_any_order_of_questions(self) -> None:
        def net(now: float) -> float:
            return 1234.567 if now % 7200 < 3600 else -765.4321

        ahead, back = Registers(net, NOON, (0.1, 0.2)), Registers(net, NOON, (0.1, 0.2))
        times = [NOON + 1000.5 * step for step in range(-200, 200)]
        assert [ahead.at(when) for when in times] == [back.at(when) for when in reversed(times)][::-1]

    def test_no_day_is_computed_before_it_is_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looks: list[float] = []
        load = House.load

        def look(house: House, now: float) -> float:
            looks.append(now)
            return load(house, now)

        monkeypatch.setattr(House, "load", look)
        meter = solar()
        meter.advance(NOON)
        assert len(looks) <= 30, "no more than the half-hour that runs"
        day(meter, 1, NOON)
        assert len(looks) <= 2 * 1440, "each minute of two days once"
        before = len(looks)
        day(meter, 1, NOON, 0xE4)
        assert len(looks) == before, "a day that was asked is remembered"

    def test_half_hours_too_old_to_be_asked_are_forgotten(self) -> None:
        registers = Registers(lambda now: 360.0, NOON, (0.0, 0.0))
        registers.at(NOON - 10 * DAY)
        for days in range(1, 250, 5):
            registers.at(NOON + days * DAY)
        assert len(registers._edges) <= (MOST_DAYS + 2) * 48
        assert registers.at(NOON + 3600)[0] == pytest.approx(360.0)


class TestLimits:
    @pytest.mark.parametrize("kept", [0, 1, 45, 99])
    def test_days_before_the_kept_ones_are_unknown(self, kept: int) -> None:
        meter = solar(kept_days=kept)
        assert NEVER not in day(meter, kept, NOON)[: 25 if kept == 0 else 48]
        for back in {min(kept + 1, 99), 99} - {kept}:
            for epc in (0xE2, 0xE4):
                assert set(day(meter, back, NOON, epc)) == {NEVER}
        oldest = MIDNIGHT - kept * DAY
        assert pairs(meter, 0xED, oldest, 2, NOON) == [meter.readings(oldest), (NEVER, NEVER)]

    def test_the_oldest_day_is_forgotten_at_midnight(self) -> None:
        meter = solar(kept_days=2)
        assert NEVER not in day(meter, 2, MIDNIGHT + DAY - 1)
        assert NEVER not in day(meter, 2, MIDNIGHT + DAY)
        assert set(day(meter, 3, MIDNIGHT + DAY)) == {NEVER}

    def test_the_future_is_unknown(self) -> None:
        meter = solar()
        assert [slot == NEVER for slot in day(meter, 0, NOON)] == 25 * [False] + 23 * [True]
        assert pairs(meter, 0xED, NOON + 1180, 2, NOON) == [(NEVER, NEVER), meter.readings(NOON - 620)]

    def test_a_meter_without_reverse_register_has_no_such_direction(self) -> None:
        meter = FakeMeter()
        assert [export for _, export in pairs(meter, 0xED, NOON - 620, 12, NOON)] == 12 * [NEVER]
        answer = meter.answer(Frame(1, CONTROLLER, METER, echonet.GET, (Property(0xE4),)), NOON)
        assert answer
        assert answer.esv == echonet.GET_SNA

    def test_before_its_registers_began_the_meter_knows_nothing(self) -> None:
        meter = solar(imported=2000.0, exported=9e6)
        slots = day(meter, 1, NOON) + day(meter, 0, NOON)[:25]
        first = next(place for place, slot in enumerate(slots) if slot != NEVER)
        assert 0 < first < len(slots)
        assert slots[first:] == sorted(slots[first:])
        assert slots[first] < 2000

    def test_half_hours_that_were_never_kept_stay_unknown(self) -> None:
        meter = solar(unkept=0.25)
        slots = [slot for back in range(1, 9) for slot in day(meter, back, NOON)]
        assert 0.1 < slots.count(NEVER) / len(slots) < 0.4
        assert day(meter, 3, NOON) == day(meter, 3, NOON + 3600)
        assert [export == NEVER for export in day(meter, 3, NOON, 0xE4)] == [slot == NEVER for slot in day(meter, 3, NOON)]
        assert got(meter, 0xEA, NOON)[7:] != NEVER.to_bytes(4)

    def test_a_half_hour_that_is_just_over_comes_late(self) -> None:
        meter, delays = solar(late_slots=300), []
        for edge in half_hours(MIDNIGHT, 24):
            place = int(edge - MIDNIGHT) // HALF_HOUR_S
            assert got(meter, 0xEA, edge)[7:] == meter.readings(edge)[0].to_bytes(4)
            known = [second for second in range(0, 301, 10) if day(meter, 0, edge + second)[place] != NEVER]
            assert known == list(range(known[0], 301, 10)), "what is known stays known"
            assert pairs(meter, 0xED, edge, 1, edge + 300) == [meter.readings(edge)]
            delays.append(known[0])
        assert min(delays) <= 60
        assert max(delays) >= 240

    def test_a_chosen_day_is_another_one_after_midnight(self) -> None:
        meter = solar()
        choose(meter, 0xE5, b"\1", MIDNIGHT - 1)
        before = numbers(got(meter, 0xE2, MIDNIGHT - 0.5)[2:])
        after = numbers(got(meter, 0xE2, MIDNIGHT + 0.5)[2:])
        assert before == [meter.readings(when)[0] for when in half_hours(MIDNIGHT - 2 * DAY, 48)]
        assert after == [meter.readings(when)[0] for when in half_hours(MIDNIGHT - DAY, 48)]

    def test_a_meter_tells_a_time_at_which_it_counted_nothing(self) -> None:
        meter = solar()
        with pytest.raises(ValueError, match="no register"):
            meter.energies(NOON)
        meter.advance(NOON)
        with pytest.raises(ValueError, match="no register"):
            meter.energies(NOON + 1)


class TestPowerCut:
    def test_registers_stand_still_and_the_slots_of_that_time_are_unknown(self) -> None:
        meter = solar()
        meter.advance(NOON)
        meter.lose_power(3600)
        assert meter.is_dark(NOON + 3599)
        assert not meter.is_dark(NOON + 3600)
        before, after = meter.readings(NOON), numbers(got(meter, 0xE0, NOON + 3600) + got(meter, 0xE3, NOON + 3600))
        assert list(before) == after
        slots = day(meter, 0, NOON + 2 * 3600)
        assert [place for place, slot in enumerate(slots[:29]) if slot == NEVER] == [25, 26]
        assert [slots[24], slots[27]] == [meter.readings(when)[0] for when in (MIDNIGHT + 24 * 1800, MIDNIGHT + 27 * 1800)]

    def test_selectors_are_lost(self) -> None:
        meter = solar()
        chosen = {0xE5: "05", 0xED: "07E906110C000C", 0xEF: "07E906110C0A0A"}
        for epc, edt in chosen.items():
            assert got(meter, epc, NOON) == len(bytes.fromhex(edt)) * b"\xff"
            choose(meter, epc, bytes.fromhex(edt), NOON)
            assert got(meter, epc, NOON) == bytes.fromhex(edt)
        meter.lose_power(1)
        for epc in chosen:
            assert set(got(meter, epc, NOON + 2)) == {0xFF}
        assert got(meter, 0xE2, NOON + 2) == bytes.fromhex("00FF") + 48 * NEVER.to_bytes(4)

    def test_a_meter_without_power_is_silent_and_forgets_its_session(self) -> None:
        host = Host(faults=Faults(power_cut=(600, 120))).joined()
        assert replies(host.ask(0xE5))[0].properties[0].edt == b"\xff"
        set_to(host, 0xE5, b"\3")
        assert replies(host.ask(0xE5))[0].properties[0].edt == b"\3"
        host.wait(1000 + 485 - host.now)
        assert replies(host.ask(0xE7)) == []
        assert events(host.join(45.0)) == [0x21, 0x24], "nobody answers"
        assert not [one for one in host.write("SKSCAN 3 FFFFFFFF 3 0", 10.0) if isinstance(one, Pan)]
        host = Host(faults=Faults(power_cut=(600, 120))).joined()
        host.wait(605.0)
        assert replies(host.ask(0xE7)) == [], "the session is lost too"
        assert 0x25 in events(host.join())
        assert replies(host.ask(0xE5))[0].properties[0].edt == b"\xff"
        assert replies(host.ask(0xE0))[0].properties[0].edt != NEVER.to_bytes(4)

    def test_the_driver_comes_back_after_each_cut(self) -> None:
        watched = run(hours=2.4, faults=Faults(power_cut=(1800, 300)), seed=3)
        assert up(watched)
        assert watched.module.meters[0].is_dark(START + 1600)


class TestReplaced:
    @pytest.mark.parametrize("register", [0, 90_000])
    def test_another_meter_has_its_own_registers_and_no_past(self, register: int) -> None:
        host = Host(solar(), faults=Faults(replaced=3600, replaced_register=register)).joined()
        number = replies(host.ask(0x8D))[0].properties[0].edt
        old, address = host.meter.readings(host.meter.now), host.address
        host.wait(3600)
        assert host.address != address
        assert replies(host.ask(0xE7)) == [], "the session was with the one before"
        host.joined()
        assert replies(host.ask(0x8D))[0].properties[0].edt != number
        meter, now = host.meter, host.unix
        meter.advance(now)
        assert 0 <= meter.readings(now)[0] - register * 1000 < 1000
        assert (meter.readings(now)[0] > old[0]) == (register > 0)
        with pytest.raises(ValueError, match="no register"):
            meter.energies(now - 3600)
        assert set(day(meter, 1, now)) == {NEVER}
        host.wait(3600)
        known = [slot for slot in day(meter, 0, host.unix) if slot != NEVER]
        assert len(known) == 2
        assert known[0] >= register * 1000


def set_to(host: Host, epc: int, edt: bytes, seconds: float = 5.0) -> Frame:
    """Set a property of the meter and return what it says to that."""
    request = Frame(9, CONTROLLER, METER, echonet.SETC, (Property(epc, edt),))
    payload = sendto(host.address, echonet.encode(request), 0)
    (answer,) = [frame for frame in frames(host.write(payload, seconds)) if frame.esv in (echonet.SET_RES, echonet.SETC_SNA)]
    return answer


class TestFaults:
    def test_a_setting_may_be_refused(self) -> None:
        host = Host(faults=Faults(set_refused=1.0)).joined()
        for epc, edt in ((0xE5, b"\1"), (0xED, bytes.fromhex("07E906110C0003"))):
            answer = set_to(host, epc, edt)
            assert (answer.esv, answer.properties) == (echonet.SETC_SNA, (Property(epc, edt),))
        assert replies(host.ask(0xE5))[0].properties[0].edt == b"\xff"
        host = Host(faults=Faults(set_refused=0.5)).joined()
        assert {set_to(host, 0xE5, b"\1").esv for _ in range(20)} == {echonet.SET_RES, echonet.SETC_SNA}

    @pytest.mark.parametrize("epc", [0xE2, 0xE4])
    def test_a_slow_day_comes_after_20_to_60_seconds(self, epc: int) -> None:
        host, delays = Host(faults=Faults(slow_e2=1.0)).joined(), []
        set_to(host, 0xE5, b"\1")
        for _ in range(20):
            asked = host.now
            assert replies(host.ask(epc, seconds=19.9)) == []
            assert replies(host.ask(0xE7, seconds=0.0)) == []
            host.wait(45.0)
            delays.append(next(when for when, one in reversed(host.came) if len(getattr(one, "payload", b"")) > 200) - asked)
        assert min(delays) < 30
        assert 50 < max(delays) < 63

    def test_other_replies_do_not_wait_for_a_slow_day(self) -> None:
        host = Host(faults=Faults(slow_e2=1.0)).joined()
        host.ask(0xE2, seconds=0.5)
        assert [frame.properties[0].epc for frame in replies(host.ask(0xE7))] == [0xE7]
        assert replies(host.ask(0xEC))

    def test_a_lost_fragment_loses_the_whole_reply(self) -> None:
        host = Host(faults=Faults(lost_fragment=1.0)).joined()
        assert replies(host.ask(0xE2, seconds=100.0)) == []
        assert replies(host.ask(0xEC)), "one frame"
        assert replies(host.ask(0xE7))

    def test_the_reply_to_an_older_question_has_the_right_tid_and_the_wrong_day(self) -> None:
        host, found = Host(faults=Faults(older_day=1.0)).joined(), []
        for tid, back in enumerate((3, 5, 5, 7)):
            assert set_to(host, 0xE5, bytes([back])).esv == echonet.SET_RES
            (reply,) = replies(host.ask(0xE2, tid=100 + tid))
            assert reply.tid == 100 + tid
            found.append(int.from_bytes(reply.properties[0].edt[:2]))
        assert found == [3, 3, 5, 5]
        for minute, said in ((0, 0), (30, 0), (30, 30)):
            set_to(host, 0xED, bytes.fromhex("07E906100C") + bytes([minute, 3]))
            assert replies(host.ask(0xEC))[0].properties[0].edt[5] == said
        assert replies(host.ask(0xE7))

    @pytest.mark.parametrize(("epc", "head"), [(0xE2, 2), (0xE4, 2), (0xEC, 7), (0xEE, 7)])
    def test_a_wrong_digit_stands_in_one_register_of_a_history(self, epc: int, head: int) -> None:
        host = Host(solar(), faults=Faults(wrong_digit=1.0)).joined()
        set_to(host, 0xE5, b"\1")
        set_to(host, 0xED, bytes.fromhex("07E9060F00000C"))
        set_to(host, 0xEF, bytes.fromhex("07E9060F17370A"))
        (reply,) = replies(host.ask(epc))
        said, right = reply.properties[0].edt, host.meter.value(epc)
        assert right
        assert said[:head] == right[:head]
        wrong = [(a, b) for a, b in zip(said.hex(), right.hex(), strict=True) if a != b]
        assert len(wrong) == 1
        assert replies(host.ask(0xEA))[0].properties[0].edt == host.meter.value(0xEA)

    def test_a_day_asked_before_midnight_is_answered_after_it_from_the_new_date(self) -> None:
        host = Host(solar(), faults=Faults(midnight=60), start_unix=MIDNIGHT - 300).joined()
        set_to(host, 0xE5, b"\1")
        before = replies(host.ask(0xE2))[0].properties[0].edt
        host.wait(MIDNIGHT - 30 - host.unix)
        date = replies(host.ask(0x98))[0].properties[0].edt
        assert replies(host.ask(0xE2, seconds=MIDNIGHT - host.unix)) == []
        (reply,) = replies(host.wait(5.0))
        after = reply.properties[0].edt
        assert (before[:2], after[:2]) == (b"\0\1", b"\0\1"), "the day is said as it was asked"
        assert numbers(before[2:]) == [host.meter.readings(when)[0] for when in half_hours(MIDNIGHT - 2 * DAY, 48)]
        assert numbers(after[2:]) == [host.meter.readings(when)[0] for when in half_hours(MIDNIGHT - DAY, 48)]
        assert replies(host.ask(0x98))[0].properties[0].edt != date, "the meter's date tells"

    def test_faults_of_the_memory_reach_the_meters(self) -> None:
        host = Host(faults=Faults(late_slots=300, unkept=0.5)).joined()
        assert (host.meter.late_slots, host.meter.unkept) == (300, 0.5)
        host = Host(solar(late_slots=200)).joined()
        assert host.meter.late_slots == 200
