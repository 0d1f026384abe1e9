"""The configuration: what is taken, and the one line that says what is wrong and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from meterline.config.labels import check_name
from meterline.config.schema import Config, MeterConfig, load, single
from meterline.errors import UserError
from meterline.meter.families import CATALOGUE
from meterline.protocols.tic import Options

INVALID = sorted(Path(__file__).parent.glob("invalid-*.yml"))


def write(folder: Path, text: str) -> str:
    file = folder / "meterline.yml"
    file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem.removeprefix("invalid-"))
def test_an_invalid_file_says_file_place_and_remedy_in_one_line(file: Path) -> None:
    expected = file.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
    with pytest.raises(UserError) as caught:
        load(str(file))
    assert str(caught.value) == f"{file}: {expected}"


def test_there_is_a_file_for_each_message() -> None:
    assert len(INVALID) >= 30


def test_every_fault_has_a_line_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, "meters: [{name: home, link: /dev/x, protocol: tic, options: {baud: a, mode: b, prm: c}}]")
    with pytest.raises(UserError) as caught:
        load(path)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[3] for line in lines] == ["baud", "mode", "prm"]
    assert all(line.startswith(f"{path}: meter 'home': options: ") for line in lines)


def test_every_label_that_is_wrong_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "meters: [{name: home, link: /dev/x, labels: {flat: [1], le: x, ok: y, area: {a: b}}}]")
    with pytest.raises(UserError) as caught:
        load(path)
    places = [line.removeprefix(f"{path}: meter 'home': labels: ").split(" ")[0] for line in str(caught.value).splitlines()]
    assert sorted(places) == ["'le'", "area:", "flat:"]


def test_a_label_may_have_any_name_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWNER", 'A: "B" # 家')
    path = write(tmp_path, "meters: [{name: home, link: /dev/x, labels: {flat: 012, _Area2: attic, owner: '${OWNER}'}}]")
    assert load(path).meters[0].labels == {"flat": "012", "_Area2": "attic", "owner": 'A: "B" # 家'}


def test_no_label_of_the_catalogue_is_free() -> None:
    for name in {label for family in CATALOGUE for label in family.labels} | {"le", "meter", "version"}:
        with pytest.raises(ValueError, match="is a label of meterline already"):
            check_name(name)


def test_a_whole_configuration_is_taken(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        meters:
          - name: home
            link: /dev/serial/by-id/usb-meter
          - name: farm
            link: tcp://bridge:2000
            protocol: tic
            options: {baud: 9600, mode: standard, prm: true}
            stale_after: 15
        """,
    )
    assert load(path) == Config(
        (
            MeterConfig("home", "/dev/serial/by-id/usb-meter"),
            MeterConfig("farm", "tcp://bridge:2000", "tic", Options(9600, "standard", True), 15.0),
        )
    )


def test_an_unquoted_name_of_digits_stays_text(tmp_path: Path) -> None:
    assert load(write(tmp_path, "meters: [{name: 0042, link: /dev/x}]")).meters[0].name == "0042"


def test_variables_come_from_the_environment_in_parsed_texts_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME_OF_IT", "a: b # c")
    monkeypatch.setenv("HOST", "bridge")
    path = write(tmp_path, "# ${NOT_READ}\nmeters: [{name: '${NAME_OF_IT}', link: 'tcp://${HOST}:2000'}]")
    meter = load(path).meters[0]
    assert (meter.name, meter.link) == ("a: b # c", "tcp://bridge:2000")


def test_a_missing_file_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^/nowhere\.yml: No such file or directory$"):
        load("/nowhere.yml")


def test_a_binary_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file in UTF-8"):
        load(str(file))


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("/dev/ttyUSB0", "ttyUSB0"),
        ("tcp://bridge:2000", "bridge"),
        ("file:/tmp/linky.bin?baud=1200", "linky"),
        ("file:linky.bin", "linky"),
    ],
)
def test_a_link_alone_gets_a_short_name(link: str, name: str) -> None:
    assert single(link).meters[0] == MeterConfig(name, link)


def test_a_wrong_link_on_the_command_line_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^link 'ttyUSB0': a device begins with /"):
        single("ttyUSB0")
