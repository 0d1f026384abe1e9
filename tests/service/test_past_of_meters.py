"""The whole way: a meter behind its link, the program with a state folder, the ledger and the page."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from support.live_meters import until
from support.virtual_lines import run

from meterline.config.schema import Config, MeterConfig
from meterline.history.day_row import METER
from meterline.history.ledger import Ledger
from meterline.meter.exposition import Page
from meterline.protocols import PROTOCOLS
from meterline.service.supervisor import Runtime
from meterline.simulation.place import Place
from meterline.store import State

ENERGY = "smartmeter_energy_import_watthours_total"
HOURS = 3600.0
DAYS = 99


async def read(name: str, state: State, hours: float) -> str:
    """The page of a meter that was read for so long."""
    simulated = next(iter(PROTOCOLS[name].simulator().demo()))
    async with simulated.serve(Place()) as url:
        runtime = Runtime(Config((MeterConfig(simulated.name, url, name, simulated.options),)), state)
        task = asyncio.create_task(runtime.run())
        await until(lambda: runtime.meters[simulated.name].value(ENERGY), 600)
        await asyncio.sleep(hours * HOURS)
        page = Page(runtime.meters.values(), runtime.books.refresh).text()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return page


def value(page: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", page, re.MULTILINE)
    assert found, series
    return float(found[1])


def test_a_first_evening_brings_the_past_of_a_meter_that_remembers_it(tmp_path: Path) -> None:
    pages = list[str]()

    async def test() -> None:
        pages.append(await read("broute", State(str(tmp_path)), 3.3))  # maybe a quarter of an hour of it is about midnight

    run(test(), seconds=8 * HOURS)
    (page,) = pages
    meter = re.findall(r'^smartmeter_history_edges{meter="([^"]*)"', page, re.MULTILINE)[0]
    known, absent = (
        value(page, f'smartmeter_history_edges{{meter="{meter}",state="{state}"}}') for state in ("known", "absent")
    )
    assert known >= 98 * 48
    assert known + absent == pytest.approx(DAYS * 48, abs=1)
    assert value(page, f'smartmeter_history_edges_filled_total{{meter="{meter}"}}') >= 98 * 48
    assert value(page, f'smartmeter_history_questions_total{{meter="{meter}"}}') >= 98
    assert 'smartmeter_history_refused_total{meter="' in page
    origins = [
        origin for row in Ledger(str(tmp_path)).rows(meter, 0, 1 << 40) for origin in row.registers["import"].origins if origin
    ]
    assert origins.count(METER) >= 98 * 48


@pytest.mark.parametrize("name", PROTOCOLS)
def test_where_no_ledger_is_kept_no_family_of_it_is_shown(name: str) -> None:
    pages = list[str]()

    async def test() -> None:
        pages.append(await read(name, State(), 0.1))

    run(test())
    assert "smartmeter_history" not in pages[0]


def test_a_meter_that_remembers_nothing_shows_nothing_of_it(tmp_path: Path) -> None:
    pages = list[str]()

    async def test() -> None:
        pages.append(await read("tic", State(str(tmp_path)), 0.5))

    run(test())
    assert "smartmeter_history" not in pages[0]
