"""PANA messages (RFC 5191 with EAP-PSK) of a meter to a joining client, in the form of captures; the content is made up."""

from __future__ import annotations

import random

_REQUEST, _START, _COMPLETE = 0x8000, 0xC000, 0xA000
_NONCE, _EAP, _KEY, _AUTH, _LIFETIME, _RESULT = 5, 2, 4, 1, 8, 7


def messages(meter_id: str, lifetime: int, dice: random.Random) -> tuple[bytes, bytes, bytes, bytes]:
    """Return start, identity, proof and completion: 0x28, 0x68, 0x54, 0x58 bytes. The second holds the ID in clear text."""
    session, sequence = dice.randbytes(4), dice.getrandbits(31)
    eap, nonce = dice.getrandbits(7) + 1, dice.randbytes(16)
    identity = bytes([1, eap]) + (0x38).to_bytes(2) + b"\x2f\x00" + nonce + b"SM" + meter_id.encode("ascii")
    proof = bytes([1, eap + 1]) + (0x3B).to_bytes(2) + b"\x2f\x80" + nonce + dice.randbytes(16) + bytes(4) + dice.randbytes(17)
    start = _avp(6, (5).to_bytes(4)) + _avp(3, (12).to_bytes(4))
    completion = (
        _avp(_RESULT, bytes(4))
        + _avp(_EAP, bytes([3, eap + 1, 0, 4]))
        + _avp(_KEY, dice.getrandbits(8).to_bytes(4))
        + _avp(_LIFETIME, lifetime.to_bytes(4))
        + _avp(_AUTH, dice.randbytes(16))
    )
    bodies = (
        (_START, start),
        (_REQUEST, _avp(_NONCE, dice.randbytes(16)) + _avp(_EAP, identity)),
        (_REQUEST, _avp(_EAP, proof)),
        (_COMPLETE, completion),
    )
    one, two, three, four = (
        _message(flags, session, (sequence + place) % 2**32, avps) for place, (flags, avps) in enumerate(bodies)
    )
    return one, two, three, four


def _avp(code: int, value: bytes) -> bytes:
    return code.to_bytes(2) + bytes(2) + len(value).to_bytes(2) + bytes(2) + value + bytes(-len(value) % 4)


def _message(flags: int, session: bytes, sequence: int, avps: bytes) -> bytes:
    return bytes(2) + (16 + len(avps)).to_bytes(2) + flags.to_bytes(2) + (2).to_bytes(2) + session + sequence.to_bytes(4) + avps
