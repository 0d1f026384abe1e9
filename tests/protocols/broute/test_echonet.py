"""ECHONET Lite frames: every length right to the byte, or no frame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz

from meterline.meter.readings import REASONS, Rejected
from meterline.protocols.broute.echonet import (
    CONTROLLER,
    GET,
    GET_RES,
    GET_SNA,
    INF,
    INF_REQ,
    INFC,
    INFC_RES,
    METER,
    NODE,
    SERVICES,
    Frame,
    Property,
    answers,
    confirmation,
    decode,
    encode,
    encode_property_map,
    get,
    property_map,
)

TWO_LISTS = (0x5E, 0x6E, 0x7E)
POWER = Property(0xE7, b"\0\0\x01\xf8")
CURRENT = Property(0xE8, b"\0\x1e\0\x32")
ANSWER = Frame(0x1234, METER, CONTROLLER, GET_RES, (POWER, CURRENT))
ANSWER_BYTES = bytes.fromhex("1081 1234 028801 05FF01 72 02 E704000001F8 E804001E0032")


def reason(payload: bytes) -> str:
    found = decode(payload)
    assert isinstance(found, Rejected)
    assert found.reason in REASONS
    assert payload.startswith(found.data)
    assert len(found.data) <= 64
    return found.reason


def whole(payload: bytes) -> Frame:
    found = decode(payload)
    assert isinstance(found, Frame)
    return found


class TestFrame:
    def test_a_worked_example(self) -> None:
        assert decode(ANSWER_BYTES) == ANSWER
        assert encode(ANSWER) == ANSWER_BYTES

    @pytest.mark.parametrize("esv", sorted(set(SERVICES) - set(TWO_LISTS)))
    def test_every_service_has_one_list(self, esv: int) -> None:
        payload = ANSWER_BYTES[:10] + bytes([esv]) + ANSWER_BYTES[11:]
        assert decode(payload) == ANSWER._replace(esv=esv)
        assert encode(ANSWER._replace(esv=esv)) == payload

    @pytest.mark.parametrize("esv", TWO_LISTS)
    def test_those_that_set_and_get_have_two(self, esv: int) -> None:
        payload = ANSWER_BYTES[:10] + bytes([esv]) + bytes.fromhex("01 E50100 02 E704000001F8 E200")
        frame = ANSWER._replace(esv=esv, properties=(Property(0xE5, b"\0"),), gets=(POWER, Property(0xE2)))
        assert decode(payload) == frame
        assert encode(frame) == payload

    @pytest.mark.parametrize("esv", TWO_LISTS)
    def test_one_of_the_two_lists_may_be_empty(self, esv: int) -> None:
        start = ANSWER_BYTES[:10] + bytes([esv])
        assert whole(start + bytes.fromhex("00 01 E200")).gets == (Property(0xE2),)
        assert whole(start + bytes.fromhex("01 E50100 00")).properties == (Property(0xE5, b"\0"),)
        assert reason(start + bytes.fromhex("00 00")) == "malformed"

    @pytest.mark.parametrize("esv", TWO_LISTS)
    def test_the_second_list_cannot_be_left_out(self, esv: int) -> None:
        assert reason(ANSWER_BYTES[:10] + bytes([esv]) + bytes.fromhex("01 E50100")) == "truncated"
        assert reason(ANSWER_BYTES[:10] + bytes([esv]) + bytes.fromhex("01 E50100 01")) == "truncated"

    def test_the_services_have_the_names_of_the_specification(self) -> None:
        requests, refusals = {0x60, 0x61, 0x62, 0x63, 0x6E}, {0x50, 0x51, 0x52, 0x53, 0x5E}
        assert SERVICES.keys() == requests | refusals | {0x71, 0x72, 0x73, 0x74, 0x7A, 0x7E}
        assert {SERVICES[esv] for esv in refusals} == {SERVICES[esv + 0x10].removesuffix("_REQ") + "_SNA" for esv in refusals}

    @pytest.mark.parametrize("esv", sorted(set(range(256)) - set(SERVICES)))
    def test_no_other_service_is_one(self, esv: int) -> None:
        assert reason(ANSWER_BYTES[:10] + bytes([esv]) + ANSWER_BYTES[11:]) == "malformed"

    def test_a_refused_property_is_empty_and_the_others_are_kept(self) -> None:
        payload = bytes.fromhex("1081 0001 028801 05FF01 52 03 800130 8300 E704FFFFFCB8")
        assert whole(payload) == Frame(
            1, METER, CONTROLLER, GET_SNA, (Property(0x80, b"0"), Property(0x83), Property(0xE7, b"\xff\xff\xfc\xb8"))
        )

    def test_the_same_property_twice_is_kept_twice(self) -> None:
        assert whole(encode(ANSWER._replace(properties=(POWER, POWER)))).properties == (POWER, POWER)

    def test_the_longest_lists_and_values(self) -> None:
        frame = ANSWER._replace(properties=tuple(Property(number, bytes([number]) * number) for number in range(256))[1:])
        assert decode(encode(frame)) == frame


class TestRejected:
    def test_a_frame_that_is_cut_off_anywhere(self) -> None:
        for end in range(len(ANSWER_BYTES)):
            assert reason(ANSWER_BYTES[:end]) == ("truncated" if end >= 2 else "malformed")

    @pytest.mark.parametrize("rest", [b"\0", b"\r\n", b"\xe7\0", ANSWER_BYTES])
    def test_stray_bytes_behind_it(self, rest: bytes) -> None:
        assert reason(ANSWER_BYTES + rest) == "malformed"

    def test_a_length_that_overruns_it(self) -> None:
        start = bytes.fromhex("1081 0001 028801 05FF01 72")
        assert reason(start + bytes.fromhex("01 E705000001F8")) == "truncated"
        assert reason(start + bytes.fromhex("01 E7FF000001F8")) == "truncated"
        assert reason(start + bytes.fromhex("01 E7")) == "truncated"
        assert reason(start + bytes.fromhex("02 E704000001F8")) == "truncated"
        assert reason(start + bytes.fromhex("02 E704000001F8 E8")) == "truncated"
        assert reason(start + bytes.fromhex("FF E704000001F8")) == "truncated"

    def test_a_length_that_is_too_short(self) -> None:
        start = bytes.fromhex("1081 0001 028801 05FF01 72")
        assert reason(start + bytes.fromhex("01 E703000001F8")) == "malformed"
        assert reason(start + bytes.fromhex("01 E700000001F8")) == "malformed"

    @pytest.mark.parametrize("esv", sorted(set(SERVICES) - set(TWO_LISTS)))
    def test_one_without_properties(self, esv: int) -> None:
        assert reason(ANSWER_BYTES[:10] + bytes([esv, 0])) == "malformed"

    @pytest.mark.parametrize("start", ["1082", "1080", "1181", "0081", "3130", "0000"])
    def test_the_free_format_and_anything_else(self, start: str) -> None:
        assert reason(bytes.fromhex(start) + ANSWER_BYTES[2:]) == "malformed"

    def test_a_log_in_message_is_none(self) -> None:
        assert reason(bytes.fromhex("00000028 C0000002 136F0BFE 2FDA83DC") + bytes(24)) == "malformed"


class TestQuestions:
    def test_a_question_asks_the_meter_for_properties_without_values(self) -> None:
        assert get(0x5253, [0xE7]) == bytes.fromhex("1081 5253 05FF01 028801 62 01 E700")
        assert get(0, [0xE7, 0xE8]) == bytes.fromhex("1081 0000 05FF01 028801 62 02 E700E800")
        assert get(0xFFFF, iter([0xD5]), NODE) == bytes.fromhex("1081 FFFF 05FF01 0EF001 62 01 D500")
        assert whole(get(7, [0x9F])) == Frame(7, CONTROLLER, METER, GET, (Property(0x9F),))

    def test_an_answer_has_its_number_its_object_and_an_answering_service(self) -> None:
        assert answers(ANSWER, 0x1234)
        assert answers(ANSWER._replace(esv=GET_SNA), 0x1234)
        assert answers(ANSWER._replace(seoj=NODE), 0x1234, NODE)

    def test_no_other_frame_answers_the_question(self) -> None:
        assert not answers(ANSWER, 0x1235)
        assert not answers(ANSWER, 0x3412)
        assert not answers(ANSWER._replace(seoj=NODE), 0x1234)
        assert not answers(ANSWER._replace(seoj=bytes.fromhex("028802")), 0x1234)
        assert not answers(ANSWER, 0x1234, NODE)
        for esv in SERVICES.keys() - {GET_RES, GET_SNA}:
            assert not answers(ANSWER._replace(esv=esv), 0x1234), SERVICES[esv]

    def test_the_question_itself_is_none(self) -> None:
        assert not answers(whole(get(0x1234, [0xE7])), 0x1234)

    def test_a_notification_with_the_same_number_is_none(self) -> None:
        notice = whole(bytes.fromhex("1081 0001 028801 05FF01 73 02 EA0B07EA05140E0000 0000FE68 EB0B07EA05140E0000 00000016"))
        assert notice.esv == INF
        assert not answers(notice, 1)

    def test_what_wants_a_confirmation_gets_its_number_and_its_codes_back(self) -> None:
        notice = Frame(0xBEEF, METER, CONTROLLER, INFC, (Property(0xEA, bytes(11)), Property(0xEB, bytes(11))))
        assert confirmation(notice) == bytes.fromhex("1081 BEEF 05FF01 028801 7A 02 EA00EB00")
        assert whole(confirmation(notice)) == Frame(0xBEEF, CONTROLLER, METER, INFC_RES, (Property(0xEA), Property(0xEB)))

    def test_the_instance_list_can_be_asked_for(self) -> None:
        frame = Frame(5, CONTROLLER, NODE, INF_REQ, (Property(0xD5),))
        assert encode(frame) == bytes.fromhex("1081 0005 05FF01 0EF001 63 01 D500")


REAL = "19 41 41 41 60 40 40 00 62 43 00 41 40 40 43 02 02"
REAL_CODES = "80 81 82 88 8A 8D 97 98 9D 9E 9F D3 D7 E0 E1 E2 E3 E4 E5 E7 E8 EA EB EC ED"


class TestPropertyMap:
    def test_a_real_map_has_its_25_codes(self) -> None:
        # byte i, bit j: code (j + 8) * 16 + i
        assert property_map(bytes.fromhex(REAL)) == frozenset(bytes.fromhex(REAL_CODES))
        assert len(bytes.fromhex(REAL_CODES)) == 25
        assert encode_property_map(bytes.fromhex(REAL_CODES)) == bytes.fromhex(REAL)

    @pytest.mark.parametrize(
        "text", ["00", "01 80", "03 80 81 88", "03 81 E5 ED", "0F 80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D FF"]
    )
    def test_up_to_15_are_a_list(self, text: str) -> None:
        edt = bytes.fromhex(text)
        assert property_map(edt) == frozenset(edt[1:])
        assert encode_property_map(edt[1:]) == edt

    def test_from_16_on_they_are_a_bitmap(self) -> None:
        assert property_map(b"\x10" + b"\x01" * 16) == frozenset(range(0x80, 0x90))
        assert property_map(b"\x10" + bytes(15) + b"\xff") is None, "eight, not sixteen"
        assert property_map(b"\x10" + bytes(14) + b"\xff\xff") == frozenset(
            high << 4 | low for high in range(8, 16) for low in (14, 15)
        )
        assert property_map(b"\x80" + b"\xff" * 16) == frozenset(range(0x80, 0x100))

    @pytest.mark.parametrize("count", [15, 16, 17, 128])
    def test_the_boundary_of_the_two_forms_of_a_property_map(self, count: int) -> None:
        codes = range(0x80, 0x80 + count)
        edt = encode_property_map(codes)
        assert len(edt) == (1 + count if count < 16 else 17)
        assert edt[0] == count
        assert property_map(edt) == frozenset(codes)

    @pytest.mark.parametrize(
        "edt",
        [
            b"",
            b"\x01",
            b"\x02\x80",
            b"\x01\x80\x81",
            b"\x02\x80\x80",
            b"\x10",
            b"\x10" + bytes(range(0x80, 0x8F)),
            b"\x10" + bytes(16),
            b"\x11" + b"\x01" * 16,
            b"\x10" + b"\x01" * 17,
            b"\x0f" + b"\x01" * 16,
            b"\xff" + b"\xff" * 16,
        ],
    )
    def test_what_is_neither_is_none(self, edt: bytes) -> None:
        assert property_map(edt) is None

    def test_a_list_that_is_longer_than_its_count_is_none(self) -> None:
        assert property_map(b"\x02\x80\x81\x81") is None

    def test_no_code_is_below_80(self) -> None:
        assert property_map(b"\x02\x10\x80") is None

    @fuzz
    @given(st.frozensets(st.integers(0x80, 0xFF)))
    def test_fuzz_any_set_of_codes_survives(self, codes: frozenset[int]) -> None:
        assert property_map(encode_property_map(codes)) == codes

    @fuzz
    @given(st.binary(max_size=20))
    def test_fuzz_any_bytes_are_a_map_of_as_many_codes_as_they_say_or_none(self, edt: bytes) -> None:
        found = property_map(edt)
        assert found is None or len(found) == edt[0]


PROPERTIES = st.lists(st.builds(Property, st.integers(0, 255), st.binary(max_size=30)), max_size=12).map(tuple)
OBJECTS = st.one_of(st.sampled_from([METER, CONTROLLER, NODE]), st.binary(min_size=3, max_size=3))


@fuzz
@given(st.integers(0, 0xFFFF), OBJECTS, OBJECTS, st.sampled_from(sorted(SERVICES)), PROPERTIES, PROPERTIES)
def test_fuzz_any_frame_survives(
    tid: int, seoj: bytes, deoj: bytes, esv: int, properties: tuple[Property, ...], gets: tuple[Property, ...]
) -> None:
    frame = Frame(tid, seoj, deoj, esv, properties, gets if esv in TWO_LISTS else ())
    found = decode(encode(frame))
    if frame.properties or frame.gets:
        assert found == frame
    else:
        assert isinstance(found, Rejected)


@fuzz
@given(
    st.one_of(
        st.binary(max_size=80),
        st.builds(lambda rest: ANSWER_BYTES[:10] + rest, st.binary(max_size=40)),
        st.builds(
            lambda esv, rest: ANSWER_BYTES[:10] + bytes([esv]) + rest, st.sampled_from(sorted(SERVICES)), st.binary(max_size=12)
        ),
        st.builds(
            lambda place, byte: ANSWER_BYTES[:place] + bytes([byte]) + ANSWER_BYTES[place + 1 :],
            st.integers(0, len(ANSWER_BYTES) - 1),
            st.integers(0, 255),
        ),
    )
)
def test_fuzz_any_bytes_are_a_frame_that_encodes_to_them_or_refused(payload: bytes) -> None:
    found = decode(payload)
    if isinstance(found, Frame):
        assert encode(found) == payload
    else:
        assert found.reason in ("malformed", "truncated")
        assert len(found.data) <= 64
