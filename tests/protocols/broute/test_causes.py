"""What the log says when a meter cannot be read: what came, and the likeliest cause first."""

from __future__ import annotations

import asyncio

import pytest
from support.virtual_time import Watched, run

from meterline.protocols.broute.simulator.commands import FakeMeter, FakeModule, Faults
from meterline.protocols.broute.simulator.serial_port import CommandFailed


def now() -> float:
    return asyncio.get_running_loop().time()


def said(seen: Watched) -> str:
    return "\n".join([*seen.hints, *seen.errors])


@pytest.mark.parametrize("code", ["ER04", "ER05", "ER06", "ER09", "ER10"])
def test_a_module_that_refuses_to_send_is_not_a_meter_out_of_reach(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    def send(self: FakeModule, words: list[str], payload: bytes) -> None:
        raise CommandFailed(code)

    monkeypatch.setattr(FakeModule, "send", send)
    text = said(run(1))
    assert f"the module refuses to send: SKSENDTO: {code}: " in text
    assert "radio reach" not in text
    assert any(code in error for error in run(3).errors)


@pytest.mark.parametrize("command", ["_skjoin", "_sksetpwd", "_skscan"])
def test_a_module_that_refuses_another_command_is_named(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def refuse(self: FakeModule, *words: str) -> None:
        raise CommandFailed("ER10")

    monkeypatch.setattr(FakeModule, command, refuse)
    seen = run(1)
    assert f"the module refuses a command: {command[1:].upper()}: ER10" in said(seen)
    assert "radio reach" not in said(seen)


@pytest.mark.parametrize("lqi", [0x20, 0x40, 0x8C], ids=["too weak", "weak", "good"])
def test_a_wrong_password_is_named_whatever_the_signal(lqi: int) -> None:
    """Messages of the log-in came: the meter hears us."""
    named: list[float] = []

    def note(seen: Watched) -> None:
        if not named and "check id and password" in said(seen):
            named.append(now())

    seen = run(0.5, [FakeMeter(lqi=lqi)], wrong={"password": "AAAAAAAAAAAA"}, act=note)
    assert named[0] < 120
    text = next(text for text in [*seen.hints, *seen.errors] if "check id and password" in text)
    assert "too weak" not in text or text.index("check id and password") < text.index("too weak")
    assert "AAAAAAAAAAAA" not in said(seen)


def test_a_meter_that_does_not_answer_the_log_in_is_out_of_reach() -> None:
    meter = FakeMeter()
    place = {"channel": f"{meter.channel:02X}", "pan_id": f"{meter.pan_id:04X}", "mac": meter.mac}
    seen = run(0.5, [meter], memory={"meter0": place}, faults=Faults(outage=(7200, 7199)))
    text = next(text for text in seen.hints if "log-in" in text)
    assert text.startswith("the meter does not answer the log-in; check that it is in radio reach")
    assert "password" not in text


@pytest.mark.parametrize("known", [True, False], ids=["remembered", "scanned for"])
def test_a_limit_that_was_on_before_the_start_is_named(monkeypatch: pytest.MonkeyPatch, known: bool) -> None:
    """Its event was missed: the module says in SFB that it may not send."""
    limited = property(lambda self: self.elapsed < 1800)
    monkeypatch.setattr(FakeModule, "limited", limited)
    meter = FakeMeter()
    place = {"channel": f"{meter.channel:02X}", "pan_id": f"{meter.pan_id:04X}", "mac": meter.mac}
    ups: list[float] = []

    def note(seen: Watched) -> None:
        if seen.meter.up:
            ups.append(now())
        if now() < 1700:
            assert seen.count("smartmeter_radio_limited") == 1 or now() < 60

    seen = run(0.7, [meter], memory={"meter0": place} if known else {}, act=note)
    assert "used up its time on air" in said(seen)
    assert "password" not in said(seen)
    assert 1800 < ups[0] < 1800 + 120
    assert seen.count("smartmeter_session_joins_total", "failed") == 0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({0xE0: (12_345_678).to_bytes(4)}, ["import register (E0)", "more digits than D7 allows"]),
        ({0xE7: b"\x01\x6e"}, ["instantaneous power (E7)", "2 bytes, not 4"]),
        ({0xE8: b"\x01\x6e"}, ["instantaneous currents (E8)", "2 bytes, not 4"]),
        ({0x88: b"\x43"}, ["fault status (88)", "43"]),
        ({0xEA: bytes.fromhex("FFFFFFFFFFFFFF00000001")}, ["half-hourly import register (EA)", "is the meter's clock set?"]),
        ({0x98: bytes.fromhex("00000000")}, ["the meter's clock (97, 98)", "is it set?"]),
        ({0xE1: b"\x09"}, ["no energy", "(E1)"]),
    ],
    ids=["digits", "short power", "short current", "state", "half hour", "clock", "unit"],
)
def test_what_is_wrong_with_a_property_is_said(overrides: dict[int, bytes | None], words: list[str]) -> None:
    seen = run(0.1, [FakeMeter(overrides=dict(overrides))])
    text = next(text for text in seen.hints if words[0] in text)
    assert all(word in text for word in words)
    assert "cannot be read" not in said(seen)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(garbage=0.2), "the module sent a line or a datagram that cannot be read"),
        (Faults(wrong_pdc=0.3), "a datagram of the meter is not ECHONET Lite: the lengths in it do not fit"),
    ],
    ids=["line", "frame"],
)
def test_damage_of_the_line_is_called_so(faults: Faults, words: str) -> None:
    assert words in said(run(0.3, faults=faults))


def test_one_failed_step_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """The radio loses a join now and then."""
    failed: list[int] = []
    honest = FakeModule._welcome

    def welcome(self: FakeModule, meter: FakeMeter) -> bool:
        if not failed:
            failed.append(1)
            return False
        return honest(self, meter)

    monkeypatch.setattr(FakeModule, "_welcome", welcome)
    seen = run(0.2)
    assert failed
    assert "check id" not in said(seen)


def test_a_meter_that_is_silent_for_hours_is_said_to_be_so() -> None:
    seen = run(3, faults=Faults(silent=True))
    assert "the meter lets us in, but questions get no answer" in said(seen)
    assert all("password" not in text for text in seen.errors)


def test_a_session_that_ends_again_and_again_is_said_to() -> None:
    seen = run(1, faults=Faults(end26=5))
    assert "the session ends soon after each join; another controller (HEMS) may use the meter" in said(seen)
    assert not any(error.endswith(": ") for error in seen.errors)
