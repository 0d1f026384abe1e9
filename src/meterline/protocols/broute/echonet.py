"""ECHONET Lite frames, both ways.

    10 81 | TID (2) | SEOJ (3) | DEOJ (3) | ESV | OPC | { EPC PDC EDT[PDC] } x OPC        big endian

SetGet, its response and its refusal carry two lists, each with its OPC. Source: ECHONET Lite specification part 2; ECHONET
Machine Readable Appendix 1.3.1. Not supported: the free format (EHD2 = 82).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from meterline.meter.readings import Rejected

PORT = 0x0E1A
PANA_PORT = 0x02CC
METER = bytes.fromhex("028801")
"""Low-voltage smart electric energy meter, instance 1."""
CONTROLLER = bytes.fromhex("05FF01")
NODE = bytes.fromhex("0EF001")

SETC, GET, INF_REQ = 0x61, 0x62, 0x63
SET_RES, GET_RES, INF, INFC, INFC_RES = 0x71, 0x72, 0x73, 0x74, 0x7A
SETC_SNA, GET_SNA, INF_SNA = 0x51, 0x52, 0x53

SERVICES = {
    0x50: "SetI_SNA",
    0x51: "SetC_SNA",
    0x52: "Get_SNA",
    0x53: "INF_SNA",
    0x5E: "SetGet_SNA",
    0x60: "SetI",
    0x61: "SetC",
    0x62: "Get",
    0x63: "INF_REQ",
    0x6E: "SetGet",
    0x71: "Set_Res",
    0x72: "Get_Res",
    0x73: "INF",
    0x74: "INFC",
    0x7A: "INFC_Res",
    0x7E: "SetGet_Res",
}
"""ESV → its name. SNA: service not available, at least one property was refused."""
_TWO_LISTS = (0x5E, 0x6E, 0x7E)


class Property(NamedTuple):
    """One property: its code and its value; empty where it is asked for, or refused."""

    epc: int
    edt: bytes = b""


class Frame(NamedTuple):
    """One message. `gets`: the second list of SetGet."""

    tid: int
    seoj: bytes
    deoj: bytes
    esv: int
    properties: tuple[Property, ...]
    gets: tuple[Property, ...] = ()


def decode(payload: bytes) -> Frame | Rejected:
    """A frame, or why it is none: every length in it must be right to the byte."""
    if payload[:2] != b"\x10\x81":
        return Rejected("malformed", payload[:64])
    if len(payload) < 12:
        return Rejected("truncated", payload)
    esv = payload[10]
    try:
        properties, at = _properties(payload, 11)
        gets, at = _properties(payload, at) if esv in _TWO_LISTS else ((), at)
    except IndexError:
        return Rejected("truncated", payload[:64])
    if at != len(payload) or esv not in SERVICES or not (properties or gets):
        return Rejected("malformed", payload[:64])
    return Frame(int.from_bytes(payload[2:4]), payload[4:7], payload[7:10], esv, properties, gets)


def _properties(payload: bytes, at: int) -> tuple[tuple[Property, ...], int]:
    """A list of properties and where it ends. IndexError: it is cut off."""
    found, count, at = [], payload[at], at + 1
    for _ in range(count):
        epc, length = payload[at], payload[at + 1]
        at += 2 + length
        if at > len(payload):
            raise IndexError
        found.append(Property(epc, payload[at - length : at]))
    return tuple(found), at


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    lists = [frame.properties, frame.gets] if frame.esv in _TWO_LISTS else [frame.properties]
    bodies = b"".join(bytes([len(one)]) + b"".join(bytes([epc, len(edt)]) + edt for epc, edt in one) for one in lists)
    return b"\x10\x81" + frame.tid.to_bytes(2) + frame.seoj + frame.deoj + bytes([frame.esv]) + bodies


def get(tid: int, epcs: Iterable[int], deoj: bytes = METER) -> bytes:
    """The bytes of a question for properties."""
    return encode(Frame(tid, CONTROLLER, deoj, GET, tuple(Property(epc) for epc in epcs)))


def setc(tid: int, chosen: Property, deoj: bytes = METER) -> bytes:
    """The bytes of a request to set a property, which is confirmed or refused."""
    return encode(Frame(tid, CONTROLLER, deoj, SETC, (chosen,)))


def answers(frame: Frame, tid: int, seoj: bytes = METER, esvs: tuple[int, int] = (GET_RES, GET_SNA)) -> bool:
    """Whether a frame answers the request with this TID to this object, in full or in part.

    Args:
        frame: What came.
        tid: That of the request.
        seoj: Object that was asked.
        esvs: Services of its replies: done, and refused in part.
    """
    return frame.tid == tid and frame.seoj == seoj and frame.esv in esvs


def confirmation(frame: Frame) -> bytes:
    """What an INFC is answered with: the same TID, the same properties, no values."""
    return encode(Frame(frame.tid, frame.deoj, frame.seoj, INFC_RES, tuple(Property(epc) for epc, _ in frame.properties)))


def property_map(edt: bytes) -> frozenset[int] | None:
    """The codes in a property map: a list up to 15 of them, else a bitmap of 16 bytes. None where it is neither."""
    if not edt:
        return None
    count, body = edt[0], edt[1:]
    if count < 16:
        if len(body) != count or any(epc < 0x80 for epc in body):
            return None
        epcs = frozenset(body)
    else:
        if len(body) != 16:
            return None
        epcs = frozenset((bit + 8) << 4 | low for low, byte in enumerate(body) for bit in range(8) if byte >> bit & 1)
    return epcs if len(epcs) == count else None


def encode_property_map(epcs: Iterable[int]) -> bytes:
    """The property map of these codes."""
    codes = sorted(set(epcs))
    if len(codes) < 16:
        return bytes([len(codes), *codes])
    columns = [0] * 16
    for epc in codes:
        columns[epc & 15] |= 1 << ((epc >> 4) - 8)
    return bytes([len(codes), *columns])
