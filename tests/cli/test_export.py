"""meterline export, backup and restore: the ledger as people and programs get it."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from meterline.cli.export import backup, export, restore
from meterline.errors import UserError
from meterline.history.day_row import DAY_S, LIVE, METER, DayRow, RowKey
from meterline.history.ledger import Ledger
from meterline.history.recorder import zone_key

PARIS = ZoneInfo("Europe/Paris")
SPRING = int(datetime(2026, 3, 29, tzinfo=PARIS).timestamp())
"""Midnight of the day that has 23 hours."""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """Three days around the change to summer time: 1 Wh a second, and an edge that nobody saw at noon UTC of the second day."""
    state, ledger = tmp_path / "state", Ledger(str(tmp_path / "state"))
    rows = []
    for day in range(SPRING // DAY_S - 1, SPRING // DAY_S + 3):
        row = DayRow(RowKey("home, sweet home", 1, day, 900))
        for edge in range(row.edges):
            if row.at(edge) != SPRING + 13 * 3600:
                row.take("import", edge, (row.at(edge) - SPRING) * 1000 + 10**9, LIVE)
                row.take("export/1", edge, 5_000, METER)
        rows.append(row)
    ledger.write(rows, [(zone_key("home, sweet home"), b"Europe/Paris")])
    ledger.close()
    return str(state)


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_day_of_the_change_of_the_clock_has_its_own_length(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    export(folder, None, datetime(2026, 3, 29).date(), datetime(2026, 3, 30).date(), "day", "csv")
    first, second = table(capsys.readouterr().out)
    assert (first["begin"], first["end"]) == ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")
    assert (float(first["import Wh"]), float(second["import Wh"])) == (23 * 3600, 24 * 3600)
    assert first["export/1 Wh"] == "0"
    assert first["origin"] == "live+meter"
    assert first["meter"] == "home, sweet home"


def test_periods_beside_an_absent_edge_have_no_row(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    day = datetime(2026, 3, 29).date()
    export(folder, None, day, day, "slot", "json")
    slots = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(slots) == 23 * 4 - 2
    assert all(slot["watthours"]["import"] == 900 for slot in slots)
    export(folder, None, day, day, "hour", "json")
    assert len(capsys.readouterr().out.splitlines()) == 23 - 2


def test_openmetrics_samples_stand_in_the_period_that_they_sum_up(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    day = datetime(2026, 3, 30).date()
    export(folder, None, day, day, "hour", "openmetrics")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "# EOF"
    imported = [line.split() for line in lines if line.startswith("smartmeter_history_energy_import_watthours{")]
    assert len(imported) == 24
    begin = SPRING + 23 * 3600
    assert [int(line[-1]) for line in imported] == [begin + 3600 * (hour + 1) - 1 for hour in range(24)]
    assert sum(float(line[-2]) for line in imported) == 24 * 3600


def test_a_backup_is_the_whole_ledger_and_is_restored_where_none_is(folder: str, tmp_path: Path) -> None:
    copy, elsewhere = tmp_path / "copy.sqlite", tmp_path / "elsewhere"
    backup(folder, str(copy))
    with pytest.raises(UserError, match="is there already"):
        backup(folder, str(copy))
    restore(str(elsewhere), str(copy))
    rows = [row.content() for row in Ledger(str(elsewhere)).rows("home, sweet home", 0, 99_999)]
    assert rows == [row.content() for row in Ledger(folder).rows("home, sweet home", 0, 99_999)] != []
    with pytest.raises(UserError, match="a ledger is there"):
        restore(folder, str(copy))
    with pytest.raises(UserError, match="is no ledger"):
        restore(str(tmp_path / "third"), __file__)


@pytest.mark.parametrize(
    ("meter", "since", "until", "words"),
    [
        ("garage", None, None, "--meter garage: is not in"),
        (None, datetime(2026, 3, 2).date(), datetime(2026, 3, 1).date(), "is before --from"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    folder: str, meter: str | None, since: datetime | None, until: datetime | None, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        export(folder, meter, since, until, "hour", "csv")


def test_a_folder_without_a_ledger_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no ledger is there yet"):
        export(str(tmp_path), None, None, None, "hour", "csv")
