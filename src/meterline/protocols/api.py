"""The interface of a kind of meter: how to read, recognise, explain, redact and simulate it.

Each folder beside this file implements `MeterProtocol` once, as ``PROTOCOL`` in its ``__init__.py``. The rest of the program
knows a protocol by this interface and by its name in `PROTOCOLS` only. docs/add-a-protocol.md shows a whole one.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, NoReturn, Protocol, TypeAlias, TypeVar

from meterline.link.stream import Link, SerialSettings
from meterline.meter.readings import Emit, Hint

if TYPE_CHECKING:  # a program that reads meters neither simulates nor judges a trial
    from argparse import ArgumentParser, Namespace

    from meterline.protocols.trial import Trial
    from meterline.simulation.place import Place

Level: TypeAlias = Literal["ok", "warning", "fault"]


class Finding(NamedTuple):
    """One thing that was examined.

    Attributes:
        level: ``ok``: as it should be. ``warning``: it works, or may work; it could be better. ``fault``: no meter can be read.
        what: What was found, in one sentence for people.
        remedy: The command to type or the line to write, where something is wrong.
    """

    level: Level
    what: str
    remedy: str = ""


def ok(what: str) -> Finding:
    """A finding: it is as it should be."""
    return Finding("ok", what)


def warning(what: str, remedy: str = "") -> Finding:
    """A finding: it works, or may work; it could be better."""
    return Finding("warning", what, remedy)


def fault(what: str, remedy: str = "") -> Finding:
    """A finding: no meter can be read like that."""
    return Finding("fault", what, remedy)


class Recognition(NamedTuple):
    """The result of one try to recognise a protocol on a link.

    Attributes:
        is_sure: The protocol speaks there. The link is left at its speed, and no byte is lost.
        why_not: Problem and remedy, where it is not sure.
        is_own: The line shows signs of the protocol, although it cannot be read (damage, an unknown model). Nothing is written
            to such a line for the sake of other protocols.
        findings: What was found on the way, for people.
        counts: How much came, a line each, without its content: for a report about a line that nobody recognised.
    """

    is_sure: bool
    why_not: Hint = Hint("")
    is_own: bool = False
    findings: tuple[Finding, ...] = ()
    counts: tuple[str, ...] = ()


class Decoder(Protocol):
    """Sans-IO: bytes in, however they are cut; events out. `feed` never raises, and keeps a bounded number of bytes."""

    def feed(self, data: bytes, /) -> Sequence[Any]:
        """Return the events that these bytes complete; `Rejected` is one of them."""


class Redactor(Protocol):
    """Takes secrets out of a stream."""

    def feed(self, data: bytes, /) -> bytes:
        """Return what may be shown of the stream so far. What is begun and not complete is never shown."""


class MeterOptions(Protocol):
    """The options of one meter: a frozen dataclass with a default for each field."""

    def stale_after(self, meters: int) -> float:
        """Return the seconds until a value that is not confirmed disappears, where so many meters share the link."""


class SimulatedMeter(NamedTuple):
    """A simulated meter for `meterline demo`.

    Attributes:
        name: Its name, the label `meter`.
        options: The options with which it is read.
        tariffs: Its prices, written as in a configuration file; None: it has none.
        serve: Opens it in a place, and plays it until the end of the context, which gives the URL of the link.
    """

    name: str
    options: MeterOptions
    tariffs: Mapping[str, Any] | None
    serve: Callable[[Place], AbstractAsyncContextManager[str]]


class Simulator(Protocol):
    """Plays a meter that does not exist.

    Attributes:
        summary: What is simulated, for the help of `meterline simulate`.
        faults: NAME=VALUE pairs that `--fault` takes, for the help.
    """

    summary: str
    faults: str

    def add_flags(self, parser: ArgumentParser) -> None:
        """Add the protocol's own flags; `--seed`, `--pty`, `--tcp` and `--fault` are there already."""

    async def simulate(self, args: Namespace, place: Place, announce: Callable[[str], object]) -> None:
        """Play the meter until cancelled.

        Args:
            args: The flags.
            place: Where the meter is reached.
            announce: Gets the text for people once the meter can be read.

        Raises:
            UserError: A flag has a wrong value.
        """

    def demo(self) -> Iterable[SimulatedMeter]:
        """Return the meters of `meterline demo`."""


class Scanner(Protocol):
    """Looks for the meters that a shared medium (radio) carries."""

    async def scan(self, link: Link, say: Callable[[str], object], show: Callable[[str], object]) -> str:
        """Look for meters.

        Args:
            link: The open link of the adapter.
            say: Gets each sentence for people.
            show: Gets the progress, one line that replaces the last; empty: there is none any more.

        Returns:
            The options of the nearest meter, as they are written in a configuration file.

        Raises:
            LookupError: No meter was found. The text is for people.
            OSError: The adapter is silent, or the link was lost.
        """


class Gaps(Protocol):
    """What the ledger lacks of the meters of a link. Cheap to ask at each poll."""

    def absent(self, meter: str, register: str, since: int, until: int) -> Sequence[int] | None:
        """Return the edges of the last 99 days at which a register is not known.

        Args:
            meter: Its name.
            register: Name in the ledger: "import" or "export".
            since: Unix time of the first edge, at the earliest.
            until: Unix time before which the last edge is.

        Returns:
            Unix times, rising; None while the ledger cannot say.
        """

    def patience(self, meter: str) -> float:
        """Return the seconds for which the live values of a meter may stay unconfirmed."""


OptionsT = TypeVar("OptionsT", bound=MeterOptions)


class MeterProtocol(ABC, Generic[OptionsT]):
    """One kind of meter.

    Attributes:
        name: Value of ``protocol:`` in the configuration.
        serial: Line settings with which a device is opened.
        options: The frozen dataclass by which the configuration of a meter is typed.
        told_apart_by: The option by which several meters on one link differ; None: a link has one meter.
        time_zone: IANA name; local days begin there, unless a configuration names another zone.
        import_registers: Names of the registers of what is drawn, one for each tariff, in order, as in the label `tariff` of
            `smartmeter_energy_import_tariff_watthours_total`; empty: there is a total only. Costs are booked from them, and a
            configuration that prices another register is refused.
        export_registers: The same of what is fed in (`smartmeter_energy_export_tariff_watthours_total`). A snapshot adds them
            up (`Total`), and the one feed-in price credits the sum.
        max_power_va: Volt-amperes: the highest power that the rise of a register may imply where the meter does not say what
            is subscribed, and always for what is fed in.
        slot_s: Seconds from one edge of the ledger to the next: those at which the meter remembers its registers, else a
            quarter of an hour, which prices and capacity tariffs need.
        identifiers: Patterns of the numbers that identify a household. A report for strangers masks what they match in free
            text, whatever its case.
    """

    name: ClassVar[str]
    serial: ClassVar[SerialSettings]
    options: ClassVar[type[Any]]
    told_apart_by: ClassVar[str | None] = None
    time_zone: ClassVar[str]
    import_registers: ClassVar[tuple[str, ...]] = ()
    export_registers: ClassVar[tuple[str, ...]] = ()
    max_power_va: ClassVar[float]
    slot_s: ClassVar[int] = 900
    identifiers: ClassVar[tuple[re.Pattern[str], ...]] = ()

    @abstractmethod
    async def read(
        self,
        link: Link,
        meters: Mapping[str, OptionsT | None],
        memory: dict[str, Any],
        emit: Emit,
        gaps: Gaps | None = None,
    ) -> NoReturn:
        """Read until the link ends.

        Args:
            link: The open link, at the settings of `serial` or at those that `recognise` found.
            meters: Name → options of each meter that shares the link; None where the configuration has none.
            memory: What JSON can hold; restored after a restart.
            emit: Takes each Snapshot, Rejected, Observation, Hint and Remembered, in order. Where the link has several meters,
                each item names its meter.
            gaps: What the ledger lacks; None: no ledger is kept. A protocol whose meters remember their registers asks them
                for what is absent, and emits `Remembered`, so that no live value gets older for it. Others ignore it.

        Raises:
            TimeoutError: The meter is silent. The text is for people.
            Refused: The meter answered and declines (credentials).
            OSError: The link was lost.
            EOFError: The capture has ended.
        """

    @abstractmethod
    async def recognise(self, link: Link, options: OptionsT | None = None) -> Recognition:
        """Find out whether this protocol speaks on a link.

        Args:
            link: The open link, at the settings of `serial`.
            options: Those of a meter that is configured there.

        Returns:
            What was found. Where it is sure, what was read is given back (`link.unread`).

        Raises:
            OSError: The link was lost.
        """

    @abstractmethod
    def diagnose(
        self, link: Link, meters: Mapping[str, OptionsT | None], seconds: float, recognition: Recognition
    ) -> AsyncIterator[Finding | Trial]:
        """Explain how well the meters of a link can be read, or why not at all.

        Args:
            link: The open link, as `recognise` left it.
            meters: As of `read`.
            seconds: How long to listen to a line.
            recognition: The result of `recognise`.

        Yields:
            Findings, each as soon as it is known; and each trial reading, so that its clock can be compared with ours.

        Raises:
            OSError: The link was lost.
        """

    @abstractmethod
    def suggested_options(self, link: Link) -> str:
        """Return the options of a recognised meter as YAML on one line; empty: none are needed."""

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return a new decoder, for `decode` and for the contract of the tests."""

    @abstractmethod
    def describe(self, event: Any) -> dict[str, Any] | None:
        """Return what `decode` prints of an event; None: nothing."""

    @abstractmethod
    def proves(self, event: Any) -> bool:
        """Whether only this protocol can produce the event: by that `decode` finds the protocol of a capture."""

    @abstractmethod
    def redactor(self, household: bool) -> Redactor:
        """Return a redactor of secrets and, where `household`, of all that names the household."""

    @abstractmethod
    def simulator(self) -> Simulator:
        """Return the simulator of a meter. Its code is imported here, since only `simulate` and `demo` use it."""

    def scanner(self, id_file: str | None, environment: Mapping[str, str]) -> Scanner | None:
        """Return what looks for meters behind an adapter; None: an adapter of this kind has one meter.

        Args:
            id_file: A file with the number by which the household's own meter is found.
            environment: Variables, where such a number may be instead.

        Raises:
            ValueError: The number has a wrong form. The text is for people and does not repeat it.
        """
        return None
