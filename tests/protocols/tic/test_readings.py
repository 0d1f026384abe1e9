"""What every label means, and what its absence means."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import flipped, fuzz, without_a_byte
from support.tic_bytes import frames_of, legal_groups
from support.tic_frames import EJP_NOTICE, IN_OVERLOAD, RED_ANNOUNCED, SUMMER_NOON, WINTER_EVENING, simulated
from support.tic_values import (
    CURRENT,
    DATED,
    EASF,
    IMPORT_MAX,
    NUMBERS,
    SUBSCRIBED,
    TARIFF,
)

from meterline.meter.families import FAMILIES
from meterline.meter.meter import Meter
from meterline.meter.readings import Rejected, Series, Snapshot, Text, Total, Value
from meterline.protocols.tic.contracts import CONTRACTS
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.fields import FIELDS, HISTORIC, STANDARD
from meterline.protocols.tic.frames import EOT, ETX, Frame, Group, check, encode_frame, encode_group
from meterline.protocols.tic.simulator.groups import standard_groups

Said = dict[Series, Value]

TEMPO = "smartmeter_tempo_colour"
OVERLOAD = ("smartmeter_overload",)
OVERLOAD_CURRENT = "smartmeter_overload_current_amperes"
PHASE_OVERLOAD = "smartmeter_phase_overload"


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, offset: int = 1) -> int:
    """Unix seconds of a legal time that is `offset` hours ahead of UTC."""
    return int(datetime(year, month, day, hour, minute, second, tzinfo=timezone(timedelta(hours=offset))).timestamp())


def of_frame(frame: Frame, prm: bool = False) -> Said:
    """The readings of a frame but the two that every frame gives; a series said twice must be said alike."""
    said: Said = {}
    for series, value in readings(frame, prm).readings:
        assert said.setdefault(series, value) == value, series
    said.pop(("smartmeter_info", "protocol"))
    said.pop(("smartmeter_info", "mode"))
    return said


def of(*groups: Group, complete: bool = True, prm: bool = False) -> Said:
    for group in groups:
        body = encode_group(group.label, group.data, group.timestamp)[1:-1]
        assert check(body) == group, "a case must be legal"
    return of_frame(Frame({group.label: group for group in groups}, complete), prm)


def refused(group: Group) -> None:
    body = encode_group(group.label, group.data, group.timestamp)[1:-1]
    assert check(body) == Rejected("malformed", body)


def shown(said: Mapping[Series, Value]) -> Said:
    """Without what is only cleared."""
    return {series: value for series, value in said.items() if value is not None}


def hot(family: str, states: Iterable[str], now: str | None, *after: str) -> Said:
    return {(family, state, *after): int(state == now) for state in states}


INFO, TARIFF_INFO, MESSAGE = "smartmeter_info", "smartmeter_tariff_info", "smartmeter_message_info"
COLOURS = ("blue", "white", "red")


def period(tariff: str, contract: str, name: str) -> Said:
    return {
        **hot("smartmeter_tariff_active", CONTRACTS[contract], tariff),
        (TARIFF_INFO, "tariff"): tariff,
        (TARIFF_INFO, "name"): name,
    }


DATE = Group("DATE", "H250122222926", "")
CLOCK: Said = {("smartmeter_clock_timestamp_seconds",): at(2025, 1, 22, 22, 29, 26), ("smartmeter_clock_degraded",): 0}


def blocks(*used: str) -> str:
    return " ".join([*used, *["NONUTILE"] * (11 - len(used))])


def switch(profile: str, number: int, when: int, tariff: int | None = None, closed: int | None = None) -> Said:
    labels = (profile, str(number))
    said: Said = {("smartmeter_switch_timestamp_seconds", *labels): when}
    if tariff is not None:
        said[("smartmeter_switch_tariff", *labels)] = tariff
    if closed is not None:
        said[("smartmeter_switch_contact_closed", *labels)] = closed
    return said


Case = tuple[Group, tuple[Group, ...], Said]


def case(group: Group, others: tuple[Group, ...], said: Said) -> Case:
    """A group, the others of its frame without which it says nothing, and the readings of them all."""
    return group, others, said


CASES: list[Case] = [
    *(case(Group(label, None, data), (), {series: int(data) * unit}) for label, (data, series, unit) in NUMBERS.items()),
    *(
        case(Group(label, "E240614053107", data), (), {series: int(data), when: at(2024, 6, 14, 5, 31, 7, offset=2)})
        for label, (data, series, when) in DATED.items()
    ),
    *(
        case(
            Group(label, None, "042175000001"),
            (),
            {
                (INFO, "address"): "042175000001",
                (INFO, "manufacturer"): "Landis+Gyr",
                (INFO, "type"): "Linky single-phase 90 A G3",
            },
        )
        for label in ("ADCO", "ADSC")
    ),
    case(
        Group("ADCO", None, "812164417227"),
        (),
        {(INFO, "address"): "812164417227", (INFO, "type"): "Linky single-phase 60 A G3"},
    ),
    case(Group("ADCO", None, "990099000001"), (), {(INFO, "address"): "990099000001"}),
    *(
        case(Group("OPTARIF", None, option), (), {(INFO, "option"): option, (INFO, "contract"): contract})
        for option, contract in (
            ("BASE", "BASE"),
            ("HC..", "HC"),
            ("EJP.", "EJP"),
            ("BBR(", "TEMPO"),
            ("BBR ", "TEMPO"),
            ("BBR?", "TEMPO"),
        )
    ),
    case(
        Group("ISOUSC", None, "30"),
        (Group("IINST", None, "002"),),
        {("smartmeter_subscribed_current_amperes",): 30, SUBSCRIBED: 6000, (CURRENT, "1"): 2, OVERLOAD: 0},
    ),
    case(
        Group("ISOUSC", None, "30"),
        (Group("IINST1", None, "002"),),
        {("smartmeter_subscribed_current_amperes",): 30, SUBSCRIBED: 18_000, (CURRENT, "1"): 2, (PHASE_OVERLOAD, "1"): 0},
    ),
    case(Group("PEJP", None, "30"), (), {("smartmeter_peak_notice", "1"): 1, ("smartmeter_peak_notice_seconds",): 1800}),
    case(Group("PTEC", None, "TH.."), (), period("BASE", "BASE", "TH")),
    case(Group("PTEC", None, "HC.."), (), period("HCHC", "HC", "HC")),
    case(Group("PTEC", None, "HP.."), (), period("HCHP", "HC", "HP")),
    case(Group("PTEC", None, "HN.."), (), {**period("EJPHN", "EJP", "HN"), ("smartmeter_peak_running", "1"): 0}),
    case(Group("PTEC", None, "PM.."), (), {**period("EJPHPM", "EJP", "PM"), ("smartmeter_peak_running", "1"): 1}),
    *(
        case(
            Group("PTEC", None, f"{half}J{letter}"),
            (),
            {**period(f"BBR{half}J{letter}", "TEMPO", f"{half}J{letter}"), **hot(TEMPO, COLOURS, colour, "today")},
        )
        for half in ("HC", "HP")
        for letter, colour in zip("BWR", COLOURS, strict=True)
    ),
    case(Group("DEMAIN", None, "----"), (), hot(TEMPO, COLOURS, None, "tomorrow")),
    case(Group("DEMAIN", None, "BLEU"), (), hot(TEMPO, COLOURS, "blue", "tomorrow")),
    case(Group("DEMAIN", None, "BLAN"), (), hot(TEMPO, COLOURS, "white", "tomorrow")),
    case(Group("DEMAIN", None, "ROUG"), (), hot(TEMPO, COLOURS, "red", "tomorrow")),
    case(Group("ADPS", None, "034"), (), {OVERLOAD: 1, (OVERLOAD_CURRENT, "1"): 34}),
    *(
        case(Group(f"ADIR{n}", None, f"03{n}"), (), {OVERLOAD: 1, (PHASE_OVERLOAD, n): 1, (OVERLOAD_CURRENT, n): 30 + int(n)})
        for n in "123"
    ),
    case(
        Group("PMAX", None, "02680"),
        (Group("ADCO", None, "990063000001"),),
        {
            (f"{IMPORT_MAX}_voltamperes", "yesterday"): 2680,
            (INFO, "address"): "990063000001",
            (INFO, "type"): "Linky three-phase 60 A G1",
        },
    ),
    case(
        Group("PMAX", None, "17480"),
        (Group("ADCO", None, "990030000001"),),
        {
            ("smartmeter_power_max_watts",): 17_480,
            (INFO, "address"): "990030000001",
            (INFO, "type"): "three-phase, before Linky",
        },
    ),
    case(Group("HHPHC", None, "E"), (), {(INFO, "timetable"): "E"}),
    case(Group("MOTDETAT", None, "400000"), (), {(INFO, "state_word"): "400000"}),
    *(
        case(
            Group("PPOT", None, data),
            (),
            {("smartmeter_phase_present", n): value for n, value in zip("123", present, strict=True)},
        )
        for data, present in (
            ("00", (1, 1, 1)),
            ("02", (0, 1, 1)),
            ("04", (1, 0, 1)),
            ("08", (1, 1, 0)),
            ("0A", (0, 1, 0)),
            ("0E", (0, 0, 0)),
        )
    ),
    case(Group("VTIC", None, "02"), (), {(INFO, "tic_version"): "02"}),
    case(DATE, (), CLOCK),
    case(
        Group("DATE", "e250722222926", ""),
        (),
        {("smartmeter_clock_timestamp_seconds",): at(2025, 7, 22, 22, 29, 26, offset=2), ("smartmeter_clock_degraded",): 1},
    ),
    case(Group("NGTF", None, "H PLEINE/CREUSE "), (), {(TARIFF_INFO, "calendar"): "H PLEINE/CREUSE"}),
    case(Group("LTARF", None, " HEURE  CREUSE  "), (), {(TARIFF_INFO, "name"): "HEURE CREUSE"}),
    case(
        Group("STGE", None, "003A0001"),
        (Group("NTARF", None, "01"),),
        {
            **hot("smartmeter_tariff_active", EASF, "EASF01"),
            (TARIFF_INFO, "tariff"): "EASF01",
            ("smartmeter_contact_closed",): 0,
            ("smartmeter_cover_open",): 0,
            ("smartmeter_overvoltage",): 0,
            OVERLOAD: 0,
            ("smartmeter_producer",): 0,
            ("smartmeter_exporting",): 0,
            ("smartmeter_clock_degraded",): 0,
            ("smartmeter_plc_synchronised",): 0,
            **hot("smartmeter_distributor_tariff_active", [f"EASD0{n}" for n in "1234"], "EASD01"),
            **hot("smartmeter_peak_notice", "123", None),
            **hot("smartmeter_peak_running", "123", None),
            **hot(
                "smartmeter_breaker",
                (
                    "closed",
                    "open_overpower",
                    "open_overvoltage",
                    "open_load_shedding",
                    "open_remote_order",
                    "open_overheating_high_current",
                    "open_overheating",
                ),
                "closed",
            ),
            **hot("smartmeter_euridis_output", ("off", "on", "on_secured"), "on_secured"),
            **hot("smartmeter_plc_modem", ("new_unlocked", "new_locked", "registered"), "new_locked"),
        },
    ),
    *(
        case(
            Group(f"{word}{n}", " 250123060000", "00"),
            (),
            {(f"smartmeter_peak_{edge}_timestamp_seconds", n): at(2025, 1, 23, 6)},
        )
        for word, edge in (("DPM", "start"), ("FPM", "end"))
        for n in "123"
    ),
    case(
        Group("DPM2", " 250723060000", "00"),
        (),
        {("smartmeter_peak_start_timestamp_seconds", "2"): at(2025, 7, 23, 6, offset=2)},
    ),
    case(Group("MSG1", None, "PAS DE          MESSAGE         "), (), {(MESSAGE, "short"): "PAS DE MESSAGE"}),
    case(Group("MSG2", None, " COUPURE  DEMAIN"), (), {(MESSAGE, "ultra_short"): "COUPURE DEMAIN"}),
    case(Group("PRM", None, "00000000000001"), (), {(INFO, "prm"): "00000000000001"}),
    case(
        Group("RELAIS", None, "140"),
        (),
        {("smartmeter_relay_closed", n): int(n in "348") for n in "12345678"},
    ),
    case(
        Group("NTARF", None, "10"),
        (),
        {**hot("smartmeter_tariff_active", EASF, "EASF10"), (TARIFF_INFO, "tariff"): "EASF10"},
    ),
    case(
        Group("PJOURF+1", None, blocks("00008002", "0100C001", "06008002", "1230C001", "15308002")),
        (DATE,),
        {
            **CLOCK,
            **switch("tomorrow", 1, at(2025, 1, 23), 2, 0),
            **switch("tomorrow", 2, at(2025, 1, 23, 1), 1, 1),
            **switch("tomorrow", 3, at(2025, 1, 23, 6), 2, 0),
            **switch("tomorrow", 4, at(2025, 1, 23, 12, 30), 1, 1),
            **switch("tomorrow", 5, at(2025, 1, 23, 15, 30), 2, 0),
        },
    ),
    case(
        Group("PPOINTE", None, blocks("00004005", "06004006", "22004005")),
        (DATE, Group("DPM2", " 250123060000", "00")),
        {
            **CLOCK,
            ("smartmeter_peak_start_timestamp_seconds", "2"): at(2025, 1, 23, 6),
            **switch("peak", 1, at(2025, 1, 23), 5),
            **switch("peak", 2, at(2025, 1, 23, 6), 6),
            **switch("peak", 3, at(2025, 1, 23, 22), 5),
        },
    ),
]

NEEDS_NEIGHBOURS = {"PMAX", "PJOURF+1", "PPOINTE"}
"""Labels that say nothing without others of their frame: ADCO tells what PMAX is, DATE and DPM the day of the profiles."""


class TestLabels:
    @pytest.mark.parametrize(
        ("group", "others", "expected"), CASES, ids=[f"{group.label}-{group.data.strip()}" for group, _, _ in CASES]
    )
    def test_every_label_means(self, group: Group, others: tuple[Group, ...], expected: Said) -> None:
        assert shown(of(group, *others, prm=True)) == expected

    def test_every_label_has_a_case(self) -> None:
        assert {group.label for group, _, _ in CASES} == FIELDS.keys()

    def test_every_label_but_a_few_says_something_by_itself(self) -> None:
        silent = {
            label for label in FIELDS if not any(shown(of(group, prm=True)) for group, _, _ in CASES if group.label == label)
        }
        assert silent == NEEDS_NEIGHBOURS

    def test_every_series_is_in_the_catalogue_with_all_its_labels(self) -> None:
        for group, others, expected in CASES:
            for series in (*expected, *of(group, *others, prm=True)):
                family = FAMILIES[series[0]]
                if family.type == "info":
                    assert series[1] in family.labels
                else:
                    assert len(series) == 1 + len(family.labels)

    @pytest.mark.parametrize(("mode", "label"), [("historic", "IINST"), ("standard", "IRMS1")])
    def test_every_frame_says_its_mode(self, mode: str, label: str) -> None:
        said = readings(Frame({label: Group(label, None, "001")}, False)).readings
        assert (("smartmeter_info", "mode"), mode) in said
        assert (("smartmeter_info", "protocol"), "tic") in said

    @pytest.mark.parametrize("label", ["NGTF", "LTARF", "MSG1"])
    def test_free_text_must_be_said_twice_to_be_believed(self, label: str) -> None:
        width = 32 if label == "MSG1" else 16
        (value,) = of(Group(label, None, "BASE".center(width))).values()
        assert type(value) is Text

    def test_a_message_that_is_sent_once_is_believed_at_once(self) -> None:
        (value,) = of(Group("MSG2", None, " COUPURE  DEMAIN")).values()
        assert type(value) is str

    @pytest.mark.parametrize("label", sorted(DATED))
    def test_a_value_with_a_date_that_does_not_exist_is_not_shown(self, label: str) -> None:
        refused(Group(label, "H250230120000", DATED[label][0]))

    @pytest.mark.parametrize("label", ["DPM1", "FPM3"])
    def test_a_peak_on_a_date_that_does_not_exist_is_not_shown(self, label: str) -> None:
        refused(Group(label, " 250431120000", "00"))

    def test_a_clock_on_a_date_that_does_not_exist_is_not_shown(self) -> None:
        refused(Group("DATE", "H250229120000", ""))

    @pytest.mark.parametrize(
        ("digits", "maker"), [("01", "Crouzet"), ("02", "Sagemcom"), ("03", "Itron"), ("04", "Landis+Gyr"), ("06", "Itron")]
    )
    def test_the_first_two_digits_of_the_address_name_the_maker(self, digits: str, maker: str) -> None:
        assert of(Group("ADSC", None, f"{digits}0099000001"))[(INFO, "manufacturer")] == maker

    @pytest.mark.parametrize("kind", [22, 26, 28, 30, 60, 61, 62, 63, 64, 65, 67, 68, 70, 71, 75, 76])
    def test_the_fifth_and_sixth_digit_tell_single_phase_from_three_phase(self, kind: int) -> None:
        text = str(of(Group("ADSC", None, f"9900{kind}000001"))[(INFO, "type")])
        assert ("three-phase" in text) == (kind in (26, 30, 63, 68, 71, 76))
        assert ("single-phase" in text) != ("three-phase" in text)
        assert text.startswith("Linky") == (kind >= 60)

    def test_an_address_keeps_its_leading_zeros(self) -> None:
        assert readings(Frame({"ADSC": Group("ADSC", None, "000000000001")}, False)).address == "000000000001"

    def test_a_frame_without_an_address_says_so(self) -> None:
        assert readings(Frame({"IINST": Group("IINST", None, "001")}, False)).address is None

    def test_the_delivery_point_is_shown_on_request_only(self) -> None:
        prm = Group("PRM", None, "12345678901234")
        assert of(prm) == {}
        assert of(prm, prm=True) == {(INFO, "prm"): "12345678901234"}
        frame = frames_of(simulated("standard", "BASE", SUMMER_NOON).frame())[0]
        assert "prm" not in str(readings(frame))

    @pytest.mark.parametrize(("old", "new"), [("SINST1", "SINSTS"), ("SMAXN", "SMAXSN"), ("SMAXN-1", "SMAXSN-1")])
    def test_a_pilot_meter_s_label_means_what_its_modern_twin_does(self, old: str, new: str) -> None:
        timestamp = "H250122222926" if "MAX" in old else None
        assert of(Group(old, timestamp, "01234")) == of(Group(new, timestamp, "01234"))


class TestPowers:
    @pytest.mark.parametrize(("amperes", "single", "three"), [("15", 3000, 9000), ("30", 6000, 18_000), ("60", 12_000, 36_000)])
    def test_subscribed_current_is_200_volts_a_phase(self, amperes: str, single: int, three: int) -> None:
        isousc = Group("ISOUSC", None, amperes)
        assert of(isousc, Group("IINST", None, "001"))[SUBSCRIBED] == single
        assert of(isousc, *(Group(f"IINST{n}", None, "001") for n in "123"))[SUBSCRIBED] == three

    def test_subscribed_power_is_not_guessed_where_the_phases_are_not_known(self) -> None:
        assert SUBSCRIBED not in of(Group("ISOUSC", None, "30"))

    @pytest.mark.parametrize("kind", ["60", "63", "68", "71", "76"])
    def test_pmax_of_a_linky_is_yesterday_s_apparent_power(self, kind: str) -> None:
        said = of(Group("ADCO", None, f"0421{kind}000001"), Group("PMAX", None, "08611"))
        assert said[(f"{IMPORT_MAX}_voltamperes", "yesterday")] == 8611
        assert ("smartmeter_power_max_watts",) not in said

    @pytest.mark.parametrize("kind", ["26", "30"])
    def test_pmax_of_an_older_meter_is_an_active_power(self, kind: str) -> None:
        said = of(Group("ADCO", None, f"0299{kind}000001"), Group("PMAX", None, "08611"))
        assert said[("smartmeter_power_max_watts",)] == 8611
        assert (f"{IMPORT_MAX}_voltamperes", "yesterday") not in said

    def test_pmax_is_not_shown_where_the_meter_is_not_known(self) -> None:
        assert of(Group("PMAX", None, "08611")) == {}


class TestTotals:
    @pytest.mark.parametrize(("option", "contract"), [("BASE", "BASE"), ("HC..", "HC"), ("EJP.", "EJP"), ("BBR(", "TEMPO")])
    def test_the_total_of_historic_mode_is_that_of_all_registers_of_the_contract(self, option: str, contract: str) -> None:
        registers = CONTRACTS[contract]
        total = Total(("smartmeter_energy_import_watthours_total",), tuple((TARIFF, register) for register in registers))
        groups = {"OPTARIF": Group("OPTARIF", None, option), registers[0]: Group(registers[0], None, "000000001")}
        assert readings(Frame(groups, True)).totals == (total,)
        del groups["OPTARIF"]
        assert readings(Frame(groups, False)).totals == (total,)

    def test_a_frame_without_registers_has_no_total(self) -> None:
        assert readings(Frame({"OPTARIF": Group("OPTARIF", None, "HC..")}, True)).totals == ()

    def test_standard_mode_sends_its_total(self) -> None:
        frame = frames_of(simulated("standard", "TEMPO", RED_ANNOUNCED).frame())[0]
        assert readings(frame).totals == ()

    def test_the_total_is_shown_once_every_register_is_known(self) -> None:
        meter = Meter("home", clock=lambda: 0.0)
        hchc, hchp = Group("HCHC", None, "000000100"), Group("HCHP", None, "000000023")
        option = Group("OPTARIF", None, "HC..")
        meter.take(readings(Frame({"OPTARIF": option, "HCHC": hchc}, False)))
        assert meter.value("smartmeter_energy_import_watthours_total") is None
        meter.take(readings(Frame({"OPTARIF": option, "HCHP": hchp}, False)))
        assert meter.value("smartmeter_energy_import_watthours_total") == 123


class TestShortFrames:
    def test_a_frame_of_three_phases_without_optarif_is_short(self) -> None:
        meter = simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True)
        shorts = []
        for _ in range(5):
            shorts += [readings(frame).short for frame in frames_of(meter.frame())]
            meter.advance(meter.now + 2)
        assert shorts == [False, False, True, True, True]

    def test_a_long_frame_in_which_groups_are_damaged_is_not_short(self) -> None:
        frame = simulated("historic", "HC", SUMMER_NOON, phases=3).frame()
        for where, bad in flipped(frame):
            assert not any(readings(found).short for found in frames_of(bad)), where

    def test_a_single_phase_frame_is_never_short(self) -> None:
        assert not readings(Frame({"IINST": Group("IINST", None, "001")}, False)).short

    def test_a_standard_frame_is_never_short(self) -> None:
        assert not readings(frames_of(simulated("standard", "BASE", SUMMER_NOON, 3).frame())[0]).short


class TestTariff:
    def test_the_running_register_comes_from_ntarf(self) -> None:
        assert of(Group("NTARF", None, "03"))[("smartmeter_tariff_active", "EASF03")] == 1

    def test_the_running_register_comes_from_stge_where_ntarf_is_lost(self) -> None:
        said = of(Group("STGE", None, "463A0800"))
        assert said[("smartmeter_tariff_active", "EASF03")] == 1
        assert said[(TARIFF_INFO, "tariff")] == "EASF03"

    @pytest.mark.parametrize("stge", ["003A2801", "003A3C01"])
    def test_a_register_above_ten_is_not_shown(self, stge: str) -> None:
        refused(Group("STGE", None, stge))

    def test_two_registers_at_once_are_none(self) -> None:
        said = of(Group("STGE", None, "003A0801"), Group("NTARF", None, "02"))
        assert not any(series[0] == "smartmeter_tariff_active" for series in said)
        assert (TARIFF_INFO, "tariff") not in said

    def test_the_register_changes_together_with_its_name(self) -> None:
        said = of(Group("NTARF", None, "02"), Group("LTARF", None, "    HP  BLEU    "))
        assert {type(said[(TARIFF_INFO, label)]) for label in ("tariff", "name")} == {Text}

    def test_the_clock_is_degraded_where_stge_says_so(self) -> None:
        assert of(DATE, Group("STGE", None, "003B0001"))[("smartmeter_clock_degraded",)] == 1


WHITE_DAY = Group("PJOURF+1", None, blocks("00004003", "06004004", "22004003"))
RED_PROFILE = Group("PJOURF+1", None, blocks("00004005", "06004006", "22004005"))
BLUE_PROFILE = Group("PJOURF+1", None, blocks("00004001", "06004002", "22004001"))


def tomorrow(*groups: Group) -> Said:
    return {series: value for series, value in of(*groups).items() if series[0] == TEMPO and series[2] == "tomorrow"}


class TestTempoTomorrow:
    @pytest.mark.parametrize(("bits", "colour"), [(1, "blue"), (2, "white"), (3, "red")])
    def test_stge_says_it(self, bits: int, colour: str) -> None:
        status = Group("STGE", None, f"{1 << 24 | bits << 26 | 0x3A0001:08X}")
        assert tomorrow(status) == hot(TEMPO, COLOURS, colour, "tomorrow")

    @pytest.mark.parametrize("today", [1, 2, 3])
    def test_unknown_tomorrow_is_zero_for_every_colour(self, today: int) -> None:
        status = Group("STGE", None, f"{today << 24 | 0x3A0001:08X}")
        assert tomorrow(status) == hot(TEMPO, COLOURS, None, "tomorrow")

    @pytest.mark.parametrize(("profile", "colour"), [(WHITE_DAY, "white"), (RED_PROFILE, "red")])
    def test_a_white_or_red_profile_says_it_before_stge(self, profile: Group, colour: str) -> None:
        assert tomorrow(Group("STGE", None, "013AC401"), profile) == hot(TEMPO, COLOURS, colour, "tomorrow")

    def test_a_blue_profile_is_only_the_default(self) -> None:
        assert tomorrow(Group("STGE", None, "013AC401"), BLUE_PROFILE) == hot(TEMPO, COLOURS, None, "tomorrow")

    @pytest.mark.parametrize("profile", [BLUE_PROFILE, RED_PROFILE])
    def test_stge_outdoes_the_profile(self, profile: Group) -> None:
        assert tomorrow(Group("STGE", None, "9B3A9000"), profile) == hot(TEMPO, COLOURS, "white", "tomorrow")

    def test_a_profile_without_stge_says_nothing(self) -> None:
        assert tomorrow(RED_PROFILE) == {}

    @pytest.mark.parametrize("profile", [WHITE_DAY, RED_PROFILE, BLUE_PROFILE])
    def test_a_contract_without_colours_has_none_whatever_registers_it_uses_tomorrow(self, profile: Group) -> None:
        assert shown(tomorrow(Group("STGE", None, "003A0801"), profile)) == {}

    def test_a_damaged_profile_does_not_unsay_it(self) -> None:
        assert shown({**of(Group("STGE", None, "013AC401"), complete=False)}).get((TEMPO, "white", "tomorrow")) is None

    @pytest.mark.parametrize(("today", "colour"), [(1, "blue"), (2, "white"), (3, "red")])
    def test_today_comes_from_stge(self, today: int, colour: str) -> None:
        said = of(Group("STGE", None, f"{today << 24 | 0x3A0001:08X}"))
        assert {series: value for series, value in said.items() if series[0] == TEMPO and series[2] == "today"} == hot(
            TEMPO, COLOURS, colour, "today"
        )

    def test_a_contract_without_colours_has_no_today_either(self) -> None:
        assert not any(series[0] == TEMPO for series in shown(of(Group("STGE", None, "003A0001"))))


class TestSwitches:
    def test_unused_blocks_are_cleared(self) -> None:
        said = of(DATE, Group("PJOURF+1", None, blocks("00008001")))
        cleared = {series for series, value in said.items() if value is None}
        assert cleared == {
            (f"smartmeter_switch_{word}", "tomorrow", str(number))
            for word in ("timestamp_seconds", "tariff", "contact_closed")
            for number in range(2, 12)
        }

    def test_a_block_without_contact_or_register_clears_them(self) -> None:
        said = of(DATE, Group("PJOURF+1", None, blocks("00000000", "0600400F")))
        for number in "12":
            assert said[("smartmeter_switch_tariff", "tomorrow", number)] is None
            assert said[("smartmeter_switch_contact_closed", "tomorrow", number)] is None
            assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", number)] is not None

    def test_nothing_is_said_without_the_meter_s_date(self) -> None:
        assert of(RED_PROFILE) == {}
        assert of(Group("PPOINTE", None, RED_PROFILE.data), Group("DPM2", " 250123060000", "00")) == {
            ("smartmeter_peak_start_timestamp_seconds", "2"): at(2025, 1, 23, 6)
        }

    def test_tomorrow_is_the_next_legal_day_even_a_minute_before_midnight(self) -> None:
        said = of(Group("DATE", "E250630235900", ""), Group("PJOURF+1", None, blocks("00008001")))
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "1")] == at(2025, 7, 1, offset=2)

    def test_on_the_day_of_the_spring_change_each_switch_has_its_own_offset(self) -> None:
        said = of(Group("DATE", "H250329200000", ""), BLUE_PROFILE)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "1")] == at(2025, 3, 30, 0, offset=1)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "2")] == at(2025, 3, 30, 6, offset=2)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "3")] == at(2025, 3, 30, 22, offset=2)

    def test_on_the_day_of_the_autumn_change_each_switch_has_its_own_offset(self) -> None:
        said = of(Group("DATE", "E251025200000", ""), BLUE_PROFILE)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "1")] == at(2025, 10, 26, 0, offset=2)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "2")] == at(2025, 10, 26, 6, offset=1)
        assert said[("smartmeter_switch_timestamp_seconds", "tomorrow", "3")] == at(2025, 10, 26, 22, offset=1)

    def test_the_peak_profile_is_for_the_nearest_peak_that_has_not_begun(self) -> None:
        ppointe = Group("PPOINTE", None, RED_PROFILE.data)
        peaks = (
            Group("DPM1", " 250124060000", "00"),
            Group("DPM2", " 250122060000", "00"),
            Group("DPM3", " 250126060000", "00"),
        )
        said = of(DATE, ppointe, *peaks)
        assert said[("smartmeter_switch_timestamp_seconds", "peak", "1")] == at(2025, 1, 24)

    def test_a_peak_that_runs_has_no_profile_any_more(self) -> None:
        said = of(DATE, Group("PPOINTE", None, RED_PROFILE.data), Group("DPM2", " 250122060000", "00"))
        assert not any(series[0].startswith("smartmeter_switch") for series in said)

    @pytest.mark.parametrize("lost", [1, 2])
    def test_damage_to_one_announced_peak_never_gives_its_profile_to_another(self, lost: int) -> None:
        groups = [
            Group("ADSC", None, "042175000001"),
            DATE,
            Group("EAST", None, "000000001"),
            Group("DPM1", " 250123060000", "00"),
            Group("DPM2", " 250124060000", "00"),
            Group("PPOINTE", None, WHITE_DAY.data),
        ]
        whole = encode_frame(groups)
        damaged = whole.replace(f"DPM{lost}\t 25".encode(), f"DPM{lost}\t 26".encode())
        right, said = of_frame(frames_of(whole)[0]), of_frame(frames_of(damaged)[0])
        assert right[("smartmeter_switch_timestamp_seconds", "peak", "1")] == at(2025, 1, 23)
        assert shown(said).items() <= shown(right).items()


SINGLE = [
    Group("ADCO", None, "042175000001"),
    Group("OPTARIF", None, "EJP."),
    Group("ISOUSC", None, "30"),
    Group("EJPHN", None, "000000001"),
    Group("EJPHPM", None, "000000001"),
    Group("PTEC", None, "HN.."),
    Group("IINST", None, "034"),
    Group("IMAX", None, "090"),
    Group("MOTDETAT", None, "000000"),
]
THREE = [
    Group("ADCO", None, "042176000001"),
    Group("OPTARIF", None, "HC.."),
    Group("ISOUSC", None, "30"),
    Group("HCHC", None, "000000001"),
    Group("HCHP", None, "000000001"),
    Group("PTEC", None, "HC.."),
    *(Group(f"IINST{n}", None, "004") for n in "123"),
    Group("MOTDETAT", None, "000000"),
    Group("PPOT", None, "00"),
]
MODERN = [group for group in standard_groups(simulated("standard", "BASE", SUMMER_NOON)) if not group.label.startswith("CC")]

Absent = tuple[str, list[Group], Said]


def absent(label: str, groups: list[Group], said: Said) -> Absent:
    """A label that means something by its absence, a frame without it, and what that frame then says."""
    return label, groups, said


ABSENT: list[Absent] = [
    absent("ADPS", SINGLE, {OVERLOAD: 0, (OVERLOAD_CURRENT, "1"): None}),
    absent("PEJP", SINGLE, {("smartmeter_peak_notice", "1"): 0, ("smartmeter_peak_notice_seconds",): None}),
    absent("PEJP", THREE, {("smartmeter_peak_notice", "1"): None, ("smartmeter_peak_notice_seconds",): None}),
    *(absent(f"ADIR{n}", THREE, {OVERLOAD: 0, (PHASE_OVERLOAD, n): 0, (OVERLOAD_CURRENT, n): None}) for n in "123"),
    *(absent(f"DPM{n}", MODERN, {("smartmeter_peak_start_timestamp_seconds", n): None}) for n in "123"),
    *(absent(f"FPM{n}", MODERN, {("smartmeter_peak_end_timestamp_seconds", n): None}) for n in "123"),
    *(
        absent(label, MODERN, {DATED[label][1]: None, DATED[label][2]: None})
        for label in ("CCASN", "CCASN-1", "CCAIN", "CCAIN-1")
    ),
    absent("MSG2", MODERN, {(MESSAGE, "ultra_short"): None}),
    absent(
        "PPOINTE",
        MODERN,
        {
            (f"smartmeter_switch_{word}", "peak", str(number)): None
            for word in ("timestamp_seconds", "tariff", "contact_closed")
            for number in range(1, 12)
        },
    ),
]
EACH_ABSENT = pytest.mark.parametrize(("label", "groups", "expected"), ABSENT, ids=[label for label, _, _ in ABSENT])


def cleared(data: bytes, states: Iterable[Series]) -> Said:
    """What the frames say of the states that a label's absence ends."""
    found: Said = {}
    for frame in frames_of(data):
        found |= {series: value for series, value in of_frame(frame).items() if series in states and not value}
    return found


def cleared_by(frame: Frame, states: Iterable[Series]) -> Said:
    return {series: value for series, value in of_frame(frame).items() if series in states and not value}


def proof(label: str, groups: list[Group]) -> tuple[str, ...]:
    """The labels that prove in a frame of these groups, by following each other directly, that the label was not sent."""
    if groups is THREE:
        return ("ISOUSC", "IINST1", "IINST2", "IINST3") if label.startswith("ADIR") else ()
    places = {"ADPS": ("IINST", "IMAX"), "PEJP": ("EJPHPM", "PTEC"), "MSG2": ("MSG1", "PRM")}
    places |= {f"{word}{n}": ("STGE", "MSG1") for word in ("DPM", "FPM") for n in "123"}
    places |= dict.fromkeys(("CCASN", "CCASN-1", "CCAIN", "CCAIN-1"), ("SMAXSN-1", "UMOY1"))
    return places.get(label, ())


class TestAbsence:
    @EACH_ABSENT
    def test_a_complete_long_frame_without_the_label_clears_it(self, label: str, groups: list[Group], expected: Said) -> None:
        assert cleared(encode_frame(groups), expected) == expected

    @EACH_ABSENT
    def test_a_frame_with_the_label_does_not(self, label: str, groups: list[Group], expected: Said) -> None:
        group = next(group for group, _, _ in CASES if group.label == label)
        if label.startswith("ADIR"):  # a long frame never holds it: the current tells
            group = Group(label.replace("ADIR", "IINST"), None, "034")
        said = of(*(other for other in groups if other.label != group.label), group)
        assert all(said.get(series, 1) for series in expected if series in shown(of(group)))
        if label.startswith("ADIR"):
            assert said[OVERLOAD] == said[(PHASE_OVERLOAD, label[-1])] == 1

    @EACH_ABSENT
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda frame: frame.replace(ETX, EOT), id="interrupted by EOT"),
            pytest.param(lambda frame: frame[1:], id="joined in the middle"),
            pytest.param(lambda frame: frame[:-1] + frame, id="without its end"),
        ],
    )
    def test_a_frame_that_is_not_whole_clears_it_where_its_neighbours_prove_that_it_was_not_sent(
        self, change: Callable[[bytes], bytes], label: str, groups: list[Group], expected: Said
    ) -> None:
        (frame, *_) = frames_of(change(encode_frame(groups)))
        assert not frame.complete
        assert cleared_by(frame, expected) == (expected if proof(label, groups) else {})

    @EACH_ABSENT
    def test_a_frame_with_a_damaged_group_clears_it_unless_that_is_one_of_its_neighbours(
        self, label: str, groups: list[Group], expected: Said
    ) -> None:
        frame = encode_frame(groups)
        ends = [place for place, byte in enumerate(frame) if byte == 0x0D]
        needed = proof(label, groups)
        for group, place in zip(groups, ends, strict=True):
            damaged = frame[: place - 1] + b"~" + frame[place:]
            proven = needed and group.label not in needed
            found = cleared(damaged, expected)
            if label.startswith("ADIR") and group.label.startswith("IINST") and group.label[-1] != label[-1]:
                assert found == {series: value for series, value in expected.items() if series != OVERLOAD}
            else:
                assert found == (expected if proven else {}), group.label

    @EACH_ABSENT
    def test_a_frame_in_which_the_label_is_damaged_does_not(self, label: str, groups: list[Group], expected: Said) -> None:
        if label.startswith("ADIR"):
            pytest.skip("a long frame never holds it: the current tells")
        group = next(group for group, _, _ in CASES if group.label == label)
        order = list(FIELDS)
        before = encode_frame([other for other in groups if order.index(other.label) < order.index(label)])[:-1]
        after = encode_frame([other for other in groups if order.index(other.label) > order.index(label)])[1:]
        sent = encode_group(group.label, group.data, group.timestamp)
        for kind, damaged in (("flipped", flipped(sent)), ("lost", without_a_byte(sent))):
            for where, bad in damaged:
                data = before + bad + after
                if not any(label in frame.groups for frame in frames_of(data)):
                    assert cleared(data, expected) == {}, f"{where} {kind}"

    @EACH_ABSENT
    def test_a_short_frame_does_not(self, label: str, groups: list[Group], expected: Said) -> None:
        short = [THREE[0], *(Group(f"IINST{n}", None, "002") for n in "123")]
        assert cleared(encode_frame(short), expected) == {}

    def test_a_standby_frame_does_not(self) -> None:
        states = {series for _, _, expected in ABSENT for series in expected}
        assert cleared(encode_frame(SINGLE[:1]), states) == {}

    def test_a_long_frame_between_short_ones_leaves_the_phases_that_draw_too_much(self) -> None:
        groups = [group if group.label != "IINST2" else Group("IINST2", None, "034") for group in THREE]
        said = of(*groups)
        assert (said[(PHASE_OVERLOAD, "1")], said[(PHASE_OVERLOAD, "3")]) == (0, 0)
        assert (said[(PHASE_OVERLOAD, "2")], said[(OVERLOAD_CURRENT, "2")], said[OVERLOAD]) == (1, 34, 1)

    def test_a_current_that_equals_the_subscribed_one_ends_no_overload_just_announced(self) -> None:
        groups = [group if group.label != "IINST2" else Group("IINST2", None, "030") for group in THREE]
        frame = Frame({group.label: group for group in groups}, True)
        after_short, after_long = dict(readings(frame, after_short=True).readings), dict(readings(frame).readings)
        assert (PHASE_OVERLOAD, "2") not in after_short
        assert after_short[OVERLOAD] == 1
        assert after_long[(PHASE_OVERLOAD, "2")] == after_long[OVERLOAD] == 0

    def test_registers_of_another_contract_are_gone_at_once(self) -> None:
        said = of(*SINGLE)
        assert said[(TARIFF, "BASE")] is None
        assert said[("smartmeter_tariff_active", "BBRHCJB")] is None

    def test_a_long_frame_that_lost_a_phase_says_nothing_of_the_whole_meter(self) -> None:
        said = of(*(group for group in THREE if group.label != "IINST3"), complete=False)
        assert OVERLOAD not in said
        assert {series[1]: value for series, value in said.items() if series[0] == PHASE_OVERLOAD} == {"1": 0, "2": 0}

    def test_a_current_that_equals_the_subscribed_one_proves_nothing_in_a_frame_that_is_not_whole(self) -> None:
        three = [Group("IINST2", None, "030") if group.label == "IINST2" else group for group in THREE]
        single = [Group("IINST", None, "030") if group.label == "IINST" else group for group in SINGLE if group.label != "IMAX"]
        assert (PHASE_OVERLOAD, "2") not in of(*three, complete=False)
        assert OVERLOAD not in of(*single, complete=False)

    def test_a_current_below_the_subscribed_one_is_no_overload_though_a_neighbour_is_lost(self) -> None:
        below = [Group("IINST", None, "029") if group.label == "IINST" else group for group in SINGLE if group.label != "IMAX"]
        assert of(*below, complete=False)[OVERLOAD] == 0
        warned = of(*below, Group("ADPS", None, "034"), complete=False)
        assert warned[OVERLOAD] == 1

    @pytest.mark.parametrize(
        ("warned", "complete", "known"),
        [
            ("13", False, {"1": 1, "2": 0, "3": 1}),
            ("1", False, {"1": 1, "2": 0, "3": 0}),
            ("2", False, {"2": 1, "3": 0}),
            ("3", False, {"3": 1}),
            ("3", True, {"1": 0, "2": 0, "3": 1}),
            ("", False, {}),
            ("", True, {}),  # there are meters that name no phase
        ],
    )
    def test_a_short_frame_clears_the_phases_that_it_leaves_out(
        self, warned: str, complete: bool, known: dict[str, int]
    ) -> None:
        short = [*(Group(f"ADIR{n}", None, "034") for n in warned), THREE[0], *(Group(f"IINST{n}", None, "002") for n in "123")]
        said = of(*short, complete=complete)
        assert {series[1]: value for series, value in said.items() if series[0] == PHASE_OVERLOAD} == known
        assert said.get(OVERLOAD) == (1 if warned else None)

    @pytest.mark.parametrize("lost", ["ADCO", "OPTARIF", "ISOUSC", "HCHC", "PTEC", "IMAX", "MOTDETAT"])
    def test_one_label_that_never_arrives_hides_no_overload(self, lost: str) -> None:
        meter = simulated("historic", "HC", WINTER_EVENING)
        data = re.sub(rb"\n(%b [^\r]*)." % lost.encode(), rb"\n\1~", meter.frame() * 5)
        for frame in frames_of(data):
            assert not frame.complete
            assert of_frame(frame)[OVERLOAD] == 0, lost


def everything_said(data: bytes) -> set[tuple[Series, Value]]:
    return {reading for frame in frames_of(data) for reading in readings(frame).readings}


TEXTS = ("smartmeter_tariff_info", "smartmeter_message_info")

SENT = {
    "overload": simulated("historic", "HC", IN_OVERLOAD, overload=True),
    "three-phase overload": simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True),
    "EJP notice": simulated("historic", "EJP", EJP_NOTICE),
    "Tempo, peak announced": simulated("standard", "TEMPO", RED_ANNOUNCED),
    "producer": simulated("standard", "BASE", SUMMER_NOON, producer=True),
}


@pytest.mark.parametrize("frame", [meter.frame() for meter in SENT.values()], ids=list(SENT))
def test_no_flipped_bit_and_no_lost_byte_makes_a_frame_say_what_it_did_not(frame: bytes) -> None:
    right = everything_said(frame)
    for kind, damaged in (("flipped", flipped(frame)), ("lost", without_a_byte(frame))):
        for where, bad in damaged:
            wrong = {(series, value) for series, value in everything_said(bad) - right if series[0] not in TEXTS}
            assert not wrong, f"{where} {kind}: {wrong}"


def legal_frames() -> Iterator[st.SearchStrategy[Frame]]:
    for labels in (sorted(HISTORIC), sorted(STANDARD), sorted(FIELDS)):
        groups = st.lists(st.sampled_from(labels).flatmap(legal_groups), min_size=1, max_size=12)
        yield st.builds(Frame, groups.map(lambda found: {group.label: group for group in found}), st.booleans())


@fuzz
@given(st.one_of(*legal_frames()), st.booleans())
def test_fuzz_every_legal_frame_gives_readings_that_a_meter_can_show(frame: Frame, prm: bool) -> None:
    snapshot = readings(frame, prm)
    assert isinstance(snapshot, Snapshot)
    meter = Meter("home", clock=lambda: 0.0)
    meter.take(snapshot)
    for series, value in snapshot.readings:
        assert value is None or isinstance(value, str) == (FAMILIES[series[0]].type == "info")
    for family, text in meter.text.blocks.items():
        assert text.startswith(f"{family}{{")
