"""Write what the program serves of each capture and of simulated B-route meters, byte for byte:

    PYTHONPATH=tests python tests/pages/make_pages.py

tic/NAME.prom, broute/NAME.prom    /metrics, text 0.0.4, of the meters alone; NAME.openmetrics: OpenMetrics 1.0
tic/NAME.linky-env.prom and so on  the page of the replaced exporter
tic/NAME.jsonl                     what `meterline decode` prints

Everything passes through the links, drivers and pages of the program, in virtual time, with fixed seeds. Review a changed
page as if it were code: whoever scrapes the program sees the change.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from support import virtual_time
from support.virtual_time import Watched, play

from meterline.cli.decode import decode
from meterline.cli.replacements import adapter
from meterline.compat import smartmeter_page
from meterline.config.schema import Config, MeterConfig
from meterline.meter.exposition import Page
from meterline.meter.meter import Meter
from meterline.protocols.broute.simulator.commands import JST, FakeMeter, Faults
from meterline.protocols.tic import Options
from meterline.service.supervisor import Runtime
from meterline.simulation.household import House

FOLDER = Path(__file__).parent
CAPTURES = FOLDER.parent / "captures" / "tic"
NAMES = sorted(file.stem for file in CAPTURES.glob("*.bin"))
TWO_FORMS = ("historic-three-hc-short-frames", "standard-single-hc-damaged")
"""Captures of which OpenMetrics and the output of `decode` are kept, too."""


REPLACED = ("linky-env", "linky-json")
SMARTMETERS = ("single-hex", "producer", "silent-in-the-end")
"""B-route pages that are also shown as the replaced exporter shows them."""


def speed(name: str) -> int:
    """Bauds of the line that a capture is of."""
    return 1200 if name.startswith("historic") else 9600


def _read(config: Config, render: Callable[[Runtime], Callable[[], str]]) -> str:
    """The page of a program that has read a capture to its end. `render` is called before the first byte is read."""

    async def scene() -> str:
        runtime = Runtime(config)
        page = render(runtime)
        await runtime.run()
        text = page()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return text

    return play(scene)


def _metrics(meters: Mapping[str, Meter], openmetrics: bool) -> str:
    page = Page(meters.values())
    return "".join(page.one(meter, openmetrics) for meter in meters.values())


def tic_page(name: str, openmetrics: bool = False) -> str:
    """What /metrics shows of the meter of a capture, replayed at the speed of its line."""
    link = f"file:{CAPTURES / name}.bin?baud={speed(name)}"
    config = Config((MeterConfig("home", link, "tic", Options()),))
    return _read(config, lambda runtime: lambda: _metrics(runtime.meters, openmetrics))


def replaced_page(name: str, like: str) -> str:
    """What a replaced exporter would have shown of a capture."""
    link, historic = f"file:{CAPTURES / name}.bin?baud={speed(name)}", name.startswith("historic")
    settings = {
        "linky-env": {"LINKY_EXPORTER_INTERFACE": link, "LINKY_EXPORTER_MODE": "HISTORIQUE" if historic else "STANDARD"},
        "linky-json": {"DEVICE": link, "INDEXWHRATES_HCHC": "0.0001579", "INDEXWHRATES_HCHP": "0.0002065"},
    }
    dropin = adapter(like)([], settings[like])
    return _read(dropin.config, lambda runtime: partial(dropin.source(runtime).text, False))


def decoded(name: str) -> str:
    """What `meterline decode` prints of a capture."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        decode(f"{CAPTURES / name}.bin", "tic")
    return printed.getvalue()


ROOF = House(JST, solar=5000)
BROUTE: dict[str, Callable[[], dict[str, Any]]] = {
    "single-hex": lambda: {"dual": False},
    "dual-binary": lambda: {"dual": True, "binary": True},
    "producer": lambda: {"meters": [FakeMeter(ROOF)]},
    "second-generation": lambda: {"meters": [FakeMeter(ROOF, second_generation=True)]},
    "two-meters": lambda: {"meters": [FakeMeter(), FakeMeter(number=2, channel=0x35, lqi=0x70)]},
    "wrong-password": lambda: {"wrong": {"password": "000000000000"}},
    "damaged": lambda: {"faults": Faults(drop=0.1, garbage=0.1, er10=0.1), "seed": 3},
    "silent-in-the-end": lambda: {"faults": Faults(outage=(1800, 600))},
}
"""Half an hour with a simulated module and its meters: the name of the page, and what `virtual_time.run` plays."""


def broute_page(name: str, openmetrics: bool = False) -> str:
    """What /metrics shows of simulated B-route meters."""
    return _metrics(virtual_time.run(**BROUTE[name]()).meters, openmetrics)


def smartmeter_shown(name: str) -> str:
    """What the replaced exporter would have shown of a simulated B-route meter."""
    pages: list[smartmeter_page.Page] = []
    text = ""

    def look(watched: Watched) -> None:
        nonlocal text
        if not pages:
            pages.append(smartmeter_page.Page(watched.meter, 60.0))
        text = pages[0].text()

    virtual_time.run(act=look, **BROUTE[name]())
    return text


PAGES: dict[str, Callable[[], str]] = {
    **{f"tic/{name}.prom": partial(tic_page, name=name) for name in NAMES},
    **{f"tic/{name}.openmetrics": partial(tic_page, name=name, openmetrics=True) for name in TWO_FORMS},
    **{f"tic/{name}.jsonl": partial(decoded, name=name) for name in TWO_FORMS},
    **{f"tic/{name}.{like}.prom": partial(replaced_page, name=name, like=like) for name in NAMES for like in REPLACED},
    **{f"broute/{name}.prom": partial(broute_page, name=name) for name in BROUTE},
    "broute/producer.openmetrics": partial(broute_page, name="producer", openmetrics=True),
    **{f"broute/{name}.smartmeter.prom": partial(smartmeter_shown, name=name) for name in SMARTMETERS},
}
"""File → its text."""


def made(name: str) -> str:
    """The text of a file, as the program makes it now."""
    return PAGES[name]()


def main() -> None:
    for name in PAGES:
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(made(name), encoding="utf-8")


if __name__ == "__main__":
    main()
