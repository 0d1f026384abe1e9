"""The wire has no checksum: a digit that is damaged between module and host is held back wherever something else tells."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from support.virtual_time import MemoryLink, Watched, run

from meterline.meter.meter import Meter
from meterline.meter.readings import Reading, Snapshot
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.echonet import Property
from meterline.protocols.broute.reply_plausibility import ReplyPlausibility
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, FakeModule
from meterline.simulation.household import House

POWER = ("smartmeter_power_watts",)
CURRENT = ("smartmeter_current_amperes", "r")
IMPORT = ("smartmeter_energy_import_watthours_total",)
HALF_HOUR = ("smartmeter_fixed_energy_import_watthours", "30m")


def now() -> float:
    return asyncio.get_running_loop().time()


def load(watts: int | None, r: float | None = None, t: float | None = None) -> list[Property]:
    """E7 and E8 of one reply; a current that is None is not measured."""
    said = [] if watts is None else [Property(p.POWER, watts.to_bytes(4, signed=True))]
    if r is None and t is None:
        return said
    halves = (b"\x7f\xfe" if a is None else round(a * 10).to_bytes(2, signed=True) for a in (r, t))
    return [*said, Property(p.CURRENT, b"".join(halves))]


def shown(plausibility: ReplyPlausibility, said: list[Property]) -> bool:
    return plausibility.accept(said) == said


class TestPower:
    @pytest.mark.parametrize(
        ("watts", "r", "t"),
        [
            (366, 2.8, 1.2),
            (0, 0, 0),
            (500, 0, 0),
            (-4000, -24, -16),
            (5000, 30, None),
            (900, 1, 1),
            (0, 20, -20),
            (6000, 30, 30),
        ],
    )
    def test_what_its_current_allows_is_shown_at_once(self, watts: int, r: float, t: float | None) -> None:
        assert shown(ReplyPlausibility(), load(watts, r, t))

    @pytest.mark.parametrize("watts", [1_879_048_558, 1_048_942, 65_902, -1_879_048_558, 2_500])
    def test_more_than_its_current_allows_is_held_back_and_counted(self, watts: int) -> None:
        plausibility = ReplyPlausibility()
        assert not shown(plausibility, load(watts, 2.8, 1.2))
        assert plausibility.implausible == 1
        assert shown(plausibility, load(366, 2.8, 1.2))

    def test_the_bound_is_500_watts_and_350_volts(self) -> None:
        assert shown(ReplyPlausibility(), load(500 + 1400, 2.8, -1.2))
        assert not shown(ReplyPlausibility(), load(500 + 1401, 2.8, -1.2))

    def test_without_a_current_60_kilowatts_are_the_bound(self) -> None:
        for none in ({}, {"r": None, "t": None}):
            assert shown(ReplyPlausibility(), load(60_000, **none))
            assert not shown(ReplyPlausibility(), load(60_001, **none))

    def test_two_replies_in_a_row_that_exceed_it_alike_are_believed(self) -> None:
        plausibility = ReplyPlausibility()
        assert [shown(plausibility, load(watts, 2, 2)) for watts in (70_000, 75_000, 90_000)] == [False, True, True]

    def test_two_damaged_replies_in_a_row_are_not_alike(self) -> None:
        plausibility = ReplyPlausibility()
        for watts in (1_879_048_558, 1_048_942, -1_048_942, 65_902):
            assert not shown(plausibility, load(watts, 2.8, 1.2))

    def test_a_right_reply_between_two_that_exceed_it_makes_them_two_single_ones(self) -> None:
        plausibility = ReplyPlausibility()
        assert [shown(plausibility, load(watts, 2, 2)) for watts in (70_000, 366, 70_000)] == [False, True, False]

    def test_a_current_that_its_power_cannot_be_is_held_back(self) -> None:
        plausibility = ReplyPlausibility()
        assert not shown(plausibility, load(366, 412.4, 1.2))
        assert shown(plausibility, load(366, 2.8, 1.2))

    def test_no_damaged_digit_of_power_beyond_the_bound_is_ever_shown(self) -> None:
        """All of them: 8 digits, 15 wrong values each."""
        right = (366).to_bytes(4).hex()
        for place in range(8):
            for digit in "0123456789abcdef":
                damaged = int.from_bytes(bytes.fromhex(right[:place] + digit + right[place + 1 :]), signed=True)
                plausibility = ReplyPlausibility()
                assert shown(plausibility, load(366, 2.8, 1.2))
                assert shown(plausibility, load(damaged, 2.8, 1.2)) == (abs(damaged) <= 1900)


class TestLasting:
    @pytest.mark.parametrize("epc", [0x80, 0x82, 0x88, 0x8A, 0x8D, 0xC0, 0xD0, 0xEA, 0xEB], ids=hex)
    def test_what_is_said_for_long_is_believed_when_it_is_said_twice(self, epc: int) -> None:
        plausibility = ReplyPlausibility()
        right, wrong = [Property(epc, b"\x41")], [Property(epc, b"\x42")]
        assert [shown(plausibility, said) for said in (right, right, wrong, right, wrong, wrong)] == [
            *(False, True, False, True, False, True)
        ]
        assert plausibility.implausible == 1

    def test_a_refusal_says_nothing(self) -> None:
        assert shown(ReplyPlausibility(), [Property(0x88), Property(0xE7)])


class TestRegister:
    def test_the_first_value_is_shown_once_it_was_read_twice_where_the_wire_has_no_checksum(self) -> None:
        clock = [0.0]
        meter = Meter("home", 90, lambda: clock[0])
        values = []
        for value in (9_000_000.0, 1_000.0, 1_100.0, 1_200.0):
            clock[0] += 30
            meter.take(Snapshot((Reading(IMPORT, value),), checked=False))
            values.append(meter.value(*IMPORT))
        assert values == [None, None, 1_100.0, 1_200.0]
        assert meter.counters.rejected["implausible"] == 1, "the first one is not wrong yet"

    def test_with_a_checksum_the_first_value_is_shown_at_once(self) -> None:
        meter = Meter("home", 90, lambda: 0.0)
        meter.take(Snapshot((Reading(IMPORT, 5.0),)))
        assert meter.value(*IMPORT) == 5.0


def damage(patch: pytest.MonkeyPatch, right: bytes, wrong: bytes, after: float = 0.0, times: int = 1) -> list[float]:
    """From then on so many of what the module sends come with another digit; when they came."""
    honest, done = MemoryLink.read, list[float]()

    async def read(link: MemoryLink) -> bytes:
        data = await honest(link)
        if right in data and now() >= after and len(done) < times:
            done.append(now())
            return data.replace(right, wrong, 1)
        return data

    patch.setattr(MemoryLink, "read", read)
    return done


def collect(values: set[Any], *series: str) -> Callable[[Watched], None]:
    return lambda seen: values.add(seen.meter.value(*series))


class TestOnTheWire:
    def test_one_damaged_digit_of_power_is_not_shown_and_costs_no_gap(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = set[Any]()
        done = damage(monkeypatch, b"E7040000016E", b"E7047000016E", 300)

        def note(seen: Watched) -> None:
            if now() > 60:
                values.add(seen.meter.value(*POWER))

        seen = run(0.2, [FakeMeter(overrides={0xE7: (366).to_bytes(4), 0xE8: bytes.fromhex("001C000C")})], act=note)
        assert done
        assert values == {366}
        assert seen.meter.counters.rejected["implausible"] == 1

    def test_a_damaged_first_register_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = set[Any]()
        done = damage(monkeypatch, b"E0040001E240", b"E0040009E240")
        run(0.1, [FakeMeter(overrides={0xE0: (123_456).to_bytes(4)})], act=collect(values, *IMPORT))
        assert done
        assert values == {None, 12_345_600.0}

    def test_the_second_reading_after_a_start_costs_less_than_a_poll(self) -> None:
        began = dict[str, float]()

        def note(seen: Watched) -> None:
            for series in (POWER, IMPORT):
                if seen.meter.value(*series) is not None:
                    began.setdefault(series[0], now())

        run(0.1, act=note, step=0.1)
        assert began[IMPORT[0]] - began[POWER[0]] < 5

    @pytest.mark.parametrize("epc", ["EA", "88", "80", "8D"])
    def test_one_damaged_digit_of_what_lasts_is_not_shown(self, monkeypatch: pytest.MonkeyPatch, epc: str) -> None:
        half_hour = bytes.fromhex("07E9060F0000000001E23F")
        lasting = {0xEA: half_hour, 0x88: b"\x42", 0x80: b"\x30", 0x8D: b"M00000000001"}
        right, wrong, series = {
            "EA": (b"0001E23F", b"0009E23F", HALF_HOUR),
            "88": (b"880142", b"880141", ("smartmeter_fault",)),
            "80": (b"800130", b"800131", ("smartmeter_operating",)),
            "8D": (b"8D0C4D303030", b"8D0C4D303830", ("smartmeter_info", "address")),
        }[epc]
        values = set[Any]()
        done = damage(monkeypatch, right, wrong, 0.0 if epc != "88" else 300.0)
        run(0.3, [FakeMeter(overrides=dict(lasting))], act=collect(values, *series))
        assert done
        assert values == {None, {"EA": 12_345_500.0, "88": 0.0, "80": 1.0, "8D": "M00000000001"}[epc]}

    def test_one_damaged_digit_of_the_meters_clock_is_not_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        values = set[Any]()
        done = damage(monkeypatch, b"970200", b"970210")
        run(0.1, act=collect(values, "smartmeter_clock_offset_seconds"))
        assert done
        assert values == {None, 0.0}

    def test_a_property_that_a_damaged_map_leaves_out_costs_no_coefficient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The map is a bitmap of 16 bytes behind its count: here D3 becomes E2, which is there anyway, and D1."""
        meter = FakeMeter(coefficient=10)
        honest, done, values = FakeMeter.value, list[float](), set[Any]()

        def value(self: FakeMeter, epc: int, *eoj: bytes) -> bytes | None:
            said = honest(self, epc, *eoj)
            if epc == 0x9F and said and not done:
                done.append(1)
                changed = bytearray(said)
                changed[1 + 3] &= ~(1 << 5)
                changed[1 + 1] |= 1 << 5
                return bytes(changed)
            return said

        monkeypatch.setattr(FakeMeter, "value", value)
        run(0.1, [meter], act=collect(values, *IMPORT))
        assert done
        assert min(value for value in values if value is not None) > 12_000_000


SAID: dict[tuple[str, ...], set[Any]] = {
    ("smartmeter_fault",): {0.0},
    ("smartmeter_operating",): {1.0},
    ("smartmeter_info", "manufacturer"): {"Toshiba"},
    ("smartmeter_info", "address"): {"M000000001"},
    ("smartmeter_info", "release"): {"R.0"},
    ("smartmeter_clock_offset_seconds",): {0.0},
}
"""What the meter of the fuzz says."""
LOW_DIGITS = 2 * 1000 + 1.5 * 36_000 * 90 / 3600
"""Wh by which a register may be wrong: what it can rise by in three polls, and two of its steps, cannot be told from damage."""


def test_fuzz_digits_damaged_on_the_line_show_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three datagrams in a hundred have another hex digit; energy, states, texts and clock stay what the meter says."""
    worlds = int(os.environ.get("METERLINE_EXAMPLES", "100")) // 20
    honest = FakeModule.send_line
    for seed in range(worlds):
        dice, damaged = Random(seed), list[bytes]()

        def say(
            self: FakeModule,
            line: str | bytes,
            end: bytes = b"\r\n",
            dice: Random = dice,
            damaged: list[bytes] = damaged,
        ) -> None:
            if isinstance(line, bytes) and b" 0E1A 0E1A " in line and dice.random() < 0.03:
                place = dice.randrange(line.rindex(b" ") + 1, len(line))
                line = line[:place] + dice.choice(b"0123456789ABCDEF").to_bytes() + line[place + 1 :]
                damaged.append(line)
            honest(self, line, end)

        monkeypatch.setattr(FakeModule, "send_line", say)
        meter = FakeMeter(House(JST, solar=3000), coefficient=10, second_generation=True, digits=8)
        wrong = list[tuple[Any, ...]]()

        def note(seen: Watched, meter: FakeMeter = meter, wrong: list[tuple[Any, ...]] = wrong) -> None:
            for series, value in seen.meter.readings.items():
                if value not in SAID.get(series, {value}):
                    wrong.append((now(), series, value))
                slack = LOW_DIGITS if series[0].endswith("_total") else 1
                if "import_watthours" in series[0] and not 12_200_000 <= float(value) <= meter.imported + slack:
                    wrong.append((now(), series, value))
                if "export_watthours" in series[0] and not 3_400_000 <= float(value) <= meter.exported + slack:
                    wrong.append((now(), series, value))
                if series == POWER and abs(float(value)) > 60_000:
                    wrong.append((now(), series, value))

        run(1.5, [meter], act=note, step=5, seed=seed)
        assert len(damaged) > 5
        assert not wrong, (seed, wrong[:3])
