"""Captures of Wi-SUN modules and meters: what each line says, read from its text and not from what the decoder prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from support.decoder_contract import cut, decode

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet
from meterline.protocols.broute.skstack import Datagram, Decoder, Echo, Event, Fail, Line, Message, Ok, Pan

POLL = ("echo SKSENDTO", "event 21 12A4 0 00", "ok")

DIALOGS: dict[str, list[str]] = {
    "01_rs-wsuha-p_full_session": [
        *("echo SKVER", "EVER 1.5.2", "ok", "echo ROPT", "ok 01", "echo RUART", "ok 80", "echo SKRESET", "ok"),
        *("echo SKSETPWD", "ok", "echo SKSETRBID", "ok", "echo SKSCAN", "ok"),
        *("event 20 E578 0 -", "pan 31 B5FB 6677 DD 0 EE60", "event 22 E578 0 -"),
        *("echo SKSREG", "ok", "echo SKSREG", "ok", "echo SKLL64", "FE80: B5FB"),
        *("event 21 B5FB 0 02", "event 02 B5FB 0 -", "udp B5FB>E578 02CC plain 0 0x28 0000000C"),
        *("event 21 B5FB 0 00", "udp B5FB>E578 02CC plain 0 0x68 43444546"),
        *("event 21 B5FB 0 00", "udp B5FB>E578 02CC plain 0 0x54 1D2B8100"),
        *("event 21 B5FB 0 00", "udp B5FB>E578 02CC plain 0 0x58 CF5B5933"),
        *("event 21 B5FB 0 00", "event 25 B5FB 0 -", "udp B5FB>0001 0E1A secured 0 0x12 01028801"),
        *("udp B5FB>E578 0E1A secured 0 0x26 00000015", "echo SKSENDTO", "event 21 B5FB 0 00", "ok"),
        *("echo SKSENDTO", "udp B5FB>E578 0E1A secured 0 0x12 000000E4"),
    ],
    "02_toshiba_meter_replies_single_hex": [
        "udp 21A3>0001 0E1A secured - 0x12 01028801",
        *(
            f"udp 21A3>747B 0E1A secured - {end}"
            for end in (
                *("0x12 00000001", "0xF 01D70106", "0x12 0000FE73", "0xD0 0000F7B6", "0x12 00000278", "0x12 001E0032"),
                *("0x19 0000FE68", "0x19 00000016", "0xF 01800130", "0xF 01810161", "0x12 00004600", "0xE 52018300"),
                *("0xF 01880142", "0x11 03000016", "0x1A 30310000", "0x10 97020E1A", "0x12 07EA0514", "0xE 52019C00"),
                *("0x12 03808188", "0x12 0381E5ED", "0x1F 40430202"),
            )
        ),
    ],
    "03_rl7023_ips_single_manual_session": [
        *("EINFO FFFE", "ok", "ok", "ok", "ok"),
        *("event 20 5678 - -", "pan 39 9876 B319 2D - B319", "event 22 5678 - -"),
        *("ok", "ok", "FE80: 5432", "ok"),
        *("event 21 5432 - 02", "event 02 5432 - -", "udp 5432>5678 02CC plain - 0x28 0000000C", "event 25 5432 - -"),
    ],
    "04_rl7023_ips_multi_property": ["udp 831F>7898 0E1A secured - 0x1E 00052155"],
    "05a_bp35c2_dual_binary_erxudp": [
        *("echo SKVER", "EVER 1.5.2", "ok", "echo SKSCAN", "ok", "event 22 0001 0 -"),
        *("echo SKSCAN", "ok", "event 20 0001 0 -", "pan 21 0002 0002 CA 0 AEEB"),
        *("udp 0002>0001 02CC plain 0 0x54 6EA1D200", "event 21 12A4 0 00", "ok"),
        "udp 12A4>0574 0E1A secured 0 0x12 000001F8",
    ],
    "05b_rl7023_dss_dual_hex_erxudp": [
        *("event 21 12A4 0 00", "ok", "udp 12A4>0574 0E1A secured 0 0x12 000001F8"),
        "udp 12A4>0574 02CC plain 0 0x54 6EA1D200",
    ],
    "05c_malformed_length_and_empty_sna": ["malformed", "udp 1>2 0E1A secured 0 0xC FF015200"],
    "06_pana_tails_session_lifetime": [
        *("event 21 323B - 00", "udp 323B>809A 02CC plain - 0x58 6F4F792C", "event 25 323B - -"),
        *("event 21 6393 - 00", "udp 6393>77E3 02CC plain - 0x58 536C3E17", "event 25 6393 - -"),
        "udp ABCD>5678 02CC plain 0 0x58 C24A2472",
    ],
    "07_bp35c2_scan_timing_and_inf_req": [
        *("event 22 0608 0 -", "ok", "event 20 0608 0 -", "malformed"),
        *("echo SKSENDTO", "event 21 8CF5 0 00", "ok"),
    ],
    "08_dual_stack_sa2_rssi_column": ["udp 8CF5>0608 0E1A secured 0 0x12 000001F8 lqi 50"],
    "09_assorted_single_lines": [
        *("event 20 77E3 - -", "pan 33 6393 6393 4E - A2D4", "event 22 77E3 - -"),
        *("udp 6393>77E3 0E1A secured - 0x12 0000001C", "udp 6393>77E3 0E1A secured - 0x12 FFFFF856"),
        *("udp 1875>7523 0E1A secured - 0xF 01E10101", "EINFO 08 0", "ok", "EINFO FFFE", "ok"),
    ],
    "14_edscan_and_tables": [
        *("ok", "event 1F C890 0 -", "EEDSCAN", "0 21  C 02"),
        *("EADDR", "FE80: AFE0", "ok", "ENEIGHBOR", "FE80: FFFF", "ok"),
        *("EPORT", "3610", "716", "0", "0", "0", "0", "3610", "0", "0", "0", "ok"),
        *("fail ER10", "fail ER05", "fail ER04", "fail ER06"),
    ],
    "15_ropt_wopt_cr_only": ["echo ROPT", "ok 01", "echo RUART", "ok 80", "ok", "fail ER04"],
    "16_bp35a1_pseudo_join_echo_off": [
        *("ok", "ok", "ok", "event 20 C890 - -", "pan 21 8888 EF01 E1 - B319", "event 22 C890 - -"),
        *("FE80: EF01", "ok", "EINFO FFFE", "ok", "ok", "ok", "ok"),
        *("event 21 C890 - 02", "event 02 C890 - -", "udp C890>EF01 02CC plain - 0x1 30"),
        *("event 21 C890 - 00", "udp C890>EF01 02CC plain - 0x1 30", "event 25 C890 - -"),
    ],
    "17_binary_payload_boundaries": [
        *("udp 5679>5678 0E1A plain - 0x2 0D0A", "udp 5679>5678 0E1A plain - 0xC 4C495445"),
        "udp 12A4>0574 0E1A secured 0 0x2A 0000000B",
    ],
    "18_sksendto_reply_orders": [
        *POLL,
        "ok",
        *("echo SKSENDTO", "ok", "event 21 12A4 0 00"),
        *("echo SKSENDTO", "event 21 12A4 0 02", "ok", "event 02 12A4 0 -", "event 21 12A4 0 00"),
        *("echo SKSENDTO", "event 21 12A4 0 01", "ok"),
    ],
    "19_session_life_events": [
        *("event 29 831F - -", "event 25 831F - -", "event 29 831F - -", "event 24 831F - -", "event 26 831F - -"),
        *("ok", "event 21 831F - 00", "event 27 831F - -", "ok", "event 28 831F - -", "event 32 831F - -"),
        *("ESREG 1", "ok", "ESREG 000000000005799B", "ok", "event 33 831F - -"),
        *("ok", "event 21 831F - 02", "event 24 831F - -", "fail ER10"),
    ],
}
"""What the module says in each capture. Of addresses the last four digits; `-`: the column is not there."""


def fact(message: Message) -> str:
    match message:
        case Ok(value):
            return f"ok {value}".rstrip()
        case Fail(code):
            return f"fail {code}"
        case Line(text):
            return text if len(text) <= 24 else f"{text[:5]} {text[-4:].lstrip()}"
        case Echo(word):
            return f"echo {word}"
        case Event(number, address, side, parameter):
            return f"event {number:02X} {address[-4:]} {column(side)} {column(parameter, '02X')}"
        case Pan(channel, pan_id, mac, lqi, side, pairing_id):
            return f"pan {channel:02X} {pan_id:04X} {mac[-4:]} {lqi:02X} {column(side)} {(pairing_id or '-')[-4:]}"
        case Datagram(source, destination, port, local, _, lqi, secured, side, payload):
            assert port == local
            ends = f"{source.rpartition(':')[2]}>{destination.rpartition(':')[2]}"
            quality = "" if lqi is None else f" lqi {lqi:02X}"
            how = "secured" if secured else "plain"
            tail = payload[-4:].hex().upper()
            return f"udp {ends} {port:04X} {how} {column(side)} 0x{len(payload):X} {tail}{quality}"
        case Rejected(reason):
            return reason


def column(value: int | None, form: str = "d") -> str:
    return "-" if value is None else format(value, form)


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    path = shared / "captures" / "wisun"
    if not path.is_dir():
        pytest.skip("no captures/wisun/ in the shared folder")
    return path


def said(path: Path) -> list[bytes]:
    """The lines of the module."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [ast.literal_eval(line[2:]) for line in lines if line.startswith("< ")]


def test_every_dialog_and_every_list_of_frames_is_tested(folder: Path) -> None:
    assert {file.stem for file in folder.glob("*.dialog")} == DIALOGS.keys()
    assert {file.stem for file in folder.glob("*.frames")} == FRAMES.keys()


@pytest.mark.parametrize("name", DIALOGS)
class TestDialogs:
    def test_a_capture_says_what_its_list_says(self, folder: Path, name: str) -> None:
        assert [fact(message) for message in decode(Decoder, said(folder / f"{name}.dialog"))] == DIALOGS[name]

    def test_however_it_is_cut(self, folder: Path, name: str) -> None:
        lines = said(folder / f"{name}.dialog")
        data = b"".join(lines)
        whole = decode(Decoder, lines)
        assert decode(Decoder, [data]) == whole
        for size in (1, 2, 3, 64, 1000):
            assert decode(Decoder, cut(data, size)) == whole
        for place in range(0, len(data), 5):
            assert decode(Decoder, [data[:place], data[place:]]) == whole

    def test_no_secret_is_left_in_a_capture(self, folder: Path, name: str) -> None:
        decoder = Decoder()
        for line in said(folder / f"{name}.dialog"):
            decoder.feed(line)
        assert not decoder.pending
        assert decoder.flush() == []

    def test_no_credential_is_in_a_reply(self, folder: Path, name: str) -> None:
        lines = (folder / f"{name}.dialog").read_text(encoding="utf-8").splitlines()
        sent = [ast.literal_eval(line[2:]).split() for line in lines if line.startswith("> b'SKSET")]
        found = decode(Decoder, said(folder / f"{name}.dialog"))
        text = " ".join(str(message) for message in found if not isinstance(message, Datagram))  # PANA's hold the ID
        assert not any(words[-1].decode() in text for words in sent)


def test_the_only_refused_are_a_wrong_length_and_half_a_block(folder: Path) -> None:
    refused = {
        name: [message for message in decode(Decoder, said(folder / f"{name}.dialog")) if isinstance(message, Rejected)]
        for name in DIALOGS
    }
    assert {name: len(found) for name, found in refused.items() if found} == {
        "05c_malformed_length_and_empty_sna": 1,
        "07_bp35c2_scan_timing_and_inf_req": 1,
    }


def test_every_datagram_to_the_echonet_port_of_a_real_meter_is_a_frame(folder: Path) -> None:
    found: dict[str, int] = {}
    for name in DIALOGS:
        for message in decode(Decoder, said(folder / f"{name}.dialog")):
            if isinstance(message, Datagram) and message.secured and message.destination_port == echonet.PORT:
                refused = isinstance(echonet.decode(message.payload), Rejected)
                found[name] = found.get(name, 0) + refused
    assert {name for name, refused in found.items() if refused} == {"05c_malformed_length_and_empty_sna"}, "no property at all"
    assert len(found) == 9


Value = int | str | tuple[int | None, ...] | None
"""A property's value in the unit of its register; None: the meter says that it has none, or refuses the property."""
Frame = tuple[int, str, str, int, dict[int, Value]] | str
"""TID, from, to, service, values; or why it is none."""

M, C, N = "meter", "controller", "node"
OBJECTS = {echonet.METER: M, echonet.CONTROLLER: C, echonet.NODE: N}

FRAMES: dict[str, list[Frame]] = {
    "10_echonet_frames_meter_rx": [
        (0, N, N, 0x73, {0xD5: "01028801"}),
        (0x2EDA, N, N, 0x73, {0xD5: "01028801"}),
        (1, M, C, 0x73, {0xEA: (2023, 12, 19, 0, 30, 0, 17806), 0xEB: (2023, 12, 19, 0, 30, 0, 21)}),
        (0x5253, M, C, 0x72, {0xE7: 228}),
        (1, M, C, 0x72, {0xE7: -840}),
        (3, M, C, 0x72, {0xE7: -1962}),
        (1, M, C, 0x72, {0xE8: (20, 100)}),
        (0x1002, M, C, 0x72, {0xE7: 668, 0xE8: (40, 40)}),
        (1, M, C, 0x72, {0xE7: 1374, 0xE8: (0, 130), 0xE0: 336213}),
        (1, M, C, 0x72, {0xE7: 52, 0xE0: 12017, 0xE3: 22966}),
        (0x06E1, M, C, 0x72, {0x80: "30", 0x88: "42", 0xE7: 1688, 0xE8: (160, 40), 0xE0: 324605, 0xE3: 11}),
        (0x06E1, M, C, 0x72, {0x80: "30", 0x88: "42", 0xE7: 1688, 0xE8: (160, 0x0D0A), 0xE0: 324605, 0xE3: 11}),
        (1, M, C, 0x52, {0x83: None}),
        "malformed",
        (
            *(2, N, C, 0x52),
            {
                0x80: "30",
                0x82: "010C0100",
                0xD3: "000001",
                0xD4: "0002",
                0xD5: None,
                0xD6: "01013001",
                0xD7: "010130",
                0x9F: "0D808283898A9D9E9FBFD3D4D6D7",
            },
        ),
    ],
    "11_echonet_frames_host_tx": [
        (0x5253, C, M, 0x62, {0xE7: None}),
        (0, C, M, 0x62, {0xE7: None, 0xE8: None}),
        (0x0100, N, N, 0x73, {0xD5: "0105FF01"}),
        (6, C, M, 0x62, {0xEA: None, 0xEB: None}),
        (1, C, M, 0x62, {0xD3: None, 0xD7: None, 0xE1: None}),
        (2, C, M, 0x62, {0x9D: None, 0x9E: None, 0x9F: None}),
        (3, C, M, 0x61, {0xE5: "00"}),
        (4, C, M, 0x61, {0xED: "07EA05140E0001"}),
        (5, C, N, 0x63, {0xD5: None}),
        (1, C, M, 0x7A, {0xEA: None, 0xEB: None}),
    ],
    "12_echonet_edge_values_synthetic": [
        (1, M, C, 0x72, {0xE7: None}),
        (1, M, C, 0x72, {0xE7: None}),
        (1, M, C, 0x72, {0xE7: None}),
        (1, M, C, 0x72, {0xE8: (16, None)}),
        (1, M, C, 0x72, {0xE8: (None, None)}),
        (1, M, C, 0x72, {0xE8: (-10, -20)}),
        (1, M, C, 0x72, {0xE0: None}),
        (1, M, C, 0x72, {0xE0: 99_999_999}),
        (1, M, C, 0x72, {0xEA: (2026, 5, 20, 14, 0, 0, None)}),
        (1, M, C, 0x72, {0xD0: (2026, 5, 20, 14, 10, 0, 65139, 22)}),
        (1, M, C, 0x52, {0x80: "30", 0x83: None}),
        "truncated",
        "malformed",
        "malformed",
    ],
}
"""The frames of each list."""


def signed(raw: bytes) -> int | None:
    number, top = int.from_bytes(raw, signed=True), 1 << (8 * len(raw) - 1)
    return None if number in (-top, top - 2, top - 1) else number


def unsigned(raw: bytes) -> int | None:
    number = int.from_bytes(raw)
    return None if number == 0xFFFFFFFE else number


def value(epc: int, edt: bytes) -> Value:
    """What a property says, by the table of the low-voltage meter."""
    if not edt:
        return None
    if epc == 0xE7:
        return signed(edt)
    if epc == 0xE8:
        return signed(edt[:2]), signed(edt[2:])
    if epc in (0xE0, 0xE3):
        return unsigned(edt)
    if epc in (0xEA, 0xEB, 0xD0):
        return int.from_bytes(edt[:2]), *edt[2:7], *(unsigned(edt[at : at + 4]) for at in range(7, len(edt), 4))
    return edt.hex().upper()


def payloads(path: Path) -> list[bytes]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [bytes.fromhex(line[2:].partition("|")[0]) for line in lines if line.startswith(("rx ", "tx "))]


@pytest.mark.parametrize("name", FRAMES)
class TestFrames:
    def test_each_says_what_stands_beside_it(self, folder: Path, name: str) -> None:
        found: list[Frame] = []
        for payload in payloads(folder / f"{name}.frames"):
            match echonet.decode(payload):
                case Rejected(reason):
                    found.append(reason)
                case echonet.Frame(tid, seoj, deoj, esv, properties, gets):
                    assert not gets
                    values = {epc: value(epc, edt) for epc, edt in properties}
                    assert len(values) == len(properties)
                    found.append((tid, OBJECTS[seoj], OBJECTS[deoj], esv, values))
        assert found == FRAMES[name]

    def test_each_is_encoded_to_the_same_bytes(self, folder: Path, name: str) -> None:
        for payload in payloads(folder / f"{name}.frames"):
            frame = echonet.decode(payload)
            if isinstance(frame, echonet.Frame):
                assert echonet.encode(frame) == payload

    def test_each_is_the_same_after_the_module_sent_it_in_either_form(self, folder: Path, name: str) -> None:
        for payload in payloads(folder / f"{name}.frames"):
            start = f"ERXUDP FE80::A FE80::B 0E1A 0E1A 02AB5C00D1E2F301 1 0 {len(payload):04X} ".encode()
            for body in (payload, payload.hex().encode()):
                (datagram,) = decode(Decoder, cut(start + body + b"\r\n", 5))
                assert datagram.payload == payload


@pytest.fixture(scope="module")
def edts(folder: Path) -> dict[int, bytes]:
    """One property in each answer of a real meter."""
    found = {}
    for message in decode(Decoder, said(folder / "02_toshiba_meter_replies_single_hex.dialog")):
        frame = echonet.decode(message.payload)
        assert isinstance(frame, echonet.Frame)
        ((epc, edt),) = frame.properties
        assert echonet.answers(frame, 1) == (epc != 0xD5)
        found[epc] = edt
    return found


class TestToshiba:
    def test_the_meter_of_a_capture_has_its_numbers(self, edts: dict[int, bytes]) -> None:
        assert int.from_bytes(edts[0xD3]) == 1
        assert int.from_bytes(edts[0xD7]) == 6
        assert value(0xE0, edts[0xE0]) == 65139
        assert value(0xE7, edts[0xE7]) == 632
        assert value(0xE8, edts[0xE8]) == (30, 50)
        assert value(0xEA, edts[0xEA]) == (2026, 5, 20, 14, 0, 0, 65128)
        assert value(0xEB, edts[0xEB]) == (2026, 5, 24, 22, 30, 0, 22)

    def test_the_history_of_a_capture_has_a_day_and_48_rising_registers(self, edts: dict[int, bytes]) -> None:
        day, registers = int.from_bytes(edts[0xE2][:2]), [int.from_bytes(edts[0xE2][at : at + 4]) for at in range(2, 194, 4)]
        assert (day, len(edts[0xE2]), len(registers)) == (11, 194, 48)
        assert registers == sorted(registers)
        assert (registers[0], registers[-1]) == (0xF766, 0xF7B6)

    def test_the_property_maps_of_a_capture_are_its_lists(self, edts: dict[int, bytes]) -> None:
        assert echonet.property_map(edts[0x9D]) == frozenset({0x80, 0x81, 0x88})
        assert echonet.property_map(edts[0x9E]) == frozenset({0x81, 0xE5, 0xED})
        readable = echonet.property_map(edts[0x9F])
        assert readable is not None
        assert len(readable) == 25
        assert {0xD3, 0xD7, 0xE0, 0xE1, 0xE3, 0xE7, 0xE8, 0xEA, 0xEB} <= readable
        assert not {0x83, 0x9C, 0xC0, 0xD0, 0xEE, 0xEF} & readable, "what it refuses, and what is of the second generation"
        assert {epc for epc, edt in edts.items() if edt and epc != 0xD5} <= readable
