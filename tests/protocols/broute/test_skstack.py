"""What a Wi-SUN module sends, however cut: replies, events and datagrams, and nothing that was not sent."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from support.decoder_contract import (
    ENDLESS,
    NOISE,
    assert_bounded,
    assert_cut_anyhow,
    cut,
    decode,
    flipped,
    fuzz,
    without_a_byte,
)
from support.skstack_lines import DUAL, FORMS, ID, MAC, METER, MODULE, PASSWORD, SA2, SHAPES, SINGLE, Columns, erxudp

from meterline.meter.readings import REASONS, Rejected
from meterline.protocols.broute.skstack import (
    ERRORS,
    Datagram,
    Decoder,
    Echo,
    Event,
    Fail,
    Line,
    Message,
    Ok,
    Pan,
    command,
    dbm,
    link_local,
    scan_seconds,
    sendto,
)
from meterline.protocols.broute.splitter import MAX_LINE, MAX_PAYLOAD, Splitter

EVERYBODY = "FF02:0000:0000:0000:0000:0000:0000:0001"
GET_RES = bytes.fromhex("1081002A028801" + "05FF017201E704000001F8")
NASTY = b"\x10\x81\r\n \rERXUDP \nEVENT 25 " + METER.encode() + b"\r\nOK\r\n\r\r\n\n\0\xff  Channel:21\r\nFAIL ER10"
"""Every mark that means something elsewhere."""


def datagram(payload: bytes, columns: Columns = SINGLE) -> Datagram:
    return Datagram(METER, MODULE, 0x0E1A, 0x0E1A, MAC, columns[1], True, columns[2], payload)


def messages(data: bytes) -> list[Message]:
    return Decoder().feed(data)


def given_up(*pieces: bytes) -> list[Message]:
    """What a flush gives after these."""
    decoder = Decoder()
    for piece in pieces:
        decoder.feed(piece)
    found = decoder.flush()
    assert not decoder.pending
    return found


def is_known(message: object) -> bool:
    """Anything that a driver acts upon."""
    return isinstance(message, Ok | Fail | Event | Pan | Datagram)


def secrets_in(found: Iterable[Message]) -> bool:
    return any(PASSWORD in str(message) or ID in str(message) for message in found)


class TestDatagram:
    @SHAPES
    @FORMS
    def test_a_message_is_read_however_it_is_cut(self, columns: Columns, in_hex: bool) -> None:
        data = erxudp(GET_RES, columns, in_hex=in_hex)
        assert_cut_anyhow(Decoder, data, [datagram(GET_RES, columns)])
        assert_cut_anyhow(Decoder, data * 2 + b"OK\r\n", [datagram(GET_RES, columns)] * 2 + [Ok()])

    @SHAPES
    @FORMS
    @pytest.mark.parametrize("size", [1, 2, 3, 16, MAX_PAYLOAD - 1, MAX_PAYLOAD])
    def test_every_size_up_to_the_largest(self, columns: Columns, in_hex: bool, size: int) -> None:
        payload = bytes(place * 7 % 256 for place in range(size))
        data = erxudp(payload, columns, in_hex=in_hex)
        for piece in (1, 100, len(data)):
            assert decode(Decoder, cut(data, piece)) == [datagram(payload, columns)]

    @SHAPES
    @pytest.mark.parametrize(
        "payload",
        [
            b"\r\n",
            b"\r",
            b"\n",
            b" ",
            b"  ",
            b"\r\n\r\n",
            b"OK\r\n",
            b"\r\nOK",
            b"ERXUDP ",
            b"\x10\x81 \r \n \r\n",
            b"ECHONET LITE",
            b"\0" * 40,
            bytes(range(256)),
            NASTY,
        ],
    )
    def test_binary_payloads_may_hold_line_ends_spaces_and_words(self, columns: Columns, payload: bytes) -> None:
        assert_cut_anyhow(Decoder, erxudp(payload, columns) + b"OK\r\n", [datagram(payload, columns), Ok()])

    def test_a_payload_cannot_inject_an_event_a_reply_or_a_datagram(self) -> None:
        inner = b"\r\n" + erxudp(b"\x10\x81", DUAL) + f"EVENT 25 {METER} 0\r\nOK\r\nFAIL ER10\r\nEPANDESC\r\n".encode()
        assert_cut_anyhow(Decoder, erxudp(inner, DUAL), [datagram(inner, DUAL)])
        assert_cut_anyhow(Decoder, erxudp(inner, DUAL, in_hex=True), [datagram(inner, DUAL)])

    @SHAPES
    @pytest.mark.parametrize("payload", [b"0", b"12", b"AB", b"1081", b"F" * MAX_PAYLOAD, b"00112233445566778899aabb"])
    def test_a_binary_payload_of_hex_digits_alone_is_told_from_hex_by_its_end(self, columns: Columns, payload: bytes) -> None:
        for size in (1, 3000):
            assert decode(Decoder, cut(erxudp(payload, columns), size)) == [datagram(payload, columns)]

    def test_hex_digits_may_be_lower_case_and_end_with_a_lone_cr(self) -> None:
        data = erxudp(GET_RES, in_hex=True).replace(GET_RES.hex().upper().encode(), GET_RES.hex().encode())
        assert messages(data) == [datagram(GET_RES)]
        assert_cut_anyhow(Decoder, data[:-1] + b"OK\r", [datagram(GET_RES), Ok()])

    def test_the_other_ports_and_addresses_are_kept(self) -> None:
        data = erxudp(b"\0\1", ("0 0", None, 0), destination=EVERYBODY, port="02CC")
        assert messages(data) == [Datagram(METER, EVERYBODY, 0x02CC, 0x02CC, MAC, None, False, 0, b"\0\1")]

    @pytest.mark.parametrize(
        ("columns", "lqi", "secured", "side"),
        [
            ("0", None, False, None),
            ("1", None, True, None),
            ("0 1", None, False, 1),
            ("1 1", None, True, 1),
            ("FF 1 0", 0xFF, True, 0),
            ("00 0 1", 0, False, 1),
        ],
    )
    def test_the_columns_are_not_mistaken_for_each_other(
        self, columns: str, lqi: int | None, secured: bool, side: int | None
    ) -> None:
        for in_hex in (True, False):
            (found,) = messages(erxudp(GET_RES, (columns, None, None), in_hex=in_hex))
            assert found == Datagram(METER, MODULE, 0x0E1A, 0x0E1A, MAC, lqi, secured, side, GET_RES)

    @FORMS
    def test_an_echo_without_its_end_is_glued_to_it(self, in_hex: bool) -> None:
        expected = [Echo("SKSENDTO"), datagram(GET_RES, DUAL)]
        assert_cut_anyhow(Decoder, b"SKSENDTO" + erxudp(GET_RES, DUAL, in_hex=in_hex), expected)
        assert messages(f"SKSETPWD C {PASSWORD}".encode() + erxudp(GET_RES)) == [Echo("SKSETPWD"), datagram(GET_RES)]

    def test_one_that_is_not_whole_is_pending(self) -> None:
        data = erxudp(GET_RES)
        for end in range(1, len(data) - 1):
            decoder = Decoder()
            assert decoder.feed(data[:end]) == []
            assert decoder.pending
        assert Decoder().pending is False


class TestWrongLength:
    @FORMS
    @pytest.mark.parametrize(
        "length", [0, 1, len(GET_RES) - 1, len(GET_RES) + 1, 2 * len(GET_RES) - 1, MAX_PAYLOAD, 0x4D1, 0xFFFF]
    )
    def test_what_follows_is_decoded(self, in_hex: bool, length: int) -> None:
        decoder = Decoder()
        found = decoder.feed(erxudp(GET_RES, in_hex=in_hex, length=length) + erxudp(GET_RES, DUAL) + b"OK\r\n")
        found += decoder.flush()
        assert found[-2:] == [datagram(GET_RES, DUAL), Ok()]
        assert isinstance(found[0], Rejected)
        assert len(found) == 3

    def test_hex_digits_with_twice_their_length_are_raw_bytes(self) -> None:
        # Nothing on the wire tells them apart; ECHONET Lite begins with 10 81 and refuses them.
        found = messages(erxudp(GET_RES, in_hex=True, length=2 * len(GET_RES)) + b"OK\r\n")
        assert found == [datagram(GET_RES.hex().upper().encode()), Ok()]

    def test_however_it_is_cut(self) -> None:
        data = erxudp(GET_RES, in_hex=True, length=0x28) + (erxudp(GET_RES, DUAL) + b"OK\r\n") * 3
        expected = [Rejected("malformed", data[:64]), *[datagram(GET_RES, DUAL), Ok()] * 3]
        assert_cut_anyhow(Decoder, data, expected)

    @FORMS
    def test_one_too_long_waits_until_it_is_given_up(self, in_hex: bool) -> None:
        data = erxudp(GET_RES, in_hex=in_hex, length=MAX_PAYLOAD)
        decoder = Decoder()
        assert decoder.feed(data + f"EVENT 29 {METER}\r\n".encode()) == []
        assert decoder.pending
        assert decoder.flush() == [Rejected("malformed", data[:64]), Event(0x29, METER)]
        assert not decoder.pending
        assert decoder.feed(erxudp(GET_RES)) == [datagram(GET_RES)]

    def test_an_empty_datagram_is_refused(self) -> None:
        assert messages(erxudp(b"") + b"OK\r\n") == [Rejected("malformed", erxudp(b"")[:64]), Ok()]

    @pytest.mark.parametrize(
        "line",
        [
            b"ERXUDP",
            b"ERXUDP ",
            b"ERXUDP \xff",
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 1".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A {MAC} 1 0002 ABCD".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC[:-1]} 1 0002 ABCD".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 3 0002 ABCD".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 1 002 ABCD".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 1 0002".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 1 0002 ABC".encode(),
            f"ERXUDP {METER} {MODULE} 0E1A 0E1A {MAC} 1 0002 ABCDE".encode(),
            f"ERXUDP {METER}  {MODULE} 0E1A 0E1A {MAC} 1 0002 ABCD".encode(),
        ],
    )
    def test_a_header_that_is_none_is_refused_and_costs_the_next_nothing(self, line: bytes) -> None:
        found = decode(Decoder, [line + b"\r\n" + erxudp(GET_RES) + b"OK\r\n"])
        assert [message for message in found if not isinstance(message, Rejected)] == [datagram(GET_RES), Ok()]
        assert isinstance(found[0], Rejected)


class TestLines:
    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("OK", Ok()),
            ("OK 00", Ok("00")),
            ("OK 01", Ok("01")),
            ("OK 80", Ok("80")),
            ("FAIL ER04", Fail("ER04")),
            ("FAIL ER10", Fail("ER10")),
            ("EVER 1.5.2", Line("EVER 1.5.2")),
            ("EAPPVER rev26e", Line("EAPPVER rev26e")),
            (f"EINFO {MODULE} {MAC} 21 FFFF FFFE ", Line(f"EINFO {MODULE} {MAC} 21 FFFF FFFE")),
            ("ESREG 000000000005799B", Line("ESREG 000000000005799B")),
            (MODULE, Line(MODULE)),
            (f"EPONG {METER}", Line(f"EPONG {METER}")),
            ("3610", Line("3610")),
            ("SKVER", Echo("SKVER")),
            ("SKSCAN 2 FFFFFFFF 6 0 ", Echo("SKSCAN")),
            ("SKLL64 " + MAC, Echo("SKLL64")),
            ("ROPT", Echo("ROPT")),
            ("WOPT 01", Echo("WOPT")),
            ("RUART", Echo("RUART")),
        ],
    )
    def test_a_line_ends_with_cr_lf_with_cr_or_with_lf(self, line: str, message: Message) -> None:
        for end in (b"\r\n", b"\r", b"\n", b"\r\n\r\n"):
            assert_cut_anyhow(Decoder, line.encode() + end, [message])
        assert messages(line.encode()) == []

    def test_replies_with_a_lone_cr_are_not_glued_to_what_follows(self) -> None:
        data = b"ROPT\rOK 01\rRUART\rOK 80\rWOPT 01\rOK\rFAIL ER04\r" + erxudp(GET_RES)
        expected = [Echo("ROPT"), Ok("01"), Echo("RUART"), Ok("80"), Echo("WOPT"), Ok(), Fail("ER04"), datagram(GET_RES)]
        assert_cut_anyhow(Decoder, data, expected)

    def test_empty_lines_are_nothing(self) -> None:
        assert messages(b"\r\n\r\r\n\n \r\n   \r\n") == []
        assert messages(b"\r\nOK\r\n") == [Ok()], "a command without echo still ends its line"

    def test_asynchronous_lines_come_between_an_echo_and_its_ok(self) -> None:
        data = (
            f"SKSENDTO 1 {METER} 0E1A 1 0 000E \r\nEVENT 21 {METER} 0 02\r\n".encode()
            + erxudp(NASTY, DUAL)
            + f"EVENT 02 {METER} 0\r\nOK\r\nEVENT 21 {METER} 0 00\r\n".encode()
            + erxudp(GET_RES, DUAL, in_hex=True)
        )
        expected = [
            Echo("SKSENDTO"),
            Event(0x21, METER, 0, 2),
            datagram(NASTY, DUAL),
            Event(2, METER, 0),
            Ok(),
            Event(0x21, METER, 0, 0),
            datagram(GET_RES, DUAL),
        ]
        assert_cut_anyhow(Decoder, data, expected)

    def test_the_energy_scan_gives_two_lines(self) -> None:
        data = f"EVENT 1F {MODULE} 0\r\nEEDSCAN\r\n0 21 04 22 0A 3C 02 \r\n".encode()
        assert_cut_anyhow(Decoder, data, [Event(0x1F, MODULE, 0), Line("EEDSCAN"), Line("0 21 04 22 0A 3C 02")])

    def test_the_addresses_of_a_table_are_lines(self) -> None:
        data = f"SKTABLE 2\r\nENEIGHBOR\r\n{METER} {MAC} FFFF\r\nOK\r\n".encode()
        assert messages(data) == [Echo("SKTABLE"), Line("ENEIGHBOR"), Line(f"{METER} {MAC} FFFF"), Ok()]

    @pytest.mark.parametrize(
        "line", [b"EVENT", b"EVENT 2", b"EVENT 21 FE80 0 00 0", b"FAIL", b"FAIL ER4", b"O\0K", b"\xffOK", b"\x1b[2J"]
    )
    def test_what_is_no_line_is_refused(self, line: bytes) -> None:
        kept = line if line.startswith((b"EVENT", b"FAIL")) else b""  # anything else may be a password
        assert messages(line + b"\r\nOK\r\n") == [Rejected("malformed", kept), Ok()]

    def test_no_more_than_64_bytes_of_a_refused_line_are_kept(self) -> None:
        (found,) = messages(b"EVENT" + b"\xff" * 1000 + b"\r\n")
        assert found == Rejected("malformed", b"EVENT" + b"\xff" * 59)


class TestEvents:
    @pytest.mark.parametrize(
        ("line", "event"),
        [
            (f"EVENT 21 {METER} 00", Event(0x21, METER, None, 0)),
            (f"EVENT 21 {METER} 01", Event(0x21, METER, None, 1)),
            (f"EVENT 21 {METER} 0 00", Event(0x21, METER, 0, 0)),
            (f"EVENT 21 {METER} 0 02", Event(0x21, METER, 0, 2)),
            (f"EVENT 21 {METER} 1 01", Event(0x21, METER, 1, 1)),
            (f"EVENT 25 {METER}", Event(0x25, METER)),
            (f"EVENT 25 {METER} 0", Event(0x25, METER, 0)),
            (f"EVENT 20 {MODULE}", Event(0x20, MODULE)),
            (f"EVENT 1F {MODULE} 0", Event(0x1F, MODULE, 0)),
            (f"EVENT 1f {MODULE.lower()} 0", Event(0x1F, MODULE, 0)),
            (f"EVENT 32 {METER} ", Event(0x32, METER)),
            ("EVENT 33", Event(0x33)),
            ("EVENT C0", Event(0xC0)),
        ],
    )
    def test_with_and_without_side_parameter_and_address(self, line: str, event: Event) -> None:
        assert_cut_anyhow(Decoder, f"{line}\r\n".encode(), [event])


class TestFail:
    @pytest.mark.parametrize("code", ["ER04", "ER05", "ER06", "ER09", "ER10"])
    def test_a_code_has_its_words(self, code: str) -> None:
        (fail,) = messages(f"FAIL {code}\r\n".encode())
        assert fail == Fail(code)
        assert str(fail) == f"{code}: {ERRORS[code]}"

    def test_a_reserved_code_has_none(self) -> None:
        assert str(Fail("ER07")) == "ER07: an error that its manual does not explain"
        assert ERRORS.keys() == {"ER04", "ER05", "ER06", "ER09", "ER10"}


BLOCK = f"EPANDESC\r\n  Channel:2A\r\n  Channel Page:09\r\n  Pan ID:5EAF\r\n  Addr:{MAC}\r\n  LQI:6B\r\n"
SEEN = Pan(0x2A, 0x5EAF, MAC, 0x6B)


class TestPan:
    @pytest.mark.parametrize(
        ("keys", "pan"),
        [
            ("", SEEN),
            ("  Side:0\r\n", SEEN._replace(side=0)),
            ("  PairID:A1B2C3D4\r\n", SEEN._replace(pairing_id="A1B2C3D4")),
            ("  Side:0\r\n  PairID:a1b2c3d4\r\n", SEEN._replace(side=0, pairing_id="A1B2C3D4")),
        ],
    )
    def test_with_and_without_side_and_pairing_id(self, keys: str, pan: Pan) -> None:
        data = f"EVENT 20 {MODULE}\r\n{BLOCK}{keys}EVENT 22 {MODULE}\r\n".encode()
        assert_cut_anyhow(Decoder, data, [Event(0x20, MODULE), pan, Event(0x22, MODULE)])

    def test_the_pairing_id_ends_a_network_at_once(self) -> None:
        assert messages(f"{BLOCK}  Side:1\r\n  PairID:A1B2C3D4\r\n".encode()) == [SEEN._replace(side=1, pairing_id="A1B2C3D4")]
        assert messages(BLOCK.encode()) == [], "a pairing ID may follow"

    def test_two_in_a_row_are_two(self) -> None:
        other = BLOCK.replace("Channel:2A", "Channel:3C").replace("5EAF", "0001")
        expected = [SEEN, Pan(0x3C, 1, MAC, 0x6B, None, "A1B2C3D4"), SEEN, Ok()]
        assert_cut_anyhow(Decoder, f"{BLOCK}{other}  PairID:A1B2C3D4\r\n{BLOCK}OK\r\n".encode(), expected)

    def test_a_datagram_ends_it_too(self) -> None:
        assert_cut_anyhow(Decoder, BLOCK.encode() + erxudp(NASTY) + b"OK\r\n", [SEEN, datagram(NASTY), Ok()])

    @pytest.mark.parametrize("key", ["Channel:", "Pan ID", "Addr", "LQI"])
    def test_one_that_is_incomplete_is_refused(self, key: str) -> None:
        block = "".join(line for line in BLOCK.splitlines(keepends=True) if key not in line)
        assert messages(f"{block}OK\r\n".encode()) == [Rejected("malformed", b"EPANDESC"), Ok()]
        assert messages(f"{block}  PairID:A1B2C3D4\r\nOK\r\n".encode()) == [Rejected("malformed", b"EPANDESC"), Ok()]

    def test_one_that_an_event_interrupts_is_refused_and_its_rest_is_nothing(self) -> None:
        start, rest = BLOCK.split("  Addr")
        data = f"{start}EVENT 20 {MODULE}\r\n  Addr{rest}  PairID:A1B2C3D4\r\nOK\r\n".encode()
        assert_cut_anyhow(Decoder, data, [Rejected("malformed", b"EPANDESC"), Event(0x20, MODULE), Ok()])

    @pytest.mark.parametrize(
        "wrong", ["Channel:XY", "Channel:", "Pan ID:", "Addr:12", f"Addr:{MAC}0", "LQI:G0", "Side:x", "LQI"]
    )
    def test_a_value_that_is_none_is_refused(self, wrong: str) -> None:
        key = wrong.partition(":")[0]
        lines = [line for line in BLOCK.splitlines() if not line.startswith(f"  {key}:")]
        data = "\r\n".join([*lines, f"  {wrong}", "OK", ""]).encode()
        assert messages(data) == [Rejected("malformed", b"EPANDESC"), Ok()]

    @pytest.mark.parametrize(
        "wrong", ["Channel:-1", "Channel:100", "Pan ID:1_0", "Pan ID:+1A", "Pan ID:12345", "LQI:1FF", "LQI: 5"]
    )
    def test_a_number_that_is_too_long_or_oddly_spelt_is_refused(self, wrong: str) -> None:
        key = wrong.partition(":")[0]
        lines = [line for line in BLOCK.splitlines() if not line.startswith(f"  {key}:")]
        data = "\r\n".join([*lines, f"  {wrong}", "OK", ""]).encode()
        assert messages(data) == [Rejected("malformed", b"EPANDESC"), Ok()]

    @pytest.mark.parametrize("wrong", ["A1B2C3D", "A1B2C3D4E", "A1B2\x1b[2J", ""])
    def test_a_pairing_id_has_eight_letters_and_digits(self, wrong: str) -> None:
        assert messages(f"{BLOCK}  PairID:{wrong}\r\nOK\r\n".encode()) == [Rejected("malformed", b"EPANDESC"), Ok()]

    def test_giving_up_ends_it(self) -> None:
        assert given_up(BLOCK.encode()) == [SEEN]
        assert given_up(BLOCK[: BLOCK.index("  Addr")].encode()) == [Rejected("malformed", b"EPANDESC")]


class TestSecrets:
    @pytest.mark.parametrize("end", [b"\r\n", b"\r", b"\n", erxudp(GET_RES)])
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_no_message_holds_what_an_echo_repeats(self, end: bytes, size: int) -> None:
        data = f"SKSETPWD C {PASSWORD}".encode() + end + f"SKSETRBID {ID}".encode() + end
        found = decode(Decoder, cut(data, size))
        assert [message for message in found if not isinstance(message, Datagram)] == [Echo("SKSETPWD"), Echo("SKSETRBID")]
        assert not secrets_in(found)

    def test_nor_is_it_kept_once_it_is_read(self) -> None:
        decoder = Decoder()
        decoder.feed(f"SKSETPWD C {PASSWORD}\r\n".encode())
        assert PASSWORD.encode() not in pickle.dumps(decoder)


class TestFlush:
    def test_nothing_is_pending_and_nothing_comes_where_all_was_read(self) -> None:
        assert given_up() == []
        assert given_up(b"OK\r\n", erxudp(GET_RES)) == []

    def test_half_a_datagram_is_refused_wherever_it_stops(self) -> None:
        for in_hex in (True, False):
            data = erxudp(GET_RES, in_hex=in_hex)
            for end in range(7, len(data) - 2):
                assert all(isinstance(message, Rejected) for message in given_up(data[:end]))

    @pytest.mark.parametrize(
        ("line", "end"),
        [(f"EVENT 21 {METER} 0 00", -3), (f"EVENT 21 {METER} 0 00", -5), ("ESREG 000000000005799B", -4), ("OK 01", -3)],
    )
    def test_half_a_line_is_not_taken_for_a_whole_one(self, line: str, end: int) -> None:
        (found,) = given_up(line[:end].encode())
        assert isinstance(found, Rejected)
        assert found.reason == "truncated"

    def test_after_a_flush_the_decoder_is_as_new(self) -> None:
        data = erxudp(NASTY, SA2) + b"OK\r\n"
        for end in range(len(data)):
            decoder = Decoder()
            decoder.feed(data[:end])
            decoder.flush()
            assert decoder.feed(data) == [datagram(NASTY, SA2), Ok()]


class TestResynchronises:
    """No check protects this wire: damage may change a value, and nobody can tell. What it must not do is raise, or cost what
    follows a line end that came whole."""

    @SHAPES
    @FORMS
    def test_damage_never_raises_nor_costs_the_datagram_after_it(self, columns: Columns, in_hex: bool) -> None:
        data = erxudp(GET_RES, columns, in_hex=in_hex)
        for kind, damaged in (("flipped", flipped(data)), ("lost", without_a_byte(data))):
            for where, bad in damaged:
                decoder = Decoder()
                found = decoder.feed(bad + b"\r\n" + data + b"OK\r\n") + decoder.flush()
                assert found[-2:] == [datagram(GET_RES, columns), Ok()], f"{where} {kind}"

    def test_a_cut_off_datagram_costs_the_one_after_a_line_end_nothing(self) -> None:
        data = erxudp(GET_RES, DUAL, in_hex=True)
        for end in range(len(data)):
            decoder = Decoder()
            found = decoder.feed(data[:end] + b"\r\n" + data + b"OK\r\n") + decoder.flush()
            assert found[-2:] == [datagram(GET_RES, DUAL), Ok()]

    @FORMS
    def test_a_cut_off_datagram_costs_the_one_glued_to_it_nothing(self, in_hex: bool) -> None:
        data = erxudp(GET_RES, DUAL, in_hex=in_hex)
        for end in range(len(data) - 2):
            decoder = Decoder()
            found = decoder.feed(data[:end] + data + b"OK\r\n") + decoder.flush()
            assert found[-2:] == [datagram(GET_RES, DUAL), Ok()], f"cut off at {end}"

    def test_an_event_glued_to_an_echo_is_read(self) -> None:
        expected = [Echo("SKSENDTO"), Event(0x21, METER, 0, 0)]
        assert_cut_anyhow(Decoder, f"SKSENDTOEVENT 21 {METER} 0 00\r\n".encode(), expected)

    @pytest.mark.parametrize("noise", NOISE)
    def test_noise_before_a_line_end_costs_nothing_after_it(self, noise: bytes) -> None:
        data = noise + b"\r\n" + erxudp(GET_RES, in_hex=True) + b"OK\r\n"
        for size in (1, 64, len(data)):
            assert list(filter(is_known, decode(Decoder, cut(data, size)))) == [datagram(GET_RES), Ok()]

    @pytest.mark.parametrize("noise", NOISE)
    def test_noise_glued_to_a_datagram_costs_nothing(self, noise: bytes) -> None:
        for size in (1, 64, 10_000):
            assert list(filter(is_known, decode(Decoder, cut(noise + erxudp(GET_RES), size)))) == [datagram(GET_RES)]

    def test_the_splitter_loses_nothing(self) -> None:
        data = (
            b"OK\r\n\xff" * 3
            + erxudp(NASTY)
            + b"A" * 9000
            + erxudp(GET_RES, in_hex=True)
            + b"SKVER"
            + erxudp(GET_RES, length=7)
        )
        for size in (1, 100, len(data)):
            splitter = Splitter()
            pieces = [piece for part in cut(data, size) for piece in splitter.feed(part)] + splitter.flush()
            assert b"".join(piece.raw for piece in pieces) == data


HEADER = erxudp(b"", length=MAX_PAYLOAD)[:-2]
BOUNDARY = [
    b"A" * 5000 + b"ERXUDP x\r\n",
    *(b"A" * (MAX_LINE - place) + erxudp(GET_RES) for place in range(-2, 10)),
    *(b"A" * (MAX_LINE + place) + b"\r\nOK\r\n" for place in range(-3, 4)),
    *(b"ERXUDP " + b"A" * (MAX_LINE - place) + b"\r\nOK\r\n" for place in range(4, 12)),
    b"ERXUDP " + b"A" * 5000 + HEADER[44:] + b"\x10" * MAX_PAYLOAD + b"\r\n",
    HEADER + b"A" * 6000 + b"\r\n",
    HEADER + b"\x10" * 6000 + b"\r\n",
]


class TestBounded:
    def test_a_line_that_is_too_long_is_cut_at_the_same_place_however_it_comes(self) -> None:
        for number, data in enumerate(BOUNDARY):
            whole = messages(data)
            for size in (1, 7, 1000, MAX_LINE, MAX_LINE + 1):
                assert decode(Decoder, cut(data, size)) == whole, f"{number} in pieces of {size}"

    @pytest.mark.parametrize(
        "pattern",
        [
            *ENDLESS,
            b"\r",
            b"\n",
            b"  ",
            b"ERXUDP ",
            b"ERXUDP",
            HEADER,
            HEADER + b"\r",
            b"ERXUDP FE80:",
            b"EPANDESC\r\n",
            b"  Addr:1\r\n",
        ],
    )
    def test_endless_noise_keeps_no_memory_and_gives_nothing_to_act_upon(self, pattern: bytes) -> None:
        found = assert_bounded(Decoder, pattern, kept=MAX_LINE + 500, total=1 << 16)
        assert not any(isinstance(message, Ok | Fail | Event | Datagram) for message in found)

    def test_an_endless_block_of_keys_keeps_no_memory(self) -> None:
        decoder = Decoder()
        decoder.feed(b"EPANDESC\r\n")
        for number in range(5000):
            decoder.feed(b"  Key%d:1\r\n" % number)
        assert len(pickle.dumps(decoder)) < MAX_LINE

    @pytest.mark.parametrize(
        "pattern", [b"7", HEADER + b"10" * MAX_PAYLOAD, HEADER + b"\x10" * MAX_PAYLOAD, b"ERXUDP " + b"A:" * 2000]
    )
    def test_byte_by_byte_no_more_than_a_line_is_looked_at_again(self, pattern: bytes) -> None:
        decoder = Decoder()
        for place, piece in enumerate(cut((pattern * 100_000)[:10_000], 1)):
            decoder.feed(piece)
            assert place % 100 or len(pickle.dumps(decoder)) <= MAX_LINE + 500

    def test_a_reply_is_read_after_100_kB_of_noise(self) -> None:
        for pattern in ENDLESS:
            noise = (pattern * 100_000)[:100_000] + b"\r\n"
            found = messages(noise + erxudp(GET_RES) + b"OK\r\n")
            assert found[-2:] == [datagram(GET_RES), Ok()]
            assert not any(map(is_known, found[:-2]))


class TestCommands:
    def test_a_command_ends_with_cr_lf(self) -> None:
        assert command("SKVER") == b"SKVER\r\n"
        assert command("SKSCAN", "2", "FFFFFFFF", "6", "0") == b"SKSCAN 2 FFFFFFFF 6 0\r\n"

    @pytest.mark.parametrize("words", [("ROPT",), ("WOPT", "01")])
    def test_a_product_setting_one_with_a_lone_cr(self, words: tuple[str, ...]) -> None:
        assert command(*words) == " ".join(words).encode() + b"\r"

    @pytest.mark.parametrize("words", [("RUART",), ("WUART", "00")])
    def test_one_of_the_serial_line_too(self, words: tuple[str, ...]) -> None:
        assert command(*words) == " ".join(words).encode() + b"\r"

    def test_only_ascii_can_be_sent(self) -> None:
        with pytest.raises(UnicodeEncodeError):
            command("SKSETPWD", "C", "パスワード")

    def test_a_question_is_sent_raw_with_its_length_and_no_end(self) -> None:
        assert sendto(METER, b"\r\n\0", None) == f"SKSENDTO 1 {METER} 0E1A 1 0003 ".encode() + b"\r\n\0"
        assert sendto(METER, b"\r\n\0", 0) == f"SKSENDTO 1 {METER} 0E1A 1 0 0003 ".encode() + b"\r\n\0"
        assert sendto(METER, bytes(MAX_PAYLOAD), 1) == f"SKSENDTO 1 {METER} 0E1A 1 1 04D0 ".encode() + bytes(MAX_PAYLOAD)

    @pytest.mark.parametrize("side", [None, 0])
    def test_the_echo_of_a_datagram_stops_before_the_payload(self, side: int | None) -> None:
        echo = sendto(METER, GET_RES, side)[: -len(GET_RES)] + b"\r\n"
        assert messages(echo + b"OK\r\n") == [Echo("SKSENDTO"), Ok()]

    @pytest.mark.parametrize(
        ("mac", "address"),
        [
            (MAC, METER),
            ("0000000000000000", "FE80:0000:0000:0000:0200:0000:0000:0000"),
            ("00a1b2c3d4e5f607", "FE80:0000:0000:0000:02A1:B2C3:D4E5:F607"),
            ("FFFFFFFFFFFFFFFF", "FE80:0000:0000:0000:FDFF:FFFF:FFFF:FFFF"),
        ],
    )
    def test_the_address_of_a_mac_is_link_local_with_one_bit_inverted(self, mac: str, address: str) -> None:
        assert link_local(mac) == address

    @pytest.mark.parametrize(("lqi", "expected"), [(0, -104.27), (0x2D, -91.9), (0x50, -82.27), (0xDD, -43.5), (0xFF, -34.15)])
    def test_a_link_quality_is_a_signal_strength(self, lqi: int, expected: float) -> None:
        assert dbm(lqi) == pytest.approx(expected, abs=0.02)

    @pytest.mark.parametrize(("duration", "seconds"), [(3, 2.4), (4, 4.6), (5, 8.9), (6, 17.5), (7, 34.7), (8, 69), (9, 138)])
    def test_a_scan_lasts_twice_as_long_a_step(self, duration: int, seconds: float) -> None:
        assert scan_seconds(duration) == pytest.approx(seconds, abs=0.2)
        assert scan_seconds(duration, channels=1) == pytest.approx(seconds / 28, abs=0.1)


_PARTS = [
    erxudp(GET_RES, SINGLE, in_hex=True),
    erxudp(GET_RES, DUAL),
    erxudp(NASTY, SA2),
    erxudp(GET_RES, length=9),
    erxudp(GET_RES, in_hex=True, length=0x30),
    f"EVENT 21 {METER} 0 02\r\n".encode(),
    f"SKSETPWD C {PASSWORD}\r\n".encode(),
    BLOCK.encode(),
    b"  PairID:A1B2C3D4\r\n",
]
_MARKS = [
    b"OK",
    b"FAIL ER10",
    b"SKSENDTO",
    b"ERXUDP ",
    b"ERX",
    b"  ",
    b" ",
    b"EPANDESC",
    b"\r\n",
    b"\r",
    b"\n",
    HEADER,
    b"\0",
    b"\xff",
]
_RUNS = st.builds(lambda part, times: part * times, st.sampled_from([b"A", b"\x10", b" ", b"1081"]), st.integers(1, 4200))
_CUT_OFF = st.builds(lambda part, end: part[: end % len(part)], st.sampled_from(_PARTS), st.integers(0, 300))
STREAMS = st.lists(
    st.one_of(st.sampled_from(_MARKS), st.sampled_from(_PARTS), _CUT_OFF, st.binary(max_size=30), _RUNS), max_size=20
).map(b"".join)
CUTS = st.lists(st.integers(0, 20_000), max_size=12)


def cut_at(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def flushed(pieces: Iterable[bytes]) -> tuple[list[Any], list[Message]]:
    decoder = Decoder()
    return [message for piece in pieces for message in decoder.feed(piece)], decoder.flush()


@fuzz
@given(STREAMS, CUTS)
@example(b"A" * 5000 + b"ERXUDP x\r\n", [4090, 4097])
@example(b"ERXUDP " + b"A" * 5000 + HEADER[44:], list(range(4090, 5200)))
def test_fuzz_any_bytes_cut_anyhow_give_the_same_messages(data: bytes, places: list[int]) -> None:
    found = flushed([data])
    assert flushed(cut_at(data, places)) == found
    for message in found[0] + found[1]:
        if isinstance(message, Rejected):
            assert message.reason in REASONS
            assert len(message.data) <= 64
        elif isinstance(message, Datagram):
            assert 1 <= len(message.payload) <= MAX_PAYLOAD
        elif isinstance(message, Echo):
            assert PASSWORD not in message.command


@fuzz
@given(st.binary(max_size=200), CUTS)
def test_fuzz_any_bytes_at_all_cut_anyhow_give_the_same_messages(data: bytes, places: list[int]) -> None:
    assert flushed(cut_at(data, places)) == flushed([data])


@fuzz
@given(STREAMS)
def test_fuzz_nothing_costs_what_follows_a_line_end_once_it_is_given_up(data: bytes) -> None:
    decoder = Decoder()
    decoder.feed(data)
    decoder.flush()
    assert decoder.feed(b"\r\n" + erxudp(GET_RES, DUAL) + b"OK\r\n")[-2:] == [datagram(GET_RES, DUAL), Ok()]


@fuzz
@given(
    st.one_of(
        st.binary(min_size=1, max_size=60),
        st.builds(lambda byte, size: byte * size, st.binary(min_size=1, max_size=1), st.integers(1, MAX_PAYLOAD)),
        st.builds(
            lambda seed, size: (seed * MAX_PAYLOAD)[:size], st.binary(min_size=1, max_size=9), st.integers(1, MAX_PAYLOAD)
        ),
        st.text("0123456789ABCDEFabcdef", min_size=1, max_size=40).map(str.encode),
        st.lists(st.sampled_from([b"\r\n", b"\r", b" ", b"ERXUDP ", b"OK", b"1"]), min_size=1, max_size=20).map(b"".join),
    ),
    st.sampled_from([SINGLE, DUAL, SA2]),
    st.booleans(),
    CUTS,
)
def test_fuzz_any_payload_comes_as_it_was_sent(payload: bytes, columns: Columns, in_hex: bool, places: list[int]) -> None:
    # Raw payloads of nothing but hex digits are among them: their line end stands where hex has its second half.
    assume(len(payload) <= MAX_PAYLOAD)
    data = erxudp(payload, columns, in_hex=in_hex)
    assert decode(Decoder, [*cut_at(data, places), b"OK\r\n"]) == [datagram(payload, columns), Ok()]
