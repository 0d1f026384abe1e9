"""The page in a real browser: headless Chromium."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.browser import CHROMIUM, Tab, chromium, tab
from support.ingress import ingress
from support.live_meters import fake, free_port, paged, reading, showing, talking, until

from meterline.config.schema import MeterConfig
from meterline.locale import codes, language
from meterline.meter.readings import Reading, Snapshot
from meterline.web.page import event_stream
from meterline.web.page.routes import Live

HOSTILE = "<img src=x onerror=document.title='bad'>"
pytestmark = pytest.mark.usefixtures("_no_waiting")
PHONE, DESKTOP = (375, 812), (1280, 800)


@pytest.fixture(scope="module")
def browser() -> Iterator[int]:
    """One browser for all of these tests."""
    if not CHROMIUM:
        pytest.skip("no Chromium here: it is in Debian's package chromium")
    with chromium() as port:
        yield port


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "RETRY_MS", 200)
    monkeypatch.setattr(event_stream, "INTERVAL_S", 0.3)


def take(live: Live, **powers: float) -> None:
    """The meters say this."""
    for name, value in powers.items():
        live.meters[name].take(Snapshot((Reading(("smartmeter_power_watts",), value),)))


def number(card: int = 1) -> str:
    return f"document.querySelector('.card:nth-child({card}) .number')?.textContent"


async def as_reader(page: Tab, languages: str) -> None:
    await page.call("Network.enable")
    await page.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": languages})


def test_a_simulated_meter_is_shown_live_and_nothing_is_wrong_with_the_page(browser: int) -> None:
    async def test() -> None:
        async with (
            talking(fake("standard", "TEMPO", phases=3)) as link,
            reading(MeterConfig("farm", link, "tic")) as runtime,
            showing(runtime) as (url, _),
            tab(browser) as page,
        ):
            await page.go(url)
            await page.until("document.querySelector('.chip').textContent === 'online'")
            await page.until("document.querySelectorAll('.phases tbody tr').length === 3")
            await page.until("!!document.querySelector('.colour.blue, .colour.white, .colour.red')")
            await page.go(await page.ask("document.querySelector('h2 a').href"))
            await page.until("document.querySelector('[data-slot$=wire]').textContent.includes('SINSTS')")
            assert "PRM" not in await page.ask("document.querySelector('[data-slot$=wire]').textContent")
            assert await page.ask("document.querySelector('[data-slot$=readings]').textContent.includes('Breaker')")
            assert page.complaints == []

    asyncio.run(test())


def test_values_move_and_a_silent_meter_loses_its_own_by_itself(browser: int) -> None:
    async def test() -> None:
        now = 1000.0
        home = MeterConfig("home", "/dev/home", stale_after=30)
        async with paged(home, "farm", clock=lambda: now) as (url, live), tab(browser) as page:
            take(live, home=111, farm=222)
            await page.go(url)
            assert await page.ask(number()) == "111"
            take(live, home=333)
            await page.until(f"{number()} === '333'")
            now += 30.1
            await page.until("document.querySelector('.chip').textContent === 'offline'")
            assert await page.ask(number()) == "–"
            assert "333" not in await page.ask("document.querySelector('.card .power').textContent")
            assert "offline: home" in await page.ask("document.body.innerText")
            take(live, home=444)
            await page.until(f"{number()} === '444'")
            assert page.complaints == []

    asyncio.run(test())


def test_the_page_lives_behind_a_proxy_that_takes_a_prefix_away(browser: int) -> None:
    async def test() -> None:
        names = ("home", "a/b ?#%é", *(f"m{n}" for n in range(60)))
        async with (
            paged(*names) as (direct, live),
            ingress(int(direct.rpartition(":")[2])) as (url, strays),
            tab(browser) as page,
        ):
            take(live, home=111)
            await page.go(f"{url}?lang=fr")
            take(live, home=222)
            await page.until("document.querySelector('[data-slot=\"0.power\"]').textContent.includes('222')")
            await page.ask("document.querySelector('.pages a').click()")
            await page.until("location.search.includes('page=2') && document.readyState === 'complete'")
            await page.ask("document.querySelector('[name=q]').value = 'a/b'; document.querySelector('form button').click()")
            await page.until("location.search.includes('q=a') && document.querySelectorAll('tbody tr').length === 1")
            await page.ask("document.querySelector('th a').click()")
            await page.until(f"document.querySelector('h2')?.textContent === {json.dumps(names[1])}")
            take(live, **{names[1]: 333})
            await page.until("document.querySelector('.number').textContent === '333'")
            await page.ask("document.querySelector('.back a').click()")
            await page.until(f"location.pathname === new URL({json.dumps(url)}).pathname && !!document.querySelector('.many')")
            links = await page.ask("[...document.querySelectorAll('a')].map(link => link.href)")
            assert all(link.startswith(url) for link in links)
            assert page.complaints == []
        assert strays == []

    asyncio.run(test())


def test_a_restart_of_the_server_is_survived_and_no_number_outlives_the_connection(browser: int) -> None:
    async def test() -> None:
        port = free_port()
        async with tab(browser) as page:
            async with paged("home", port=port) as (url, live):
                take(live, home=555)
                await page.go(url)
                assert await page.ask(number()) == "555"
            await page.until("document.getElementById('lost').textContent.startsWith('Reconnecting')")
            assert "555" not in await page.ask("document.body.innerText")
            assert await page.ask("document.querySelector('.chip')") is None
            async with paged("home", port=port) as (url, live):
                take(live, home=666)
                await page.until(f"{number()} === '666'")
                assert await page.ask("document.getElementById('lost').textContent") == ""
            await page.until("document.getElementById('lost').textContent")
            async with paged("other", port=port) as (_, live):
                take(live, other=777)
                await page.until("document.querySelector('h2')?.textContent === 'other'")

    asyncio.run(test())


def test_a_page_that_finds_no_free_stream_asks_now_and_then(browser: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "STREAMS_MAX", 0)

    async def test() -> None:
        async with paged("home") as (url, live), tab(browser) as page:
            hurry = "const slowly = setTimeout; window.setTimeout = (work, ms) => slowly(work, ms / 10);"
            await page.call("Page.addScriptToEvaluateOnNewDocument", source=hurry)
            take(live, home=1)
            await page.go(url)
            take(live, home=2)
            await page.until(f"{number()} === '2'")
            assert live.hub.count == 0
            assert await page.ask("document.getElementById('lost').textContent") == ""
            monkeypatch.setattr(event_stream, "STREAMS_MAX", 1)
            take(live, home=3)
            await until(lambda: live.hub.count)
            await page.until(f"{number()} === '3'")
            assert live.hub.count == 1

    asyncio.run(test())


def test_without_a_script_the_page_says_everything_and_loads_itself_anew(browser: int) -> None:
    async def test() -> None:
        async with paged("home") as (url, live), tab(browser) as page:
            take(live, home=1234)
            await page.call("Emulation.setScriptExecutionDisabled", value=True)
            await page.go(url)
            text = await page.ask("document.body.innerText")
            assert "1234 W" in text
            assert "Without JavaScript, this page reloads" in text
            assert await page.ask("document.querySelector('meta[http-equiv=refresh]').content") == "30"
            assert live.hub.count == 0
            await page.call("Emulation.setScriptExecutionDisabled", value=False)
            await page.go(url)
            await page.until("!document.body.innerText.includes('Without JavaScript')")

    asyncio.run(test())


@pytest.mark.parametrize("code", codes())
def test_on_a_phone_each_language_fits_in_light_and_dark(browser: int, code: str) -> None:
    async def test() -> None:
        async with paged("home", HOSTILE) as (url, live), tab(browser) as page:
            take(live, home=-23_456)
            await as_reader(page, code)
            for path in ("/", "/meter/home"):
                grounds = set()
                for scheme in ("light", "dark"):
                    await page.size(*PHONE)
                    feature = {"name": "prefers-color-scheme", "value": scheme}
                    await page.call("Emulation.setEmulatedMedia", features=[feature])
                    await page.go(url + path)
                    grounds.add(await page.ask("getComputedStyle(document.body).backgroundColor"))
                    assert await page.ask("document.documentElement.scrollWidth") == PHONE[0]
                    assert await page.ask(DULL) == []
                assert len(grounds) == 2
                assert await page.ask("document.documentElement.lang") == code
                assert language(code).say("speaking") in await page.ask("document.body.innerText")
            assert await page.ask("document.title") == "home · meterline"
            assert page.complaints == []
            await page.ask("document.querySelector('h1').style.color = '#666'")
            assert await page.ask(DULL), "else this test sees nothing"

    asyncio.run(test())


DULL = """
(() => {
  const shine = (colour) => {
    const [r, g, b] = colour.map((part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const found = parts(getComputedStyle(element).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const dull = [];
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!text || ["SCRIPT", "STYLE", "NOSCRIPT"].includes(element.tagName) || !element.getClientRects().length) continue;
    const [a, b] = [shine(parts(getComputedStyle(element).color).slice(0, 3)), shine(ground(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) dull.push(element.textContent + " " + contrast);
  }
  return dull;
})()
"""
"""Texts whose contrast is less than 4.5 to 1 (WCAG AA)."""


def test_a_thousand_meters_are_a_table_that_lives(browser: int) -> None:
    async def test() -> None:
        async with paged(*(f"m{n:04d}" for n in range(1000))) as (url, live), tab(browser) as page:
            await page.size(*PHONE)
            await page.go(url)
            assert await page.ask("document.documentElement.scrollWidth") == PHONE[0]
            take(live, m0007=700)
            await page.until("document.querySelectorAll('.watts')[7].textContent.startsWith('700')")
            await page.ask("(document.querySelector('input').value = 'm099', document.querySelector('form').requestSubmit())")
            await page.until("document.querySelectorAll('tbody tr').length === 10")
            assert page.complaints == []

    asyncio.run(test())


def test_the_keyboard_reaches_every_link_and_headings_are_in_order(browser: int) -> None:
    async def test() -> None:
        async with paged("home", "farm") as (url, _), tab(browser) as page:
            await page.size(*DESKTOP)
            await page.go(url)
            reached: list[Any] = []
            for _ in range(8):
                for kind in ("rawKeyDown", "keyUp"):
                    await page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
                reached.append(
                    await page.ask("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
                )
            wanted = ["home", "Details of home", "farm", "Details of farm", "Metrics", "Readiness", "Health"]
            assert reached[: len(wanted)] == wanted
            assert await page.ask("[...document.querySelectorAll('h1,h2')].map((head) => head.tagName).join()") == "H1,H2,H2"

    asyncio.run(test())
