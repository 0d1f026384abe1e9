"""meterline simulate: a meter without hardware, on a pseudo-terminal or a TCP port."""

from __future__ import annotations

import asyncio
import contextlib
import re
from argparse import Namespace
from collections.abc import Coroutine
from typing import Any, TypeVar, get_type_hints

from meterline import world
from meterline.errors import UserError
from meterline.protocols.broute.simulator import commands as wisun
from meterline.protocols.tic.simulator import meter as linky
from meterline.protocols.tic.simulator.state import PARIS
from meterline.simulation import responder
from meterline.simulation.household import House
from meterline.simulation.line import Faults, on_pty, on_tcp, talk
from meterline.web.http.server import parse_address

CONFIGURATION = """\
meters:
  - name: simulated
    link: {url}
    protocol: broute
    options: {{id: "{id}", password: "{password}"}}"""
"""How to read a simulated B-route meter. Its secrets are made up."""


def simulate_tic(args: Namespace) -> None:
    """A Linky, until Ctrl-C or SIGTERM."""
    house = House(
        PARIS,
        args.subscribed or 6000 * args.phases,
        3000 if args.producer else 0,
        parse_period("--overload", args.overload) if args.overload else None,
        args.seed,
    )
    meter = linky.FakeMeter(house, args.mode, args.contract.upper(), args.phases, args.producer, args.seed)
    _until_ctrl_c(_talk(meter, parse_faults(args.fault, Faults), args.pty, args.tcp))


def simulate_broute(args: Namespace) -> None:
    """A Wi-SUN module and the meter on its air, until Ctrl-C or SIGTERM."""
    if not args.scale > 0:
        raise UserError(f"--scale {args.scale:g}: expected a factor above 0")
    house = House(wisun.JST, solar=5000 if args.solar else 0, seed=args.seed)
    meter = wisun.FakeMeter(house, args.seed, second_generation=args.generation == 2)
    module = wisun.FakeModule(
        [meter],
        dual=args.edition == "dual",
        binary=args.form == "binary",
        echo=args.echo,
        scale=args.scale,
        faults=parse_faults(args.fault, wisun.Faults),
        seed=args.seed,
        start_unix=world.current.now(),
    )
    _until_ctrl_c(_answer(module, args.pty, args.tcp))


SIMULATORS = {"tic": simulate_tic, "broute": simulate_broute}
"""Protocol → its simulator."""


def _until_ctrl_c(work: Coroutine[Any, Any, None]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work)


async def _talk(meter: linky.FakeMeter, faults: Faults, pty: str | None, tcp: str | None) -> None:
    place = on_tcp(*parse_address(tcp)) if tcp else on_pty(pty)
    async with place as (url, write, heard_at):
        print(f"simulated meter at {url}; read it with: meterline run {url}", flush=True)
        await talk(meter, linky.MODES, write, faults, heard_at)


async def _answer(module: wisun.FakeModule, pty: str | None, tcp: str | None) -> None:
    place = responder.on_tcp(lambda: module, *parse_address(tcp)) if tcp else responder.on_pty(module, pty)
    async with place as url:
        meter = module.meters[0]
        print(CONFIGURATION.format(url=url, id=meter.id, password=meter.password), flush=True)
        await asyncio.Event().wait()


Kind = TypeVar("Kind")


def parse_faults(words: list[str], faults: type[Kind]) -> Kind:
    """``bit-errors=0.001``, ``silence=300/60``, ``silent=yes`` … UserError names what is known."""
    kinds = get_type_hints(faults)
    values: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        key = name.replace("-", "_")
        if key not in kinds:
            raise UserError(f"--fault {word}: {name!r} is not known; known: {', '.join(kinds).replace('_', '-')}")
        values[key] = _parse_fault(word, kinds[key], text)
    return faults(**values)


def _parse_fault(word: str, kind: Any, text: str) -> Any:
    if kind is bool:
        if text not in ("yes", "no"):
            raise UserError(f"--fault {word}: expected yes or no")
        return text == "yes"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise UserError(f"--fault {word}: expected a number") from None
    return parse_period(f"--fault {word.partition('=')[0]}", text)


def parse_period(flag: str, text: str) -> tuple[int, int]:
    """``300/60``: the last 60 seconds of every 300."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if not match or not 0 < int(match[2]) <= int(match[1]):
        raise UserError(f"{flag} {text}: expected PERIOD/LENGTH in seconds, such as 300/60")
    return int(match[1]), int(match[2])
