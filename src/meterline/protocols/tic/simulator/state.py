"""The state of a simulated Linky: registers, calendar, peaks. The calendar of the contracts is made up."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from meterline.protocols.tic.contracts import CONTRACTS
from meterline.simulation.household import House

PARIS = ZoneInfo("Europe/Paris")
_WEEK = (0, 0, 1, 0, 2, 0, 0)
"""Tempo colours of the days of a made-up week: 0 blue, 1 white, 2 red. EJP: its peaks are the red days."""


@dataclass
class State:
    """The state of a simulated Linky. Times are Unix seconds, and only grow.

    Attributes:
        house: The household.
        mode: ``historic`` or ``standard``.
        contract: A key of `CONTRACTS`.
        phases: 1 or 3.
        producer: Whether the meter has export registers.
        number: Number of the meter, in its address and in its first registers.
        now: Time of the state.
        registers: Supplier's index (from 1) → watt-hours.
        distributed: Distributor's index (from 1) → watt-hours.
        exported: Exported watt-hours.
        reactive: Reactive energy in varh.
    """

    house: House
    mode: str = "historic"
    contract: str = "HC"
    phases: int = 1
    producer: bool = False
    number: int = 1
    now: float = 0.0
    registers: dict[int, int] = field(default_factory=dict)
    distributed: dict[int, int] = field(default_factory=dict)
    exported: float = 0.0
    reactive: float = 0.0

    def __post_init__(self) -> None:
        self.registers = {n + 1: 1_204_317 * (n + 2) + 977 * self.number for n in range(len(CONTRACTS[self.contract]))}
        self.distributed = {1: sum(self.registers.values()), 2: 0, 3: 0, 4: 0}
        self._rest = 0.0
        self._filtered = 0.0
        self.peaks: dict[str, tuple[float, float]] = {}
        self.over_until = -math.inf
        self.curve: list[tuple[float, float]] = []
        self._half_hour = 0.0

    @property
    def address(self) -> str:
        """The address, twelve digits: maker Landis+Gyr, year 21, type (75: single-phase, 76: three-phase), number."""
        return f"0421{75 if self.phases == 1 else 76}{self.number:06d}"

    @property
    def local(self) -> datetime:
        """The time of the state in French legal time."""
        return datetime.fromtimestamp(self.now, PARIS)

    def advance(self, now: float) -> None:
        """Advance the state to the Unix time `now`, in steps of at most a minute."""
        if not self.now:
            self.now = now
            self.peaks = {
                "SMAXSN": (0, now),
                "SMAXSN-1": (5120, now - 86_400),
                "SMAXIN": (0, now),
                "SMAXIN-1": (0, now - 86_400),
            }
        while self.now < now:
            step = min(now - self.now, 60.0)
            day = self.local.date()
            self._pass(step)
            self.now += step
            if self.local.date() != day:
                self.peaks |= {"SMAXSN-1": self.peaks["SMAXSN"], "SMAXIN-1": self.peaks["SMAXIN"]}
                self.peaks |= {"SMAXSN": (0, self.now), "SMAXIN": (0, self.now)}

    def _pass(self, step: float) -> None:
        watts = self.watts
        self._rest += max(watts, 0) * step / 3600
        whole, self._rest = int(self._rest), self._rest % 1
        self.registers[self.index] += whole
        self.distributed[self.distributor_index] += whole
        if self.producer:
            self.exported += max(-watts, 0) * step / 3600
            self.reactive += 0.1 * abs(watts) * step / 3600
        # First-order filter on the square of the power, one step a second (54E).
        self._filtered += (watts**2 * (1 if watts > 0 else -1) - self._filtered) * (1 - 0.992**step)
        for label, power in (
            ("SMAXSN", math.sqrt(max(self._filtered, 0))),
            ("SMAXIN", math.sqrt(max(-self._filtered, 0))),
        ):
            if power > self.peaks[label][0]:
                self.peaks[label] = (power, self.now)
        self._half_hour += watts * step
        if int((self.now + step) // 1800) > int(self.now // 1800):
            self.curve = [((self.now + step) // 1800 * 1800, self._half_hour / 1800), *self.curve[:1]]
            self._half_hour = 0.0
        if self.over:
            self.over_until = self.now + 60

    @property
    def watts(self) -> float:
        """Net power: positive drawn, negative injected (a consumer's meter never injects)."""
        net = self.house.load(self.now) - self.house.sun(self.now)
        return net if self.producer else max(net, 0)

    @property
    def amperes(self) -> int:
        """Current of each phase."""
        return round(abs(self.watts) / self.phases / 230)

    @property
    def subscribed_amperes(self) -> int:
        """Subscribed current of each phase (ISOUSC)."""
        return self.house.subscribed // 200 // self.phases

    @property
    def over(self) -> bool:
        """Whether the current exceeds the subscribed current."""
        return self.watts > 0 and self.amperes > self.subscribed_amperes

    def _colour_at(self, when: datetime) -> int:
        """Return the Tempo colour of a day, which runs from 06:00 to 06:00."""
        return _WEEK[(when - timedelta(hours=6)).date().toordinal() % 7]

    @property
    def colour(self) -> int:
        """Tempo colour of today."""
        return self._colour_at(self.local)

    @property
    def colour_tomorrow(self) -> int:
        """Tempo colour of tomorrow, announced or not."""
        return self._colour_at(self.local + timedelta(days=1))

    @property
    def index(self) -> int:
        """The active index of the supplier."""
        clock = self.local.hour + self.local.minute / 60
        if self.contract == "HC":
            return 1 if clock < 6.5 or clock >= 22.5 else 2
        if self.contract == "EJP":
            return 2 if self.peak_at(self.local) else 1
        if self.contract == "TEMPO":
            return 2 * self.colour + (1 if clock < 6 or clock >= 22 else 2)
        return 1

    def peak_at(self, when: datetime) -> bool:
        """Return whether an EJP peak is active: from 07:00 to 01:00 on peak days."""
        return self._colour_at(when - timedelta(hours=1)) == 2 and (when.hour >= 7 or when.hour < 1)

    @property
    def distributor_index(self) -> int:
        """The active index of the distributor: winter or summer, off-peak or peak."""
        return 1 + (6 <= self.local.hour < 22) + 2 * (4 <= self.local.month <= 10)

    @property
    def announced(self) -> bool:
        """Whether tomorrow's colour is announced: from 20:00 until the Tempo day ends at 06:00."""
        return self.local.hour >= 20 or self.local.hour < 6

    @property
    def peak_ahead(self) -> bool:
        """Whether a white or red day is announced."""
        return self.announced and self.colour_tomorrow > 0

    @property
    def status(self) -> int:
        """STGE (54E): contact open, Euridis secured, power-line modem registered and synchronised."""
        bits = 1 | self.over << 7 | self.producer << 8 | (self.watts < 0) << 9
        bits |= (self.index - 1) << 10 | (self.distributor_index - 1) << 14 | 1 << 17 | 3 << 19 | 2 << 21 | 1 << 23
        if self.contract == "TEMPO":
            today, tomorrow = self.colour, self.colour_tomorrow
            bits |= (today + 1) << 24 | ((tomorrow + 1) << 26 if self.announced else 0)
            bits |= tomorrow << 28 if self.peak_ahead else 0
            bits |= today << 30
        return bits
