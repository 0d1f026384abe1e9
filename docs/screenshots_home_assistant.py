"""Write docs/home-assistant-*.png: our device, the settings and the Energy dashboard of a real Home Assistant.

`make pictures` calls it; the browser is headless Chromium. The meter is simulated; the hours before are filled in from the
same household.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.browser import Tab, chromium, tab  # noqa: E402
from support.home_assistant import HomeAssistant, home_assistant  # noqa: E402
from support.live_meters import fake, talking  # noqa: E402
from support.metered_home import Meterline, configured  # noqa: E402
from support.mosquitto import mosquitto  # noqa: E402

PRICES = {"HCHC": 0.1589, "HCHP": 0.2142}
TARIFFS = {"currency": "EUR", "periods": [{"since": "2024-01-01", "registers": PRICES}]}
ENERGY = {name: f"energy_import_tariff_watthours_total_{name}" for name in PRICES}
COST = {name: f"cost_total_EUR_{name}" for name in PRICES}
SIZE = (860, 800)
"""Home Assistant hides its menu."""
TEXT = """(function text(root) {
  return [...root.querySelectorAll('*')].map(one =>
    (one.shadowRoot ? text(one.shadowRoot) : '') +
    [...one.childNodes].filter(node => node.nodeType === 3).map(node => node.data).join(' ')).join(' ')
})(document)"""
"""All that stands on the page: its parts hide theirs from `innerText`."""


async def _sign_in(page: Tab, home: HomeAssistant) -> None:
    """As a person who stays signed in."""
    kept = {"access_token": home.token, "token_type": "Bearer", "expires_in": 1800, "refresh_token": "", "hassUrl": home.url}
    kept |= {"clientId": f"{home.url}/", "expires": 4_102_444_800_000}
    script = f"localStorage.hassTokens = {json.dumps(json.dumps(kept))}"
    await page.call("Page.addScriptToEvaluateOnNewDocument", source=script)
    await page.call("Network.enable")
    await page.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": "en"})
    await page.size(*SIZE)


PREVIOUS = """(function press(root) {
  const found = root.querySelector('ha-icon-button-prev')
  return found ? (found.click(), true) : [...root.querySelectorAll('*')].some(one => one.shadowRoot && press(one.shadowRoot))
})(document)"""
"""Press the button for the day before."""


async def _take(page: Tab, home: HomeAssistant, path: str, words: str, name: str, first: str = "true") -> None:
    """A picture of a page, once these words stand on it. `first`: what is done there before."""
    await page.go(f"{home.url}{path}")
    await page.until(f"{TEXT}.includes({json.dumps(words)})")
    await page.until(first)
    await asyncio.sleep(4)  # charts move at first
    (ROOT / "docs" / f"home-assistant-{name}.png").write_bytes(await page.picture())


async def _fill(home: HomeAssistant, entities: dict[str, dict[str, Any]]) -> None:
    """Statistics of the hours since yesterday's midnight: what the household drew, and what that cost."""
    house, zone = fake().house, datetime.UTC
    now = datetime.datetime.now(zone).replace(minute=0, second=0, microsecond=0)
    hours = [now - datetime.timedelta(hours=back) for back in range(36, 0, -1)]
    for name, price in PRICES.items():
        drawn: list[float] = []
        for hour in hours:
            is_night = house._hour(hour.timestamp()) < 6.5 or house._hour(hour.timestamp()) >= 22.5
            watts = sum(house.load(hour.timestamp() + minute * 60) for minute in range(60)) / 60
            drawn.append(watts * (is_night == (name == "HCHC")) + (drawn[-1] if drawn else 0.0))
        for key, unit, factor in ((ENERGY[name], "Wh", 1.0), (COST[name], "EUR", price / 1000)):
            about = {"has_mean": False, "has_sum": True, "name": None, "source": "recorder", "unit_of_measurement": unit}
            sums = [
                {"start": hour.isoformat(), "sum": wh * factor, "state": wh * factor}
                for hour, wh in zip(hours, drawn, strict=True)
            ]
            about["statistic_id"] = entities[key]["entity_id"]
            await home.ask("recorder/import_statistics", metadata=about, stats=sums)


async def _sources(home: HomeAssistant, entities: dict[str, dict[str, Any]]) -> None:
    """What a person clicks together in the settings of the Energy dashboard."""
    prices = {"entity_energy_price": None, "number_energy_price": None}
    drawn = [
        {"stat_energy_from": entities[ENERGY[name]]["entity_id"], "stat_cost": entities[COST[name]]["entity_id"], **prices}
        for name in PRICES
    ]
    source = {"type": "grid", "flow_from": drawn, "flow_to": [], "cost_adjustment_day": 0}
    await home.ask("energy/save_prefs", energy_sources=[source])


async def _run(browser: int, folder: Path) -> None:
    with mosquitto(folder) as broker:
        async with talking(fake(), tcp=True) as link, home_assistant(folder / "home-assistant", broker.port) as home:
            meter = {"name": "home", "link": link, "protocol": "tic", "options": {"mode": "historic"}, "tariffs": TARIFFS}
            program = Meterline(folder / "meterline", configured(broker, [meter]))
            program.start()
            try:

                async def has_costs() -> bool:
                    return set(COST.values()) <= set(await home.entities("home"))

                await home.until(has_costs, "no costs")
                entities = await home.entities("home")
                await _fill(home, entities)
                await _sources(home, entities)
                await asyncio.sleep(25)  # until each entity has a state
                device = (await home.devices())["home"]["id"]
                async with tab(browser) as page:
                    await _sign_in(page, home)
                    await _take(page, home, f"/config/devices/device/{device}", "Apparent power, import", "device")
                    await _take(page, home, "/config/energy", "Electricity grid", "settings")
                    await _take(page, home, "/energy", "Energy distribution", "energy", PREVIOUS)
            finally:
                await program.stop()


if __name__ == "__main__":
    with chromium() as port, tempfile.TemporaryDirectory() as place:
        asyncio.run(_run(port, Path(place)))
