"""Protocols that exist for a test only."""

from __future__ import annotations

import sys
import types
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, NoReturn

import pytest

from meterline.link.stream import Link, SerialSettings
from meterline.meter.readings import Emit
from meterline.protocols import ENTRIES, Entry
from meterline.protocols.api import Decoder, Finding, Gaps, MeterProtocol, Recognition, Redactor, Simulator
from meterline.protocols.trial import Trial


class Stub(MeterProtocol[Any]):
    """A protocol that does nothing; a test overrides what it needs."""

    name = "stub"
    serial = SerialSettings()
    options = object
    time_zone = "Europe/Paris"
    max_power_va = 36_000.0

    async def read(
        self,
        link: Link,
        meters: Mapping[str, Any],
        memory: dict[str, Any],
        emit: Emit,
        gaps: Gaps | None = None,
    ) -> NoReturn:
        raise NotImplementedError

    async def recognise(self, link: Link, options: Any = None) -> Recognition:
        return Recognition(False)

    async def diagnose(
        self, link: Link, meters: Mapping[str, Any], seconds: float, recognition: Recognition
    ) -> AsyncIterator[Finding | Trial]:
        raise NotImplementedError
        yield  # a generator

    def suggested_options(self, link: Link) -> str:
        return ""

    def decoder(self) -> Decoder:
        raise NotImplementedError

    def describe(self, event: Any) -> dict[str, Any] | None:
        return None

    def proves(self, event: Any) -> bool:
        return False

    def redactor(self, household: bool) -> Redactor:
        raise NotImplementedError

    def simulator(self) -> Simulator:
        raise NotImplementedError


def add_protocol(
    monkeypatch: pytest.MonkeyPatch, name: str, protocol: MeterProtocol[Any], probe: Literal["listen", "write"] = "listen"
) -> None:
    """Let the program know a protocol under this name."""
    module = types.ModuleType(f"protocol_{name}")
    module.PROTOCOL = protocol  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(ENTRIES, name, Entry(module.__name__, probe))
