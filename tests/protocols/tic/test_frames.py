"""Bytes to groups to frames: whatever the line does, nothing but what was sent."""

from __future__ import annotations

import pickle
import re
import tracemalloc
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import (
    ENDLESS,
    assert_bounded,
    assert_cut_anyhow,
    assert_decodes,
    assert_truncated,
    decode,
    flipped,
    fuzz,
)
from support.tic_bytes import (
    CUTS,
    MUTATIONS,
    cut_at,
    even_parity,
    frames_of,
    groups_of,
    is_text,
    legal_groups,
    mutated,
    rejects_of,
    sealed,
)
from support.tic_frames import (
    EJP_NOTICE,
    IN_OVERLOAD,
    RED_ANNOUNCED,
    SUMMER_NOON,
    WINTER_EVENING,
    simulated,
    stream,
)

from meterline.meter.readings import REASONS, Rejected
from meterline.protocols.tic.fields import FIELDS, HISTORIC, STANDARD
from meterline.protocols.tic.frames import (
    EOT,
    ETX,
    MAX_SEGMENT,
    STX,
    Assembler,
    Decoder,
    Frame,
    Group,
    Mark,
    check,
    encode_frame,
    encode_group,
)
from meterline.protocols.tic.simulator.groups import historic_groups, short_groups, standard_groups

CONTRACTS = ("BASE", "HC", "EJP", "TEMPO")
METERS = [
    *(("historic", contract, phases, False) for contract in CONTRACTS for phases in (1, 3)),
    *(("standard", contract, phases, producer) for contract in CONTRACTS for phases in (1, 3) for producer in (False, True)),
]

HISTORIC_FRAME = simulated("historic", "HC", WINTER_EVENING).frame()
HISTORIC_GROUPS = tuple(historic_groups(simulated("historic", "HC", WINTER_EVENING)))
STANDARD_FRAME = simulated("standard", "TEMPO", RED_ANNOUNCED).frame()
STANDARD_GROUPS = tuple(standard_groups(simulated("standard", "TEMPO", RED_ANNOUNCED)))
BOTH = pytest.mark.parametrize(
    ("frame", "groups"), [(HISTORIC_FRAME, HISTORIC_GROUPS), (STANDARD_FRAME, STANDARD_GROUPS)], ids=["historic", "standard"]
)


NOT_LINE_ENDS = [bytes([byte]) for byte in range(32) if byte not in b"\t\r\n"]
"""What may arrive in the place of CR or LF. HT belongs to groups."""


def is_group(event: object) -> bool:
    return isinstance(event, Group)


class TestContract:
    @pytest.mark.parametrize(("mode", "contract", "phases", "producer"), METERS)
    def test_a_frame_gives_its_groups_whatever_the_line_does_to_it(
        self, mode: str, contract: str, phases: int, producer: bool
    ) -> None:
        meter = simulated(mode, contract, RED_ANNOUNCED if contract == "TEMPO" else SUMMER_NOON, phases, producer)
        groups = standard_groups(meter) if mode == "standard" else historic_groups(meter)
        expected = [Mark.START, *groups, Mark.END]
        damage = mode == "historic" or contract == "TEMPO"  # the other contracts have no other groups
        assert_decodes(Decoder, meter.frame(), expected, is_value=is_group, is_text=is_text, damage=damage)

    def test_a_frame_with_the_overload_warning_too(self) -> None:
        meter = simulated("historic", "HC", IN_OVERLOAD, overload=True)
        groups = historic_groups(meter)
        assert "ADPS" in {group.label for group in groups}
        assert_decodes(Decoder, meter.frame(), [Mark.START, *groups, Mark.END], is_value=is_group)

    def test_a_frame_with_the_notice_of_a_peak_too(self) -> None:
        meter = simulated("historic", "EJP", EJP_NOTICE)
        groups = historic_groups(meter)
        assert "PEJP" in {group.label for group in groups}
        assert_decodes(Decoder, meter.frame(), [Mark.START, *groups, Mark.END], is_value=is_group)

    def test_a_short_frame_too(self) -> None:
        meter = simulated("historic", "HC", IN_OVERLOAD, phases=3, overload=True)
        groups = short_groups(meter)
        assert [group.label for group in groups] == ["ADIR1", "ADIR2", "ADIR3", "ADCO", "IINST1", "IINST2", "IINST3"]
        assert_decodes(Decoder, encode_frame(groups), [Mark.START, *groups, Mark.END], is_value=is_group)

    def test_an_interrupted_frame_too(self) -> None:
        data = STX + b"".join(encode_group(group.label, group.data) for group in HISTORIC_GROUPS[:4]) + EOT
        assert_decodes(Decoder, data, [Mark.START, *HISTORIC_GROUPS[:4], Mark.INTERRUPTED], is_value=is_group)

    @pytest.mark.parametrize("pattern", [STX, ETX, EOT, b"\n", b"\r", STX + ETX, b"\nBASE ", STX + b"A" * 127])
    def test_endless_line_ends_and_marks_keep_no_memory_and_give_no_group(self, pattern: bytes) -> None:
        assert not any(map(is_group, assert_bounded(Decoder, pattern)))

    @pytest.mark.parametrize("pattern", ENDLESS)
    def test_a_frame_is_read_after_endless_noise(self, pattern: bytes) -> None:
        assert groups_of(pattern * (100_000 // len(pattern)) + HISTORIC_FRAME) == list(HISTORIC_GROUPS)

    def test_all_decoders_together_remember_only_so_many_lines(self) -> None:
        decoder, noise = Decoder(), Random(7)
        tracemalloc.start()
        try:
            for _ in range(60):
                decoder.feed(noise.randbytes(1 << 15))
            assert tracemalloc.get_traced_memory()[0] < 1 << 21
        finally:
            tracemalloc.stop()


class TestChecksum:
    @pytest.mark.parametrize(
        ("body", "group"),
        [
            (b"IINST 002 Y", Group("IINST", None, "002")),
            (b"PTEC HP..  ", Group("PTEC", None, "HP..")),
            (b"ADCO 812164417227 D", Group("ADCO", None, "812164417227")),
            (b"VTIC\t02\tJ", Group("VTIC", None, "02")),
            (b"VTIC\t03\tK", Group("VTIC", None, "03")),
            (b"DATE\tE170915101601\t\t>", Group("DATE", "E170915101601", "")),
            (b"SMAXSN\tH250221001022\t02560\t+", Group("SMAXSN", "H250221001022", "02560")),
            (b"EASD01\t000000000\t ", Group("EASD01", None, "000000000")),
            (b"DPM1\t 250123060000\t00\t ", Group("DPM1", " 250123060000", "00")),
        ],
    )
    def test_worked_examples_of_the_reference(self, body: bytes, group: Group) -> None:
        assert check(body) == group
        assert encode_group(group.label, group.data, group.timestamp) == b"\n" + body + b"\r"
        assert groups_of(STX + b"\n" + body + b"\r") == [group]

    @pytest.mark.parametrize(
        "body", [b"PTEC HP..  ", b"EASD01\t000000000\t ", b"DPM1\t 250123060000\t00\t ", b"IINST 009  ", b'EAST\t000000002\t"']
    )
    def test_any_other_checksum_is_refused(self, body: bytes) -> None:
        right = sealed(body[:-1].decode())
        for checksum in range(128):
            verdict = check(body[:-1] + bytes([checksum]))
            assert (verdict == check(right)) == (checksum == right[-1])
            if checksum != right[-1]:
                assert verdict == Rejected("checksum", body[:-1] + bytes([checksum]))

    @pytest.mark.parametrize("body", [b"PTEC HP..  ", b"IINST 009  ", b"EASD01\t000000000\t "])
    def test_a_checksum_that_is_a_space_is_not_white_space(self, body: bytes) -> None:
        assert len(groups_of(b"\r\n" + body + b"\r\n")) == 1

    @pytest.mark.parametrize("body", [b"PTEC HP..  ", b"IINST 009  ", b"EASD01\t000000000\t "])
    def test_a_group_that_lost_the_space_of_its_checksum_is_refused(self, body: bytes) -> None:
        assert groups_of(b"\r\n" + body[:-1] + b"\r\n" + body.rstrip() + b"\r\n") == []

    def test_the_two_modes_sum_differently(self) -> None:
        assert sealed("IINST 002 ")[-1:] == b"Y"
        assert check(b"IINST 002 " + bytes([ord("Y") - 0x20])) == Rejected("checksum", b"IINST 002 9")
        assert check(b"VTIC\t02\tA") == Rejected("checksum", b"VTIC\t02\tA")

    @pytest.mark.parametrize("label", sorted(FIELDS))
    def test_a_label_of_one_mode_is_unknown_in_the_other(self, label: str) -> None:
        text = f"{label}\t0\t" if label in HISTORIC else f"{label} 0 "
        assert check(sealed(text)) == Rejected("unknown_label", sealed(text))


class TestTable:
    """What the checksum cannot see: every body here has the right one."""

    @pytest.mark.parametrize(
        ("kind", "text", "reason"),
        [
            ("bit 6 of a digit", "IINST 00q ", "malformed"),
            ("bit 6 of a digit", "BASE 0q2345678 ", "malformed"),
            ("bit 6 of a digit", "EAST\t0q2345678\t", "malformed"),
            ("bit 6 of a space in text", "NGTF\t     `BASE      \t", "malformed"),
            ("bit 6 of a space in text", "LTARF\t` HEURE  CREUSE \t", "malformed"),
            ("bit 6 of a space in text", "MSG1\tPAS DE          MESSAGE        `\t", "malformed"),
            ("bit 6 of a space in text", "MSG2\t               `\t", "malformed"),
            ("bit 6 of a season", "DATE\t\x08250122222926\t\t", "malformed"),
            ("bit 6 of no season", "DPM1\t`250123060000\t00\t", "malformed"),
            ("NUL in a label", "I\0SOUSC 30 ", "malformed"),
            ("NUL in the data", "IINST 00\x002 ", "malformed"),
            ("NUL in the data", "EAST\t0000\x0012345\t", "malformed"),
            ("NULs in text", "LTARF\t    HC  BLEU\0\0  \t", "malformed"),
            ("lost spaces", "NGTF\tBASE\t", "malformed"),
            ("lost spaces", "NGTF\tPRODUCTEUR\t", "malformed"),
            ("lost spaces", "MSG1\tPAS DE MESSAGE\t", "malformed"),
            ("added spaces", "PAPP   00390 ", "malformed"),
            ("four digits turned into spaces", "PAPP     0 ", "malformed"),
            ("four digits turned into spaces", "HCHC     12345 ", "malformed"),
            ("four digits turned into spaces", "EAST\t    12345\t", "malformed"),
            ("swapped letters of a label", "INIST 002 ", "unknown_label"),
            ("swapped letters of a label", "EATS\t000012345\t", "unknown_label"),
            ("swapped letters of a code", "PTEC PH.. ", "malformed"),
            ("swapped letters of a code", "PTEC HJCB ", "malformed"),
            ("swapped letters of a code", "DEMAIN BLUE ", "malformed"),
            ("swapped letters of a code", "OPTARIF CH.. ", "malformed"),
            ("a digit of the value moved to the timestamp", "SMAXSN\tH2502210010220\t2560\t", "malformed"),
            ("a digit more", "IINST 0002 ", "malformed"),
            ("a digit less", "EASF01\t00000000\t", "malformed"),
            ("another alphabet's digits", "STGE\t003a0001\t", "malformed"),
            ("no timestamp", "SMAXSN\t02560\t", "malformed"),
            ("no timestamp", "DATE\t\t", "malformed"),
            ("a timestamp too much", "EAST\tH250221001022\t000012345\t", "malformed"),
            ("an empty timestamp", "SMAXSN\t\t02560\t", "malformed"),
            ("a season where there is none", "DPM1\tH250123060000\t00\t", "malformed"),
            ("no season where there is one", "DATE\t 250123060000\t\t", "malformed"),
            ("data where there is none", "DATE\tH250123060000\t00\t", "malformed"),
            ("month 13", "DATE\tH251301060000\t\t", "malformed"),
            ("month 0", "DATE\tH250001060000\t\t", "malformed"),
            ("day 32", "DATE\tH250132060000\t\t", "malformed"),
            ("30 February", "DATE\tH250230060000\t\t", "malformed"),
            ("29 February of a year that has none", "UMOY1\tH250229060000\t230\t", "malformed"),
            ("31 April", "DPM1\t 250431060000\t00\t", "malformed"),
            ("31 June", "SMAXSN\tE250631060000\t02560\t", "malformed"),
            ("31 September", "CCASN\tE250931060000\t02560\t", "malformed"),
            ("31 November", "CCAIN-1\tH251131060000\t02560\t", "malformed"),
            ("24 o'clock", "DATE\tH250131240000\t\t", "malformed"),
            ("minute 60", "DATE\tH250131236000\t\t", "malformed"),
            ("second 60", "DATE\tH250131235960\t\t", "malformed"),
            ("too many fields", "EAST\t0\t0\t000012345\t", "malformed"),
            ("no data field", "EAST\t", "malformed"),
            ("a breaker's state that is not defined", "STGE\t003A000F\t", "malformed"),
            ("register 11 in STGE", "STGE\t003A2801\t", "malformed"),
            ("an Euridis output that is not defined", "STGE\t00320001\t", "malformed"),
            ("a modem's state that is not defined", "STGE\t007A0001\t", "malformed"),
            ("historic mode in STGE", "STGE\t00380001\t", "malformed"),
            ("no subscribed power", "PREF\t00\t", "malformed"),
            ("more power than such a meter has", "PCOUP\t37\t", "malformed"),
            ("register 0", "NTARF\t00\t", "malformed"),
            ("register 11", "NTARF\t11\t", "malformed"),
            ("profile 10", "NJOURF\t10\t", "malformed"),
            ("relays above 255", "RELAIS\t256\t", "malformed"),
            ("bit 0 of PPOT", "PPOT 01 ", "malformed"),
            ("bit 4 of PPOT", "PPOT 10 ", "malformed"),
            ("a timetable that does not exist", "HHPHC B ", "malformed"),
            ("bit 6 of the programs of Tempo", "OPTARIF BBRh ", "malformed"),
            ("ten blocks", "PJOURF+1\t" + " ".join(["NONUTILE"] * 10) + "\t", "malformed"),
            ("block at 24:00", "PJOURF+1\t" + " ".join(["24008001", *["NONUTILE"] * 10]) + "\t", "malformed"),
            ("block of nothing", "PPOINTE\t" + " ".join(["        ", *["NONUTILE"] * 10]) + "\t", "malformed"),
        ],
    )
    def test_refused_although_the_checksum_is_right(self, kind: str, text: str, reason: str) -> None:
        assert check(sealed(text)) == Rejected(reason, sealed(text)), kind

    @pytest.mark.parametrize("frame", [HISTORIC_FRAME, STANDARD_FRAME], ids=["historic", "standard"])
    def test_bit_6_of_a_label_is_damage_and_not_a_new_label(self, frame: bytes) -> None:
        for where, bad in flipped(frame):
            if where.startswith("bit 6"):
                reasons = {rejected.reason for rejected in rejects_of(bad)}
                complete = any(frame.complete for frame in frames_of(bad))
                assert not ("unknown_label" in reasons and complete), f"{where}: {rejects_of(bad)}"

    @pytest.mark.parametrize(
        ("text", "group"),
        [
            ("OPTARIF BBR  ", Group("OPTARIF", None, "BBR ")),
            ("OPTARIF BBR? ", Group("OPTARIF", None, "BBR?")),
            ("DEMAIN ---- ", Group("DEMAIN", None, "----")),
            ("MOTDETAT 400000 ", Group("MOTDETAT", None, "400000")),
            ("PPOT 0E ", Group("PPOT", None, "0E")),
            ("NGTF\tH PLEINE/CREUSE \t", Group("NGTF", None, "H PLEINE/CREUSE ")),
            ("NGTF\tHC et Week-End  \t", Group("NGTF", None, "HC et Week-End  ")),
            ("DATE\tH240229120000\t\t", Group("DATE", "H240229120000", "")),
            ("STGE\tFF5BE7DD\t", Group("STGE", None, "FF5BE7DD")),
            ("PREF\t36\t", Group("PREF", None, "36")),
            ("PCOUP\t01\t", Group("PCOUP", None, "01")),
            ("DATE\th250122222926\t\t", Group("DATE", "h250122222926", "")),
            ("DATE\te250722222926\t\t", Group("DATE", "e250722222926", "")),
            ("FPM2\t 250123060000\t00\t", Group("FPM2", " 250123060000", "00")),
            ("RELAIS\t255\t", Group("RELAIS", None, "255")),
            ("NTARF\t10\t", Group("NTARF", None, "10")),
        ],
    )
    def test_accepted_at_the_edge_of_what_is_legal(self, text: str, group: Group) -> None:
        assert check(sealed(text)) == group

    @pytest.mark.parametrize("body", [b"", b"A", b" ", b"A !", b"\t\t\t\t", b"PPOT"])
    def test_what_is_too_short_for_a_group_is_malformed(self, body: bytes) -> None:
        assert check(body) == Rejected("malformed", body)

    def test_a_group_without_a_separator_before_its_checksum_is_malformed(self) -> None:
        assert check(b"IINST:002:Y") == Rejected("malformed", b"IINST:002:Y")

    def test_a_new_label_with_the_right_checksum_is_named_as_such(self) -> None:
        assert check(sealed("EASF11\t000000000\t")) == Rejected("unknown_label", sealed("EASF11\t000000000\t"))


class TestLine:
    """What captures and issue trackers show between meter and decoder."""

    @BOTH
    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda data: data.replace(b"\r", b"\r\r"), id="CR CR LF"),
            pytest.param(lambda data: data.replace(ETX, b"\n" + ETX), id="LF before ETX"),
            pytest.param(lambda data: data.replace(ETX, b"\r\n" + ETX), id="CR LF before ETX"),
            pytest.param(lambda data: data.replace(STX, STX + b"\r"), id="CR LF after STX"),
            pytest.param(lambda data: data.replace(STX, STX + STX), id="two STX"),
            pytest.param(lambda data: data.replace(b"\r", b"\r\0\0").replace(b"\n", b"\0\n"), id="NULs between groups"),
            pytest.param(lambda data: data.replace(b"\n", b""), id="every LF lost"),
            pytest.param(lambda data: data.replace(b"\r", b""), id="every CR lost"),
            pytest.param(even_parity, id="8N1"),
            pytest.param(lambda data: bytes(byte | 0x80 for byte in data), id="bit 7 always set"),
            pytest.param(lambda data: bytes(byte | 0x80 * (n % 3 == 0) for n, byte in enumerate(data)), id="bit 7 at random"),
        ],
    )
    def test_a_frame_is_complete_in_spite_of(
        self, frame: bytes, groups: tuple[Group, ...], change: Callable[[bytes], bytes]
    ) -> None:
        data = change(frame) * 2
        assert frames_of(data) == [Frame({group.label: group for group in groups}, True)] * 2
        assert rejects_of(data) == []
        assert_cut_anyhow(Decoder, data, Decoder().feed(data))

    @BOTH
    @pytest.mark.parametrize("end", [b"\r", b"\n"], ids=["CR", "LF"])
    def test_a_lost_line_end_costs_no_group(self, frame: bytes, groups: tuple[Group, ...], end: bytes) -> None:
        places = [place for place, byte in enumerate(frame) if byte == end[0]]
        assert len(places) == len(groups)
        for place in places:
            assert frames_of(frame[:place] + frame[place + 1 :]) == [Frame({group.label: group for group in groups}, True)]

    @BOTH
    @pytest.mark.parametrize("wrong", NOT_LINE_ENDS, ids=lambda wrong: f"{wrong[0]:02X}")
    @pytest.mark.parametrize("end", [b"\r", b"\n"], ids=["CR", "LF"])
    def test_a_line_end_read_as_another_control_character_costs_no_group(
        self, frame: bytes, groups: tuple[Group, ...], end: bytes, wrong: bytes
    ) -> None:
        for place in [place for place, byte in enumerate(frame) if byte == end[0]]:
            damaged = frame[:place] + wrong + frame[place + 1 :]
            assert groups_of(damaged) == list(groups)
            assert rejects_of(damaged) == []
            assert wrong in (STX, ETX, EOT) or frames_of(damaged)[0].complete

    @BOTH
    @pytest.mark.parametrize(
        ("returns", "feeds"),
        [
            pytest.param(b"\r", b"\x0b", id="each LF as 0B"),
            pytest.param(b"\r", b"\x0e\x0b", id="each LF as 0E or 0B"),
            pytest.param(b"\x0c\x08", b"\n", id="each CR as 0C or 08"),
            pytest.param(b"\x0c", b"\x0e", id="each CR and each LF"),
            pytest.param(b"\x0c", b"\0", id="each CR as 0C, each LF as NUL"),
        ],
    )
    def test_line_ends_that_always_arrive_wrongly_cost_no_group(
        self, frame: bytes, groups: tuple[Group, ...], returns: bytes, feeds: bytes
    ) -> None:
        dice = Random(3)
        swap = {ord("\r"): returns, ord("\n"): feeds}
        data = bytes(dice.choice(swap[byte]) if byte in swap else byte for byte in frame * 3)
        assert frames_of(data) == [Frame({group.label: group for group in groups}, True)] * 3
        assert rejects_of(data) == []
        assert_cut_anyhow(Decoder, data, Decoder().feed(data))

    @BOTH
    def test_a_line_end_read_as_a_tab_costs_only_its_groups(self, frame: bytes, groups: tuple[Group, ...]) -> None:
        places = [place for place, byte in enumerate(frame) if byte in b"\r\n"]
        for number, place in enumerate(places):
            left = [group for n, group in enumerate(groups) if n != number // 2]
            assert groups_of(frame[:place] + b"\t" + frame[place + 1 :]) == left

    @BOTH
    def test_a_control_character_inside_a_group_never_makes_another_group_of_it(
        self, frame: bytes, groups: tuple[Group, ...]
    ) -> None:
        for group in groups:
            body = encode_group(group.label, group.data, group.timestamp)[1:-1]
            for control in (*range(9), *range(10, 32)):  # all but HT
                for place in range(len(body)):
                    for rest in (body[place:], body[place + 1 :]):  # put in, and in place of a byte
                        damaged = b"\n" + body[:place] + bytes([control]) + rest + b"\r"
                        at_the_edge = place == 0 and rest == body
                        assert groups_of(b"\r" + damaged) == ([group] if at_the_edge else []), (body, place, control)

    def test_no_label_is_the_end_of_another(self) -> None:
        for table in (HISTORIC, STANDARD):
            assert not [(one, other) for one in table for other in table if one != other and one.endswith(other)]

    @BOTH
    @pytest.mark.parametrize("idle", [b"\0" * 9, b"\0" * 10, b"\x11", b"\x13", b"\x13\0\x11"], ids=repr)
    @pytest.mark.parametrize("before", [b"\n", ETX, STX], ids=["LF", "ETX", "STX"])
    def test_what_is_idle_between_groups_is_nothing(
        self, frame: bytes, groups: tuple[Group, ...], idle: bytes, before: bytes
    ) -> None:
        data = frame.replace(before, idle + before) * 2
        assert frames_of(data) == [Frame({group.label: group for group in groups}, True)] * 2
        assert rejects_of(data) == []
        assert_cut_anyhow(Decoder, data, Decoder().feed(data))

    @pytest.mark.parametrize("group", [b"\nPEJP 30 ~\r", b"\nADPS 034 ~\r"], ids=["PEJP", "ADPS"])
    def test_nuls_that_may_be_what_is_left_of_a_group_are_counted_and_spoil_the_frame(self, group: bytes) -> None:
        place = HISTORIC_FRAME.index(b"\nPTEC")
        whole, body = bytes(len(group)), b"\n" + bytes(len(group) - 2) + b"\r"
        for left in (whole, body):
            data = HISTORIC_FRAME[:place] + left + HISTORIC_FRAME[place:]
            (frame,) = frames_of(data)
            assert not frame.complete
            assert len(rejects_of(data)) == 1
            assert_cut_anyhow(Decoder, data, Decoder().feed(data))

    @BOTH
    def test_a_terminal_in_cooked_mode_costs_no_group_but_the_frames_are_not_complete(
        self, frame: bytes, groups: tuple[Group, ...]
    ) -> None:
        cooked = (frame * 3).replace(b"\r", b"\n").replace(ETX, b"")
        assert frames_of(cooked) == [Frame({group.label: group for group in groups}, False)] * 2
        assert rejects_of(cooked) == []
        assert_cut_anyhow(Decoder, cooked, Decoder().feed(cooked))

    def test_an_8n1_port_reads_the_parity_in_bit_7(self) -> None:
        assert even_parity(STX + ETX + EOT + b"\t\n\r AC12478") == bytes.fromhex("82 03 84 09 0A 8D A0 41 C3 B1 B2 B4 B7 B8")

    @BOTH
    def test_bit_7_never_matters(self, frame: bytes, groups: tuple[Group, ...]) -> None:
        for where, bad in flipped(frame):
            if where.startswith("bit 7"):
                assert groups_of(bad) == list(groups), where

    @BOTH
    def test_a_torn_group_at_the_start_is_silent(self, frame: bytes, groups: tuple[Group, ...]) -> None:
        for start in range(1, len(frame)):
            events = Decoder().feed(frame[start:] + frame)
            assert not any(isinstance(event, Rejected) for event in events), start
            assert [event for event in events if is_group(event)][-len(groups) :] == list(groups)

    def test_a_torn_group_later_is_counted(self) -> None:
        torn = HISTORIC_FRAME[:40]
        assert rejects_of(HISTORIC_FRAME + torn + HISTORIC_FRAME) == [Rejected("truncated", torn[torn.rfind(b"\n") + 1 :])]

    def test_a_group_cut_off_by_the_end_of_the_frame_is_counted_as_truncated(self) -> None:
        for end in (ETX, EOT):
            assert rejects_of(STX + b"\nIINST 0" + end) == [Rejected("truncated", b"IINST 0")]

    def test_nuls_in_a_group_cost_that_group(self) -> None:
        damaged = HISTORIC_FRAME.replace(b"ISOUSC", b"I\0SOUSC")
        assert groups_of(damaged) == [group for group in HISTORIC_GROUPS if group.label != "ISOUSC"]

    def test_both_modes_in_one_stream_give_all_groups_of_both(self) -> None:
        data = HISTORIC_FRAME + STANDARD_FRAME + HISTORIC_FRAME
        assert groups_of(data) == [*HISTORIC_GROUPS, *STANDARD_GROUPS, *HISTORIC_GROUPS]
        assert [frame.complete for frame in frames_of(data)] == [True, True, True]

    def test_groups_before_the_first_frame_are_accepted(self) -> None:
        assert groups_of(encode_group("ADPS", "034") + HISTORIC_FRAME) == [Group("ADPS", None, "034"), *HISTORIC_GROUPS]

    def test_a_change_of_mode_in_the_middle_of_a_frame_costs_only_the_torn_group(self) -> None:
        for place in range(len(HISTORIC_FRAME)):
            groups = groups_of(HISTORIC_FRAME[:place] + STANDARD_FRAME)
            assert groups[-len(STANDARD_GROUPS) :] == list(STANDARD_GROUPS)
            assert groups[: -len(STANDARD_GROUPS)] == list(HISTORIC_GROUPS[: len(groups) - len(STANDARD_GROUPS)])


class TestOversize:
    def test_the_longest_legal_group_fits(self) -> None:
        group = Group("PJOURF+1", None, " ".join(["00008001"] * 11))
        body = encode_group(group.label, group.data)[1:-1]
        assert len(body) == 109 < MAX_SEGMENT
        assert check(body) == group

    @pytest.mark.parametrize("length", [126, 127, 128, 129, 200, 255, 256, 257, 384, 1000])
    @pytest.mark.parametrize("end", [b"\r", b"\n", ETX, EOT, STX], ids=["CR", "LF", "ETX", "EOT", "STX"])
    def test_a_line_too_long_is_cut_up_the_same_however_it_comes(self, length: int, end: bytes) -> None:
        data = b"\r" + b"x" * length + end + HISTORIC_FRAME
        events = Decoder().feed(data)
        assert_cut_anyhow(Decoder, data, events)
        assert [event for event in events if is_group(event)] == list(HISTORIC_GROUPS)
        assert len([event for event in events if isinstance(event, Rejected)]) == -(-length // MAX_SEGMENT)

    def test_a_group_at_the_end_of_a_line_too_long_is_not_made_up(self) -> None:
        data = b"\r" + b"x" * 300 + HISTORIC_FRAME[1:]
        assert groups_of(data) == list(HISTORIC_GROUPS)
        glued = b"\r" + b"x" * 300 + HISTORIC_FRAME[2:]
        assert groups_of(glued) == list(HISTORIC_GROUPS[1:])

    def test_a_line_full_of_nuls_is_reported(self) -> None:
        assert len(rejects_of(b"\0" * 5 * MAX_SEGMENT + b"\r")) == 5


class TestAssembler:
    @BOTH
    def test_stx_to_etx_with_no_group_lost_is_complete(self, frame: bytes, groups: tuple[Group, ...]) -> None:
        assert frames_of(frame) == [Frame({group.label: group for group in groups}, True)]

    def test_every_frame_of_a_stream_comes_out(self) -> None:
        data = stream(simulated("standard", "HC", WINTER_EVENING), 4)
        assert [(len(frame.groups), frame.complete) for frame in frames_of(data)] == [(38, True)] * 4

    @pytest.mark.parametrize("place", range(1, len(HISTORIC_GROUPS)))
    def test_a_frame_with_a_damaged_group_is_not_complete(self, place: int) -> None:
        label = HISTORIC_GROUPS[place].label
        data = re.sub(rb"\n(%b [^\r]*)." % label.encode(), rb"\n\1~", HISTORIC_FRAME)
        (frame,) = frames_of(data)
        assert not frame.complete
        assert list(frame.groups.values()) == [group for group in HISTORIC_GROUPS if group.label != label]

    def test_a_frame_ended_by_eot_is_not_complete(self) -> None:
        (frame,) = frames_of(HISTORIC_FRAME.replace(ETX, EOT))
        assert not frame.complete
        assert list(frame.groups.values()) == list(HISTORIC_GROUPS)

    def test_a_frame_goes_on_being_read_after_eot_and_stx(self) -> None:
        place = HISTORIC_FRAME.index(b"\nPTEC")
        first, second = frames_of(HISTORIC_FRAME[:place] + EOT + HISTORIC_FRAME)
        assert (len(first.groups), first.complete) == (5, False)
        assert (len(second.groups), second.complete) == (len(HISTORIC_GROUPS), True)

    def test_a_frame_joined_in_the_middle_is_not_complete(self) -> None:
        first, second = frames_of(HISTORIC_FRAME[20:] + HISTORIC_FRAME)
        assert (first.complete, second.complete) == (False, True)

    def test_a_frame_whose_end_is_lost_is_not_complete(self) -> None:
        first, second = frames_of(HISTORIC_FRAME[:-1] + HISTORIC_FRAME)
        assert (first.complete, second.complete) == (False, True)

    def test_a_frame_whose_start_is_lost_is_not_complete(self) -> None:
        first, second = frames_of(HISTORIC_FRAME + HISTORIC_FRAME[1:])
        assert (first.complete, second.complete) == (True, False)

    def test_a_repeated_label_ends_the_frame_where_there_are_no_marks(self) -> None:
        body = HISTORIC_FRAME[1:-1]
        frames = frames_of(body * 3)
        assert frames == [Frame({group.label: group for group in HISTORIC_GROUPS}, False)] * 2

    def test_a_frame_with_a_repeated_label_is_not_complete(self) -> None:
        iinst = encode_group("IINST", "001")
        assert [frame.complete for frame in frames_of(HISTORIC_FRAME.replace(ETX, iinst + ETX))] == [False, False]

    def test_an_unknown_label_spoils_a_frame_unless_the_last_frame_had_it_too(self) -> None:
        new = b"\n" + sealed("EASF11\t000000000\t") + b"\r"
        place = STANDARD_FRAME.index(b"\nEASD01")
        frames = frames_of((STANDARD_FRAME[:place] + new + STANDARD_FRAME[place:]) * 3 + STANDARD_FRAME)
        assert [frame.complete for frame in frames] == [False, True, True, True]
        assert frames[1] == Frame({group.label: group for group in STANDARD_GROUPS}, True)

    def test_a_new_label_is_the_same_whatever_its_data(self) -> None:
        place = HISTORIC_FRAME.index(b"\nPTEC")
        new = [b"\n" + sealed(f"HCWE {index:09d} ") + b"\r" for index in range(3)]
        frames = frames_of(b"".join(HISTORIC_FRAME[:place] + group + HISTORIC_FRAME[place:] for group in new))
        assert [frame.complete for frame in frames] == [False, True, True]

    @pytest.mark.parametrize("end", [b"", ETX, STX, EOT], ids=["no mark", "ETX", "STX", "EOT"])
    def test_unknown_labels_without_end_keep_no_memory(self, end: bytes) -> None:
        assembler, decoder = Assembler(), Decoder()
        for number in range(20_000):
            assembler.feed(decoder.feed(b"\n" + sealed(f"X{number} 0 ") + b"\r" + end))
        assert len(pickle.dumps(assembler)) < 10_000

    def test_marks_alone_are_no_frame(self) -> None:
        assert frames_of(STX + ETX + EOT + STX + STX + ETX) == []

    def test_the_open_frame_can_be_closed_at_the_end_of_a_capture(self) -> None:
        assembler = Assembler()
        assert not assembler.feed(Decoder().feed(HISTORIC_FRAME[:-1]))
        assert assembler.close() == Frame({group.label: group for group in HISTORIC_GROUPS}, False)
        assert assembler.close() is None

    def test_without_marks_the_open_frame_is_bounded_by_the_table(self) -> None:
        assembler = Assembler()
        assembler.feed(Decoder().feed((HISTORIC_FRAME[1:-1] + STANDARD_FRAME[1:-1]) * 5))
        frame = assembler.close()
        assert frame is not None
        assert len(frame.groups) <= len(FIELDS)


class TestEncode:
    def test_the_two_modes_share_no_label(self) -> None:
        assert not HISTORIC.keys() & STANDARD.keys()

    @BOTH
    def test_a_frame_is_the_same_bytes_after_decoding_and_encoding(self, frame: bytes, groups: tuple[Group, ...]) -> None:
        assert encode_frame(groups_of(frame)) == frame

    def test_a_label_of_neither_mode_cannot_be_encoded(self) -> None:
        with pytest.raises(ValueError, match="'IINST4' is not a label of the TIC"):
            encode_group("IINST4", "001")

    @fuzz
    @given(st.sampled_from(sorted(FIELDS)).flatmap(legal_groups))
    def test_fuzz_every_legal_group_survives_encoding_and_decoding(self, group: Group) -> None:
        assert groups_of(encode_group(group.label, group.data, group.timestamp)) == [group]


_PARTS = [encode_group(group.label, group.data, group.timestamp) for group in (*HISTORIC_GROUPS, *STANDARD_GROUPS)]
_MARKS = [STX, ETX, EOT, b"\n", b"\r", b"\r\n", b"\0", b"\t", b" ", b"\x82", b"\x8d", b"\x8a", b"\xff"]
_RUNS = st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=2), st.integers(60, 260))
STREAMS = st.lists(st.one_of(st.sampled_from(_MARKS), st.sampled_from(_PARTS), st.binary(max_size=30), _RUNS), max_size=25).map(
    b"".join
)


@fuzz
@given(STREAMS, CUTS)
def test_fuzz_any_bytes_cut_anyhow_give_the_same_events(data: bytes, places: list[int]) -> None:
    events = decode(Decoder, [data])
    assert decode(Decoder, cut_at(data, places)) == events
    for event in events:
        if isinstance(event, Group):
            assert groups_of(encode_group(event.label, event.data, event.timestamp)) == [event]
        elif isinstance(event, Rejected):
            assert event.reason in REASONS
            assert len(event.data) <= MAX_SEGMENT


@fuzz
@given(
    st.sampled_from([HISTORIC_FRAME * 2, STANDARD_FRAME, HISTORIC_FRAME + STANDARD_FRAME, even_parity(HISTORIC_FRAME)]),
    MUTATIONS,
    CUTS,
)
def test_fuzz_a_damaged_frame_cut_anyhow_gives_the_same_events_and_costs_the_next_nothing(
    data: bytes, mutations: list[tuple[int, str, int]], places: list[int]
) -> None:
    damaged = mutated(data, mutations) + STANDARD_FRAME
    events = decode(Decoder, [damaged])
    assert decode(Decoder, cut_at(damaged, places)) == events
    assert [event for event in events if is_group(event)][-len(STANDARD_GROUPS) :] == list(STANDARD_GROUPS)


def test_the_start_of_a_long_stream_gives_the_first_of_its_events() -> None:
    data = stream(simulated("historic", "TEMPO", RED_ANNOUNCED, phases=3), 2)
    assert_truncated(Decoder, data, Decoder().feed(data), is_group)
