"""The page at /: what it shows of a meter, in which words, and what it never shows."""

from __future__ import annotations

import asyncio
import gzip
import html
import json
import math
import re
from array import array
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from support.live_meters import fake, fetch, paged

from meterline.config.labels import Labels
from meterline.config.schema import MeterConfig
from meterline.locale import language
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Reading, Rejected, Series, Snapshot
from meterline.protocols import broute, tic
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.frames import Assembler, Decoder
from meterline.web.page.document import CARDS_MAX, TABLE_ROWS
from meterline.web.page.meter_tables import configuration, details
from meterline.web.page.power_history import POINTS, STEP_S, History
from meterline.web.page.sections import card, summary
from meterline.web.page.sparkline import HEIGHT, draw, scale
from meterline.web.page.view_model import COLOURS, Power, facts, raw_fields, shown

ENGLISH, FRENCH, JAPANESE = map(language, ("en", "fr", "ja"))
HOSTILE = "<script>alert(1)</script>\"'&"
POWER: Series = ("smartmeter_apparent_power_import_voltamperes",)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def meter(*said: tuple[Any, ...], name: str = "home", clock: Callable[[], float] | None = None, **more: Any) -> Meter:
    """A meter that said this: family without its prefix, labels, value. Twice, since texts are believed then."""
    found = Meter(name, clock=clock or Clock())
    snapshot = Snapshot(tuple(Reading((f"smartmeter_{family}", *labels), value) for family, *labels, value in said), **more)
    found.take(snapshot)
    found.take(snapshot)
    return found


def texts(found: Meter, language: Any = ENGLISH, today: Any = lambda name: None) -> dict[str, str]:
    """The parts of its card, without their tags."""
    parts = card(found, language, today, History(found.clock))
    return {place: " ".join(html.unescape(re.sub(r"<[^>]+>", " ", part)).split()) for place, part in parts.items()}


def test_active_power_is_shown_before_apparent_power_as_a_plain_number_with_its_unit() -> None:
    assert texts(meter(("apparent_power_import_voltamperes", 12340)))["power"] == "apparent power 12340 VA"
    both = meter(("power_watts", 1200), ("apparent_power_import_voltamperes", 1300))
    assert texts(both)["power"] == "active power 1200 W"


def test_what_flows_to_the_grid_is_said() -> None:
    assert texts(meter(("power_watts", -800)))["power"] == "active power -800 W exporting"
    roof = meter(("apparent_power_import_voltamperes", 0), ("apparent_power_export_voltamperes", 3900))
    assert texts(roof)["power"] == "apparent power 0 VA exporting 3900 VA"


def test_the_share_of_the_subscribed_power_is_shown() -> None:
    found = meter(("apparent_power_import_voltamperes", 1500), ("subscribed_power_voltamperes", 6000))
    assert "25 % of the 6000 VA subscribed" in texts(found)["power"]
    assert "25 % des 6000 VA souscrits" in texts(found, FRENCH)["power"]


def test_nothing_of_a_silent_meter_is_shown_but_since_when() -> None:
    clock = Clock()
    found = meter(("power_watts", 1234), ("voltage_volts", "1", 235), ("tariff_active", "BASE", 1), clock=clock)
    clock.now += 9.9
    assert "1234" in texts(found)["power"]
    clock.now += 0.2
    parts = texts(found, today=lambda name: (4200.0, 1.0, "EUR"))
    assert parts["state"] == "offline"
    assert re.fullmatch(r"no reading – offline since \d\d:\d\d", parts["power"])
    assert (parts["energy"], parts["phases"], parts["tariff"]) == ("", "", "")
    assert parts["seen"] == "Last frame 10 s ago"


def test_a_meter_that_never_spoke_waits() -> None:
    parts = texts(Meter("home", clock=Clock()))
    assert (parts["state"], parts["power"], parts["seen"]) == ("waiting", "no reading –", "No frame yet")


def test_each_phase_has_a_line_and_an_overload_is_said_once_above() -> None:
    found = meter(
        *(("current_amperes", phase, amperes) for phase, amperes in (("1", 40), ("2", 3), ("3", 4))),
        *(("voltage_volts", phase, 230) for phase in "123"),
        ("phase_overload", "1", 1),
        ("phase_overload", "2", 0),
        ("overload", 1),
    )
    parts = texts(found)
    assert parts["phases"] == "Phase Current Voltage 1 overload 40 A 230 V 2 3 A 230 V 3 4 A 230 V"
    assert parts["alert"] == "Overload: the power exceeds the subscribed power. The breaker may open. Phase 1."
    assert texts(meter(("overload", 0)))["alert"] == ""


def test_a_single_phase_and_the_two_of_japan_are_named_as_they_are() -> None:
    assert texts(meter(("current_amperes", "1", 2)))["phases"] == "Current 2 A"
    japan = meter(("current_amperes", "r", 1.5), ("current_amperes", "t", 20))
    assert texts(japan, JAPANESE)["phases"] == "相 電流 R 1.5 A T 20 A"


def test_the_tariff_is_said_in_words_or_as_the_meter_calls_it() -> None:
    known = meter(("tariff_info", "tariff", "HCHP"), ("tariff_info", "name", "HP"))
    assert texts(known, FRENCH)["tariff"] == "Tarif heures pleines"
    other = meter(("tariff_info", "tariff", "EASF02"), ("tariff_info", "name", "HEURE  SUPER CREUSE"))
    assert texts(other)["tariff"] == "Tariff HEURE SUPER CREUSE"


def test_both_tempo_colours_are_shown_and_an_unknown_one_is_said_to_be() -> None:
    days = [("tempo_colour", colour, day, int(colour == "red" and day == "today")) for colour in COLOURS for day in DAYS]
    assert texts(meter(*days))["tariff"] == "Tempo today red Tempo tomorrow unknown"
    assert texts(meter(("power_watts", 1)))["tariff"] == ""


DAYS = ("today", "tomorrow")


@pytest.mark.parametrize(
    ("language", "today", "shown"),
    [
        (ENGLISH, (5432.0, 1.234, "EUR"), "Energy today 5.43 kWh Cost today €1.23"),
        (FRENCH, (5432.0, 1.234, "EUR"), "Énergie du jour 5,43 kWh Coût du jour 1,23 €"),
        (JAPANESE, (5432.0, 170.6, "JPY"), "今日の使用量 5.43 kWh 今日の料金 171 円"),
        (ENGLISH, (5432.0, 1.2, "<b>"), "Energy today 5.43 kWh Cost today 1.20 <b>"),
        (ENGLISH, (12.0, None, None), "Energy today 0.01 kWh"),
        (ENGLISH, None, ""),
    ],
)
def test_energy_and_cost_of_today_are_shown_where_they_are_known(language: Any, today: Any, shown: str) -> None:
    assert texts(meter(("power_watts", 1)), language, lambda name: today)["energy"] == shown


def test_rejects_are_counted_in_words() -> None:
    found = meter(("power_watts", 1))
    assert texts(found)["line"] == "Signal no errors"
    for _ in range(1200):
        found.counters.reject(Rejected("checksum"))
    found.counters.reject(Rejected("implausible"))
    assert texts(found)["line"].startswith("Signal 1,201 rejected"), "a moment of damage is not a damaged line"
    found.counters.line.lossy = True
    lossy, _, rejects = texts(found)["line"].partition(" Signal ")
    assert lossy == "Line quality most received data is damaged: 0\u00a0% accepted in the last minute".replace("\u00a0", " ")
    assert rejects == "1,201 rejected: 1,200 with a wrong checksum, 1 held back as implausible"
    assert "1 jugés invraisemblables" in texts(found, FRENCH)["line"]


def test_the_radio_of_a_session_is_shown_and_none_of_one_that_is_over() -> None:
    found = meter(("power_watts", 1))
    found.counters.observe(Observation(("smartmeter_radio_rssi_dbm",), -84.2))
    found.counters.observe(Observation(("smartmeter_session_start_timestamp_seconds",), 1e9))
    found.counters.observe(Observation(("smartmeter_session_up",), 1.0))
    assert re.match(r"Radio session since 2001-09-09 \d\d:\d\d Radio signal -84 dBm, weak", texts(found)["line"])
    found.counters.observe(Observation(("smartmeter_session_up",), 0.0))
    assert texts(found)["line"] == "Radio session none Signal no errors"


def test_the_summary_names_the_silent_ones_and_counts_the_rest() -> None:
    speaking = [meter(("power_watts", 1), name=f"m{n}") for n in range(3)]
    silent = [Meter(f"<s{n}>", clock=Clock()) for n in range(7)]
    assert summary(speaking, ENGLISH) == "All 3 meters online"
    assert summary(speaking[:1], ENGLISH) == "Meter online"
    names = ", ".join(f"&lt;s{n}&gt;" for n in range(5))
    assert summary([*speaking, *silent], ENGLISH) == f"7 of 10 offline: {names} and 2 more"


def test_hostile_names_and_tariffs_are_shown_as_text() -> None:
    found = meter(("tariff_info", "tariff", "EASF09"), ("tariff_info", "name", HOSTILE), name=HOSTILE)
    parts = card(found, ENGLISH, lambda name: (1.0, 1.0, HOSTILE), History(found.clock)) | details(found, ENGLISH)
    assert all("<script" not in part for part in parts.values())
    assert html.escape(HOSTILE) in parts["tariff"]
    assert html.escape(HOSTILE) in parts["readings"]
    rows = configuration(MeterConfig(HOSTILE, "/dev/x"), ENGLISH)
    assert "<script" not in rows


def test_hostile_labels_are_shown_as_text() -> None:
    found = meter(
        ("voltage_volts", HOSTILE, 230),
        ("tariff_active", HOSTILE, 1),
        ("energy_import_tariff_watthours_total", HOSTILE, 5),
    )
    readings = details(found, ENGLISH)["readings"]
    assert HOSTILE not in readings
    assert readings.count(html.escape(HOSTILE)) == 3


def test_hostile_words_of_the_wire_are_shown_as_text() -> None:
    found = Meter("home", clock=Clock())
    found.keeps_words = True
    for _ in range(2):
        found.take(Snapshot((), words={"MSG1": HOSTILE, HOSTILE: "1"}))
    wire = details(found, ENGLISH)["wire"]
    assert HOSTILE not in wire
    assert wire.count(html.escape(HOSTILE)) == 2


@pytest.mark.parametrize(
    ("arguments", "others"),
    [({}, 0), ({"meter": HOSTILE}, 0), ({"q": HOSTILE}, CARDS_MAX), ({"q": f"{HOSTILE}?"}, CARDS_MAX), ({}, CARDS_MAX)],
    ids=["cards", "one", "found", "none found", "table"],
)
def test_a_hostile_name_is_text_in_every_place_of_a_document(arguments: dict[str, str], others: int) -> None:
    async def test() -> str:
        async with paged(HOSTILE, *(f"other{n}" for n in range(others))) as (_, live):
            view = live.view(ENGLISH, arguments)
            assert view
            return live.document(view)

    page = asyncio.run(test())
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert ("<title>&lt;script&gt;" in page) == ("meter" in arguments)


def test_the_configuration_shows_what_is_harmless_and_nothing_else() -> None:
    options = broute.Options(id="0123456789ABCDEF" * 2, password="0123456789AB", channel="21", mac="0011223344556677")
    rows = configuration(MeterConfig("tokyo", "tcp://user:secret@host:1", "broute", options), ENGLISH)
    for secret in (options.id, options.password, "0011223344556677", "secret"):
        assert secret not in rows
    assert rows.count('<em class="hidden">hidden</em>') == 3
    for there in ("tokyo", "tcp://host:1", "broute", "<td>30.0</td>", "<td>21</td>"):
        assert there in rows


def test_a_key_that_nobody_called_harmless_is_masked() -> None:
    import dataclasses

    public = dataclasses.field(metadata={"public": True})
    options = dataclasses.make_dataclass("Options", [("token", str), ("baud", int, public)])("hush", 1200)
    rows = configuration(MeterConfig("home", "/dev/x", "tic", options), ENGLISH)
    assert "hush" not in rows
    assert "1200" in rows
    prm = configuration(MeterConfig("home", "/dev/x", "tic", tic.Options(prm=True)), ENGLISH)
    assert '<code>prm</code></th><td><em class="hidden">' in prm


def test_the_number_of_the_delivery_point_is_nowhere_even_where_metrics_show_it() -> None:
    linky = fake("standard", "TEMPO", phases=3, producer=True)
    linky.advance(1_800_000_000)
    frame = linky.frame()
    decoder, assembler = Decoder(), Assembler()
    found = Meter("farm", clock=Clock())
    found.keeps_words = True
    for _ in range(2):
        for whole in assembler.feed(decoder.feed(frame)):
            found.take(readings(whole, True))
    prm = found.words["PRM"]
    assert prm in found.text.blocks["smartmeter_info"], "else this test says nothing"
    parts = card(found, ENGLISH, lambda name: None, History(found.clock)) | details(found, ENGLISH)
    assert all(prm not in part and ">PRM<" not in part for part in parts.values())
    assert ("smartmeter_info", "prm") not in dict(shown(found))
    assert "PRM" not in raw_fields(found)
    assert "ADSC" in raw_fields(found)
    assert facts(found).power


def test_readings_are_in_plain_language_and_one_of_many_says_only_which() -> None:
    found = meter(
        ("energy_import_tariff_watthours_total", "HCHP", 3_613_928),
        ("tariff_active", "HCHC", 0),
        ("tariff_active", "HCHP", 1),
        ("tempo_colour", "blue", "today", 1),
        ("overload", 0),
        ("voltage_volts", "2", 231),
        ("clock_timestamp_seconds", 1e9),
    )
    rows = re.sub(r"<t[rdh][^>]*>|</t[dh]>", "|", details(found, ENGLISH)["readings"]).replace("||", "|")
    assert "Import by tariff, supplier · peak hours (HCHP)|3,613.928\u00a0kWh" in rows
    assert rows.count("Active register") == 1
    assert "Active register|peak hours (HCHP)" in rows
    assert "Tempo colour · today|blue" in rows
    assert "Overload|no" in rows
    assert "Voltage · phase 2|231\u00a0V" in rows
    assert '<time datetime="2001-09-09T' in rows
    assert "Tension · phase 2" in details(found, FRENCH)["readings"]


def test_words_are_kept_where_somebody_looks_and_forgotten_with_the_next_frame_after() -> None:
    found = meter(("power_watts", 1), words={"PAPP": "00230"})
    assert found.words == {}
    found.keeps_words = True
    found.take(Snapshot((), words={"PAPP": "00230"}))
    assert "<code>PAPP</code></th><td>00230" in details(found, ENGLISH)["wire"]
    found.keeps_words = False
    found.take(Snapshot((), words={"PAPP": "00230"}))
    assert found.words == {}


def test_the_ring_holds_the_last_half_hour_and_gaps_where_nothing_was_known() -> None:
    clock = Clock()
    history = History(clock)
    for minute in range(40 * 6):
        history.note([("home", None if minute == 239 else Power(minute, "W"))])
        clock.now += STEP_S
    points = history.points("home")
    assert len(points) == POINTS == 180
    assert points[:2] == [60.0, 61.0]
    assert math.isnan(points[-1])
    assert points[-2] == 238.0
    assert history.points("farm") == []
    assert history.units == {"home": "W"}


@pytest.mark.parametrize("missed", [1, 5, 179, 5000])
def test_steps_that_nobody_noted_stay_empty(missed: int) -> None:
    clock = Clock()
    history = History(clock)
    for _ in range(180):
        history.note([("home", Power(1, "W"))])
        clock.now += STEP_S
    clock.now += missed * STEP_S
    history.note([("home", Power(2, "W"))])
    points = history.points("home")
    assert points[-1] == 2
    assert all(math.isnan(point) for point in points[-1 - missed : -1])
    assert points.count(1) == max(0, 179 - missed)


def test_a_ring_takes_less_than_a_kilobyte() -> None:
    import sys

    history = History(Clock())
    history.note([("home", Power(1, "W"))])
    assert sum(map(sys.getsizeof, history._rings.values())) < 1000


def test_the_chart_has_a_line_for_each_stretch_and_keeps_zero_in_sight() -> None:
    points = [math.nan, 100, 200, math.nan, 300, math.nan]
    picture = draw(points, scale(points))
    assert picture.line == "M1 80l1 -40M4 0h.01"
    assert picture.zero == "M0 120H5"
    history = History(Clock())
    history._rings["home"] = array("f", points)
    history.units["home"] = "W"
    chart = card(Meter("home", clock=Clock()), ENGLISH, lambda name: None, history)["chart"]
    assert f'viewBox="0 0 5 {HEIGHT}"' in chart
    assert '<path class="line" d="M1 80l1 -40M4 0h.01"/>' in chart
    assert scale(points) == (300, 0)
    assert scale([-900, 100]) == (100, -1000)
    assert scale([-900]) == (0, -1000)
    assert scale([0, 0]) == (100, 0)
    assert scale(points).y(0) == HEIGHT


class Tags(HTMLParser):
    """The tags of a document, which must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "input", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def get(url: str, **headers: str) -> tuple[int, dict[str, str], str]:
    status, answer, body = await asyncio.to_thread(lambda: fetch(url, **headers))
    return status, answer, (gzip.decompress(body) if answer.get("Content-Encoding") == "gzip" else body).decode()


@pytest.mark.parametrize(("accept", "code"), [("en-GB", "en"), ("fr-FR,fr;q=0.9", "fr"), ("ja", "ja"), ("de", "en")])
def test_the_page_is_whole_without_a_script_and_in_the_language_of_the_browser(accept: str, code: str) -> None:
    async def test() -> None:
        async with paged("home", "<b>") as (url, live):
            live.meters["home"].take(Snapshot((Reading(POWER, 2340),)))
            status, headers, text = await get(url, Accept_Language=accept)
            assert status == 200
            tags = Tags(text)
            assert tags.open == []
            assert ("html", {"lang": code}) in tags.tags
            assert headers["Content-Language"] == code
            assert headers["Vary"] == "Accept-Language, Accept-Encoding"
            assert '<span class="number">2340</span> <span class="unit">VA</span>' in text
            assert language(code).say("speaking") in text
            assert "<b>" not in text
            assert "&lt;b&gt;" in text

    asyncio.run(test())


def test_nothing_comes_from_elsewhere_and_the_policy_lets_nothing_else_run() -> None:
    async def test() -> None:
        async with paged("home") as (url, _):
            _, headers, text = await get(url)
            policy = headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert policy.startswith("default-src 'none'; script-src 'sha256-")
            for _, attributes in Tags(text).tags:
                assert "style" not in attributes
                assert not any(name.startswith("on") for name in attributes)
                for name in ("src", "href"):
                    assert not (attributes.get(name) or "").startswith(("http", "//"))
            assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")

    asyncio.run(test())


def test_the_page_is_small() -> None:
    async def test() -> None:
        async with paged(*(f"meter-{n}" for n in range(CARDS_MAX))) as (url, live):
            for found in live.meters.values():
                found.take(Snapshot((Reading(POWER, 2340),)))
                for point in range(POINTS):
                    live.history._clock = lambda at=point * STEP_S: at  # type: ignore[misc]
                    live.history.note([(found.name, Power(37 * point % 6000, "VA"))])
            body = (await asyncio.to_thread(lambda: fetch(url, Accept_Encoding="gzip")))[2]
            assert len(body) < 20 << 10

    asyncio.run(test())


def test_the_page_of_one_meter_has_its_configuration_and_another_is_not_found() -> None:
    async def test() -> None:
        name = "a/b c?é"
        async with paged(MeterConfig(name, "/dev/x", "tic", tic.Options(baud=9600))) as (url, _):
            _, _, home = await get(url)
            link = next(a["href"] for tag, a in Tags(home).tags if tag == "a")
            status, _, text = await get(f"{url}/{link}")
            assert status == 200
            assert Tags(text).open == []
            assert f"<h2>{name}</h2>" in text
            assert "<code>baud</code></th><td>9600" in text
            assert (await get(f"{url}/meter/nobody"))[0] == 404
            assert (await get(f"{url}/events?meter=nobody"))[0] == 404

    asyncio.run(test())


def test_many_meters_are_a_table_in_pages_that_can_be_searched() -> None:
    async def test() -> None:
        async with paged(*(f"meter-{n:04d}" for n in range(1000))) as (url, _):
            _, _, text = await get(url)
            assert text.count("<tr>") == TABLE_ROWS + 1
            assert "1 to 50 of 1000" in text
            assert "1000 of 1000 offline" in text
            _, _, last = await get(f"{url}/?page=20")
            assert "951 to 1000 of 1000" in last
            assert (await get(f"{url}/?page=99"))[2].count("meter-0999") == last.count("meter-0999") > 0
            _, _, found = await get(f"{url}/?q=METER-012")
            assert "1 to 10 of 10" in found
            _, _, none = await get(f"{url}/?q=%3Cscript%3E")
            assert "No meter matches this name." in none
            assert 'value="&lt;script&gt;"' in none
            for page in (text, last, found, none):
                assert Tags(page).open == []

    asyncio.run(test())


def labelled(*names: str, **labels: str) -> list[MeterConfig]:
    return [MeterConfig(name, f"/dev/{name}", labels=Labels(labels)) for name in names]


def test_labels_stand_beside_the_name_of_their_meter_and_are_escaped() -> None:
    async def test() -> None:
        async with paged(*labelled("home", flat="12", owner=HOSTILE), "farm") as (url, _):
            for path in ("", "/meter/home"):
                text = (await get(f"{url}{path}"))[2]
                notes = re.findall('<p class="note">(.*?)</p>', text)
                assert [html.unescape(note) for note in notes] == [f"flat: 12 · owner: {HOSTILE}"]
                assert "<script>alert" not in text
                assert Tags(text).open == []
            assert "<code>labels: flat</code></th><td>12</td>" in text
            assert 'class="note"' not in (await get(f"{url}/meter/farm"))[2]

    asyncio.run(test())


def test_many_meters_are_found_by_their_labels() -> None:
    async def test() -> None:
        names = [f"m{n}" for n in range(40)]
        async with paged(*names, *labelled("a", "b", building="North", flat="12"), *labelled("c", building="south")) as (
            url,
            _,
        ):
            for query, found in (("north", "ab"), ("building", "abc"), ("flat%3A+12", "ab"), ("SOUTH", "c")):
                text = (await get(f"{url}/?q={query}"))[2]
                assert re.findall(r'href="meter/(\w+)"', text) == list(found), query
                assert "building: " in text
                assert Tags(text).open == []

    asyncio.run(test())


def test_a_page_whose_meter_gets_another_label_is_loaded_anew() -> None:
    async def test() -> None:
        async with paged("home") as (url, live):
            marks = []
            for labels in ({}, {"flat": "1"}, {"flat": "2"}, {}):
                live.meters["home"].labels = labels
                pages = [(await get(f"{url}/events?once=1{of}"))[2] for of in ("", "&meter=home")]
                marks.append([json.loads(page)["mark"] for page in pages])
            assert marks[0] == marks[3]
            assert len({mark for one in marks for mark in one}) == 6

    asyncio.run(test())


@pytest.mark.parametrize(
    "wrong", ["?page=x", "?page=-1", "?page=" + "9" * 5000, "?page=%C2%B2", "?lang=xx", "?q=" + "x" * 5000]
)
def test_a_query_that_makes_no_sense_shows_the_page_all_the_same(wrong: str) -> None:
    async def test() -> None:
        async with paged(*(f"m{n}" for n in range(13))) as (url, _):
            assert (await get(f"{url}/{wrong}"))[0] == 200

    asyncio.run(test())


def test_a_meter_that_nobody_looks_at_any_more_keeps_no_words() -> None:
    async def test() -> None:
        async with paged("home") as (url, live):
            found = live.meters["home"]
            await get(f"{url}/meter/home")
            assert found.keeps_words
            live.drop_raw_fields()
            assert found.keeps_words
            live._keep_until["home"] -= 61
            live.drop_raw_fields()
            assert not found.keeps_words

    asyncio.run(test())
