"""What a protocol says about a meter: the only words that drivers and the runtime share. Imports nothing of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

Series: TypeAlias = tuple[str, ...]
"""A series of one meter: the family's name, then its label values in the order of the catalogue.

For an info family the second item is the *name* of one of its labels: ``("smartmeter_info", "address")``.
"""


class Text(str):
    """Free text from the wire (a tariff's name): believed when two in a row agree."""

    __slots__ = ()


class Secret(str):
    """A field of the wire that names a household, such as the number of a delivery point: no page shows it."""

    __slots__ = ()


Value: TypeAlias = int | float | str | None
"""A number for a sample, text for one label of an info family, None where the meter says that there is none now."""


class Reading(NamedTuple):
    """One value that a meter said."""

    series: Series
    value: Value


class Total(NamedTuple):
    """A register that the meter does not send itself: the sum of others, once each of them is known."""

    series: Series
    parts: tuple[Series, ...]


class Contract(NamedTuple):
    """The contract that a meter is programmed for, as far as it tells by which registers energy is counted."""

    name: str
    registers: tuple[str, ...] = ()
    """Those of the tariffs it has; empty where that is not known."""
    others: tuple[str, ...] = ()
    """Registers that mean something else in another contract: a price for one of them is a price for another contract."""


class Resolution(NamedTuple):
    """How a register counts, in the unit of its family: the least that it rises by, and where it begins again at 0."""

    step: float = 1.0
    wraps_at: float = math.inf


NO_RESOLUTIONS: Mapping[Series, Resolution] = MappingProxyType({})


class Change(NamedTuple):
    """How a snapshot differs from the one before, so that whoever took that one looks at nothing else.

    Attributes:
        number: Of this snapshot; the one before of the same driver has one less.
        readings: Those with another value than before, in their order, while no series came or went; None: look at all.
    """

    number: int
    readings: tuple[Reading, ...] | None = None


class Snapshot(NamedTuple):
    """All readings of one frame, or of one round of questions."""

    readings: Sequence[Reading]
    address: str | None = None
    """The meter's own number, to notice an exchanged meter; None where the frame does not say."""
    totals: tuple[Total, ...] = ()
    short: bool = False
    """True for a frame that leaves most readings out for a while: those then stay fresh for longer."""
    meter: str = ""
    """Which of the link's meters; empty where the link has one."""
    resolution: Resolution = Resolution()
    """Of all its registers, but for those in `resolutions`."""
    resolutions: Mapping[Series, Resolution] = NO_RESOLUTIONS
    """Of registers that count otherwise: energy and volume on one meter do."""
    words: Mapping[str, str] = MappingProxyType({})
    """What was said, as it was sent: the wire's own label → its data."""
    contract: Contract | None = None
    """None where it is not said."""
    whole: bool = False
    """Nothing was lost on the way: a label that is not among the words was not sent."""
    checked: bool = True
    """False where the wire has no checksum: the first value of a register is then believed when it was read twice."""
    holds: float = 0.0
    """Seconds for which it holds at least: a meter that answers slowly is not silent meanwhile."""
    change: Change | None = None
    """None from a driver that does not compare."""


class Rejected(NamedTuple):
    """Something on the line that is not shown, and why: one of `REASONS`."""

    reason: str
    data: bytes = b""
    meter: str = ""
    times: int = 1
    """How many: a flood of them is one item."""


class Observation(NamedTuple):
    """What a driver says about itself, as a value of a family in the catalogue: with `increment` an addition, in a histogram
    one more observation, with None no longer known.
    """

    series: Series
    value: float | None
    increment: bool = False
    meter: str = ""


class Hint(NamedTuple):
    """For the log, said once a day: what seems to be wrong on the line, and the remedy; or (`good`) what is so."""

    text: str
    meter: str = ""
    good: bool = False
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """Both in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


class Remembered(NamedTuple):
    """What a meter remembers of its registers, at edges of the ledger that are over. It has passed the checks of the driver.

    Attributes:
        edges: Unix time of an edge in seconds, name of the register in the ledger ("import", "export"), watt-hours.
        address: The meter's own number: what one meter remembers is never recorded of another.
        meter: Which of the link's meters; empty where the link has one.
    """

    edges: tuple[tuple[int, str, float], ...]
    address: str | None = None
    meter: str = ""


DOUBTS = (
    "unanswered",
    "refused",
    "malformed",
    "other_question",
    "unconfirmed",
    "clock",
    "date_changed",
    "future",
    "step",
    "half_hour",
    "register",
    "known_edge",
    "other_meter",
)
"""Why a question about the memory of a meter filled no edge. unanswered: no reply came in time. refused: the meter declines.
malformed: a wrong width or number. other_question: the reply is to another day or time. unconfirmed: a second reply differs.
clock: the meter's clock differs from ours. date_changed: the meter's date changed meanwhile. future: a register of a time to
come. step: a register falls, or rises too fast. half_hour: the last half-hourly register is another one. register: the live one
is lower. known_edge: the ledger knows another value. other_meter: another meter is recorded now.
"""


Item: TypeAlias = Snapshot | Rejected | Observation | Hint | Remembered
"""Everything that a driver says about a meter and its line."""
Emit: TypeAlias = Callable[[Item], object]
"""Takes the items of a driver's `read`, in order, each at once: whoever reads a meter passes it in."""

REASONS = ("checksum", "malformed", "unknown_label", "truncated", "implausible")
"""Why something was not shown. checksum: the check failed. malformed: wrong width, character, field or timestamp.
unknown_label: not in the table. truncated: cut off. implausible: whole, but it cannot be true (yet)."""


class _Trouble(Exception):
    """Why a meter is not read.

    `str()` is one line for people: link, problem, remedy.

    Attributes:
        problem: What happened, without the link.
        remedy: What to do about the problem; empty where nothing is known, or where the problem says it.
        link: URL of the link, as `Link.url` shows it; empty where the text needs none.
    """

    def __init__(self, problem: str, remedy: str = "", link: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.link = link

    @property
    def sentence(self) -> str:
        """Problem and remedy in one line."""
        return f"{self.problem}; {self.remedy}" if self.remedy else self.problem

    def __str__(self) -> str:
        return f"{self.link}: {self.sentence}" if self.link else self.sentence


class Silent(_Trouble, TimeoutError):
    """No meter speaks on the link."""


class Refused(_Trouble):
    """The other side answered, and will not talk to us (credentials, wrong meter): trying soon again is of no use."""
