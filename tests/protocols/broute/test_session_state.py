"""The table of the session's transitions, walked in full and at random, and the file that alone writes the state."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from meterline.protocols import broute
from meterline.protocols.broute.session_state import (
    LIMIT_MAX_S,
    RENEWAL_TIMEOUT_S,
    TRANSITIONS,
    SessionEvent,
    SessionState,
    SessionStateMachine,
    Transmission,
)
from meterline.protocols.broute.skstack import Event

OWN, METER, STRANGER = "FE80::1", "FE80::2", "FE80::3"
PATHS: dict[SessionState, tuple[SessionEvent, ...]] = {
    SessionState.DOWN: (),
    SessionState.RESUMING: (SessionEvent.RESUME_BEGUN,),
    SessionState.JOINING: (SessionEvent.JOIN_BEGUN,),
    SessionState.UP: (SessionEvent.JOIN_BEGUN, SessionEvent.LOGIN_DONE),
    SessionState.RENEWING: (SessionEvent.JOIN_BEGUN, SessionEvent.LOGIN_DONE, SessionEvent.LIFETIME_OVER),
    SessionState.REVIVING: (SessionEvent.LIFETIME_OVER,),
}
"""State → events that lead to it from the beginning."""


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def machine_in(state: SessionState) -> SessionStateMachine:
    machine = SessionStateMachine(Clock())
    for event in PATHS[state]:
        machine.apply(event)
    assert machine.state is state
    return machine


@pytest.mark.parametrize("event", SessionEvent)
@pytest.mark.parametrize("state", SessionState)
def test_each_event_in_each_state_does_as_the_table_says(state: SessionState, event: SessionEvent) -> None:
    machine = machine_in(state)
    machine.apply(event)
    assert machine.state is TRANSITIONS[event].get(state, state)


def test_the_table_has_a_row_for_each_event_and_leads_to_each_state() -> None:
    assert set(TRANSITIONS) == set(SessionEvent)
    assert {after for row in TRANSITIONS.values() for after in row.values()} == set(SessionState)


def test_only_a_login_or_an_answer_leads_up() -> None:
    up = SessionState.UP
    leading = {event for event, row in TRANSITIONS.items() for before, after in row.items() if after is up is not before}
    assert leading == {SessionEvent.LOGIN_DONE, SessionEvent.RESUME_ANSWERED}
    assert TRANSITIONS[SessionEvent.RESUME_ANSWERED] == {SessionState.RESUMING: SessionState.UP}


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("number", range(0x100))
def test_any_event_of_the_module_is_taken_in_any_state(state: SessionState, number: int) -> None:
    machine = machine_in(state)
    machine.partner = METER
    machine.take_event(Event(number, METER), OWN)
    if number not in {event.value for event in SessionEvent}:
        assert machine.state is state


@pytest.mark.parametrize("state", SessionState)
@pytest.mark.parametrize("number", [0x21, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29])
def test_an_event_of_another_address_changes_no_session(state: SessionState, number: int) -> None:
    machine = machine_in(state)
    machine.partner = METER
    machine.take_event(Event(number, STRANGER, parameter=1), OWN)
    assert machine.state is state
    assert machine.transmission is Transmission.PENDING


@pytest.mark.parametrize("state", SessionState)
def test_a_join_leads_back_from_each_state(state: SessionState) -> None:
    machine = machine_in(state)
    machine.begin_join(METER)
    assert not machine.may_send()
    machine.take_event(Event(0x25, METER), OWN)
    assert machine.may_send()


@pytest.mark.parametrize("parameter", [0, 1, 2, 3, 255, None])
def test_a_failed_transmission_is_taken_once(parameter: int | None) -> None:
    machine = machine_in(SessionState.UP)
    machine.begin_transmission()
    machine.take_event(Event(0x21, parameter=parameter), OWN)
    assert [machine.take_failed_transmission(), machine.take_failed_transmission()] == [parameter == 1, False]


def test_a_renewal_that_the_module_announces_again_and_again_is_overdue_all_the_same() -> None:
    clock = Clock()
    machine = SessionStateMachine(clock)
    machine.begin_join(METER)
    machine.take_event(Event(0x25, METER), OWN)
    for _ in range(10):
        machine.take_event(Event(0x29, METER), OWN)
        clock.now += RENEWAL_TIMEOUT_S / 4
    assert not machine.is_held()


class RandomSession(RuleBasedStateMachine):
    """Random events, beside a model of what the manual forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.machine = SessionStateMachine(self.clock)
        self.renewing_since: float | None = None
        self.limited = False
        self.has_joined = False
        """Event 25 or an answer came, and no end of the session since."""

    @rule(event=st.sampled_from([event for event in SessionEvent if isinstance(event.value, int)]))
    def take_session_event(self, event: SessionEvent) -> None:
        self.machine.take_event(Event(int(event.value)), OWN)
        if event is SessionEvent.LIFETIME_OVER:
            self.renewing_since = self.clock.now if self.renewing_since is None else self.renewing_since
        else:
            self.renewing_since = None
            self.has_joined = event is SessionEvent.LOGIN_DONE

    @rule(number=st.integers(0, 0xFF), parameter=st.none() | st.integers(0, 0xFF), address=st.sampled_from([STRANGER, "x"]))
    def take_event_of_a_stranger(self, number: int, parameter: int | None, address: str) -> None:
        before = self.machine.state
        self.machine.take_event(Event(number, address, parameter=parameter), OWN)
        assert self.machine.state is before
        self.limited = (self.limited or number == 0x32) and number != 0x33

    @rule(is_limited=st.none() | st.booleans())
    def read_limit(self, is_limited: bool | None) -> None:
        self.machine.take_limit(is_limited)
        self.limited = self.machine.is_limited if is_limited is None else is_limited

    @rule()
    def begin_join(self) -> None:
        self.machine.begin_join(METER)
        self.has_joined = False

    @rule()
    def begin_resume(self) -> None:
        self.machine.begin_resume(METER)

    @rule(event=st.sampled_from([SessionEvent.JOIN_OVER, SessionEvent.RESUME_ANSWERED]))
    def go_on(self, event: SessionEvent) -> None:
        self.has_joined |= event is SessionEvent.RESUME_ANSWERED and self.machine.state is SessionState.RESUMING
        self.machine.apply(event)

    @rule()
    def give_up(self) -> None:
        self.machine.apply(SessionEvent.GIVEN_UP)
        self.has_joined = False
        assert not self.machine.is_up

    @rule()
    def reset(self) -> None:
        self.machine.apply(SessionEvent.MODULE_RESET)
        self.renewing_since, self.limited, self.has_joined = None, False, False
        assert self.machine.state is SessionState.DOWN

    @rule(seconds=st.floats(0, 2 * RENEWAL_TIMEOUT_S))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        if self.renewing_since is not None and self.clock.now - self.renewing_since > RENEWAL_TIMEOUT_S:
            self.renewing_since, self.has_joined = None, False

    @invariant()
    def nothing_is_sent_while_renewing_or_limited(self) -> None:
        if self.renewing_since is not None or self.limited:
            assert not self.machine.may_send()

    @invariant()
    def up_is_only_what_was_joined_or_has_answered(self) -> None:
        self.machine.is_held()  # an overdue renewal ends
        if self.machine.state is SessionState.UP:
            assert self.has_joined

    def teardown(self) -> None:
        self.clock.now += LIMIT_MAX_S + 1
        self.machine.take_limit(None)
        assert not self.machine.is_held()
        self.machine.begin_join(METER)
        self.machine.take_event(Event(0x25, METER), OWN)
        assert self.machine.may_send()


def test_random_events_never_allow_what_is_forbidden() -> None:
    run_state_machine_as_test(RandomSession, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))


def test_only_one_file_writes_the_state() -> None:
    folder = Path(broute.__file__).parent
    written = set(vars(SessionStateMachine(Clock())))
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Store) or path.name == "session_state.py":
                continue
            owner, place = ast.unparse(node.value), f"{path.name}: {ast.unparse(node)}"
            assert not (node.attr in written and owner.split(".")[-1] in ("state", "module")), place
            assert node.attr != "state" or (path.name, owner) == ("adapter.py", "self"), place
