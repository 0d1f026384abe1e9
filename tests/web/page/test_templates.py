"""The templates: what they escape, what they do not, and that nothing of their layout is in the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meterline.config.schema import MeterConfig
from meterline.locale import language
from meterline.meter.meter import Meter
from meterline.web.page.document import View, document
from meterline.web.page.meter_tables import configuration, details
from meterline.web.page.rendering import FOLDER, render

ENGLISH = language("en")
TEMPLATES = sorted(FOLDER.glob("*.html"))
RAW = {
    "card.html": {"number", 'slots[f"{number}.PLACE"]'},
    "document.html": {"icon", "style", "script", "as_of", 'slots["summary"]', 'slots["broker"]'},
    "line.html": {"session"},
    "meter.html": {'slots[f"0.{place}"]', "setup"},
    "no_power.html": {"since"},
    "rows.html": {"number", 'slots[f"{number}.PLACE"]'},
}
"""Template → what it does not escape: numbers that we count, our own files, and what another template made."""


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_a_template_escapes_all_but_what_a_test_names(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    raw = {re.sub(r"(?<=\.)[a-z]+(?=\"\])", "PLACE", found) for found in re.findall(r"{% raw (.*?) %}", text)}
    assert raw == RAW.get(file.name, set())
    assert "autoescape" not in text


def test_what_a_template_is_given_is_escaped() -> None:
    assert render("alert", ENGLISH, text="<b>\"'&") == "<p>&lt;b&gt;&quot;&#x27;&amp;</p>"


def test_lines_and_indentation_of_a_template_are_not_in_the_page() -> None:
    slots = dict.fromkeys(("alert", "power", "state", "seen", "chart", "energy", "tariff", "phases", "line"), "")
    page = document(View("cards", ("home",), ENGLISH), {f"0.{place}": text for place, text in slots.items()} | {"summary": ""})
    body = page.partition("<body")[2].partition("<script>")[0]
    assert "\n" not in body
    assert "  " not in body
    assert '<div class="alert" data-slot="0.alert" role="alert"></div>' in body, "else :empty does not hold"


def test_a_path_that_no_encoding_has_is_shown_with_question_marks() -> None:
    meter = Meter("home")
    meter.counters.line.trouble = "/dev/tty\udcff: no such device"
    assert "/dev/tty?: no such device" in details(meter, ENGLISH)["diagnosis"]
    assert "<td>/dev/tty?</td>" in configuration(MeterConfig("home", "/dev/tty\udcff"), ENGLISH)
