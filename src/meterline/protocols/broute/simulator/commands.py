"""A simulated Wi-SUN module with meters in radio range: the commands of SKSTACK.

The module reads no clock: each call of `feed` and `take` passes the time. The dialogue has the form of real captures; faults
are in `Faults`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from meterline.protocols.broute.simulator.faults import Faults
from meterline.protocols.broute.simulator.meter import JST, FakeMeter
from meterline.protocols.broute.simulator.pana_session import SOLICITATION, Sessions
from meterline.protocols.broute.simulator.radio import CHANNELS, NEW_DUAL_REGISTERS, NEW_REGISTERS
from meterline.protocols.broute.simulator.serial_port import CommandFailed
from meterline.protocols.broute.skstack import link_local
from meterline.protocols.broute.splitter import MAX_PAYLOAD

__all__ = ["JST", "FakeMeter", "FakeModule", "Faults"]

VERSIONS = {False: ("1.2.10", "rev26e"), True: ("1.5.2", "rev15")}
"""Dual edition → version of the stack and of the application."""
HANDLES = {1: 0x0E1A, 2: 0x02CC, 3: 0, 4: 0, 5: 0, 6: 0}
"""UDP handle → port after a reset."""

_NONE = Faults()
_ADDRESS = re.compile("[0-9A-F]{4}(:[0-9A-F]{4}){7}", re.IGNORECASE)
_FLAGS = ("S15", "S17", "SA0", "SA1", "SA2", "SA9", "SF0", "SFE", "SFF")
_ARGUMENTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("SKVER", "SKAPPVER", "SKINFO", "SKRESET", "SKREJOIN", "SKTERM", "ROPT", "RUART"), (0,)),
    **dict.fromkeys(("SKSAVE", "SKLOAD", "SKERASE"), (0,)),
    **dict.fromkeys(("SKSETRBID", "SKLL64", "SKJOIN", "SKTABLE", "SKRFLO", "WOPT", "WUART"), (1,)),
    **dict.fromkeys(("SKREGDEV", "SKRMDEV", "SKRMKEY"), (1,)),
    **dict.fromkeys(("SKSETPWD", "SKSETPSK", "SKADDNBR", "SKUDPPORT", "SKSETKEY"), (2,)),
    "SKSREG": (1, 2),
    "SKSECENABLE": (3,),
}
"""Command → accepted numbers of arguments; those of SKSCAN, SKSENDTO and SKPING depend on the edition."""


def _number(word: str, lowest: int, highest: int, digits: str = "1,8") -> int:
    if not re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", word) or not lowest <= int(word, 16) <= highest:
        raise CommandFailed("ER06")
    return int(word, 16)


def _address(word: str) -> str:
    if not _ADDRESS.fullmatch(word):
        raise CommandFailed("ER06")
    return word.upper()


class FakeModule(Sessions):
    """A simulated module, as a `Responder`: `feed` takes bytes of the host, `take` returns those of the module."""

    def __init__(
        self,
        meters: Sequence[FakeMeter],
        *,
        dual: bool = True,
        binary: bool = False,
        echo: bool = True,
        scale: float = 1.0,
        haste: float = 1.0,
        faults: Faults = _NONE,
        seed: int = 1,
        start_unix: float = 1_750_000_000.0,
        mac: str = "",
        hit: float = 1.0,
    ) -> None:
        """Make a module.

        Args:
            meters: The meters in radio range.
            dual: Whether the module is of the dual edition.
            binary: Whether payloads are binary (WOPT 00) in place of hexadecimal.
            echo: Whether the module echoes commands.
            scale: Factor by which all simulated time is faster than real time.
            haste: Factor by which only the reactions of module and meters are faster; clocks and lifetimes are not.
            faults: Faults of module, radio and meters.
            seed: Seed of the random numbers.
            start_unix: Unix time of the first contact.
            mac: MAC address of the module, 16 hexadecimal digits; empty: made from `seed`.
            hit: Probability that a scan finds a meter.
        """
        mac = mac or f"{0x001D129012340000 + (seed & 0xFFFF):016X}"
        super().__init__(meters, mac, dual, binary, hit, seed, faults, scale, haste, start_unix)
        self._echoes, self._handles = echo, dict(HANDLES)
        self._neighbours: dict[str, str] = {}
        self._saved: dict[str, str] = {}
        self._forget()

    def _forget(self) -> None:
        """Reset everything except the module's addresses and the settings of the product."""
        self.registers = NEW_REGISTERS | (NEW_DUAL_REGISTERS | {"S01": self.mac} if self.dual else {})
        self.registers["SFE"] = "1" if self._echoes else "0"
        self.echo = self._echoes
        self.rbid = self.password = ""
        self._handles = dict(HANDLES)
        self._neighbours.clear()
        self.lose()
        self.cancel("scan")
        self.cancel("end")

    def run(self, words: list[str]) -> None:
        """Run a command. CommandFailed: the line is no valid command."""
        name, arguments = words[0], words[1:]
        counts: dict[str, tuple[int, ...]] = {
            "SKSCAN": (4,) if self.dual else (3,),
            "SKPING": (1, 2) if self.dual else (1,),
            "SKSENDTO": (),
            **_ARGUMENTS,
        }
        if name not in counts or (self.faults.no_ropt and not name.startswith("SK")):
            raise CommandFailed("ER04")
        if len(arguments) not in counts[name]:
            raise CommandFailed("ER05")
        command: Callable[..., None] = getattr(self, f"_{name.lower()}")
        command(*arguments)

    def _ok(self, *_: str) -> None:
        self.send_line("OK")

    _skregdev = _skrmdev = _sksetkey = _skrmkey = _sksecenable = _ok  # Keys that are set by hand do not affect a session.

    def _skver(self) -> None:
        self.send_line(f"EVER {VERSIONS[self.dual][0]}")
        self._ok()

    def _skappver(self) -> None:
        self.send_line(f"EAPPVER {VERSIONS[self.dual][1]}")
        self._ok()

    def _skinfo(self) -> None:
        side = "0" if self.dual else "FFFE"
        self.send_line(f"EINFO {self.address} {self.mac} {self.registers['S02']} {self.registers['S03']} {side}")
        self._ok()

    def _skreset(self) -> None:
        self._forget()
        self.soon("reset", 0.3, self._ok)

    def _sksetpwd(self, length: str, password: str) -> None:
        self.password = password[: _number(length, 1, 0x20, "1,2")]
        self._ok()

    def _sksetrbid(self, rbid: str) -> None:
        if len(rbid) > 32:
            raise CommandFailed("ER06")
        self.rbid, self.registers["S0A"] = rbid, rbid[-8:]
        self._ok()

    def _sksetpsk(self, length: str, key: str) -> None:
        _number(length, 0x10, 0x10, "2")
        if not re.fullmatch("[0-9A-Fa-f]{32}", key):
            raise CommandFailed("ER06")
        self._ok()

    def _skscan(self, mode: str, mask: str, duration: str, side: str = "0") -> None:
        if mode not in ("0", "2", "3") or side not in ("0", "1"):
            raise CommandFailed("ER06")
        channels, length = _number(mask, 1, 0xFFFFFFFF), _number(duration, 0, 14, "1,2")
        self._need(not self.planned("scan") and not self.planned("join"))
        self._ok()
        self.scan(int(mode), channels, length, int(side))

    def _skll64(self, mac: str) -> None:
        self.send_line(link_local(f"{_number(mac, 0, 2**64 - 1, '16'):016X}"))

    def _skaddnbr(self, address: str, mac: str) -> None:
        _number(mac, 0, 2**64 - 1, "16")
        self._neighbours[_address(address)] = mac.upper()
        self._need(len(self._neighbours) <= 8)
        self._ok()

    def _skjoin(self, address: str) -> None:
        address = _address(address)
        self._need(not self.planned("scan") and not self.planned("join"))
        self._ok()
        self.join(address, address in self._neighbours)
        if meter := self.on_air(address):
            self._neighbours[address] = meter.mac

    def _skrejoin(self) -> None:
        self._need(self.session is not None and not self.planned("join"))
        self._ok()
        self.authenticate()

    def _skterm(self) -> None:
        self._need(self.session is not None)
        self._ok()
        self.terminate()

    def _skping(self, address: str, side: str = "0") -> None:
        address = _address(address)
        if side not in ("0", "1"):
            raise CommandFailed("ER06")
        self._ok()
        if self.on_air(address):
            self.soon("ping", 0.1, lambda: self.send_line(f"EPONG {address}"))

    def _sktable(self, which: str) -> None:
        ports = [str(port) for port in self._handles.values()]
        tables = {
            "1": ["EADDR", self.address],
            "2": ["ENEIGHBOR", *(f"{address} {mac} FFFF" for address, mac in self._neighbours.items())],
            "E": ["EPORT", *ports, *([] if self.dual else ["", "3610", "0", "0", "0"])],
        }
        if which.upper() not in tables:
            raise CommandFailed("ER06")
        for line in (*tables[which.upper()], "OK"):
            self.send_line(line)

    def _skudpport(self, handle: str, port: str) -> None:
        self._handles[_number(handle, 1, 6, "1,2")] = _number(port, 0, 0xFFFF, "1,4")
        self._ok()

    def _skrflo(self, side: str) -> None:
        _number(side, 0, 1, "2")
        self._ok()

    def _need(self, condition: bool) -> None:
        if not condition:
            raise CommandFailed("ER10")

    def _sksave(self) -> None:
        self._saved = dict(self.registers)
        self._ok()

    def _skload(self) -> None:
        self._need(bool(self._saved))
        self.registers |= self._saved
        self.echo = self.registers["SFE"] == "1"
        self._ok()

    def _skerase(self) -> None:
        self._saved.clear()
        self._ok()

    def _sksreg(self, register: str, value: str | None = None) -> None:
        name = re.sub("^S([0-9A-F])$", r"S0\1", register.upper())
        measured = {"SFB": "1" if self.limited else "0", "SFD": f"{int(self.sent_ms):016X}"}
        if name not in self.registers | measured:
            raise CommandFailed("ER06")
        if value is None:
            self.send_line(f"ESREG {(self.registers | measured)[name]}")
        else:
            self._set_register(name, value)
        self._ok()

    def _set_register(self, name: str, value: str) -> None:
        if name == "S02":
            self.registers[name] = f"{_number(value, CHANNELS[0], CHANNELS[-1], '1,2'):02X}"
        elif name == "S03":
            self.registers[name] = f"{_number(value, 0, 0xFFFF, '1,4'):04X}"
        elif name == "S16":
            self.registers[name] = f"{_number(value, 0x3C, 0xFFFFFFFF):X}"
        elif name == "SFD" and not _number(value, 0, 0):
            self.sent_ms = 0.0
        elif name in ("S0A", "S0B") and len(value) == len(self.registers[name]):
            self.registers[name] = value
        elif name in _FLAGS and value in ("0", "1"):
            self.registers[name] = value
            self.echo = self.registers["SFE"] == "1"
        else:
            raise CommandFailed("ER06")

    def _ropt(self) -> None:
        self.send_line("OK 00" if self.binary else "OK 01", b"\r")

    def _wopt(self, form: str) -> None:
        self.binary = _number(form, 0, 1, "2") == 0
        self.send_line("OK", b"\r")

    def _ruart(self) -> None:
        self.send_line("OK 00", b"\r")

    def _wuart(self, settings: str) -> None:
        _number(settings, 0, 0xFF, "2")
        self.send_line("OK", b"\r")

    def announced(self, words: list[str]) -> int:
        """Return the length of the payload of ``SKSENDTO handle address port security [side] length``."""
        _, handle, address, port, security, *side, length = words if len(words) == 6 + self.dual else [""] * 6
        if not length:
            raise CommandFailed("ER06")
        _number(handle, 1, 6, "1,2")
        _address(address)
        _number(port, 1, 0xFFFF, "4")
        _number(security, 0, 2, "1")
        for one in side:
            _number(one, 0, 1, "1")
        return _number(length, 1, MAX_PAYLOAD, "4")

    def send(self, words: list[str], payload: bytes) -> None:
        """Send a datagram. Its result (event 21) comes before or after OK, and after that of a neighbour solicitation."""
        for name in ("er09", "er10"):
            if self.dice.hit(name):
                raise CommandFailed(name.upper())
        self._need(self._handles[int(words[1], 16)] > 0 and not self.planned("scan"))
        address = words[2].upper()
        result = self.transmit(address, int(words[3], 16), int(words[4], 16), payload)
        if self.random.random() < 0.25:
            self._ok()
            self.event(0x21, address, result)
        else:
            self.event(0x21, address, result)
            self._ok()
        if result == 2:
            self.soon("sent", SOLICITATION / 2, lambda: self.event(0x02, address))
            self.soon("sent", SOLICITATION, lambda: self.event(0x21, address, 0))
