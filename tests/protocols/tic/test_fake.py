"""The simulated meter sends what a real one would: the same bytes in number, the same rules in content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.tic_bytes import frames_of, groups_of
from support.tic_frames import (
    EJP_NOTICE,
    EJP_PEAK,
    IN_OVERLOAD,
    RED_ANNOUNCED,
    RED_DAY,
    SUMMER_NOON,
    WINTER_EVENING,
    simulated,
    unix,
)

from meterline.protocols.tic.contracts import CONTRACTS
from meterline.protocols.tic.frames import EOT, ETX, STX, Frame, Group, encode_frame
from meterline.protocols.tic.simulator.groups import standard_groups
from meterline.protocols.tic.simulator.meter import FakeMeter
from meterline.protocols.tic.stge import status_readings, supplier_tariff, tempo_tomorrow
from meterline.protocols.tic.timestamps import parse_timestamp

DAY = 24 * 3600


def data_of(meter: FakeMeter) -> dict[str, str]:
    (frame,) = frames_of(meter.frame())
    return {label: group.data for label, group in frame.groups.items()}


def over_a_day(meter: FakeMeter, step: int = 1793) -> Iterator[dict[str, str]]:
    """What the meter says now, and every `step` seconds of the next 25 hours."""
    end = meter.now + 25 * 3600
    while meter.now < end:
        yield data_of(meter)
        meter.advance(meter.now + step)


def old_address_and_timetable(bytes_more: int) -> int:
    """The EJP capture of the reference has an address of ten characters for twelve, and no HHPHC (11 bytes)."""
    return bytes_more - (12 - 10) - 11


class TestSizes:
    """Groups and bytes of complete frames, as the reference measured them on captures."""

    @pytest.mark.parametrize(
        ("contract", "phases", "when", "groups", "size"),
        [
            ("BASE", 1, WINTER_EVENING, 10, 152),
            ("HC", 1, WINTER_EVENING, 11, 170),
            ("TEMPO", 1, WINTER_EVENING, 16, 275),
            ("BASE", 3, WINTER_EVENING, 16, 233),
            ("HC", 3, WINTER_EVENING, 17, 251),
            ("TEMPO", 3, WINTER_EVENING, 22, 356),
        ],
    )
    def test_a_historic_frame_holds_the_groups_of_its_contract(
        self, contract: str, phases: int, when: str, groups: int, size: int
    ) -> None:
        frame = simulated("historic", contract, when, phases).frame()
        assert (len(groups_of(frame)), len(frame)) == (groups, size)

    def test_historic_three_phase_ejp(self) -> None:
        frame = simulated("historic", "EJP", WINTER_EVENING, 3).frame()
        assert (len(groups_of(frame)), old_address_and_timetable(len(frame))) == (16 + 1, 241)

    def test_adps_adds_a_group_of_twelve_bytes(self) -> None:
        frame = simulated("historic", "HC", IN_OVERLOAD, overload=True).frame()
        assert (len(groups_of(frame)), len(frame)) == (11 + 1, 170 + 12)

    @pytest.mark.parametrize(("phases", "size"), [(1, 78), (2, 91), (3, 104)])
    def test_short_frames_come_in_an_overload(self, phases: int, size: int) -> None:
        meter = simulated("historic", "HC", IN_OVERLOAD, 3, overload=True)
        meter.frame()
        meter.advance(meter.now + 2)
        meter.frame()
        groups = groups_of(meter.frame())
        over = [group for group in groups if group.label.startswith("ADIR")]
        assert len(over) == 3
        frame = encode_frame([group for group in groups if group not in over[phases:]])
        assert (len(groups_of(frame)), len(frame)) == (4 + phases, size)

    @pytest.mark.parametrize(
        ("contract", "phases", "producer", "when", "groups", "size"),
        [
            ("BASE", 1, False, WINTER_EVENING, 38, 865),
            ("HC", 1, False, WINTER_EVENING, 38, 865),
            ("TEMPO", 1, False, RED_ANNOUNCED, 41, 1025),
            ("BASE", 1, True, WINTER_EVENING, 48, 1093),
            ("BASE", 3, False, WINTER_EVENING, 53, 1214),
            ("TEMPO", 3, False, RED_DAY, 55, 1264),
        ],
    )
    def test_a_standard_frame_holds_the_groups_of_its_contract(
        self, contract: str, phases: int, producer: bool, when: str, groups: int, size: int
    ) -> None:
        frame = simulated("standard", contract, when, phases, producer).frame()
        assert (len(groups_of(frame)), len(frame)) == (groups, size)

    def test_standard_three_phase_tempo_producer(self) -> None:
        frame = simulated("standard", "TEMPO", "2025-01-21 05:30:00", 3, True).frame()
        labels = {group.label for group in groups_of(frame)}
        announced = {"DPM1", "FPM1", "PPOINTE"}
        assert announced <= labels
        plain = encode_frame([group for group in groups_of(frame) if group.label not in announced])
        assert (len(labels - announced), len(plain)) == (63, 1442)

    def test_the_longest_possible_frame(self) -> None:
        groups = standard_groups(simulated("standard", "TEMPO", RED_ANNOUNCED, 3, True))
        more = [Group(f"{word}{n}", " 250123060000", "00") for word in ("DPM", "FPM") for n in (1, 3)]
        frame = encode_frame([*groups, *more, Group("MSG2", None, " " * 16)])
        assert (len(groups_of(frame)), len(frame)) == (71, 1727)


METERS = [
    *(("historic", contract, phases, False) for contract in CONTRACTS for phases in (1, 3)),
    *(("standard", contract, phases, producer) for contract in CONTRACTS for phases in (1, 3) for producer in (False, True)),
]


class TestContent:
    @pytest.mark.parametrize(("mode", "contract", "phases", "producer"), METERS)
    def test_every_frame_of_a_day_is_complete_and_no_register_falls(
        self, mode: str, contract: str, phases: int, producer: bool
    ) -> None:
        meter = simulated(mode, contract, RED_ANNOUNCED, phases, producer)
        prefixes = ("EAS", "EAIT", "ERQ") if mode == "standard" else CONTRACTS[contract]
        last: dict[str, int] = {}
        for said in over_a_day(meter):
            registers = {label: int(data) for label, data in said.items() if label.startswith(prefixes)}
            assert all(registers[label] >= value for label, value in last.items())
            last = last or registers
            assert registers.keys() == last.keys()
            rise = sum(registers.values()) - sum(last.values())
            last = registers
        assert rise >= 0

    @pytest.mark.parametrize("contract", CONTRACTS)
    def test_what_is_drawn_over_a_day_is_counted_in_the_registers_that_run(self, contract: str) -> None:
        meter = simulated("historic", contract, RED_ANNOUNCED)
        before = dict(meter.registers)
        start = meter.now
        meter.advance(start + DAY)
        drawn = {index: meter.registers[index] - before[index] for index in before if meter.registers[index] > before[index]}
        expected = {"BASE": {1}, "HC": {1, 2}, "EJP": {1, 2}, "TEMPO": {1, 2, 6}}
        assert drawn.keys() == expected[contract]
        assert 1000 < sum(drawn.values()) < meter.house.subscribed * 24

    @pytest.mark.parametrize("contract", CONTRACTS)
    @pytest.mark.parametrize("producer", [False, True], ids=["consumer", "producer"])
    def test_the_total_is_the_sum_of_the_supplier_s_registers_and_of_the_distributor_s(
        self, contract: str, producer: bool
    ) -> None:
        for said in over_a_day(simulated("standard", contract, RED_ANNOUNCED, producer=producer)):
            total = int(said["EAST"])
            assert sum(int(said[f"EASF{n:02d}"]) for n in range(1, 11)) == total
            assert sum(int(said[f"EASD{n:02d}"]) for n in range(1, 5)) == total

    def test_stge_agrees_with_the_groups_beside_it(self) -> None:
        for contract in CONTRACTS:
            for said in over_a_day(simulated("standard", contract, RED_ANNOUNCED, producer=True)):
                status = dict(status_readings(said["STGE"]))
                assert supplier_tariff(said["STGE"]) == int(said["NTARF"])
                assert status[("smartmeter_producer",)] == 1
                assert (status[("smartmeter_exporting",)] == 1) == (int(said["SINSTI"]) > 0)
                assert int(said["SINSTS"]) == 0 or int(said["SINSTI"]) == 0
                assert any(
                    series[0] == "smartmeter_tempo_colour" and value is not None for series, value in status.items()
                ) == (contract == "TEMPO")

    def test_a_producer_injects_at_noon_and_draws_at_night(self) -> None:
        noon, night = (
            data_of(simulated("standard", "BASE", when, producer=True)) for when in (SUMMER_NOON, "2025-06-17 02:00:00")
        )
        assert int(noon["SINSTI"]) > 500
        assert int(night["SINSTI"]) == 0
        assert int(night["SINSTS"]) > 0

    def test_the_off_peak_register_of_hc_runs_at_night(self) -> None:
        for when, ptec in (("2025-01-21 06:29:00", "HC.."), ("2025-01-21 06:31:00", "HP.."), ("2025-01-21 22:31:00", "HC..")):
            assert data_of(simulated("historic", "HC", when))["PTEC"] == ptec

    def test_an_ejp_peak_has_notice_and_its_own_period(self) -> None:
        for when, pejp, ptec in (
            ("2025-01-23 06:29:00", None, "HN.."),
            (EJP_NOTICE, "30", "HN.."),
            (EJP_PEAK, None, "PM.."),
            ("2025-01-24 00:59:00", None, "PM.."),
            ("2025-01-24 01:01:00", None, "HN.."),
        ):
            said = data_of(simulated("historic", "EJP", when))
            assert (said.get("PEJP"), said["PTEC"]) == (pejp, ptec), when

    def test_a_tempo_day_is_announced_at_20_o_clock_and_runs_from_6_to_6(self) -> None:
        for when, ptec, demain in (
            ("2025-01-22 19:59:00", "HPJB", "----"),
            ("2025-01-22 20:01:00", "HPJB", "ROUG"),
            ("2025-01-23 05:59:00", "HCJB", "ROUG"),
            ("2025-01-23 06:01:00", "HPJR", "----"),
            ("2025-01-23 22:01:00", "HCJR", "BLEU"),
            ("2025-01-24 05:59:00", "HCJR", "BLEU"),
            ("2025-01-24 06:01:00", "HPJB", "----"),
        ):
            said = data_of(simulated("historic", "TEMPO", when))
            assert (said["PTEC"], said["DEMAIN"]) == (ptec, demain), when

    def test_the_announced_peak_of_tempo_is_in_every_group_that_tells_it(self) -> None:
        (frame,) = frames_of(simulated("standard", "TEMPO", RED_ANNOUNCED).frame())
        start, end = (parse_timestamp(frame.groups[label].timestamp or "") for label in ("DPM2", "FPM2"))
        assert start is not None
        assert end is not None
        assert (start.timestamp(), end.timestamp()) == (unix("2025-01-23 06:00:00"), unix("2025-01-24 06:00:00"))
        assert frame.groups["PPOINTE"].data.startswith("00004005 06004006 22004005 NONUTILE")
        assert tempo_tomorrow(frame.groups["STGE"].data) == "red"

    def test_ppointe_goes_when_the_peak_begins_and_dpm_stays_until_its_end(self) -> None:
        for when, labels in (
            (RED_DAY, {"DPM2", "FPM2"}),
            ("2025-01-24 05:59:00", {"DPM2", "FPM2"}),
            ("2025-01-24 06:01:00", set()),
        ):
            said = data_of(simulated("standard", "TEMPO", when))
            assert {label for label in said if label.startswith(("DPM", "FPM", "PPOINTE"))} == labels, when

    def test_peaks_of_the_day_become_those_of_yesterday_at_midnight(self) -> None:
        meter = simulated("standard", "BASE", "2025-01-21 23:59:30")
        today = data_of(meter)["SMAXSN"]
        meter.advance(meter.now + 60)
        said = data_of(meter)
        assert said["SMAXSN-1"] == today
        assert int(said["SMAXSN"]) < int(today)

    def test_the_clock_and_its_season_go_through_the_autumn_change(self) -> None:
        meter = simulated("standard", "BASE", "2025-10-26 00:30:00")
        last = None
        for _ in range(8):
            now = parse_timestamp(groups_of(meter.frame())[2].timestamp or "")
            assert now is not None
            assert now.timestamp() == int(meter.now)
            assert last is None or now > last
            last = now
            meter.advance(meter.now + 1800)

    def test_two_meters_have_two_numbers(self) -> None:
        first, second = simulated("standard", "BASE", SUMMER_NOON), simulated("standard", "BASE", SUMMER_NOON)
        second.number = 2
        assert data_of(first)["ADSC"] != data_of(second)["ADSC"]
        assert data_of(first)["PRM"] != data_of(second)["PRM"]


def cycle(meter: FakeMeter, frames: int) -> list[str]:
    """The next frames, 0.8 s apart, in letters: long, interrupted, short."""
    found = []
    for _ in range(frames):
        frame = meter.frame()
        assert frame.startswith(STX)
        assert frame.endswith((ETX, EOT))
        found.append("interrupted" if frame.endswith(EOT) else "long" if b"OPTARIF" in frame else "short")
        meter.advance(meter.now + 0.8)
    return found


class TestOverload:
    def test_the_long_frame_in_progress_is_interrupted_then_20_short_and_1_long_follow_again_and_again(self) -> None:
        meter = simulated("historic", "HC", "2025-01-21 18:58:59", 3, overload=True)
        kinds = cycle(meter, 70)
        first = kinds.index("interrupted")
        assert kinds[:first] == ["long"] * first
        assert kinds[first + 1 : first + 64] == (["short"] * 20 + ["long"]) * 3

    def test_the_cycle_ends_a_minute_after_the_last_overload(self) -> None:
        meter = simulated("historic", "HC", "2025-01-21 18:59:50", 3, overload=True)
        meter.frame()
        kinds = cycle(meter, 140)
        assert set(kinds[-40:]) == {"long"}
        assert len([kind for kind in kinds if kind != "long"]) * 0.8 == pytest.approx(70, abs=8)

    def test_short_frames_name_the_phases_only_while_too_much_is_drawn(self) -> None:
        meter = simulated("historic", "HC", "2025-01-21 18:59:50", 3, overload=True)
        named = []
        for _ in range(60):
            frame = meter.frame()
            if b"OPTARIF" not in frame:
                named.append(b"ADIR" in frame)
            meter.advance(meter.now + 0.8)
        assert named == sorted(named, reverse=True)
        assert {True, False} == set(named)

    def test_a_single_phase_meter_says_adps_as_long_as_more_than_isousc_is_drawn(self) -> None:
        meter = simulated("historic", "HC", "2025-01-21 18:58:50", overload=True)
        for _ in range(100):
            said = data_of(meter)
            assert ("ADPS" in said) == (int(said["IINST"]) > int(said["ISOUSC"]))
            assert said.get("ADPS", said["IINST"]) == said["IINST"]
            meter.advance(meter.now + 1.5)

    def test_a_standard_meter_says_it_in_stge(self) -> None:
        for when, over in ((IN_OVERLOAD, 1), (WINTER_EVENING, 0)):
            said = data_of(simulated("standard", "HC", when, overload=True))
            assert dict(status_readings(said["STGE"]))[("smartmeter_overload",)] == over


def test_a_frame_is_the_same_for_the_same_time() -> None:
    first, second = (simulated("standard", "TEMPO", RED_ANNOUNCED, 3, True).frame() for _ in range(2))
    assert first == second
    assert isinstance(frames_of(first)[0], Frame)
