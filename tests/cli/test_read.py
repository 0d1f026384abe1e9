"""`meterline read`: what a meter says now, for people and for programs, once and live."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.live_meters import command, environment, fake, program
from support.terminal import on_terminal
from support.virtual_lines import run

from meterline.cli.read import _draw, _Reading, _Screen, _watch
from meterline.config.schema import MeterConfig
from meterline.locale import Language, codes, language
from meterline.meter.families import CATALOGUE
from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Reading, Snapshot
from meterline.web.page.reading_texts import as_json, headline, quantity, rows

NOW = 1_763_800_000
SECRETS = {"BROUTE_ID": "0" * 31 + "1", "BROUTE_PASSWORD": "0123456789AB"}
ENGLISH = environment(LC_ALL="C")
ENGLISH.pop("PYTHONASYNCIODEBUG", None)  # it says on standard error what was slow


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Five frames of a Tempo contract in standard mode."""
    meter, file = fake("standard", "TEMPO", phases=3, producer=True, number=77), tmp_path / "x.bin"
    frames = []
    for second in range(5):
        meter.advance(NOW + second)
        frames.append(meter.frame())
    file.write_bytes(b"".join(frames))
    return file


@pytest.fixture
def linky(tmp_path: Path) -> Iterator[str]:
    """A simulated Linky on a terminal, at the speed of its line."""
    path = str(tmp_path / "linky")
    with program("simulate", "tic", "--mode", "standard", "--contract", "tempo", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        yield path


@pytest.fixture
def wisun(tmp_path: Path) -> Iterator[str]:
    """A simulated Wi-SUN module and its meter, in a hurry."""
    path = str(tmp_path / "wisun")
    with program("simulate", "broute", "--scale", "30", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        yield path


def test_a_meter_is_read_in_the_words_and_units_of_people(capture: Path) -> None:
    answer = command("read", f"file:{capture}", env=ENGLISH)
    assert (answer.returncode, answer.stderr) == (0, "")
    first, _, *lines = answer.stdout.replace("\u00a0", " ").splitlines()
    assert re.fullmatch(r"x: (exporting [\d,.]+ k?VA|[\d,.]+ k?VA) · .* · [\d,.]+ kWh", first)
    assert lines[0].startswith("Apparent power, import ")
    said = dict(re.split(" {2,}", line, maxsplit=1) for line in lines)
    assert re.fullmatch(r"[\d,]+\.\d{3} kWh", said["Total import"])
    assert re.fullmatch(r"\d+ V", said["Voltage · phase 2"])
    assert re.fullmatch(r"[\d.]+ A", said["Current · phase 3"])
    assert said["Subscribed power"] == "6 kVA"
    assert said["Tempo colour · today"] == "blue"
    assert "00000000000077" not in answer.stdout, "the number of the delivery point"


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": ""}, "Couleur Tempo · aujourd’hui"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "ja_JP.UTF-8"}, "Tempo の色 · 今日"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, "Tempo colour · today"),
    ],
)
def test_the_language_is_that_of_the_terminal(capture: Path, variables: dict[str, str], word: str) -> None:
    env = environment(PYTHONUTF8="1", **variables)
    assert word in command("read", f"file:{capture}", env=env).stdout
    assert "Couleur Tempo" in command("read", f"file:{capture}", "--lang", "fr", env=env).stdout


def test_a_capture_is_read_as_one_object_of_json_in_the_units_of_metrics(capture: Path) -> None:
    answer = command("read", f"file:{capture}", "--json", env=ENGLISH)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["meter"] == "x"
    assert found["energy_import_watthours_total"] > 1_000_000
    assert found["tempo_colour"]["today"] == "blue"
    assert set(found["voltage_volts"]) == {"1", "2", "3"}
    assert found["info"]["mode"] == "standard"
    assert "prm" not in found["info"]


def test_a_line_is_read_once_without_a_configuration(linky: str) -> None:
    answer = command("read", linky, env=ENGLISH)
    assert answer.returncode == 0, answer.stderr
    assert "Apparent power, import" in answer.stdout
    assert answer.stderr == ""


def test_a_b_route_meter_is_detected_and_read_with_the_secrets_of_the_environment(wisun: str) -> None:
    answer = command("read", wisun, "--json", env=environment(**SECRETS))
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert isinstance(found["power_watts"], int)
    assert found["energy_import_watthours_total"] > 0
    assert set(found["current_amperes"]) == {"r", "t"}


def test_a_b_route_meter_is_read_with_options_or_with_a_meter_of_a_file(wisun: str, tmp_path: Path) -> None:
    for name, text in (("id", SECRETS["BROUTE_ID"]), ("password", SECRETS["BROUTE_PASSWORD"])):
        (tmp_path / name).write_text(text)
    options = f"{{id_file: {tmp_path}/id, password_file: {tmp_path}/password, interval: 10}}"
    answer = command("read", wisun, "--protocol", "broute", "--options", options, env=ENGLISH)
    assert answer.returncode == 0, answer.stderr
    assert "Active power" in answer.stdout
    file = tmp_path / "meterline.yml"
    tokyo = f"{{name: tokyo, link: {wisun}, protocol: broute, options: {options}}}"
    file.write_text(f"meters:\n  - {{name: home, link: /dev/none}}\n  - {tokyo}\n")
    several = command("read", "--config.file", str(file))
    assert (several.returncode, several.stderr) == (2, f"meterline: {file}: which meter? --meter home or tokyo\n")
    chosen = command("read", "--config.file", str(file), "--meter", "tokyo", env=ENGLISH)
    assert chosen.returncode == 0, chosen.stderr
    assert chosen.stdout.startswith("tokyo: ")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["read"], 2, "give either a LINK or --config.file FILE"),
        (["read", "/dev/serial/by-id/nobody"], 1, "no such device"),
        (["read", "--watch", "/dev/serial/by-id/nobody"], 1, "no such device"),
        (["read", "tcp://127.0.0.1:1"], 1, "connection refused"),
        (["read", "file:/etc/hostname"], 1, "hardly anything arrives"),
        (["read", "--protocol", "tic", "file:/etc/hostname"], 1, "the capture holds no frame of a meter"),
        (["read", "--options", "{}", "file:/etc/hostname"], 2, "--options needs --protocol"),
        (["read", "--protocol", "tic", "--options", "{bad: 1}", "file:/etc/hostname"], 2, "unknown key 'bad'"),
        (["read", "--protocol", "tic", "--options", "{", "file:/etc/hostname"], 2, "options: line 1"),
    ],
)
def test_where_nothing_can_be_read_there_is_one_line(words: list[str], status: int, text: str) -> None:
    answer = command(*words)
    assert (answer.returncode, answer.stdout) == (status, "")
    assert answer.stderr.startswith("meterline: ")
    assert text in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_a_b_route_meter_without_its_secrets_says_which_variable_is_missing(wisun: str) -> None:
    answer = command("read", wisun, "--protocol", "broute")
    assert answer.returncode == 2
    assert answer.stderr == "meterline: read: the options of broute: ${BROUTE_ID}: no such variable in the environment\n"


def test_a_silent_line_is_given_up_after_the_time_that_was_given(tmp_path: Path) -> None:
    path = str(tmp_path / "silent")
    with program("simulate", "tic", "--fault", "silence=1000/1000", "--pty", path) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        answer = command("read", path, "--protocol", "tic", "--seconds", "1")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == f"meterline: read: {path}: no reading in 1 s; meterline doctor {path} finds the reason\n"


def test_watching_gives_one_object_a_frame_until_its_reader_has_enough(linky: str) -> None:
    words = [sys.executable, "-m", "meterline", "read", linky, "--json", "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENGLISH) as watching:
        assert watching.stdout
        assert watching.stderr
        rows = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.stdout.close()
        assert watching.wait(60) == 0
        assert watching.stderr.read() == ""
    assert len({row["time"] for row in rows}) > 1
    assert "apparent_power_import_voltamperes" in rows[-1], "the first frame may be torn"


def test_watching_on_a_terminal_draws_over_itself_and_ends_at_ctrl_c(linky: str) -> None:
    with on_terminal("read", linky, "--watch", env=ENGLISH) as screen:
        screen.until("Apparent power, import")
        screen.shown = ""
        screen.until("Apparent power, import")
        assert "\x1b[H" in screen.shown
        assert "\x1b[2J" not in screen.shown, "it is cleared once, and drawn over from then on"
        screen.interrupt()
        screen.end()
        assert screen.process.returncode == 0
    assert "Traceback" not in screen.shown


class Flapping(_Reading):
    """A link that is lost again and again: each word is why, and FRAME a frame of the meter."""

    def __init__(self, *story: str) -> None:
        super().__init__(MeterConfig("home", "tcp://bridge:1"), "tic")
        self._story = list(story)

    async def follow(self, on_frame: Callable[[Meter], None] = lambda _: None) -> None:
        while self._story:
            word = self._story.pop(0)
            if word != "FRAME":
                raise OSError(word)
            self.meter.take(Snapshot((Reading(("smartmeter_power_watts",), 500),)))
            on_frame(self.meter)
        raise EOFError


LOST = ("FRAME", *["gone"] * 5, *["connection refused"] * 5, "FRAME", *["connection refused"] * 5)


def test_watching_a_dead_link_says_so_once_and_again_when_that_changes(capsys: pytest.CaptureFixture[str]) -> None:
    run(_watch(Flapping(*LOST), lambda meter: None))
    said = [f"meterline: {word}; trying again" for word in ("gone", "connection refused", "connection refused")]
    assert capsys.readouterr().err.splitlines() == said


def test_what_is_wrong_with_a_link_that_is_watched_is_drawn_on_the_screen_not_over_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    run(_draw(Flapping(*LOST), _Screen(language("en"))))
    shown = capsys.readouterr()
    assert shown.err == ""
    drawn = [screen.splitlines()[-1].removesuffix("\x1b[J") for screen in shown.out.split("\x1b[H")[1:]]
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d  gone; trying again", line) for line in drawn)
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d", line) for line in drawn), "nothing is wrong any more"
    assert {len(line) for line in drawn if "refused" in line} == {30}


def test_watching_without_a_terminal_is_a_line_a_frame(linky: str) -> None:
    words = [sys.executable, "-m", "meterline", "read", linky, "--watch"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=ENGLISH) as watching:
        assert watching.stdout
        for _ in range(2):
            assert re.match(r"\d\d:\d\d:\d\d  [\d,.]+\W", watching.stdout.readline())
        watching.terminate()
        assert watching.wait(60) == 0


def every_family() -> Meter:
    """A meter that says everything that there is."""
    meter = Meter("all")
    readings = []
    for family in CATALOGUE:
        if family.origin != "meter" or family.type == "histogram":
            continue
        if family.type == "info":
            readings += [Reading((family.name, label), "text") for label in family.labels]
        else:
            readings.append(Reading((family.name, *("blue" for _ in family.labels)), 1))
    meter.take(Snapshot(tuple(readings)))
    return meter


@pytest.mark.parametrize("spoken", [language(code) for code in codes()], ids=codes())
def test_every_family_has_a_name_in_every_language(spoken: Language) -> None:
    meter = every_family()
    named = rows(meter, spoken)
    assert len(named) == len(meter.readings) - 1, "the PRM is never shown"
    for name, text in named:
        assert name
        assert text
        assert "_" not in name.replace("phase_", ""), name


def test_the_json_of_every_family_holds_every_value() -> None:
    found = as_json(every_family())
    for family in CATALOGUE:
        if family.origin == "meter" and family.type != "histogram":
            assert family.name.removeprefix("smartmeter_") in found
    assert found["tempo_colour"] == {"blue": "blue"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (460, "VA", "460 VA"),
        (9999, "W", "9,999 W"),
        (12_340, "VA", "12.34 kVA"),
        (-12_000, "W", "-12 kW"),
        (6_023_539, "kWh", "6,023.539 kWh"),
        (231.5, "V", "231.5 V"),
    ],
)
def test_a_quantity_is_written_as_people_write_it(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit, language("en")).replace("\u00a0", " ") == text


def test_the_headline_says_that_power_is_fed_in() -> None:
    meter = Meter("roof")
    meter.take(Snapshot((Reading(("smartmeter_power_watts",), -1200),)))
    meter.counters.observe(Observation(("smartmeter_link_speed_bauds",), 9600))
    assert headline(meter, language("en")) == "exporting 1,200\u00a0W"


def test_read_waits_for_a_register_that_comes_with_the_next_answer() -> None:
    now = [100.0]
    reading = _Reading(MeterConfig("tokyo", "/dev/none"), None)
    meter = reading.meter = Meter("tokyo", stale_after=90, clock=lambda: now[0])

    def say(*readings: Reading) -> None:
        meter.take(Snapshot(readings))
        reading.note_growth()

    assert not reading.complete
    say(Reading(("smartmeter_power_watts",), 500))
    now[0] += 31
    assert not reading.complete, "energy may come with the next poll"
    say(Reading(("smartmeter_power_watts",), 510), Reading(("smartmeter_energy_import_watthours_total",), 1000))
    assert not reading.complete, "texts may come with the next frame"
    now[0] += 4
    assert reading.complete
