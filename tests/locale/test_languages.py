"""The languages: one file each, all with the same keys; a new file is a new language."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shutil
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live_meters import fetch, paged

from meterline import locale
from meterline.cli.arguments import parser
from meterline.locale import FALLBACK, FOLDER, Language, codes, language, of_environment, preferred
from meterline.meter.families import CATALOGUE
from meterline.meter.readings import REASONS, Reading, Snapshot
from meterline.protocols.tic.contracts import CONTRACT_OF

ENGLISH, FRENCH, JAPANESE = map(language, ("en", "fr", "ja"))
MADE = ("reason_", "signal_", "ago_")
"""Beginnings of keys that the code puts together."""


def tables(code: str) -> dict[str, dict[str, Any]]:
    """The file of a language."""
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
    return found


def fields(text: str) -> list[str]:
    """The {fields} of a text."""
    return sorted({name for _, name, _, _ in string.Formatter().parse(text) if name is not None})


@pytest.mark.parametrize("code", codes())
def test_a_file_has_the_keys_and_the_fields_of_english(code: str) -> None:
    english, found = tables(FALLBACK), tables(code)
    assert found.keys() == english.keys() == {"format", "page", "tariffs", "families", "values"}
    assert found["format"].keys() == english["format"].keys() == {"thousands", "point", "money"}
    assert found["format"]["money"].keys() == english["format"]["money"].keys()
    assert all(fields(text) == [""] for text in found["format"]["money"].values())
    for table in ("page", "tariffs", "families", "values"):
        assert list(found[table]) == list(english[table]), "the order of English, so that files can be read side by side"
        for key, text in found[table].items():
            assert text.strip(), key
            assert fields(text) == fields(english[table][key]), key
            assert not set(text) & set("<>&\"'"), f"{key}: plain text, with the quotation marks of print"


def test_every_family_every_reason_and_every_contract_has_a_name() -> None:
    english = tables(FALLBACK)
    for family in CATALOGUE:
        short = family.name.removeprefix("smartmeter_")
        if family.type == "info":
            assert all(f"{short} {label}" in english["families"] for label in family.labels if label != "prm"), short
        elif family.type != "histogram" and short not in ("up", "last_frame_timestamp_seconds", "rejected_total"):
            assert short in english["families"], short
    assert all(f"reason_{reason}" in english["page"] for reason in REASONS)
    assert english["tariffs"].keys() == set(CONTRACT_OF)


def test_the_code_asks_for_every_text_and_for_none_that_is_not_there() -> None:
    texts = tables(FALLBACK)["page"]
    package = FOLDER.parent
    files = [file for room in ("locale", "web") for kind in ("*.py", "*.html") for file in (package / room).rglob(kind)]
    files.append(package / "cli" / "read.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files)
    assert not [key for key in texts if not key.startswith(MADE) and not re.search(rf"""["']{key}["']""", code)]
    assert set(re.findall(r"""\bsay\(["']([a-z_]+)["']""", code)) <= texts.keys()


def test_no_code_names_a_language_but_the_fallback() -> None:
    for file in FOLDER.parent.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"""["'](fr|ja)["']""", text), file


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder with one file more: each of its texts is the English one with a mark before it."""
    found = tables(FALLBACK)
    for table in ("page", "tariffs", "families", "values"):
        found[table] = {key: f"¶{text}" for key, text in found[table].items()}
    found["format"] = {"thousands": ".", "point": ",", "money": {"EUR": "{}\u00a0€", "JPY": "{}\u00a0¥"}}
    folder = tmp_path / "locale"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "de.json").write_text(json.dumps(found), encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(locale, "FOLDER", folder)
        codes.cache_clear()
        language.cache_clear()
        yield
    codes.cache_clear()
    language.cache_clear()


@pytest.mark.usefixtures("german")
def test_a_new_file_is_a_language_of_commands_and_of_browsers() -> None:
    assert codes() == ("de", "en", "fr", "ja")
    assert parser().parse_args(["read", "/dev/x", "--lang", "de"]).lang == "de"
    assert of_environment({"LANG": "de_AT.UTF-8"}).code == "de"
    german = preferred("de-CH, fr;q=0.9")
    assert (german.code, german.number(1234.5, 1), german.money(1234.5, "EUR")) == ("de", "1.234,5", "1.234,50\u00a0€")


@pytest.mark.usefixtures("german")
def test_a_page_in_a_new_language_has_no_text_of_another() -> None:
    async def test() -> list[str]:
        async with paged("haus") as (url, live):
            readings = (("smartmeter_power_watts",), 1200), (("smartmeter_tariff_active", "HCHP"), 1)
            live.meters["haus"].take(Snapshot(tuple(Reading(series, value) for series, value in readings)))
            pages = [await asyncio.to_thread(fetch, f"{url}{path}", Accept_Language="de") for path in ("", "/meter/haus")]
            return [body.decode() for _, _, body in pages]

    plain = {text for table in ("page", "families") for text in tables(FALLBACK)[table].values() if len(text) > 12}
    for page in asyncio.run(test()):
        assert '<html lang="de">' in page
        texts = [html.unescape(text).strip() for text in re.findall(r">([^<>]+)<", page.partition("</style>")[2])]
        assert "¶Active power" in texts or "¶active power" in texts
        assert not plain & set(texts)
    assert any("¶peak hours (HCHP)" in text for text in texts)


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("de, ja;q=0.3, en;q=0.2", "ja"),
        ("de-DE,de;q=0.9", "en"),
        ("en;q=0.1, fr;q=0.2", "fr"),
        ("fr;q=x, ja", "ja"),
        ("fr;q=0", "en"),
    ],
)
def test_a_browser_gets_the_language_that_it_likes_best(accept: str, code: str) -> None:
    assert preferred(accept).code == code


def test_a_terminal_gets_the_language_of_its_environment() -> None:
    assert of_environment({"LC_MESSAGES": "ja_JP", "LANG": "fr_FR"}).code == "ja"
    assert of_environment({"LANG": "de_DE"}).code == FALLBACK
    assert of_environment({}).code == FALLBACK


def test_numbers_are_written_as_the_language_does() -> None:
    assert ENGLISH.number(1234567.891, 2) == "1,234,567.89"
    assert FRENCH.number(1234567.891, 2) == "1\u202f234\u202f567,89"
    assert [ENGLISH.short(value) for value in (230, 1.5, 0.12, 1000)] == ["230", "1.5", "0.12", "1,000"]


@pytest.mark.parametrize(
    ("spoken", "currency", "text"),
    [
        (ENGLISH, "EUR", "€1,234.57"),
        (FRENCH, "EUR", "1\u202f234,57\u00a0€"),
        (JAPANESE, "JPY", "1,235 円"),
        (ENGLISH, "KWD", "1,234.568\u00a0KWD"),
        (ENGLISH, None, "1,234.57"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(spoken: Language, currency: str | None, text: str) -> None:
    assert spoken.money(1234.5678, currency) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "just now"), (45, "45 s ago"), (600, "10 min ago"), (7300, "2 h ago"), (200_000, "2 d ago")],
)
def test_ages_are_in_words(seconds: float, words: str) -> None:
    assert ENGLISH.ago(seconds) == words


def test_a_language_is_read_when_it_is_asked_for() -> None:
    language.cache_clear()
    assert preferred("ja") is language("ja")
    assert language.cache_info().currsize == 1
