"""The kinds of meters, one folder each; `PROTOCOLS` names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from meterline.protocols.api import MeterProtocol


class Entry(NamedTuple):
    """One protocol of the table.

    Attributes:
        module: Where its ``PROTOCOL`` is; imported when it is used.
        probe: How it is recognised: by listening, or by an answer. A link is listened to by all that ``listen`` before
            anything is written to it.
    """

    module: str
    probe: Literal["listen", "write"]


ENTRIES: dict[str, Entry] = {
    "tic": Entry("meterline.protocols.tic", "listen"),
    "broute": Entry("meterline.protocols.broute", "write"),
}


class Protocols(Mapping[str, "MeterProtocol[Any]"]):
    """Name → protocol. Its code is imported when its value is taken: a meter costs memory only where it is."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> MeterProtocol[Any]:
        protocol: MeterProtocol[Any] = import_module(self._entries[name].module).PROTOCOL
        return protocol

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def recognised_by(self, probe: Literal["listen", "write"]) -> list[str]:
        """Return the names of those that are recognised like that; nothing is imported."""
        return [name for name, entry in self._entries.items() if entry.probe == probe]


PROTOCOLS = Protocols(ENTRIES)
