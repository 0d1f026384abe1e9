"""What the driver says about itself: sessions, counters, time on air."""

from __future__ import annotations

import math
from contextlib import suppress

from meterline import world
from meterline.meter.readings import DOUBTS, Observation
from meterline.protocols.broute.session import Session
from meterline.protocols.broute.target import MeterTarget

RUNGS = ("request", "join", "scan", "reset", "reopen")
TRANSMITTED_INTERVAL_S = 600.0
CLOCK_SLACK_S = 5.0
"""Seconds by which our clock may be corrected without a word."""


class DriverMetrics:
    """Emits observations about the session, when something about it has changed."""

    def __init__(self, session: Session, targets: list[MeterTarget], is_healing: bool) -> None:
        """
        Args:
            session: What is observed.
            targets: The meters of the module.
            is_healing: The meters are asked for what they remember.
        """
        self._is_healing = is_healing
        self._session = session
        self._targets = targets
        self._told: dict[tuple[str, str], float | None] = {}
        self._transmitted_due = 0.0

    def begin(self) -> None:
        """Counters begin at 0, not with their first event."""
        session = self._session
        for target in self._targets:
            session.meter = target.name
            for rung in RUNGS:
                session.observe("smartmeter_retries_total", rung, value=0.0)
            for family in ("polls_failed", "replies_late", "notifications", "session_renewals"):
                session.observe(f"smartmeter_{family}_total", value=0.0)
            for result in ("joined", "failed"):
                session.observe("smartmeter_session_joins_total", result, value=0.0)
            for result in ("found", "empty"):
                session.observe("smartmeter_radio_scans_total", result, value=0.0)
            session.observe("smartmeter_session_up", value=0.0, increment=False)
            session.observe("smartmeter_radio_limited", value=0.0, increment=False)
            if self._is_healing:
                session.observe("smartmeter_history_questions_total", value=0.0)
                session.observe("smartmeter_history_edges_filled_total", value=0.0)
                for reason in DOUBTS:
                    session.observe("smartmeter_history_refused_total", reason, value=0.0)
        session.meter = ""

    def update(self) -> None:
        """What has changed about the session."""
        state = self._session.module.state
        if not self._session.meter:
            return
        self._tell("smartmeter_session_up", float(state.is_up))
        self._tell("smartmeter_session_start_timestamp_seconds", self._since() if state.is_up else None)
        self._tell("smartmeter_radio_limited", float(state.is_limited))
        if renewals := state.take_renewals():
            self._session.observe("smartmeter_session_renewals_total", value=float(renewals))

    def _since(self) -> float | None:
        """When the session began, by the clock of now: it may have been set since."""
        target = next((target for target in self._targets if target.name == self._session.joined), None)
        if target is None or target.joined_at == -math.inf:
            return None
        since = round(world.current.now() - (self._session.module.clock() - target.joined_at))
        told = self._told.get((target.name, "smartmeter_session_start_timestamp_seconds"))
        return told if told and abs(since - told) <= CLOCK_SLACK_S else float(since)

    def _tell(self, family: str, value: float | None) -> None:
        key = (self._session.meter, family)
        if self._told.get(key, 0.0) != value:
            self._told[key] = value
            self._session.module.emit(Observation((family,), value, meter=self._session.meter))

    async def ask_transmitted(self) -> None:
        """Milliseconds on air, which the module counts."""
        module = self._session.module
        if (now := module.clock()) < self._transmitted_due:
            return
        self._transmitted_due = now + TRANSMITTED_INTERVAL_S
        for digits in await module.look_up("ESREG", "SKSREG", "SFD"):
            with suppress(ValueError):
                seconds = int(digits[:16], 16) / 1000
                self._session.observe("smartmeter_radio_transmitted_seconds_total", value=seconds, increment=False)
