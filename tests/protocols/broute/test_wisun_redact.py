"""A capture of a module without its secrets, and on request without its household, says everything else as before."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.decoder_contract import cut, flipped, fuzz, without_a_byte
from support.skstack_lines import FORMS, ID, MAC, METER, PASSWORD, SHAPES, Columns, erxudp

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet
from meterline.protocols.broute.dump import Decoder
from meterline.protocols.broute.echonet import Frame, Property
from meterline.protocols.broute.properties import unit
from meterline.protocols.broute.readings import readings
from meterline.protocols.broute.redact import Redactor
from meterline.protocols.broute.skstack import Datagram, Line, Message

UNIT = unit(b"\0\0\0\1", b"\1", None)
PAN_ID, PAIRING_ID, MODULE_MAC = "8F3A", ID[-8:], "02AB5C00D1E2F3FE"
SERIAL, OWN_NUMBER = b"T98765432101", bytes.fromhex("0000001677665544332211009988AABB")
NODE_NUMBER = bytes.fromhex("FE000016") + OWN_NUMBER[3:]
PANA = (
    bytes.fromhex("00000068800000021A2B3C4D5E6F7081" + "00020000003800000 1E3".replace(" ", ""))
    + b"\x0d\x0aSM"
    + ID.encode()
    + b"\xcf\x5b"
)
NAMES = echonet.encode(
    Frame(
        9,
        echonet.METER,
        echonet.CONTROLLER,
        echonet.GET_RES,
        tuple(
            Property(*one)
            for one in ((0xE7, b"\0\0\2\x78"), (0x8D, SERIAL), (0xC0, OWN_NUMBER), (0x83, NODE_NUMBER), (0xE8, b"\0\1\0\2"))
        ),
    )
)
GET_RES = bytes.fromhex("1081002A028801" + "05FF017203E70400000278E804001E0032E0040000FE73")
BOTH = pytest.mark.parametrize("household", [False, True], ids=["secrets", "household"])


def session(columns: Columns = ("1", None, None), in_hex: bool = True) -> bytes:
    """What a module sends from its start to the first answer of the meter; echo on."""
    lines = [
        f"SKSETPWD C {PASSWORD}",
        "OK",
        f"SKSETRBID {ID}",
        "OK",
        "SKSCAN 2 FFFFFFFF 6 0",
        "OK",
        f"EVENT 20 {METER} 0",
        *(
            "EPANDESC",
            "  Channel:31",
            "  Channel Page:09",
            f"  Pan ID:{PAN_ID}",
            f"  Addr:{MAC}",
            "  LQI:DD",
            f"  PairID:{PAIRING_ID}",
        ),
        f"EVENT 22 {METER} 0",
        f"SKLL64 {MAC}",
        METER,
        f"SKJOIN {METER}",
        "OK",
        f"EINFO {METER} {MODULE_MAC} 31 {PAN_ID} FFFE",
        f"EVENT 21 {METER} 0 00",
    ]
    shape = {"columns": columns, "in_hex": in_hex}
    return b"".join(
        (
            "\r\n".join([*lines, ""]).encode(),
            erxudp(PANA, port="02CC", **shape),  # type: ignore[arg-type]
            f"EVENT 25 {METER} 0\r\n".encode(),
            erxudp(GET_RES, **shape),  # type: ignore[arg-type]
            erxudp(NAMES, **shape),  # type: ignore[arg-type]
            b"FAIL ER10\r\nROPT\rOK 01\r",
        )
    )


def redacted(*pieces: bytes, household: bool = True) -> bytes:
    redactor = Redactor(household)
    return b"".join(redactor.feed(piece) for piece in pieces)


def forms(secret: bytes) -> list[bytes]:
    """As bytes, and in hex digits of either case."""
    return [secret, secret.hex().upper().encode(), secret.hex().encode()]


SECRETS = [form for half in (ID[:16], ID[16:], PASSWORD[:6], PASSWORD[6:]) for form in forms(half.encode())]
"""Halves, so that damage in one does not excuse the other."""
WHOLE_SECRETS = [form for whole in (ID, PASSWORD) for form in forms(whole.encode())]
HOUSEHOLD = [
    *(form for number in (SERIAL, OWN_NUMBER[4:], NODE_NUMBER[4:]) for form in forms(number)),
    *(word.encode() for word in (PAN_ID, PAIRING_ID, MAC[6:], MODULE_MAC[6:], METER[-9:])),
]


def leaks(out: bytes, words: list[bytes]) -> list[bytes]:
    return [word for word in words if word in out]


def decoded(data: bytes) -> list[Message | Frame]:
    return Decoder().feed(data)


def kinds(data: bytes) -> list[str]:
    return [type(message).__name__ for message in decoded(data)]


def numbers(data: bytes) -> list[object]:
    """Everything that the meter measures, in order."""
    return [
        reading
        for frame in decoded(data)
        if isinstance(frame, Frame)
        for reading in readings(frame.properties, UNIT)[0]
        if reading.series[0] != "smartmeter_info"
    ]


class TestSecrets:
    @BOTH
    @SHAPES
    @FORMS
    def test_neither_id_nor_password_stays(self, household: bool, columns: Columns, in_hex: bool) -> None:
        data = session(columns, in_hex)
        assert leaks(data, SECRETS)
        assert leaks(redacted(data, household=household), SECRETS) == []

    @BOTH
    @pytest.mark.parametrize(
        "echo",
        [
            f"SKSETPWD C {PASSWORD}",
            f"SKSETPWD c {PASSWORD}",
            f"skSetPwd C {PASSWORD}",
            f"SKSETRBID {ID}",
            f"SKSETPSK 20 {ID}",
            f"OKSKSETPWD C {PASSWORD}",
            f"SKSENDTO 1 SKSETRBID {ID} ",
        ],
    )
    @pytest.mark.parametrize("end", ["\r\n", "\r", "\n"], ids=["CRLF", "CR", "LF"])
    def test_the_echo_of_a_secret_is_masked(self, household: bool, echo: str, end: str) -> None:
        out = redacted((echo + end + "OK\r\n").encode(), household=household)
        assert leaks(out, SECRETS) == []
        assert out.endswith(f"masked{end}OK\r\n".encode())

    def test_without_the_household_the_rest_of_the_capture_stays_to_the_byte(self) -> None:
        for in_hex in (False, True):
            data = session(in_hex=in_hex)
            body, hidden = (
                one.hex().upper().encode() if in_hex else one for one in (PANA, PANA.replace(ID.encode(), b"0" * 32))
            )
            expected = data.replace(PASSWORD.encode() + b"\r", b"masked\r").replace(b"RBID " + ID.encode(), b"RBID masked")
            assert redacted(data, household=False) == expected.replace(body, hidden)

    @FORMS
    def test_every_id_of_a_log_in_is_hidden(self, in_hex: bool) -> None:
        out = redacted(erxudp(PANA * 3, in_hex=in_hex, port="02CC"), household=False)
        assert leaks(out, SECRETS) == []
        (message,) = decoded(out)
        assert isinstance(message, Datagram)
        assert message.payload == PANA.replace(ID.encode(), b"0" * 32) * 3

    @BOTH
    @FORMS
    def test_no_lost_byte_lets_the_id_of_a_log_in_through(self, household: bool, in_hex: bool) -> None:
        for where, bad in without_a_byte(erxudp(PANA, in_hex=in_hex, port="02CC")):
            assert leaks(redacted(bad + b"OK\r\n", household=household), SECRETS) == [], where

    @BOTH
    @FORMS
    def test_no_flipped_bit_lets_the_id_of_a_log_in_through(self, household: bool, in_hex: bool) -> None:
        for where, bad in flipped(erxudp(PANA, in_hex=in_hex, port="02CC")):
            assert leaks(redacted(bad + b"OK\r\n", household=household), SECRETS) == [], where

    @BOTH
    @pytest.mark.parametrize("damage", ["flipped", "lost"])
    def test_no_damage_lets_the_echo_of_a_secret_through(self, household: bool, damage: str) -> None:
        data = f"SKSETPWD C {PASSWORD}\r\nOK\r\nSKSETRBID {ID}\r\nOK\r\n".encode()
        for where, bad in flipped(data) if damage == "flipped" else without_a_byte(data):
            assert leaks(redacted(bad, household=household), WHOLE_SECRETS) == [], where

    @BOTH
    @pytest.mark.parametrize("echo", [f"SKSETPWD C {PASSWORD}", f"SKSETRBID {ID}"], ids=["password", "id"])
    def test_a_capture_that_begins_in_an_echo_does_not_show_the_secret(self, household: bool, echo: str) -> None:
        for start in range(len(echo.rpartition(" ")[0]) + 1):
            assert leaks(redacted(f"{echo[start:]}\r\n".encode(), household=household), WHOLE_SECRETS) == [], start

    @BOTH
    @FORMS
    def test_a_capture_that_begins_in_a_log_in_does_not_show_the_id(self, household: bool, in_hex: bool) -> None:
        data = erxudp(PANA, in_hex=in_hex, port="02CC")
        mark = b"SM".hex().upper().encode() if in_hex else b"SM"
        for start in range(data.index(mark) + 1):
            assert leaks(redacted(data[start:], household=household), SECRETS) == [], start


class TestHousehold:
    @SHAPES
    @FORMS
    def test_no_number_of_the_household_stays(self, columns: Columns, in_hex: bool) -> None:
        data = session(columns, in_hex)
        assert len(leaks(data, HOUSEHOLD)) >= 8
        assert leaks(redacted(data), HOUSEHOLD) == []

    @SHAPES
    @FORMS
    def test_the_same_messages_and_the_same_numbers_stay(self, columns: Columns, in_hex: bool) -> None:
        data = session(columns, in_hex)
        out = redacted(data)
        assert kinds(out) == kinds(data)
        assert kinds(out).count("Frame") == 2
        assert len(numbers(data)) == 7
        assert numbers(out) == numbers(data)

    @SHAPES
    @FORMS
    def test_every_line_and_datagram_keeps_its_length_but_the_masked_ones(self, columns: Columns, in_hex: bool) -> None:
        data = session(columns, in_hex)
        assert len(redacted(data)) == len(data) - len(PASSWORD) - len(ID) + 2 * len("masked")

    @pytest.mark.parametrize("line", [erxudp(GET_RES, in_hex=True, length=3), b"EVE\xd4 25\r\n"])
    def test_what_was_rejected_is_rejected_afterwards_too(self, line: bytes) -> None:
        data = line + b"OK\r\n" * 300
        assert kinds(redacted(data)) == kinds(data)

    @FORMS
    def test_of_a_log_in_only_its_header_stays(self, in_hex: bool) -> None:
        (message,) = decoded(redacted(erxudp(PANA, in_hex=in_hex, port="02CC")))
        assert isinstance(message, Datagram)
        assert message.payload == PANA[:16] + bytes(len(PANA) - 16)

    @pytest.mark.parametrize("size", [1, 2, 15, 16, 17])
    def test_a_log_in_shorter_than_its_header_keeps_its_length(self, size: int) -> None:
        data = erxudp(PANA[:size], in_hex=True, port="02CC")
        assert len(redacted(data)) == len(data)

    @FORMS
    def test_numbers_of_the_meter_are_nought_and_the_properties_around_them_stay(self, in_hex: bool) -> None:
        (frame,) = decoded(redacted(erxudp(NAMES, in_hex=in_hex)))
        assert isinstance(frame, Frame)
        assert frame.properties == (
            (0xE7, b"\0\0\2\x78"),
            (0x8D, bytes(12)),
            (0xC0, bytes(16)),
            (0x83, bytes(17)),
            (0xE8, b"\0\1\0\2"),
        )

    def test_makers_of_the_devices_stay(self) -> None:
        out = redacted(session())
        assert f"  Addr:{MAC[:6]}0000000000\r\n".encode() in out
        assert METER[:27].encode() + b"00:0000:0000" in out

    def test_the_household_is_taken_out_unless_told_otherwise(self) -> None:
        redactor = Redactor()
        assert leaks(redactor.feed(session()), HOUSEHOLD) == []
        assert leaks(redacted(session(), household=False), HOUSEHOLD)

    @pytest.mark.parametrize("line", [f"SKSREG S3 {PAN_ID}", f"SKSREG S0A {PAIRING_ID}", f"ESREG {PAN_ID}"])
    def test_a_register_of_the_module_does_not_tell_the_network(self, line: str) -> None:
        assert leaks(redacted(f"{line}\r\n".encode()), HOUSEHOLD) == []

    @pytest.mark.parametrize("line", [f"SKSREG S1 {MAC}", f"SKADDNBR {METER} {MAC}", f"{METER} {MAC} FFFF", f"SKTERM {METER}"])
    def test_an_address_is_taken_out_wherever_it_stands(self, line: str) -> None:
        assert leaks(redacted(f"{line}\r\n".encode()), HOUSEHOLD) == []

    def test_lower_case_is_taken_out_too(self) -> None:
        data = (
            erxudp(GET_RES, in_hex=True)
            .replace(MAC.encode(), MAC.lower().encode())
            .replace(METER.encode(), METER.lower().encode())
        )
        assert kinds(data) == ["Frame"]
        assert leaks(redacted(data).upper(), HOUSEHOLD) == []

    @pytest.mark.parametrize(
        "first",
        [(0xE0, 0xC010), (0xE0, 0x8D0C), (0xE0, 0x8311), (0xE3, 0x018D0C01), (0xE7, 0xC010)],
        ids=["4916.8_kWh", "3610.8_kWh", "3355.3_kWh", "middle", "49168_W"],
    )
    @FORMS
    def test_a_value_that_looks_like_a_mark_costs_nothing(self, first: tuple[int, int], in_hex: bool) -> None:
        rest = ((0xE3, b"\0\0\0\1"), (0xE7, b"\0\0\1\xf8"), (0xE8, b"\0\1\0\2"), (0x80, b"\x30"), (0x88, b"\x42"))
        properties = (Property(first[0], first[1].to_bytes(4)), *(Property(*one) for one in rest))
        data = erxudp(echonet.encode(Frame(1, echonet.METER, echonet.CONTROLLER, 0x72, properties)), in_hex=in_hex)
        assert numbers(redacted(data)) == numbers(data)

    def test_a_value_that_looks_like_a_mark_does_not_save_the_number_after_it(self) -> None:
        properties = (Property(0xE0, b"\0\0\x8d\x0c"), Property(0x8D, SERIAL))
        data = erxudp(echonet.encode(Frame(1, echonet.METER, echonet.CONTROLLER, 0x72, properties)))
        assert SERIAL[-2:] not in redacted(data)

    @pytest.mark.parametrize(
        "property_", [(0x8D, SERIAL[:11]), (0x8D, SERIAL + b"0"), (0xC0, OWN_NUMBER[:15]), (0x83, NODE_NUMBER[:9])]
    )
    def test_a_number_of_another_length_is_taken_out_too(self, property_: tuple[int, bytes]) -> None:
        frame = Frame(1, echonet.METER, echonet.CONTROLLER, 0x72, (Property(*property_), Property(0xE7, b"\0\0\0\1")))
        data = erxudp(echonet.encode(frame))
        out = redacted(data)
        assert property_[1][4:] not in out
        assert numbers(out) == numbers(data)

    def test_an_answer_with_a_wrong_length_does_not_show_the_number(self) -> None:
        for in_hex in (False, True):
            for length in (1, len(NAMES) - 1, len(NAMES) + 1):
                data = erxudp(NAMES, in_hex=in_hex, length=length) + b"OK\r\n" * 20
                assert leaks(redacted(data), HOUSEHOLD) == []

    @fuzz
    @given(
        st.lists(
            st.builds(
                Property, st.sampled_from([0x80, 0x83, 0x8D, 0xC0, 0xE0, 0xE3, 0xE7, 0xE8]), st.binary(min_size=4, max_size=4)
            )
            | st.just(Property(0x8D, SERIAL)),
            min_size=1,
            max_size=6,
        ),
        st.booleans(),
    )
    @example([Property(0xE0, b"\0\0\xc0\x10"), *[Property(0xE7, b"\0\0\0\1")] * 4], False)
    def test_fuzz_any_answer_keeps_its_numbers(self, properties: list[Property], in_hex: bool) -> None:
        frame = Frame(1, echonet.METER, echonet.CONTROLLER, echonet.GET_RES, tuple(properties))
        data = erxudp(echonet.encode(frame), in_hex=in_hex)
        out = redacted(data)
        assert len(out) == len(data)
        assert kinds(out) == ["Frame"]
        assert numbers(out) == numbers(data)
        assert SERIAL[:4] not in out


class TestStream:
    @BOTH
    @FORMS
    def test_the_output_is_the_same_however_the_input_comes(self, household: bool, in_hex: bool) -> None:
        data = session(in_hex=in_hex)
        whole = redacted(data, household=household)
        for size in (1, 2, 3, 7, 64, 500):
            assert redacted(*cut(data, size), household=household) == whole
        for place in range(len(data)):
            assert redacted(data[:place], b"", data[place:], household=household) == whole

    @BOTH
    @FORMS
    def test_redacting_twice_changes_nothing_more(self, household: bool, in_hex: bool) -> None:
        once = redacted(session(in_hex=in_hex), household=household)
        assert redacted(once, household=household) == once

    @BOTH
    @FORMS
    def test_what_has_begun_is_never_shown(self, household: bool, in_hex: bool) -> None:
        data = session(in_hex=in_hex)
        whole = redacted(data, household=household)
        for end in range(len(data)):
            start = redacted(data[:end], household=household)
            assert whole.startswith(start), end
            assert leaks(start, SECRETS) == [], end

    @BOTH
    def test_a_line_that_was_begun_gives_nothing(self, household: bool) -> None:
        redactor = Redactor(household)
        assert redactor.feed(f"SKSETPWD C {PASSWORD}".encode()) == b""
        assert redactor.feed(b"\r") == b"SKSETPWD C masked\r"
        for in_hex in (False, True):
            data = erxudp(PANA, in_hex=in_hex, port="02CC")
            assert redacted(data[:-2], household=household) == b""

    @BOTH
    @pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
    def test_a_line_is_shown_as_soon_as_it_ends(self, household: bool, end: bytes) -> None:
        assert redacted(b"FAIL ER04" + end, household=household) == b"FAIL ER04" + end

    @BOTH
    def test_endless_noise_without_line_ends_keeps_little(self, household: bool) -> None:
        redactor, noise = Redactor(household), Random(3)
        table = bytes(byte if byte not in b"\r\n" else 0x55 for byte in range(256))
        for _ in range(50):
            redactor.feed(noise.randbytes(8000).translate(table))
            assert len(pickle.dumps(redactor)) < 10_000

    @BOTH
    @fuzz
    @given(st.lists(st.binary(max_size=60), max_size=8))
    def test_fuzz_any_bytes_are_taken_however_cut(self, household: bool, pieces: list[bytes]) -> None:
        assert redacted(*pieces, household=household) == redacted(b"".join(pieces), household=household)

    def test_nothing_comes_of_nothing(self) -> None:
        assert redacted(b"", b"", b"") == b""


def dialogs(shared: Path) -> list[tuple[str, list[bytes], list[bytes]]]:
    """Name, what the host sent, what the module sent."""
    files = sorted((shared / "captures" / "wisun").glob("*.dialog"))
    if not files:
        pytest.skip("no captures/wisun/ in the shared folder")
    found = []
    for file in files:
        lines = file.read_text(encoding="utf-8").splitlines()
        sent, said = ([ast.literal_eval(line[2:]) for line in lines if line.startswith(mark)] for mark in ("> ", "< "))
        found.append((file.stem, sent, said))
    return found


def is_hidden(found: bytes) -> bool:
    return set(found) <= set(b"0")


class TestRealDialogs:
    @BOTH
    def test_no_credential_of_a_real_dialog_stays(self, shared: Path, household: bool) -> None:
        hidden = 0
        for name, sent, said in dialogs(shared):
            # What the host sent comes back as an echo, on a module that has it on.
            data = b"".join(sent + said)
            out = redacted(*sent, *said, household=household)
            ids = [found for found in re.findall(rb"SM([0-9A-F]{32})", out) if not is_hidden(found)]
            hexes = re.findall(rb"534D((?:3[0-9]|4[1-6]){32})", out, re.IGNORECASE)
            assert ids == [], name
            assert all(is_hidden(bytes.fromhex(found.decode())) for found in hexes), name
            secrets = [line.split()[-1] for line in sent if line.startswith(b"SKSET")]
            for secret in secrets:
                assert is_hidden(secret) or leaks(out, forms(secret)) == [], name
                hidden += not is_hidden(secret) and secret in data
        assert hidden == 5

    def test_no_address_of_a_real_dialog_stays(self, shared: Path) -> None:
        macs = 0
        for name, _, said in dialogs(shared):
            out = redacted(*said)
            found = set(re.findall(rb"\b(?:Addr:|02CC |0E1A )([0-9A-F]{16})\b", b"".join(said)))
            macs += len(found)
            assert [mac for mac in found if not is_hidden(mac[6:]) and mac in out] == [], name
        assert macs > 8

    @BOTH
    def test_a_real_dialog_says_the_same(self, shared: Path, household: bool) -> None:
        frames = 0
        for name, _, said in dialogs(shared):
            data = b"".join(said)
            out = redacted(*said, household=household)
            assert accepted(out) == accepted(data), name
            assert numbers(out) == numbers(data), name
            assert redacted(data, household=household) == out, name
            frames += kinds(out).count("Frame")
        assert frames >= 30


def accepted(data: bytes) -> list[str]:
    """Kinds of messages, without what is rejected, or hidden since it was."""
    return [
        type(message).__name__
        for message in decoded(data)
        if not isinstance(message, Rejected) and not (isinstance(message, Line) and set(message.text) == {"?"})
    ]
