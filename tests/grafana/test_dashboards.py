"""The dashboards: what the script writes, and every expression in them, answered by a real Prometheus."""

from __future__ import annotations

import json
import math
import re
import runpy
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.live_meters import LIMIT, free_port, page, program
from support.prometheus_server import Database, prometheus, tool

from meterline.meter.families import FAMILIES

FOLDER = Path(__file__).parents[2] / "grafana"
FILES = ("home.json", "broute.json", "linky.json")
BOARDS: dict[str, dict[str, Any]] = {name: json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in FILES}

DURATIONS = {"$__rate_interval": "10s", "$__range": "60s", "$__interval": "3s"}
"""What Grafana would put there, for a Prometheus that scrapes every second."""

SCRAPES = 14
"""Seconds, and scrapes, before the questions are asked: the demo's B-route meter is polled every ten."""


class Question(NamedTuple):
    """An expression of a panel."""

    file: str
    title: str
    letter: str
    expression: str
    instant: bool
    interval: str
    """The panel's shortest step."""

    def __str__(self) -> str:
        return f"{self.file}-{self.title}-{self.letter}"


def questions(*files: str) -> list[Question]:
    """Every expression of every panel."""
    shortest = DURATIONS["$__interval"]
    return [
        Question(file, panel["title"], target["refId"], target["expr"], target["instant"], panel.get("interval", shortest))
        for file in files
        for panel in BOARDS[file]["panels"]
        for target in panel.get("targets", [])
    ]


def filled(question: Question, variables: Mapping[str, str]) -> str:
    """The expression as Grafana sends it."""
    expression = question.expression
    for name, value in {**DURATIONS, "$__interval": question.interval, **variables}.items():
        expression = expression.replace(name, value)
    return expression


# What the demo and the made-up Linkys must answer.

HOME, FARM, TOKYO = {"home"}, {"farm"}, {"tokyo"}
TIC = HOME | FARM
ALL = TIC | TOKYO
SOMETIMES = "annexe"
"""Silent in the last minute of every five."""

MOST = 0.5
"""More than any of these meters counts in a minute, in kWh."""


class Right(NamedTuple):
    """The right answer: which series, and between which limits their values are."""

    meters: set[str]
    low: float
    high: float
    labels: Mapping[str, set[str]] = {}
    """Label → values that must occur."""
    sometimes: float = 0.0
    """The highest value of the meter that is silent at times, where it is another."""


def energy(meters: set[str], low: float = 0.0, high: float = MOST, **labels: set[str]) -> Right:
    return Right(meters, low, high, labels)


def costs(file: str, meters: set[str], currencies: set[str], tariffs: set[str]) -> dict[tuple[str, str], list[Right]]:
    """Each meter has one price now; a day has its standing charge from its begin on."""
    currency = {"currency": currencies}
    return {
        (file, "Price now"): [Right(meters, 0.1, 41, currency)],
        (file, "Cost today"): [Right(meters, 0.4, 40, currency)],
        (file, "Cost of this billing period"): [Right(meters, 0.4, 40, currency)],
        (file, "Credit today"): [Right(meters - HOME, 0, 12, currency)],
        (file, "Energy today"): [energy(meters)],
        (file, "Energy of this billing period"): [energy(meters)],
        (file, "Cost per day"): [Right(meters, 0.4, 40, currency)],
        (file, "Cost of energy this month, by tariff"): [Right(meters, 0, 20, {"tariff": tariffs})],
    }


POWER = [Right(TOKYO, -6500, 6500), Right(TIC, 0, 24_000), Right(FARM, -9500, 0)]
REASONS = {"reason": {"checksum", "malformed", "unknown_label", "truncated", "implausible"}}
PHASES = {"phase": {"1", "2", "3", "r", "t"}}

RIGHT: dict[tuple[str, str], list[Right]] = {
    ("home.json", "Power now"): POWER[:2],
    ("home.json", "Injected now"): [Right(FARM, 0, 9500)],
    ("home.json", "Share of the subscribed power"): [Right(TIC, 0, 140)],
    ("home.json", "Overload"): [Right(TIC, 0, 1)],
    ("home.json", "Tariff now"): [Right(TIC, 1, 1, {"tariff": set()})],
    ("home.json", "Tempo today"): [Right(FARM, 1, 3)],
    ("home.json", "Tempo tomorrow"): [Right(FARM, 0, 3)],
    ("home.json", "Drawn today"): [energy(ALL)],
    ("home.json", "Drawn this month"): [energy(ALL)],
    ("home.json", "Injected today"): [energy(FARM | TOKYO)],
    ("home.json", "Injected this month"): [energy(FARM | TOKYO)],
    ("home.json", "Drawn today, by tariff"): [energy(TIC, tariff={"HCHC", "HCHP", "EASF01", "EASF06"})],
    ("home.json", "Energy by the hour"): [energy(ALL), energy(FARM | TOKYO, -MOST, 0)],
    ("home.json", "Power"): POWER,
    ("home.json", "Load curve of 24 hours"): POWER,
    ("home.json", "Current"): [Right(ALL, -60, 60, PHASES)],
    ("home.json", "Voltage"): [Right(FARM, 220, 245, {"phase": {"1", "2", "3"}})],
    ("home.json", "Overloads"): [Right(TIC, 0, 1)],
    ("home.json", "Tariffs"): [Right(TIC, 1, 1, {"tariff": set()})],
    ("home.json", "Meter speaks"): [Right(ALL, 0, 1)],
    ("home.json", "Age of the last frame"): [Right(ALL, -1, 100)],  # the annexe may be silent
    ("home.json", "Link reopened"): [Right(ALL, 0, 10)],
    # While the annexe is silent the other speed is tried, and what is heard at a wrong one is rejected.
    ("home.json", "Rejected, by reason"): [Right(ALL, 0, 5, REASONS, sometimes=500)],
    ("home.json", "Meters"): [Right(ALL, 1, 1, {"protocol": {"tic", "broute"}, "address": set()})],
    **costs("home.json", ALL, {"EUR", "JPY"}, {"HCHC", "HCHP", "EASF01", "EASF06", "tier1"}),
    **costs("broute.json", TOKYO, {"JPY"}, {"tier1", "tier2", "tier3"}),
    ("broute.json", "Power now"): POWER[:1],
    ("broute.json", "Current now"): [Right(TOKYO, -60, 60, {"phase": {"r", "t"}})],
    ("broute.json", "Session"): [Right(TOKYO, 1, 1)],
    ("broute.json", "Age of the session"): [Right(TOKYO, 5, 120)],
    ("broute.json", "Age of the last reply"): [Right(TOKYO, -1, 20)],
    ("broute.json", "Drawn today"): [energy(TOKYO)],
    ("broute.json", "Drawn this month"): [energy(TOKYO)],
    ("broute.json", "Injected today"): [energy(TOKYO)],
    ("broute.json", "Injected this month"): [energy(TOKYO)],
    ("broute.json", "Power"): POWER[:1],
    ("broute.json", "Current"): [Right(TOKYO, -60, 60, {"phase": {"r", "t"}})],
    ("broute.json", "Signal"): [Right(TOKYO, -100, -20)],
    ("broute.json", "Duration of a poll"): [Right(TOKYO, 0, 10)] * 3,
    ("broute.json", "Joins"): [Right(TOKYO, 0, 1.5, {"result": {"joined", "failed"}})],
    ("broute.json", "Retries, by rung"): [Right(TOKYO, 0, 3, {"rung": {"request", "join", "scan", "reset", "reopen"}})],
    ("broute.json", "Sessions"): [Right(TOKYO, 0, 1)],
    ("broute.json", "Polls without an answer"): [Right(TOKYO, 0, 3)],
    ("broute.json", "Time on air in an hour"): [Right(TOKYO, 0, 60)],
    ("broute.json", "Properties refused"): [Right(TOKYO, 0, 0)],
    ("broute.json", "Clock of the meter"): [Right(TOKYO, -60, 60)],
    ("broute.json", "Link reopened"): [Right(TOKYO, 0, 0)],
    ("broute.json", "Rejected, by reason"): [Right(TOKYO, 0, 5, REASONS)],
}

LINKYS = {
    "base": ("base",),
    "hchp": ("hchc", "hchp"),
    "tempo": ("bbrhcjb", "bbrhpjb", "bbrhcjw", "bbrhpjw", "bbrhcjr", "bbrhpjr"),
}
"""Made-up Linkys: job → indexes."""

PRICES = {"unit_price": "0.25", "subscription_price": "15.00"}
"""What the reader fills in → what it is before."""

WATTHOURS_A_SECOND = 50

LINKY: dict[str, tuple[float, float, set[str]]] = {
    # title → limits of the values, and labels by which there may be several series a job
    "Power now": (2610, 2610, set()),
    "Share of the subscribed current": (30, 40, set()),
    "Subscribed current": (30, 30, set()),
    "Tariff now": (1, 1, {"ptec"}),
    "Adresse compteur": (1, 100, set()),
    "Puissance souscrite": (6000, 6000, set()),
    "Prix du kWh": (0.25, 0.25, set()),
    "Abonnement mensuel": (15, 15, set()),
    "Coût période": (0.025, 0.75, set()),
    "Drawn today": (0.1, 3, set()),
    "Drawn this month": (0.1, 3, set()),
    "Drawn today, by index": (0, 3, {"index"}),
    "Indexes": (1000, 6010, {"index"}),
    "Energy by the hour": (0, 3, {"index"}),
    "Power": (2610, 2610, set()),
    "Current": (11, 11, {"phase"}),
}


# Without a Prometheus.


def test_the_dashboards_are_what_the_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    written: dict[str, str] = runpy.run_path(str(FOLDER / "generate.py"))["dashboards"]()
    assert sorted(written) == sorted(FILES)
    for name, text in written.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text, "run python grafana/generate.py"


@pytest.mark.parametrize("file", FILES)
def test_a_dashboard_can_be_imported_anywhere(file: str) -> None:
    board = BOARDS[file]
    assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
    assert (board["refresh"], board["tags"]) == ("10s", ["meterline", "smart meter"])
    assert [variable["name"] for variable in board["templating"]["list"]] == [
        "datasource",
        *(["job", *PRICES] if "linky" in file else ["meter"]),
    ]
    for panel in board["panels"]:
        for part in [panel, *panel.get("targets", [])] if panel["type"] != "row" else []:
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("file", FILES)
def test_no_panel_covers_another(file: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARDS[file]["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("file", ["home.json", "broute.json"])
def test_every_name_in_the_dashboards_is_a_family_with_these_labels(file: str) -> None:
    for question in questions(file):
        found = re.findall(r"(smartmeter_\w+)\{([^}]*)\}", question.expression)
        assert found, question
        for name, matchers in found:
            family = FAMILIES[name.removesuffix("_bucket")]
            assert set(re.findall(r"(\w+)=", matchers)) <= {"meter", *family.labels}, name


def test_only_what_shows_a_day_or_a_month_has_its_own_time() -> None:
    for file, board in BOARDS.items():
        for panel in board["panels"]:
            wanted = "now/d" if "today" in panel["title"] else "now/M" if "month" in panel["title"] else None
            if wanted and not panel["title"].startswith("Tempo"):
                assert panel["timeFrom"] == wanted, f"{file}: {panel['title']}"
            else:
                assert panel.get("timeFrom") in (None, "24h", "30d")


def test_whatever_is_shown_in_kilowatthours_is_divided_by_a_thousand() -> None:
    for file, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                energy = panel["fieldConfig"]["defaults"]["unit"] == "kwatth"
                assert energy == ("/ 1000" in target["expr"]), f"{file}: {panel['title']}"


def test_every_expression_has_a_right_answer_here() -> None:
    asked = {(question.file, question.title) for question in questions(*FILES)}
    assert asked == set(RIGHT) | {("linky.json", title) for title in LINKY}


# With a Prometheus.


@pytest.fixture(scope="module")
def tools() -> tuple[str, str]:
    """Where prometheus and promtool are."""
    return tool("prometheus"), tool("promtool")


def test_promtool_parses_every_expression(tools: tuple[str, str], tmp_path: Path) -> None:
    variables = {"$meter": ".*", "$job": ".*"} | typed("linky.json")
    rules = [
        {"record": f"expression:{number}", "expr": filled(question, variables)}
        for number, question in enumerate(questions(*FILES))
    ]
    assert not [rule for rule in rules if "$__" in rule["expr"]]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboards", "rules": rules}]}), encoding="utf-8")
    answer = subprocess.run([tools[1], "check", "rules", str(file)], capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"SUCCESS: {len(rules)} rules found" in answer.stdout


def linky_page(job: str, now: float) -> str:
    """What such a Linky says: each index grows in turn, for four seconds, while its tariff counts."""
    indexes = LINKYS[job]
    active = int(now / 4) % len(indexes)
    labels = f'adco="000000000000",hhphc="A",imax="090",job="{job}",motdetat="000000",optarif="X",ptec="P{active}"'
    lines = [f"# TYPE linky_isousc gauge\nlinky_isousc{{{labels}}} 30.0\n"]
    for number, index in enumerate(indexes):
        rounds, rest = divmod(now, 4 * len(indexes))
        counted = int((rounds * 4 + min(max(rest - 4 * number, 0), 4)) * WATTHOURS_A_SECOND)
        lines.append(f"# TYPE linky_{index}_total counter\nlinky_{index}{{{labels}}} {1e6 * (number + 1) + counted}\n")
    lines.append(
        f"# TYPE linky_iinst gauge\nlinky_iinst{{{labels}}} 11.0\n# TYPE linky_papp gauge\nlinky_papp{{{labels}}} 2610.0\n"
    )
    return "".join(lines)


@contextmanager
def linkys() -> Iterator[int]:
    """The made-up Linkys on a port, each under its own path."""
    start = time.monotonic()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = linky_page(self.path.strip("/"), time.monotonic() - start).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def scraping(demo: int, linky: int) -> str:
    """The configuration: JSON is YAML."""
    jobs = [{"job_name": "meterline", "static_configs": [{"targets": [f"127.0.0.1:{demo}"]}]}]
    static = [{"targets": [f"127.0.0.1:{linky}"]}]
    linky_jobs = [
        {"job_name": f"scrape-{job}", "metrics_path": f"/{job}", "honor_labels": True, "static_configs": static}
        for job in LINKYS
    ]
    return json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [*jobs, *linky_jobs]})


def choices(database: Database, file: str) -> dict[str, str]:
    """The variable of a dashboard, set to All, as Grafana would."""
    variable = BOARDS[file]["templating"]["list"][1]
    wanted = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert wanted
    values = database.get(f"label/{wanted[2]}/values", **{"match[]": wanted[1]})
    assert values
    return {f"${variable['name']}": f"({'|'.join(values)})"} | typed(file)


def typed(file: str) -> dict[str, str]:
    """The variables that the reader fills in, as they are before."""
    found = [variable for variable in BOARDS[file]["templating"]["list"] if variable["type"] == "textbox"]
    return {f"${variable['name']}": variable["query"] for variable in found}


def test_the_prices_are_numbers_that_the_reader_fills_in() -> None:
    assert typed("linky.json") == {f"${name}": price for name, price in PRICES.items()}


def settled(database: Database) -> bool:
    """Whether it has heard all long enough, a poll of the B-route meter and its books included."""
    heard = database.now('count_over_time(smartmeter_up{meter="tokyo"}[60s])')
    polled = database.now("increase(smartmeter_poll_duration_seconds_count[60s] offset 5s)")
    booked = database.now('smartmeter_cost_day{meter="tokyo"}')
    enough = any(count >= SCRAPES for (count,) in heard.values()) and any(count > 0 for (count,) in polled.values())
    return enough and bool(booked)


@pytest.fixture(scope="module")
def database(tools: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A Prometheus that has scraped the demo and the made-up Linkys for a while."""
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(program("demo", "--web.listen-address", f"127.0.0.1:{port}"))
        deadline = time.monotonic() + LIMIT
        while page(port).count("smartmeter_energy_import_watthours_total{") < len(ALL):
            assert time.monotonic() < deadline, "the meters do not speak"
            time.sleep(0.1)
        config = scraping(port, stack.enter_context(linkys()))
        running = stack.enter_context(prometheus(tools[0], tmp_path_factory.mktemp("prometheus"), config))
        deadline = time.monotonic() + 2 * LIMIT
        while not settled(running):
            assert time.monotonic() < deadline, "nothing is scraped"
            time.sleep(0.2)
        yield running


def answers(database: Database, question: Question) -> dict[frozenset[tuple[str, str]], list[float]]:
    """What it answers; each number is finite."""
    expression = filled(question, choices(database, question.file))
    found = database.now(expression) if question.instant else database.lately(expression)
    assert found, f"no answer: {expression}"
    assert all(math.isfinite(value) for values in found.values() for value in values), found
    return found


@pytest.mark.parametrize("question", questions("home.json", "broute.json"), ids=str)
def test_the_demo_gives_every_panel_a_right_answer(database: Database, question: Question) -> None:
    right = RIGHT[question.file, question.title][ord(question.letter) - ord("A")]
    found = answers(database, question)
    series = [dict(key) for key in found]
    assert {each["meter"] for each in series} - {SOMETIMES} == right.meters
    for label, expected in right.labels.items():
        assert expected <= {each.get(label, "") for each in series}
    names = ["meter", *right.labels]
    assert len({tuple(each.get(name) for name in names) for each in series}) == len(series), f"one too many: {series}"
    for each, values in zip(series, found.values(), strict=True):
        high = (each["meter"] == SOMETIMES and right.sometimes) or right.high
        assert all(right.low - 1e-9 <= value <= high + 1e-9 for value in values), f"{each}: {values}"


@pytest.mark.parametrize(("title", "direction"), [("Drawn today", "import"), ("Injected today", "export")])
def test_the_energy_of_today_is_what_the_registers_moved(database: Database, title: str, direction: str) -> None:
    (asked,) = [question for question in questions("home.json") if question.title == title]
    register = f"smartmeter_energy_{direction}_watthours_total"
    moment = time.time()
    moved = database.now(f"max_over_time({register}[60s]) - min_over_time({register}[60s])", moment)
    shown = database.now(filled(asked, choices(database, asked.file)), moment)
    assert shown.keys() == moved.keys()
    for key, (kilowatthours,) in shown.items():
        (watthours,) = moved[key]
        assert watthours <= 1000 * kilowatthours + 1e-9
        assert 1000 * kilowatthours <= 1.3 * watthours + 1e-9


def test_the_price_now_is_that_of_the_tariff_that_counts(database: Database) -> None:
    (asked,) = [question for question in questions("home.json") if question.title == "Price now"]
    moment = time.time()
    shown = database.now(filled(asked, choices(database, asked.file)), moment)
    counting = database.now(f'smartmeter_tariff_active{{meter!="{SOMETIMES}"}} == 1', moment)
    pairs = [{(dict(key)["meter"], dict(key)["tariff"]) for key in found} for found in (shown, counting)]
    assert pairs[0] == pairs[1] | {("tokyo", "tier1")}


@pytest.mark.parametrize("question", questions("linky.json"), ids=str)
def test_the_names_of_the_linky_exporter_give_every_panel_a_right_answer(database: Database, question: Question) -> None:
    low, high, by = LINKY[question.title]
    found = answers(database, question)
    series = [dict(key) for key in found]
    assert {each["job"] for each in series} == set(LINKYS)
    if "index" in by:
        assert {(each["job"], each["index"]) for each in series} == {(job, index) for job in LINKYS for index in LINKYS[job]}
    elif "ptec" not in by:
        assert len(series) == len(LINKYS)
    for key, values in found.items():
        assert all(low <= value <= high for value in values), f"{dict(key)}: {values}"


def test_an_index_is_counted_once_although_the_tariff_changes_its_labels(database: Database) -> None:
    (total,) = [question for question in questions("linky.json") if question.title == "Drawn today"]
    heard = "timestamp(linky_papp)[60s:1s]"
    ((elapsed,),) = database.now(f"max(max_over_time({heard})) - min(min_over_time({heard}))").values()
    for (counted,) in answers(database, total).values():
        assert counted * 1000 == pytest.approx(elapsed * WATTHOURS_A_SECOND, rel=0.35)
