"""The simulated B-route meter says what a real one would, and what it says fits together."""

from __future__ import annotations

import ast
from datetime import datetime
from pathlib import Path

import pytest

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import CONTROLLER, METER, NODE, Frame, Property
from meterline.protocols.broute.simulator.meter import JST, FakeMeter
from meterline.protocols.broute.skstack import Datagram, Decoder
from meterline.simulation.household import House

NOON = datetime(2025, 6, 17, 12, 10, 20, tzinfo=JST).timestamp()
NIGHT = datetime(2025, 6, 17, 22, 59, 59, tzinfo=JST).timestamp()


def solar(**facts: object) -> FakeMeter:
    return FakeMeter(House(JST, solar=5000), **facts)  # type: ignore[arg-type]


def ask(meter: FakeMeter, esv: int, *properties: tuple[int, str], at: float = NOON, deoj: bytes = METER) -> Frame:
    wanted = tuple(Property(epc, bytes.fromhex(edt)) for epc, edt in properties)
    answer = meter.answer(Frame(0x1234, CONTROLLER, deoj, esv, wanted), at)
    assert answer
    assert (answer.tid, answer.seoj, answer.deoj) == (0x1234, deoj, CONTROLLER)
    assert echonet.decode(echonet.encode(answer)) == answer
    return answer


def got(meter: FakeMeter, epc: int, at: float = NOON) -> bytes:
    answer = ask(meter, echonet.GET, (epc, ""), at=at)
    assert answer.esv == echonet.GET_RES
    return answer.properties[0].edt


def captured(shared: Path, name: str) -> list[Frame]:
    file = shared / "captures" / "wisun" / name
    if not file.exists():
        pytest.skip("no captures/wisun/ in the shared folder")
    lines = [ast.literal_eval(line[2:]) for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("< ")]
    datagrams = [message for message in Decoder().feed(b"".join(lines)) if isinstance(message, Datagram)]
    frames = [echonet.decode(datagram.payload) for datagram in datagrams if datagram.destination_port == echonet.PORT]
    assert not [frame for frame in frames if isinstance(frame, Rejected)]
    return [frame for frame in frames if isinstance(frame, Frame)]


def test_the_meter_has_the_properties_of_a_real_meter_in_the_same_form(shared: Path) -> None:
    meter = solar()
    frames = [frame for frame in captured(shared, "02_toshiba_meter_replies_single_hex.dialog") if frame.esv != echonet.INF]
    assert len(frames) >= 19
    for frame in frames:
        ((epc, edt),) = frame.properties
        answer = ask(meter, echonet.GET, (epc, ""))
        assert (answer.esv, len(answer.properties[0].edt)) == (frame.esv, len(edt)), f"{epc:02X}"
        if epc in (0x80, 0x81, 0x82, 0x88, 0x8A, 0x9D, 0x9E, 0x9F, 0xD3, 0xD7):
            assert answer.properties[0].edt == edt, f"{epc:02X}"


def test_the_announcements_have_the_form_of_real_ones(shared: Path) -> None:
    real = [frame for frame in captured(shared, "01_rs-wsuha-p_full_session.dialog") if frame.esv == echonet.INF]
    meter = solar()
    ours = [meter.announcement(), meter.notification(NOON)]
    assert [(*frame[:4], [(epc, len(edt)) for epc, edt in frame.properties]) for frame in real] == [
        (*frame[:4], [(epc, len(edt)) for epc, edt in frame.properties]) for frame in ours
    ]


@pytest.mark.parametrize(
    ("meter", "has", "lacks"),
    [
        (solar(), {0xE3, 0xE4, 0xEB, 0xD3}, {0xC0, 0xD0, 0x83}),
        (FakeMeter(), {0xE0, 0xE7}, {0xE3, 0xE4, 0xEB}),
        (FakeMeter(), {0xEC, 0xED}, {0xC0, 0xD0, 0xEE, 0xEF}),
        (FakeMeter(second_generation=True, coefficient=None), {0xC0, 0xD0, 0xEE, 0xEF}, {0xD3}),
        (FakeMeter(overrides={0xE1: None, 0xF0: b"\1"}), {0xF0}, {0xE1}),
    ],
)
def test_the_map_holds_exactly_what_it_answers(meter: FakeMeter, has: set[int], lacks: set[int]) -> None:
    listed = echonet.property_map(got(meter, 0x9F))
    assert listed is not None
    assert has <= listed
    assert not lacks & listed
    for epc in range(0x80, 0x100):
        answer = ask(meter, echonet.GET, (epc, ""))
        assert (answer.esv == echonet.GET_RES) == (epc in listed) == bool(answer.properties[0].edt), f"{epc:02X}"


def test_what_it_refuses_is_empty_and_the_rest_is_good() -> None:
    answer = ask(solar(), echonet.GET, (0xE7, ""), (0x83, ""), (0xE1, ""))
    assert answer.esv == echonet.GET_SNA
    assert [(epc, len(edt)) for epc, edt in answer.properties] == [(0xE7, 4), (0x83, 0), (0xE1, 1)]


def test_the_meter_answers_no_other_object_and_no_answer() -> None:
    meter = solar()
    assert meter.answer(Frame(1, CONTROLLER, bytes.fromhex("013001"), echonet.GET, (Property(0x80),)), NOON) is None
    assert meter.answer(Frame(1, CONTROLLER, METER, echonet.GET_RES, (Property(0x80),)), NOON) is None


def test_a_meter_that_truncates_answers_the_first_six() -> None:
    epcs = (0x80, 0x88, 0xE7, 0xE8, 0xE0, 0xE3, 0xD3)
    meter = solar(truncates=True)
    answer = ask(meter, echonet.GET, *((epc, "") for epc in epcs))
    assert (answer.esv, [epc for epc, _ in answer.properties]) == (echonet.GET_SNA, list(epcs[:6]))
    assert ask(meter, echonet.GET, *((epc, "") for epc in epcs[:6])).esv == echonet.GET_RES
    assert ask(solar(), echonet.GET, *((epc, "") for epc in epcs)).esv == echonet.GET_RES


def test_the_node_profile_names_the_meter() -> None:
    meter = solar()
    answer = ask(meter, echonet.INF_REQ, (0xD5, ""), deoj=NODE)
    assert (answer.esv, answer.properties) == (echonet.INF, (Property(0xD5, b"\x01" + METER),))
    assert ask(meter, echonet.INF_REQ, (0x99, ""), deoj=NODE).esv == echonet.INF_SNA
    answer = ask(meter, echonet.GET, (0x9F, ""), deoj=NODE)
    listed = echonet.property_map(answer.properties[0].edt)
    assert listed
    assert ask(meter, echonet.GET, *((epc, "") for epc in sorted(listed)), deoj=NODE).esv == echonet.GET_RES


class TestRegisters:
    def test_power_adds_up_to_the_registers(self) -> None:
        meter = solar(unit=3, digits=8)
        meter.advance(NOON)
        before = (meter.imported, meter.exported)
        for second in range(1, 3601):
            meter.advance(NOON + second)
        drawn, fed = meter.imported - before[0], meter.exported - before[1]
        assert fed > drawn >= 0
        assert int.from_bytes(got(meter, 0xE3, NOON + 3600)) == int(meter.exported) % 10**8

    def test_the_house_feeds_in_by_day_and_draws_by_night(self) -> None:
        meter = solar()
        assert int.from_bytes(got(meter, 0xE7), signed=True) < -500
        assert int.from_bytes(got(meter, 0xE8)[:2], signed=True) < 0
        assert int.from_bytes(got(meter, 0xE7, NIGHT), signed=True) > 0

    def test_a_meter_without_roof_never_feeds_in(self) -> None:
        assert int.from_bytes(got(FakeMeter(House(JST, solar=5000), export=False), 0xE7), signed=True) >= 0

    @pytest.mark.parametrize(("unit", "count"), [(0, 12_345), (1, 123_456), (2, 234_567), (0x0A, 1234)])
    def test_the_unit_and_the_digits_decide_what_is_shown(self, unit: int, count: int) -> None:
        assert FakeMeter(unit=unit).register(12_345_678) == count

    def test_a_register_wraps_after_its_digits(self) -> None:
        meter = FakeMeter()
        meter.near_wrap()
        shown = [int.from_bytes(got(meter, 0xE0, NOON + hour * 3600)) for hour in range(3)]
        assert shown[0] == 999_999
        assert max(shown[1:]) < 100

    def test_two_wires_have_no_phase_t(self) -> None:
        assert got(FakeMeter(two_wire=True), 0xE8)[2:] == bytes.fromhex("7FFE")

    def test_an_override_is_what_it_says(self) -> None:
        meter = solar(overrides={0xE7: (-1500).to_bytes(4, signed=True)})
        assert got(meter, 0xE7) == bytes.fromhex("FFFFFA24")
        meter.overrides[0xE7] = None
        assert ask(meter, echonet.GET, (0xE7, "")).esv == echonet.GET_SNA


class TestHistory:
    def test_the_clock_of_the_meter_is_that_of_japan(self) -> None:
        meter = solar()
        assert (got(meter, 0x97), got(meter, 0x98)) == (bytes([12, 10]), (2025).to_bytes(2) + bytes([6, 17]))

    def test_a_day_is_48_registers_that_rise(self) -> None:
        meter = solar()
        assert set(got(meter, 0xE2)[2:]) == {0xFF, 0xFE}, "no day is chosen"
        for day in (0, 1):
            assert ask(meter, echonet.SETC, (0xE5, f"{day:02X}")).esv == echonet.SET_RES
            edt = got(meter, 0xE2)
            slots = [int.from_bytes(edt[2 + 4 * slot : 6 + 4 * slot]) for slot in range(48)]
            known = [slot for slot in slots if slot != 0xFFFFFFFE]
            assert int.from_bytes(edt[:2]) == day
            assert known == sorted(known)
            assert len(known) == (25 if day == 0 else 48)
            assert slots[: len(known)] == known, "what is missing is in the future"

    def test_history_goes_on_while_it_runs(self) -> None:
        meter = solar()
        meter.advance(NOON)
        fixed = got(meter, 0xEA, NOON + 1800)
        assert fixed[:7] == (2025).to_bytes(2) + bytes([6, 17, 12, 30, 0])
        ask(meter, echonet.SETC, (0xE5, "00"), at=NOON + 1800)
        day = got(meter, 0xE2, NOON + 1800)
        assert day[2 + 4 * 25 : 6 + 4 * 25] == fixed[7:]

    def test_pairs_go_back_from_the_chosen_time(self) -> None:
        meter = solar()
        assert ask(meter, echonet.SETC, (0xED, "07E906110C0003")).esv == echonet.SET_RES
        edt = got(meter, 0xEC)
        assert (edt[:7], len(edt)) == (bytes.fromhex("07E906110C0003"), 7 + 3 * 8)
        imports = [int.from_bytes(edt[7 + 8 * pair : 11 + 8 * pair]) for pair in range(3)]
        assert imports == sorted(imports, reverse=True)
        assert imports[0].to_bytes(4) == got(meter, 0xEA)[7:]

    def test_minutes_of_the_second_generation(self) -> None:
        meter = solar(second_generation=True)
        edt = got(meter, 0xD0)
        assert edt[:7] == (2025).to_bytes(2) + bytes([6, 17, 12, 10, 0])
        assert got(meter, 0xD0, NOON + 60)[5] == 11

    def test_a_second_generation_meter_gives_minutes_back_from_the_chosen_time(self) -> None:
        meter = solar(second_generation=True)
        assert 0xEF in (echonet.property_map(got(meter, 0x9E)) or ())
        meter.advance(NOON)
        for second in range(7, 200, 7):
            meter.advance(NOON + second)
        assert ask(meter, echonet.SETC, (0xEF, "07E906110C0C0A"), at=NOON + 200).esv == echonet.SET_RES
        edt = got(meter, 0xEE, NOON + 200)
        assert (edt[:7], len(edt)) == (bytes.fromhex("07E906110C0C0A"), 7 + 10 * 8)
        for which in (0, 4):
            registers = [int.from_bytes(edt[7 + which + 8 * pair : 11 + which + 8 * pair]) for pair in range(10)]
            assert registers == sorted(registers, reverse=True)
            assert max(registers) < 0xFFFFFFFE, "minutes before it was made are known too"
        fixed = got(meter, 0xD0, NOON + 200)
        ask(meter, echonet.SETC, (0xEF, "07E906110C0D01"), at=NOON + 200)
        assert got(meter, 0xEE, NOON + 200)[7:] == fixed[7:], "the last full minute"
        ask(meter, echonet.SETC, (0xEF, "07E906110C0E01"), at=NOON + 200)
        assert got(meter, 0xEE, NOON + 200)[7:] == 2 * bytes.fromhex("FFFFFFFE"), "the future"

    def test_a_first_generation_meter_refuses_minutes(self) -> None:
        answer = ask(solar(), echonet.SETC, (0xEF, "07E906110C0A03"))
        assert answer.esv == echonet.SETC_SNA
        assert 0xEF not in (echonet.property_map(got(solar(), 0x9E)) or ())

    def test_a_meter_that_begins_on_a_full_half_hour_knows_it(self) -> None:
        meter = solar(second_generation=True)
        noon = NOON // 1800 * 1800
        assert got(meter, 0xEA, noon)[7:] == got(meter, 0xE0, noon) == got(meter, 0xD0, noon)[7:11]

    @pytest.mark.parametrize(
        "wrong", [(0xE5, "64"), (0xE5, "0000"), (0xED, "07E906110C0103"), (0xED, "00"), (0xE7, "00000000"), (0x81, "")]
    )
    def test_what_cannot_be_set_comes_back(self, wrong: tuple[int, str]) -> None:
        answer = ask(solar(), echonet.SETC, wrong, (0x81, "62"))
        assert (answer.esv, answer.properties) == (
            echonet.SETC_SNA,
            (Property(wrong[0], bytes.fromhex(wrong[1])), Property(0x81)),
        )

    def test_the_meter_announces_within_five_minutes_of_each_half_hour(self) -> None:
        meter, now, delays = solar(), NOON, []
        for _ in range(48):
            now = meter.next_notification(now)
            delays.append(now % 1800)
            assert meter.notification(now).properties[0].edt[4:6] == bytes(
                [meter.local.hour, 30 if meter.local.minute >= 30 else 0]
            )
        assert max(delays) <= 300
        assert len(set(delays)) == 48
        assert now - NOON == pytest.approx(86_400, abs=1800)
