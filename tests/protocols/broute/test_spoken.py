"""What `decode` prints of a module: every message as JSON, and nothing of the log-in or of a password."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import assert_cut_anyhow, fuzz
from support.live_meters import command
from support.skstack_lines import FORMS, ID, MAC, METER, MODULE, PASSWORD, SHAPES, Columns, erxudp

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet, skstack
from meterline.protocols.broute.dump import Decoder, facts
from meterline.protocols.broute.echonet import Frame, Property

GET_RES = bytes.fromhex("1081002A028801" + "05FF017203E704FFFFFA24E804001E7FFEE0040000FE73")
PANA = bytes(16) + b"SM" + ID.encode() + b"\r\n\xff"

SPOKEN: list[tuple[bytes, dict[str, Any]]] = [
    (f"SKSETPWD C {PASSWORD}\r\n".encode(), {"echo": "SKSETPWD"}),
    (f"SKSETRBID {ID}\r\n".encode(), {"echo": "SKSETRBID"}),
    (b"OK\r\n", {"ok": ""}),
    (b"OK 01\r", {"ok": "01"}),
    (b"EVER 1.5.2\r\n", {"line": "EVER 1.5.2"}),
    (b"FAIL ER04\r\n", {"fail": "ER04: this module does not know the command"}),
    (b"FAIL ER99\r\n", {"fail": "ER99: an error that its manual does not explain"}),
    (f"EVENT 25 {METER}\r\n".encode(), {"event": "25", "address": METER, "result": None}),
    (f"EVENT 21 {METER} 0 02\r\n".encode(), {"event": "21", "address": METER, "result": 2}),
    (
        f"EPANDESC\r\n  Channel:31\r\n  Pan ID:8F3A\r\n  Addr:{MAC}\r\n  LQI:DD\r\n  PairID:A1B2C3D4\r\n".encode(),
        {
            "network": {
                "channel": "31",
                "pan_id": "8F3A",
                "mac": MAC,
                "lqi": 0xDD,
                "side": None,
                "pairing_id": "A1B2C3D4",
                "dbm": -43.49,
            }
        },
    ),
    (erxudp(PANA, port="02CC"), {"from": METER, "port": 0x02CC, "bytes": len(PANA)}),
    (erxudp(PANA, port="02CC", in_hex=True), {"from": METER, "port": 0x02CC, "bytes": len(PANA)}),
    (
        erxudp(GET_RES),
        {
            "service": "Get_Res",
            "tid": "002A",
            "from": "028801",
            "to": "05FF01",
            "properties": {"E7": "FFFFFA24", "E8": "001E7FFE", "E0": "0000FE73"},
            "readings": {
                "smartmeter_power_watts": -1500,
                "smartmeter_current_amperes r": 3.0,
            },
        },
    ),
]
"""One of each kind of message, and what is printed of it."""
STREAM = b"".join(data for data, _ in SPOKEN)


def printed(data: bytes) -> list[Any]:
    """As JSON and back; what JSON does not know (NaN, bytes) is an error."""
    return [json.loads(json.dumps(facts(event), allow_nan=False)) for event in Decoder().feed(data)]


@pytest.mark.parametrize(("data", "expected"), SPOKEN, ids=range(len(SPOKEN)))
def test_a_message_is_printed(data: bytes, expected: dict[str, Any]) -> None:
    assert printed(data) == [expected]


def test_there_is_one_of_every_kind() -> None:
    kinds = {type(event) for event in Decoder().feed(STREAM)}
    assert kinds == {
        *(skstack.Ok, skstack.Fail, skstack.Line, skstack.Echo, skstack.Event, skstack.Pan, skstack.Datagram),
        Frame,
    }


def test_a_stream_is_read_however_it_is_cut() -> None:
    assert_cut_anyhow(Decoder, STREAM, Decoder().feed(STREAM))
    assert printed(STREAM) == [expected for _, expected in SPOKEN]


@SHAPES
@FORMS
def test_frames_come_out_of_datagrams_of_every_shape(columns: Columns, in_hex: bool) -> None:
    assert Decoder().feed(erxudp(GET_RES, columns, in_hex=in_hex)) == [echonet.decode(GET_RES)]


def test_no_payload_of_a_log_in_and_no_password_is_printed() -> None:
    text = json.dumps(printed(STREAM))
    for secret in (ID, PASSWORD, ID.encode().hex(), ID[:12], "534D"):
        assert secret.upper() not in text.upper()


def test_a_datagram_that_is_no_frame_is_rejected_and_has_no_facts() -> None:
    (event,) = Decoder().feed(erxudp(b"\x10\x82" + bytes(12)))
    assert event == Rejected("malformed", b"\x10\x82" + bytes(12))
    assert facts(event) is None


def test_a_refused_property_is_printed_as_empty() -> None:
    frame = Frame(1, echonet.METER, echonet.CONTROLLER, echonet.GET_SNA, (Property(0x83), Property(0xE7, b"\0\0\0\5")))
    (found,) = printed(erxudp(echonet.encode(frame)))
    assert found["service"] == "Get_SNA"
    assert found["properties"] == {"83": "", "E7": "00000005"}
    assert found["readings"] == {"smartmeter_power_watts": 5}


def test_both_lists_of_setget_are_printed() -> None:
    frame = Frame(1, echonet.METER, echonet.CONTROLLER, 0x7E, (Property(0xE5),), (Property(0xE7, b"\0\0\0\5"),))
    (found,) = printed(erxudp(echonet.encode(frame)))
    assert (found["service"], found["properties"]) == ("SetGet_Res", {"E5": "", "E7": "00000005"})


def test_energy_is_not_printed_since_its_unit_is_not_known() -> None:
    frame = Frame(0, echonet.METER, echonet.CONTROLLER, echonet.INF, (Property(0xEA, bytes.fromhex("07EA05140E00000000FE68")),))
    (found,) = printed(erxudp(echonet.encode(frame)))
    assert found["readings"] == {}
    assert found["properties"] == {"EA": "07EA05140E00000000FE68"}


LISTS = st.lists(st.builds(Property, st.integers(0, 255), st.binary(max_size=20)), min_size=1, max_size=5).map(tuple)
OBJECTS = st.binary(min_size=3, max_size=3)
FRAMES = st.builds(
    Frame, st.integers(0, 0xFFFF), OBJECTS, OBJECTS, st.sampled_from(sorted(echonet.SERVICES)), LISTS, st.just(())
)


@fuzz
@given(FRAMES, LISTS, st.booleans())
def test_fuzz_every_frame_can_be_printed(frame: Frame, gets: tuple[Property, ...], in_hex: bool) -> None:
    frame = frame._replace(gets=gets if frame.esv in (0x5E, 0x6E, 0x7E) else ())
    (found,) = printed(erxudp(echonet.encode(frame), in_hex=in_hex))
    assert found["service"] == echonet.SERVICES[frame.esv]
    assert found["properties"].keys() == {f"{epc:02X}" for epc, _ in (*frame.properties, *frame.gets)}


@fuzz
@given(st.binary(max_size=200), st.sampled_from([b"", STREAM]))
def test_fuzz_whatever_comes_can_be_printed(noise: bytes, before: bytes) -> None:
    for event in Decoder().feed(before + noise + b"\r\n"):
        json.dumps(facts(event), allow_nan=False)


def test_decode_prints_one_object_for_each_message(tmp_path: Path) -> None:
    file = tmp_path / "broute.bin"
    file.write_bytes(STREAM + b"EVENT xy\r\n" + f"EVENT 20 {MODULE}".encode())
    answer = command("decode", "--protocol", "broute", str(file))
    assert answer.returncode == 0
    assert answer.stderr == ""
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert lines == [*(expected for _, expected in SPOKEN), {"rejected": "malformed", "data": "EVENT xy"}]
    for secret in (ID, PASSWORD, ID.encode().hex().upper()):
        assert secret not in answer.stdout


def test_decode_of_what_is_no_module_says_so(tmp_path: Path) -> None:
    file = tmp_path / "noise.bin"
    file.write_bytes(b"\xff\x00\xfe" * 2000)
    answer = command("decode", "--protocol", "broute", str(file))
    assert answer.returncode == 1
    assert "no data of broute" in answer.stderr
