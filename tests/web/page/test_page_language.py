"""A language that the address asks for stays, wherever one goes from there."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Awaitable
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from support.live_meters import fetch, paged

Result = TypeVar("Result")
MANY = [f"m{number:03d} & <co>" for number in range(120)]
NO_PAGES = ("/metrics", "/-/ready", "/-/healthy")
"""They speak no language."""


def run(test: Awaitable[Result]) -> Result:
    async def limited() -> Result:
        return await asyncio.wait_for(test, 60)

    return asyncio.run(limited())


async def get(url: str) -> str:
    status, _, body = await asyncio.to_thread(fetch, url, Accept_Language="en")
    assert status == 200, url
    return body.decode()


def links(page: str, url: str) -> set[str]:
    """Where one can go from a page: by a link, or by its form."""
    found = {urljoin(url, html.unescape(href)) for href in re.findall(r'<a href="([^"]*)"', page)}
    if "<form" in page:
        fields = re.findall(r'<input type="[a-z]+" name="(\w+)" value="([^"]*)"', page)
        found.add(urljoin(url, f"?{urlencode([(name, html.unescape(value)) for name, value in fields])}"))
    return {link for link in found if urlsplit(link).path not in NO_PAGES}


async def walk(first: str) -> dict[str, str]:
    """Every page that can be reached: address → its text."""
    pages: dict[str, str] = {}
    waiting = {first}
    while waiting:
        url = waiting.pop()
        pages[url] = await get(url)
        waiting |= links(pages[url], url) - set(pages)
    return pages


@pytest.mark.parametrize("names", [["home", "farm & <co>"], MANY], ids=["cards", "rows"])
def test_every_page_that_can_be_reached_speaks_the_language_that_was_asked_for(names: list[str]) -> None:
    async def test() -> dict[str, str]:
        async with paged(*names) as (url, _):
            return await walk(f"{url}/?lang=fr")

    pages = run(test())
    assert len(pages) > len(names)
    for url, text in pages.items():
        assert '<html lang="fr">' in text, url
        assert 'data-events="' in text
        assert "lang=fr" in re.findall(r'data-events="([^"]*)"', text)[0]


def test_the_search_in_a_language_finds_in_that_language() -> None:
    async def test() -> str:
        async with paged(*MANY) as (url, _):
            page = await get(f"{url}/?lang=ja&q=m1&page=1")
            assert 'name="q" value="m1"' in page
            (form,) = [link for link in links(page, url) if "q=m1&" in link]
            return await get(form)

    found = run(test())
    assert '<html lang="ja">' in found
    assert "20 台中 1–20" in found


def test_a_language_that_nobody_asked_for_is_not_written_into_links() -> None:
    async def test() -> list[str]:
        async with paged(*MANY) as (url, _):
            return [await get(f"{url}/{query}") for query in ("", "?lang=xx", "meter/m001%20%26%20%3Cco%3E")]

    for page in run(test()):
        assert not [href for href in re.findall(r'href="([^"]*)"', page) if "lang=" in href]
        assert 'name="lang"' not in page


def test_a_page_in_a_language_that_was_asked_for_and_its_stream_are_the_same_page() -> None:
    async def test() -> None:
        async with paged("home") as (url, _):
            page = await get(f"{url}/?lang=fr")
            events = re.findall(r'data-events="([^"]*)"', page)[0]
            mark = re.findall(r'data-mark="([^"]*)"', page)[0]
            assert f'"mark": "{mark}"' in await get(f"{url}/{html.unescape(events)}&once=1")

    run(test())
