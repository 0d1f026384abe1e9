"""The simulated module talks as the captured ones do, keeps their times, and each fault does what it says."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any, cast

import pytest
from support.skstack_host import Host, events, frames, replies, results

from meterline.cli.arguments import parser
from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet
from meterline.protocols.broute.echonet import METER, Property
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, Faults
from meterline.protocols.broute.skstack import (
    Datagram,
    Echo,
    Event,
    Fail,
    Line,
    Message,
    Ok,
    Pan,
    scan_seconds,
    sendto,
)
from meterline.simulation.household import House

EDITIONS = pytest.mark.parametrize("dual", [True, False], ids=["dual", "single"])
FORMS = pytest.mark.parametrize("binary", [False, True], ids=["hex", "binary"])


def pana(messages: list[Message]) -> list[int]:
    return [len(one.payload) for one in messages if isinstance(one, Datagram) and one.source_port == echonet.PANA_PORT]


def shape(data: bytes) -> list[bytes]:
    """Lines without what differs from one module and meter to another: long numbers, channel, PAN, quality, settings."""
    data = re.sub(rb"[0-9A-F:]{8,}", lambda found: b"x" * len(found[0]), data)
    data = re.sub(rb"(Channel:|Pan ID:|LQI:|S3 )[0-9A-F]+", rb"\1", data)
    return re.split(rb"(?<=[\r\n])(?![\r\n])", re.sub(rb"OK [0-9A-F]{2}\r", b"OK nn\r", data))


def said_by_modules(shared: Path, name: str) -> list[bytes]:
    return [came for _, came in dialog(shared, name)]


def dialog(shared: Path, name: str) -> list[tuple[bytes, bytes]]:
    """What the host wrote, and what came until it wrote again."""
    file = shared / "captures" / "wisun" / name
    if not file.exists():
        pytest.skip("no captures/wisun/ in the shared folder")
    turns = [(b"", b"")]
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("> "):
            turns.append((ast.literal_eval(line[2:]), b""))
        elif line.startswith("< "):
            turns[-1] = (turns[-1][0], turns[-1][1] + ast.literal_eval(line[2:]))
    return [turn for turn in turns if any(turn)]


class TestLikeTheCaptures:
    def test_a_session_from_the_version_to_the_first_value(self, shared: Path) -> None:
        host, seen = Host(FakeMeter(House(JST, solar=5000), channel=0x31)), Counter[str]()
        said: dict[str, str] = {
            "SKSETPWD": f"SKSETPWD C {host.meter.password}",
            "SKSETRBID": f"SKSETRBID {host.meter.id}",
            "SKSREG": f"SKSREG S3 {host.meter.pan_id:04X}",
            "SKLL64": f"SKLL64 {host.meter.mac}",
            "SKJOIN": f"SKJOIN {host.address}",
        }
        for wrote, came in dialog(shared, "01_rs-wsuha-p_full_session.dialog"):
            word = wrote.split()[0].decode()
            seen[word] += 1
            if word == "SKSENDTO":
                host.ask(0xE7, tid=0x5253)
                # Between two of the captured lines came an announcement, and the host wrote more than it had to.
                ours, theirs = shape(host.raw), [line.removeprefix(b"SKSENDTOERX") for line in shape(came)]
                assert sorted(ours[:-2]) == sorted(line for line in theirs if b"UDP" not in line and line)
                assert ours[-2].removeprefix(b"ERX") in theirs
                continue
            line = wrote if word not in said or b"S2" in wrote else said[word].encode() + b"\r\n"
            host.write(line, 20.0 if word in ("SKSCAN", "SKJOIN") else 1.0)
            unread = line + b"OK\r\n" if word == "SKJOIN" else b""  # the capture says that they were read before
            assert shape(host.raw) == shape(unread + came), word
        assert len(seen) == 11

    def test_a_session_of_the_single_edition(self, shared: Path) -> None:
        meter = FakeMeter(channel=0x39)
        host = Host(meter, dual=False)
        assert host.write("SKSREG SFE 0")[-1] == Ok()
        words = {"SKSETRBID": meter.id, "SKSETPWD": f"c {meter.password}", "SKLL64": meter.mac, "SKJOIN": host.address}
        for wrote, came in dialog(shared, "03_rl7023_ips_single_manual_session.dialog"):
            word = wrote.split()[0].decode()
            line = f"{word} {words[word]}" if word in words else wrote.decode().strip().replace("9876", f"{meter.pan_id:04X}")
            host.write(line, 20.0 if word in ("SKSCAN", "SKJOIN") else 1.0)
            ours, theirs = shape(host.raw), shape(came.replace(b" \r", b"\r"))
            if word == "SKJOIN":  # the capture leaves out what comes between the first message and the last event
                assert (ours[:4], theirs[4] in ours) == (theirs[:4], True)
            elif word != "SKINFO":  # its number of the channel is the module's own
                assert ours == theirs, word

    def test_tables_and_errors(self, shared: Path) -> None:
        host = Host(dual=False, echo=False)
        for wrote, came in dialog(shared, "14_edscan_and_tables.dialog"):
            if wrote == b"SKTABLE 2\r\n":
                host.write(f"SKADDNBR {host.address} {host.meter.mac}")
            host.write(wrote, 20.0)
            if b"EEDSCAN" in came:  # the manual prints a side in the event of a module that has none
                assert [len(line) for line in shape(host.raw)] == [len(line.replace(b"x 0\r", b"x\r")) for line in shape(came)]
            else:
                assert shape(host.raw) == shape(came), wrote

    def test_orders_of_the_reply_to_sksendto(self, shared: Path) -> None:
        host = Host().joined()
        real = {tuple(shape(came)) for _, came in dialog(shared, "18_sksendto_reply_orders.dialog") if b"EVENT" in came}
        ours = set()
        for faults in (Faults(), Faults(solicit=1.0), Faults(refused21=1.0)):
            host = Host(faults=faults).joined()
            for _ in range(20):
                host.ask(0xE7)
                ours.add(tuple(line for line in shape(host.raw) if b"ERXUDP" not in line))
        assert real <= ours

    def test_the_last_message_grants_a_day(self, shared: Path) -> None:
        host = Host().set_up()
        granted = [one.payload for one in host.join() if isinstance(one, Datagram)][3]
        real = re.search(rb" 0 0058 ([0-9A-F]+)", b"".join(said_by_modules(shared, "06_pana_tails_session_lifetime.dialog")))
        assert real
        assert granted[52:64] == bytes.fromhex(real[1].decode())[52:64] == bytes.fromhex("000800000004000000015180")


class TestCommands:
    @EDITIONS
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("SKFOO", "ER04"),
            ("skver", "ER04"),
            ("SKVER 1", "ER05"),
            ("SKSREG", "ER05"),
            ("SKSETPWD 0123456789AB", "ER05"),
            ("SKSETPWD 21 0123456789AB", "ER06"),
            ("SKSREG S2 20", "ER06"),
            ("SKSREG S2 3D", "ER06"),
            ("SKSREG S3 10000", "ER06"),
            ("SKSREG S77", "ER06"),
            ("SKSREG SFB 1", "ER06"),
            ("SKSREG SFE 2", "ER06"),
            ("SKJOIN FE80::1", "ER06"),
            ("SKLL64 1234", "ER06"),
            ("SKTERM", "ER10"),
            ("SKREJOIN", "ER10"),
            ("SKLOAD", "ER10"),
            ("SKSCAN 2 FFFFFFFF", "ER05"),
            ("WOPT 02", "ER06"),
        ],
    )
    def test_a_bad_one_is_refused(self, line: str, code: str, dual: bool) -> None:
        assert Host(dual=dual).write(line)[-1] == Fail(code)

    @EDITIONS
    def test_each_edition_wants_its_own_scan(self, dual: bool) -> None:
        three, four = "SKSCAN 2 FFFFFFFF 3", "SKSCAN 2 FFFFFFFF 3 0"
        assert Host(dual=dual).write(three)[-1] == (Fail("ER05") if dual else Ok())
        assert Host(dual=dual).write(four)[-1] == (Ok() if dual else Fail("ER05"))

    def test_duration_and_mode_have_a_range(self) -> None:
        assert Host().write("SKSCAN 2 FFFFFFFF 10 0")[-1] == Fail("ER06"), "ten is A"
        assert Host().write("SKSCAN 1 FFFFFFFF 3 0")[-1] == Fail("ER06")

    @EDITIONS
    def test_the_last_column_of_skinfo_tells_the_edition(self, dual: bool) -> None:
        line = Host(dual=dual).write("SKINFO")[1]
        assert isinstance(line, Line)
        assert line.text.split()[-1] == ("0" if dual else "FFFE")

    def test_registers_of_the_module_are_answered(self) -> None:
        host = Host()
        for name, value in (("S16", "384"), ("S17", "1"), ("SA2", "0"), ("SFB", "0"), ("SFD", "0" * 16), ("S02", "21")):
            assert host.write(f"SKSREG {name}")[1:] == [Line(f"ESREG {value}"), Ok()]
        host.write("SKSREG S2 3c")
        assert host.write("SKSREG S02")[1] == Line("ESREG 3C")

    @FORMS
    def test_the_single_edition_takes_sa2_and_adds_no_column(self, binary: bool) -> None:
        host = Host(dual=False, binary=binary).joined()
        assert host.write("SKSREG SA2 1")[-1] == Ok()
        assert host.write("SKSREG SA2")[1] == Line("ESREG 1")
        messages = host.ask(0xE7)
        assert replies(messages)
        assert all(one.lqi is None for one in messages if isinstance(one, Datagram))

    @EDITIONS
    def test_registers_can_be_saved_and_loaded(self, dual: bool) -> None:
        host = Host(dual=dual)
        host.write("SKSREG S2 3C")
        assert host.write("SKSAVE")[-1] == Ok()
        host.write("SKRESET", 1.0)
        assert host.write("SKLOAD")[-1] == Ok()
        assert host.write("SKSREG S2")[1] == Line("ESREG 3C")
        assert host.write("SKERASE")[-1] == Ok()
        assert host.write("SKLOAD")[-1] == Fail("ER10")

    @EDITIONS
    @pytest.mark.parametrize(
        "line",
        ["SKREGDEV {0}", "SKRMDEV {0}", "SKSETKEY 1 0123456789ABCDEF0123456789ABCDEF", "SKRMKEY 1", "SKSECENABLE 1 {0} {1}"],
    )
    def test_keys_can_be_set_by_hand(self, line: str, dual: bool) -> None:
        host = Host(dual=dual).joined()
        assert host.write(line.format(host.address, host.meter.mac))[-1] == Ok()
        assert replies(host.ask(0xE7)), "the session stands"

    def test_a_reset_forgets_all_but_the_form(self) -> None:
        host = Host().joined()
        host.write("SKSREG SFE 0")
        host.write(b"WOPT 00\r")
        assert host.write("SKRESET", 1.0) == [Ok()]
        assert host.write("SKSREG S2")[1] == Line("ESREG 21")
        assert host.write("SKTERM")[-1] == Fail("ER10")
        assert host.write(b"ROPT\r") == [Echo("ROPT"), Ok("00")]

    def test_the_echo_can_be_switched_off(self) -> None:
        host = Host()
        assert host.write("SKSREG SFE 0") == [Echo("SKSREG"), Ok()]
        assert host.write("SKVER") == [Line("EVER 1.5.2"), Ok()]
        host.write(b"ROPT\rSKVER\r\n")
        assert host.raw == b"OK 01\rEVER 1.5.2\r\nOK\r\n"

    def test_any_line_end_ends_a_command(self) -> None:
        host = Host(echo=False)
        assert host.write(b"\r\n\r\nSKVER\nSKTERM \r\n") == [Line("EVER 1.5.2"), Ok(), Fail("ER10")]
        assert host.write(b"ROPT\r\nROPT\r") == [Ok("01"), Ok("01")]
        host = Host()
        host.write(b"ROPT\r\n")
        assert host.raw == b"ROPT\r\nOK 01\r"

    def test_a_ping_is_answered(self) -> None:
        host = Host().set_up()
        assert host.write(f"SKPING {host.address}", 1.0)[-1] == Line(f"EPONG {host.address}")
        assert host.write(f"SKPING {host.module.address}", 1.0)[-1] == Ok()


class TestScan:
    @EDITIONS
    def test_the_module_sweeps_at_its_pace(self, dual: bool) -> None:
        host = Host(dual=dual)
        host.write(f"SKSETRBID {host.meter.id}")
        found = host.write(f"SKSCAN 2 FFFFFFFF 6{' 0' * dual}", 30.0)
        pan = next(one for one in found if isinstance(one, Pan))
        meter = host.meter
        assert (pan.channel, pan.pan_id, pan.mac) == (meter.channel, meter.pan_id, meter.mac)
        assert (pan.side, pan.pairing_id) == (0 if dual else None, meter.id[-8:])
        times = {one.number: when - 1000 for when, one in host.came if isinstance(one, Event)}
        assert times[0x22] == pytest.approx(17.5, abs=0.1)
        assert 16 * scan_seconds(6, 1) <= times[0x20] <= 17 * scan_seconds(6, 1)

    @pytest.mark.parametrize(
        ("line", "found"),
        [
            ("SKSCAN 2 FFFFFFFF 3 0", False),
            ("SKSCAN 3 FFFFFFFF 3 0", True),
            ("SKSCAN 3 FFFEFFFF 3 0", False),
            ("SKSCAN 3 00010000 3 0", True),
            ("SKSCAN 3 FFFFFFFF 3 1", False),
        ],
    )
    def test_a_scan_finds_who_answers(self, line: str, found: bool) -> None:
        """The pairing ID is not set."""
        messages = Host(FakeMeter(channel=0x31)).write(line, 30.0)
        assert any(isinstance(one, Pan) for one in messages) == found
        assert all(one.pairing_id is None for one in messages if isinstance(one, Pan))
        assert events(messages)[-1] == 0x22

    def test_a_scan_may_miss(self) -> None:
        host, found = Host(hit=0.5), 0
        host.write(f"SKSETRBID {host.meter.id}")
        for _ in range(40):
            found += any(isinstance(one, Pan) for one in host.write("SKSCAN 2 FFFFFFFF 3 0", 5.0))
        assert 10 <= found <= 30

    def test_two_meters_are_found_by_their_ids(self) -> None:
        host = Host(FakeMeter(number=1), FakeMeter(number=2, channel=0x22))
        for meter in host.meters:
            host.write(f"SKSETRBID {meter.id}")
            (pan,) = [one for one in host.write("SKSCAN 2 FFFFFFFF 3 0", 5.0) if isinstance(one, Pan)]
            assert (pan.channel, pan.mac) == (meter.channel, meter.mac)


class TestSession:
    @EDITIONS
    @FORMS
    def test_a_join_says_its_events(self, dual: bool, binary: bool) -> None:
        host = Host(dual=dual, binary=binary).set_up()
        messages = host.join()
        assert events(messages) == [0x21, 0x02, 0x21, 0x21, 0x21, 0x21, 0x25]
        assert results(messages) == [2, 0, 0, 0, 0]
        assert pana(messages) == [0x28, 0x68, 0x54, 0x58]
        ids = [one.payload for one in messages if isinstance(one, Datagram)][1]
        assert ids.endswith(b"SM" + host.meter.id.encode())
        last = messages[-1]
        assert isinstance(last, Datagram)
        assert (last.destination[-4:], last.secured, last.side) == ("0001", True, 0 if dual else None)
        (frame,) = frames(messages)
        assert (frame.tid, frame.esv, frame.properties) == (0, echonet.INF, (Property(0xD5, b"\x01" + METER),))
        assert Rejected not in map(type, messages)

    def test_a_known_neighbour_needs_no_solicitation(self) -> None:
        host = Host().set_up()
        host.write(f"SKADDNBR {host.address} {host.meter.mac}")
        assert results(host.join())[0] == 0
        assert 0x02 not in events(host.join())

    @pytest.mark.parametrize("line", ["SKSREG S2 22", "SKSREG S3 0001"])
    def test_on_a_wrong_channel_or_pan_it_waits_for_nothing(self, line: str) -> None:
        host = Host().set_up()
        host.write(line)
        assert events(host.join(60.0)) == [0x21, 0x24]
        assert 38 <= host.came[-1][0] - 1000 <= 40

    @pytest.mark.parametrize("line", ["SKSETPWD C 0123456789AC", "SKSETRBID 00000000000000000000000100000001"])
    def test_wrong_credentials_are_told_sooner(self, line: str) -> None:
        host = Host().set_up()
        host.write(line)
        messages = host.join(60.0)
        assert (events(messages)[-1], pana(messages)) == (0x24, [0x28, 0x68])
        assert host.came[-1][0] - 1000 < 10

    def test_a_meter_has_one_client(self) -> None:
        meter = FakeMeter()
        first, second = Host(meter, seed=1).joined(), Host(meter, seed=2).set_up()
        assert events(second.join(60.0))[-1] == 0x24
        assert events(first.write("SKTERM", 5.0)) == [0x21, 0x27]
        assert 0x25 in events(second.join(60.0))

    def test_a_day_with_renewals(self) -> None:
        host = Host().joined()
        at = host.now
        host.wait(86_400)
        times = [(when - at, one.number) for when, one in host.came if isinstance(one, Event) and when > at]
        assert [number for _, number in times] == [0x29, 0x21, 0x21, 0x21, 0x25]
        assert times[0][0] == pytest.approx(0.8 * 86_400, abs=20)
        assert replies(host.ask(0xE7))

    def test_a_day_with_announcements(self) -> None:
        host = Host().joined()
        found = [one for one in frames(host.wait(86_400)) if one.seoj == METER]
        assert len(found) == 48
        assert {tuple(epc for epc, _ in frame.properties) for frame in found} == {(0xEA, 0xEB)}
        assert len({frame.properties[0].edt[:7] for frame in found}) == 48

    def test_without_renewal_it_expires(self) -> None:
        host = Host()
        host.write("SKSREG S17 0")
        host.joined()
        assert events(host.wait(87_000)) == [0x29, 0x24]

    def test_a_rejoin_renews_the_session(self) -> None:
        host = Host().joined()
        messages = host.write("SKREJOIN", 5.0)
        assert (events(messages)[-1], pana(messages)) == (0x25, [0x68, 0x54, 0x58])

    def test_several_meters_in_turn(self) -> None:
        host = Host(FakeMeter(number=1), FakeMeter(number=2, channel=0x22))
        for _ in range(2):
            assert replies(host.joined().ask(0x8D))[0].properties[0].edt.startswith(f"M{host.meter.number:09d}".encode())
            host.write("SKTERM", 1.0)
            host.meters = host.meters[::-1]


class TestDatagrams:
    @EDITIONS
    @FORMS
    def test_hex_and_binary_round_trip(self, dual: bool, binary: bool) -> None:
        host = Host(dual=dual, binary=binary).joined()
        (reply,) = replies(host.ask(0xE7, 0xE8, 0xE0, 0xE3, tid=0x1234))
        assert (reply.tid, reply.seoj, reply.esv) == (0x1234, METER, echonet.GET_RES)
        assert [len(edt) for _, edt in reply.properties] == [4, 4, 4, 4]
        assert (reply.properties[0].edt in host.raw) == binary

    def test_data_may_hold_line_ends(self) -> None:
        host = Host().joined()
        messages = host.ask(0xE7, tid=0x0D0A)
        assert [frame.tid for frame in replies(messages)] == [0x0D0A]
        assert host.raw.startswith(f"SKSENDTO 1 {host.address} 0E1A 1 0 000E \r\n".encode())
        for byte in sendto(host.address, echonet.get(0x0D0A, [0xE7]), 0):
            host.write(bytes([byte]))
        assert replies(host.wait(5.0))

    def test_what_follows_the_data_is_a_line_again(self) -> None:
        host = Host(echo=False).joined()
        messages = host.write(sendto(host.address, echonet.get(1, [0xE7]), 0) + b"\r\nSKVER\r\n", 5.0)
        assert messages.count(Ok()) == 2
        assert Line("EVER 1.5.2") in messages

    def test_too_few_bytes_swallow_what_comes_next(self) -> None:
        host = Host(echo=False).joined()
        assert host.write(sendto(host.address, bytes(5), 0)[:-1] + b"") == []
        assert host.write("SKVER")[-1] != Ok("x")
        assert Line("EVER 1.5.2") not in host.write(b"")

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            ("SKSENDTO 1 {} 0E1A 1 0 0000 ", "ER06"),
            ("SKSENDTO 1 {} 0E1A 1 0 04D1 ", "ER06"),
            ("SKSENDTO 1 {} E1A 1 0 0001 ", "ER06"),
            ("SKSENDTO 7 {} 0E1A 1 0 0001 ", "ER06"),
            ("SKSENDTO 1 FE80::1 0E1A 1 0 0001 ", "ER06"),
            ("SKSENDTO 1 {} 0E1A 1 0001 \r\n", "ER05"),
            ("SKSENDTO 4 {} 0E1A 1 0 0001 x", "ER10"),
        ],
    )
    def test_a_bad_header(self, header: str, code: str) -> None:
        host = Host(echo=False).joined()
        assert host.write(header.format(host.address).encode()) == [Fail(code)]
        assert host.write("SKVER", 1.0)[-1] == Ok()

    def test_without_session_nothing_is_sent(self) -> None:
        messages = Host().set_up().ask(0xE7)
        assert (results(messages), replies(messages)) == ([1], [])

    def test_sa2_adds_the_quality(self) -> None:
        host = Host().joined()
        host.write("SKSREG SA2 1")
        datagram = host.ask(0xE7)[-1]
        assert isinstance(datagram, Datagram)
        assert datagram.lqi == pytest.approx(host.meter.lqi, abs=3)

    def test_replies_keep_their_order_and_take_a_moment(self) -> None:
        host = Host().joined()
        for tid in range(50):
            host.ask(0xE7, tid=tid, seconds=0.01)
        assert [frame.tid for frame in replies([one for _, one in host.came] + host.wait(20))] == list(range(50))
        delays = []
        for tid in range(100):
            host.wait(5.0)
            at = host.now
            host.ask(0xE7, tid=tid)
            delays.append(next(when for when, one in reversed(host.came) if isinstance(one, Datagram)) - at)
        assert min(delays) >= 0.03
        assert sorted(delays)[90] < 0.8
        assert host.write("SKSREG SFD")[1] > Line("ESREG 0000000000000400")

    def test_scale_and_haste(self) -> None:
        fast = Host(scale=100.0).set_up()
        fast.join(0.1)
        assert isinstance(fast.came[-1][1], Datagram)
        fast.wait(864.0)
        assert 0x29 in events([one for _, one in fast.came])
        hasty = Host(haste=100.0).set_up()
        assert 0x25 in events(hasty.join(0.1))
        assert int.from_bytes(replies(hasty.ask(0x97))[0].properties[0].edt) == 0x0006, "its clock is the world's"


class TestFaults:
    def rounds(self, count: int = 40, **faults: Any) -> list[list[Message]]:
        host = Host(faults=Faults(**faults)).joined()
        return [host.ask(0xE7, 0xE0, tid=tid + 100, seconds=10.0) for tid in range(count)]

    def share(self, found: list[bool]) -> float:
        return sum(found) / len(found)

    @pytest.mark.parametrize("fault", [{"drop": 0.5}, {"er09": 0.5}, {"er10": 0.5}, {"refused21": 0.5}, {"silent": True}])
    def test_lost_datagrams_are_not_answered(self, fault: dict[str, Any]) -> None:
        answered = self.share([bool(replies(messages)) for messages in self.rounds(**fault)])
        assert answered == 0 if "silent" in fault else 0.2 < answered < 0.8

    def test_each_loss_shows_itself(self) -> None:
        assert all(Fail("ER09") in messages for messages in self.rounds(5, er09=1.0))
        assert all(Fail("ER10") in messages for messages in self.rounds(5, er10=1.0))
        assert all(results(messages) == [1] for messages in self.rounds(5, refused21=1.0))
        assert all(results(messages) == [2, 0] and 0x02 in events(messages) for messages in self.rounds(5, solicit=1.0))

    def test_a_late_answer_comes_late(self) -> None:
        host = Host(faults=Faults(late=1.0)).joined()
        assert replies(host.ask(0xE7, seconds=59.0)) == []
        assert replies(host.wait(2.0))

    def test_duplicate_and_interrupted(self) -> None:
        assert all(len(replies(messages)) == 2 for messages in self.rounds(5, duplicate=1.0))
        tids = []
        for messages in self.rounds(inf_during=1.0):
            notice, reply = (frame for frame in frames(messages) if frame.tid)
            assert (notice.esv, reply.esv) == (echonet.INF, echonet.GET_RES)
            tids.append(notice.tid == reply.tid)
        assert 0.2 < self.share(tids) < 0.8

    def test_refused_properties_and_sentinels(self) -> None:
        for messages in self.rounds(5, sna=1.0):
            (reply,) = replies(messages)
            assert (reply.esv, sorted(len(edt) for _, edt in reply.properties)) == (echonet.GET_SNA, [0, 4])
        for messages in self.rounds(5, sentinels=1.0):
            assert [edt.hex() for _, edt in replies(messages)[0].properties] == ["7ffffffe", "fffffffe"]

    def test_wrong_lengths_are_sent_where_asked_for(self) -> None:
        payloads = [one.payload for messages in self.rounds(5, wrong_pdc=1.0) for one in messages if isinstance(one, Datagram)]
        assert len(payloads) >= 5
        assert all(isinstance(echonet.decode(payload), Rejected) for payload in payloads)
        host = Host(faults=Faults(wrong_length=0.5)).set_up()
        host.join()
        host.decoder.flush()
        found = [bool(replies(host.ask(0xE7) + host.decoder.flush())) for _ in range(40)]
        assert 0.1 < self.share(found) < 0.9

    @FORMS
    def test_line_ends_in_the_value(self, binary: bool) -> None:
        host = Host(binary=binary, faults=Faults(crlf_payload=True)).joined()
        assert replies(host.ask(0xE8))[0].properties[0].edt == b"\x00\xa0\r\n"

    def test_garbage_is_sent_where_asked_for(self) -> None:
        host = Host(faults=Faults(garbage=0.3))
        good = [Ok() in host.write("SKVER") for _ in range(60)]
        assert 0.3 < self.share(good) < 1.0

    def test_echo_and_settings(self) -> None:
        host = Host(faults=Faults(lone_cr_echo=True, no_ropt=True))
        host.write("SKVER")
        assert host.raw == b"SKVER\rEVER 1.5.2\r\nOK\r\n"
        assert host.write(b"ROPT\r")[-1] == Fail("ER04")

    def test_a_wrong_password_is_refused(self) -> None:
        assert events(Host(faults=Faults(lies=True)).set_up().join(60.0))[-1] == 0x24

    def test_a_register_wraps(self) -> None:
        host = Host(FakeMeter(), faults=Faults(wrap=True)).joined()
        assert replies(host.ask(0xE0))[0].properties[0].edt == (999_999).to_bytes(4)
        host.wait(7200)
        assert int.from_bytes(replies(host.ask(0xE0))[0].properties[0].edt) < 100

    def test_mute_until_it_is_opened(self) -> None:
        host = Host(faults=Faults(mute=60))
        assert host.write("SKVER", 61.0)
        assert host.write("SKRESET", 5.0) == []
        host.module.reopen()
        assert host.write("SKVER")[-1] == Ok()
        host.wait(61.0)
        assert host.write("SKVER", 1.0) == []

    def test_the_network_of_the_meter_moves_where_asked_for(self) -> None:
        host = Host(faults=Faults(moves=60)).joined()
        before = host.address, host.meter.channel, host.meter.pan_id
        assert replies(host.ask(0xE7))
        host.wait(60.0)
        after = host.address, host.meter.channel, host.meter.pan_id
        assert not set(before) & set(after)
        assert results(host.write(sendto(before[0], echonet.get(1, [0xE7]), 0), 5.0)) == [1]
        assert replies(host.joined().ask(0xE7))

    @pytest.mark.parametrize(("fault", "numbers"), [("end26", [0x26]), ("expire29", [0x29, 0x24])])
    def test_an_early_end(self, fault: str, numbers: list[int]) -> None:
        host = Host(faults=Faults(**cast(Any, {fault: 300}))).joined()
        assert events(host.wait(280.0)) == []
        assert events(host.wait(100.0)) == numbers
        assert results(host.ask(0xE7)) == [1]
        assert 0x25 in events(host.join())

    def test_the_limit_of_transmission_holds_the_module_back(self) -> None:
        host = Host(faults=Faults(limit32=(100, 20))).joined()
        assert events(host.wait(71.0)) == [0x32]
        assert host.write("SKSREG SFB")[1] == Line("ESREG 1")
        assert results(host.ask(0xE7)) == [1]
        assert events(host.wait(20.0)) == [0x33]
        assert replies(host.ask(0xE7))
        assert events(host.wait(86.0)) == [0x32]

    def test_scans_that_find_nothing(self) -> None:
        host = Host(faults=Faults(scan_empty=2))
        host.write(f"SKSETRBID {host.meter.id}")
        found = [any(isinstance(one, Pan) for one in host.write("SKSCAN 2 FFFFFFFF 3 0", 5.0)) for _ in range(4)]
        assert found == [False, False, True, True]

    def test_stalled_output_comes_later(self) -> None:
        host = Host(faults=Faults(stall=(60, 10)))
        assert host.write("SKVER", 51.0)
        assert host.write("SKVER", 8.0) == []
        assert host.wait(1.1)[-1] == Ok()

    def test_out_of_reach(self) -> None:
        host = Host(faults=Faults(outage=(600, 60))).joined()
        assert replies(host.ask(0xE7))
        host.wait(545.0 - 20)
        assert (replies(messages := host.ask(0xE7)), results(messages)) == ([], [1])
        assert events(host.write("SKTERM", 20.0)) == [0x28]
        assert events(host.join(45.0)) == [0x21, 0x24]
        assert 0x25 in events(host.join(45.0))

    def test_one_fault_does_not_change_when_another_comes(self) -> None:
        lost = [bool(replies(messages)) for messages in self.rounds(drop=0.5)]
        assert lost == [bool(replies(messages)) for messages in self.rounds(drop=0.5, solicit=0.5)]
        assert lost != [bool(replies(messages)) for messages in self.rounds(drop=0.5, seed=2)]

    def test_every_fault_is_in_the_help_of_simulate(self) -> None:
        commands = next(action.choices for action in parser()._actions if isinstance(action.choices, dict))
        kinds = next(action.choices for action in commands["simulate"]._actions if isinstance(action.choices, dict))
        text = re.sub(r"(?<=-)\s+", "", kinds["broute"].format_help())
        for field in dataclasses.fields(Faults):
            assert f"{field.name.replace('_', '-')}=" in text
