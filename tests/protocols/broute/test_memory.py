"""Which question about the memory of a meter comes next, and which replies are believed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from meterline.meter.readings import DOUBTS
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.memory import (
    DAY_S,
    PAIRS_MAX,
    SLOT_S,
    TRIES,
    Doubt,
    Edge,
    Memory,
    Question,
    Witness,
    believe,
    day_of,
    decode,
    is_quiet,
    pairs_of,
)

NOW = int(datetime(2025, 6, 17, 12, 10, 0, tzinfo=p.JAPAN).timestamp())
TODAY = int(datetime(2025, 6, 17, tzinfo=p.JAPAN).timestamp())
UNIT = p.unit((1).to_bytes(4), b"\x01", b"\x06")
"""Steps of 0.1 kWh, six digits."""
NOT_KEPT = 0xFFFFFFFE
ALL = frozenset({p.IMPORT, p.EXPORT, p.DAY_IMPORT, p.DAY_EXPORT, p.PAIRS})
SETTABLE = frozenset({p.DAY_CHOICE, p.PAIRS_CHOICE})
YESTERDAY = day_of(1, p.DAY_IMPORT, "import", NOW)
WITNESS = Witness(NOW, {"import": 500_100, "export": 10}, {"import": (TODAY + 12 * 3600, 500_095)})


def day(slots: Sequence[int], back: int = 1) -> bytes:
    return back.to_bytes(2) + b"".join(slot.to_bytes(4) for slot in slots)


def rising(first: int = 500_000) -> list[int]:
    return [first + slot for slot in range(48)]


def doubt(question: Question, edt: bytes, before: float = NOW, after: Witness = WITNESS) -> str:
    with pytest.raises(Doubt) as caught:
        believe(question, edt, UNIT, before, after)
    assert str(caught.value) in DOUBTS
    return str(caught.value)


class TestReplies:
    def test_a_day_is_forty_eight_registers_from_the_meters_midnight_on(self) -> None:
        edges = believe(YESTERDAY, day(rising()), UNIT, NOW, WITNESS)
        assert edges[0] == (TODAY - DAY_S, "import", 50_000_000.0)
        assert edges[-1] == (TODAY - SLOT_S, "import", 50_004_700.0)

    def test_pairs_go_back_from_their_time_and_have_both_directions(self) -> None:
        question = pairs_of(TODAY + 12 * 3600, 3)
        assert question.choice.edt == bytes.fromhex("07E906110C0003")
        edt = question.choice.edt + b"".join(n.to_bytes(4) for n in (500_095, 7, 500_090, NOT_KEPT, 500_080, 6))
        assert believe(question, edt, UNIT, NOW, WITNESS) == (
            (TODAY + 11 * 3600, "import", 50_008_000.0),
            (TODAY + 11 * 3600 + SLOT_S, "import", 50_009_000.0),
            (TODAY + 12 * 3600, "import", 50_009_500.0),
            (TODAY + 11 * 3600, "export", 600.0),
            (TODAY + 12 * 3600, "export", 700.0),
        )

    def test_slots_that_are_not_kept_stay_absent(self) -> None:
        slots = rising()
        slots[3:20] = [NOT_KEPT] * 17
        assert len(believe(YESTERDAY, day(slots), UNIT, NOW, WITNESS)) == 31
        assert believe(YESTERDAY, day([NOT_KEPT] * 48), UNIT, NOW, WITNESS) == ()

    @pytest.mark.parametrize("edt", [b"", day(rising())[:-4], day(rising()) + b"\0\0\0\0", day([*rising()[:-1], 100_000_000])])
    def test_another_width_or_no_number_is_malformed(self, edt: bytes) -> None:
        assert doubt(YESTERDAY, edt) == "malformed"

    def test_more_digits_than_the_meter_counts_is_malformed(self) -> None:
        assert doubt(YESTERDAY, day([*rising()[:-1], 1_000_000])) == "malformed"

    @pytest.mark.parametrize("back", [0, 2, 0xFF])
    def test_another_day_is_no_reply(self, back: int) -> None:
        assert doubt(YESTERDAY, day(rising(), back)) == "other_question"

    def test_other_pairs_are_no_reply(self) -> None:
        question, other = pairs_of(TODAY, 2), pairs_of(TODAY - SLOT_S, 2)
        with pytest.raises(Doubt, match="other_question"):
            decode(question, other.choice.edt + bytes(16))

    def test_a_date_that_changed_meanwhile_makes_it_another_day(self) -> None:
        assert doubt(YESTERDAY, day(rising()), before=TODAY - 60) == "date_changed"

    @pytest.mark.parametrize("slot", [499_999, 500_400, 400_000])
    def test_a_register_that_falls_or_rises_too_fast_is_not_believed(self, slot: int) -> None:
        slots = rising()
        slots[24] = slot
        assert doubt(YESTERDAY, day(slots)) == "step"

    def test_a_step_may_be_as_high_as_a_household_can_draw_and_two_steps_more(self) -> None:
        """1.5 x 36 kVA for half an hour are 27 kWh, or 270 steps; what is fed in has no such factor."""
        slots = [500_000] * 24 + [500_272] * 24
        after = Witness(NOW, {"import": 500_300, "export": 500_300}, {})
        assert believe(YESTERDAY, day(slots), UNIT, NOW, after)
        assert doubt(YESTERDAY, day([500_000] * 24 + [500_273] * 24), after=after) == "step"
        export = day_of(1, p.DAY_EXPORT, "export", NOW)
        assert believe(export, day([500_000] * 24 + [500_182] * 24), UNIT, NOW, after)
        assert doubt(export, day([500_000] * 24 + [500_183] * 24), after=after) == "step"

    def test_the_wrap_of_the_digits_is_no_fall(self) -> None:
        slots = [(999_980 + slot) % 1_000_000 for slot in range(48)]
        edges = believe(YESTERDAY, day(slots), UNIT, NOW, Witness(NOW, {"import": 40}, {}))
        assert edges[19][2] == 99_999_900.0
        assert edges[20][2] == 0.0

    def test_the_last_half_hourly_register_must_be_the_slot_of_its_time(self) -> None:
        today = day_of(0, p.DAY_IMPORT, "import", NOW)
        slots = [500_000 + slot for slot in range(25)] + [NOT_KEPT] * 23
        good = Witness(NOW, {"import": 500_100}, {"import": (TODAY + 12 * 3600, 500_024)})
        assert len(believe(today, day(slots, 0), UNIT, NOW, good)) == 25
        other = good._replace(half_hours={"import": (TODAY + 12 * 3600, 500_025)})
        assert doubt(today, day(slots, 0), after=other) == "half_hour"

    def test_a_register_of_a_time_to_come_is_not_believed(self) -> None:
        slots = [500_000 + slot for slot in range(26)] + [NOT_KEPT] * 22
        assert doubt(day_of(0, p.DAY_IMPORT, "import", NOW), day(slots, 0)) == "future"

    @pytest.mark.parametrize("live", [{}, {"import": 500_046}, {"import": 400_000}, {"import": 520_000}])
    def test_a_slot_above_the_live_register_or_far_below_is_not_believed(self, live: dict[str, int]) -> None:
        assert doubt(YESTERDAY, day(rising()), after=Witness(NOW, live, {})) == "register"

    def test_a_witness_without_a_clock_bears_nothing_out(self) -> None:
        with pytest.raises(Doubt, match="unanswered"):
            Witness.said({p.IMPORT: bytes(4)})
        with pytest.raises(Doubt, match="malformed"):
            Witness.said({p.TIME: b"\x19\0", p.DATE: bytes.fromhex("07E90611")})

    @pytest.mark.parametrize(
        ("clock", "quiet"), [("2354", False), ("2355", True), ("0000", True), ("0009", True), ("0010", False)]
    )
    def test_about_midnight_it_is_quiet(self, clock: str, quiet: bool) -> None:
        moment = datetime(2025, 6, 17, int(clock[:2]), int(clock[2:]), tzinfo=p.JAPAN)
        assert is_quiet(moment.timestamp()) is quiet


class Ledger:
    """What is absent, of both registers."""

    def __init__(self, *absent: int) -> None:
        self.edges = {"import": set(absent), "export": set(absent)}

    def absent(self, register: str, since: int, until: int) -> list[int]:
        return sorted(at for at in self.edges[register] if since <= at < until)


def half_hours(first: int, end: int) -> range:
    return range(first, end, SLOT_S)


def asking(ends: dict[str, str] | None = None) -> Memory:
    memory = Memory(ends or {})
    memory.settable = SETTABLE
    memory.take_clock(0.0, NOW)
    assert memory.is_due(0.0)
    return memory


def following(memory: Memory, ledger: Ledger, offered: frozenset[int] = ALL) -> Question:
    question = memory.next(ledger.absent, offered, NOW, 0.0)
    assert question
    return question


class TestQuestions:
    def test_up_to_six_hours_are_asked_for_in_pairs(self) -> None:
        gap = half_hours(TODAY + 2 * 3600, TODAY + 8 * 3600)
        question = following(asking(), Ledger(*gap))
        assert (question.history, question.times) == (p.PAIRS, tuple(reversed(gap)))
        assert len(question.times) == PAIRS_MAX

    def test_more_is_asked_for_by_day_newest_first(self) -> None:
        ledger, memory, asked = Ledger(*half_hours(TODAY - 2 * DAY_S, TODAY + 12 * 3600)), asking(), []
        for _ in range(6):
            question = following(memory, ledger)
            asked.append((question.history, question.choice.edt[0]))
            memory.settle(question, [(at, "import", 1.0) for at in question.times], NOW)
            for register in question.registers:
                ledger.edges[register] -= set(question.times)
        assert asked == [(epc, back) for back in (0, 1, 2) for epc in (p.DAY_IMPORT, p.DAY_EXPORT)]
        assert memory.next(ledger.absent, ALL, NOW, 0.0) is None

    def test_the_half_hour_that_was_just_over_is_left_for_later(self) -> None:
        ledger = Ledger(TODAY + 12 * 3600)
        assert asking().next(ledger.absent, ALL, TODAY + 12 * 3600 + 300, 0.0) is None
        assert asking().next(ledger.absent, ALL, TODAY + 12 * 3600 + 361, 0.0)

    def test_where_pairs_do_not_say_it_the_day_is_asked_for(self) -> None:
        ledger, memory = Ledger(TODAY - 40 * DAY_S), asking()
        pairs = following(memory, ledger)
        assert pairs.history == p.PAIRS
        memory.settle(pairs, (), NOW)
        assert following(memory, ledger).choice == (p.DAY_CHOICE, bytes([40]))

    def test_a_meter_without_pairs_or_export_is_asked_for_days_of_import(self) -> None:
        memory, ledger = asking(), Ledger(TODAY)
        question = following(memory, ledger, frozenset({p.IMPORT, p.DAY_IMPORT}))
        assert question.history == p.DAY_IMPORT
        memory.settle(question, [(TODAY, "import", 1.0)], NOW)
        assert memory.next(ledger.absent, frozenset({p.IMPORT, p.DAY_IMPORT}), NOW, 0.0) is None

    def test_what_the_meter_does_not_let_be_set_is_not_asked_for(self) -> None:
        memory = asking()
        memory.settable = frozenset()
        assert memory.next(Ledger(TODAY).absent, ALL, NOW, 0.0) is None

    def test_a_question_has_two_tries_a_round(self) -> None:
        memory, ledger = asking(), Ledger(*half_hours(TODAY - DAY_S, TODAY))
        asked = []
        for _ in range(2 * TRIES):
            asked.append(following(memory, ledger))
            memory.miss(asked[-1], is_answered=True)
        assert [question.history for question in asked] == [p.DAY_IMPORT] * TRIES + [p.DAY_EXPORT] * TRIES
        assert memory.next(ledger.absent, ALL, NOW, 0.0) is None

    def test_a_meter_that_answers_no_question_is_left_alone_until_the_night(self) -> None:
        memory, ledger, asked = asking(), Ledger(*half_hours(TODAY - 50 * DAY_S, TODAY)), 0
        while question := memory.next(ledger.absent, ALL, NOW, 0.0):
            memory.miss(question, is_answered=False)
            asked += 1
        assert asked == 6
        night = TODAY + DAY_S + 20 * 60 - NOW
        assert not memory.is_due(night - 1)
        assert memory.is_due(night)
        assert memory.next(ledger.absent, ALL, NOW + night, night)

    def test_a_session_begins_a_round_at_once_and_many_sessions_one_in_ten_minutes(self) -> None:
        memory, none = asking(), Ledger()
        assert memory.next(none.absent, ALL, NOW, 0.0) is None
        memory.begin(10.0)
        assert not memory.is_due(599.0)
        assert memory.is_due(600.0)
        assert memory.next(none.absent, ALL, NOW + 600, 600.0) is None
        memory.begin(5000.0)
        assert memory.is_due(5000.0)

    def test_a_ledger_that_cannot_say_yet_ends_no_round(self) -> None:
        memory = asking()
        assert memory.next(lambda *_: None, ALL, NOW, 0.0) is None
        assert memory.is_due(30.0)

    def test_a_day_without_any_register_is_the_end_of_the_memory(self) -> None:
        ledger, memory = Ledger(*half_hours(TODAY - 60 * DAY_S, TODAY - 40 * DAY_S)), asking()
        question = following(memory, ledger)
        assert question.choice.edt == b"\x29"
        memory.settle(question, (), NOW)
        assert memory.ends == {"import": "2025-05-07"}
        export = following(memory, ledger)
        assert export.history == p.DAY_EXPORT
        memory.settle(export, (), NOW)
        assert memory.next(ledger.absent, ALL, NOW, 0.0) is None
        assert asking(memory.ends).next(ledger.absent, ALL, NOW, 0.0) is None

    def test_today_is_no_end_of_the_memory(self) -> None:
        memory, edges = asking(), tuple[Edge, ...]()
        memory.settle(day_of(0, p.DAY_IMPORT, "import", NOW), edges, NOW)
        assert memory.ends == {}

    def test_a_reply_is_held_until_a_second_one_says_the_same(self) -> None:
        memory = asking()
        assert memory.confirms(YESTERDAY, b"one") is None
        assert memory.confirms(YESTERDAY, b"one") is True
        assert memory.confirms(YESTERDAY, b"one") is None
        assert memory.confirms(YESTERDAY, b"other") is False
        assert memory.confirms(YESTERDAY, b"one") is None
        assert memory.confirms(pairs_of(TODAY, 1), b"one") is None
