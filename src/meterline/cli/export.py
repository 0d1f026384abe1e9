"""meterline export: the ledger as a table; meterline backup and restore: its file."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from meterline.cli.stored_file import check_readable
from meterline.errors import UserError
from meterline.history.day_row import DAY_S
from meterline.history.export import By, Format, Period, as_csv, as_json, as_openmetrics, periods
from meterline.history.ledger import FILE, Ledger
from meterline.history.recorder import zone_key
from meterline.store import default_folder, open_to_read

NOTHING_YET = "no ledger is there yet: has a meter spoken? --state.dir names the folder that meterline run uses"


def export(folder: str | None, meter: str | None, since: date | None, until: date | None, by: By, form: Format) -> None:
    """Print what the registers of one meter, or of all, rose by.

    Args:
        folder: As of `meterline run`; None: the default one.
        meter: Name; None: all.
        since: First local day; None: the first there is.
        until: Last local day; None: the last there is.
        by: How long a period is.
        form: Of the output.

    Raises:
        UserError: There is no ledger, or no such meter in it; the ledger cannot be read.
    """
    if since and until and until < since:
        raise UserError(f"--to {until}: is before --from {since}")
    ledger = _ledger(folder)
    try:
        names = [name for name, _ in ledger.meters()]
        if meter is not None and meter not in names:
            raise UserError(f"--meter {meter}: is not in {ledger.path}; there are: {', '.join(names) or 'none'}", 1)
        chosen = [name for name in names if meter in (None, name)]
        zones = {name: _zone(ledger, name) for name in chosen}
        found = list[Period]()
        for name in chosen:
            first, last = _moment(since, zones[name], 0), _moment(until and until + timedelta(days=1), zones[name], 1 << 40)
            rows = ledger.rows(name, first // DAY_S, min(last // DAY_S + 1, 1 << 40))
            found += periods(rows, by, zones[name], first, last)
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{ledger.path}: cannot be read: {error}", 1) from None
    finally:
        ledger.close()
    texts = {
        "csv": lambda: as_csv(found, zones),
        "json": lambda: as_json(found, zones),
        "openmetrics": lambda: as_openmetrics(found),
    }
    sys.stdout.writelines(texts[form]())


def backup(folder: str | None, target: str) -> None:
    """Copy the ledger as it stands at one moment, while `meterline run` may go on writing.

    Raises:
        UserError: There is no ledger, the file is there already, or cannot be written.
    """
    path = Path(target)
    if path.exists():
        raise UserError(f"{path}: is there already; name a new file", 1)
    ledger = _ledger(folder)
    try:
        ledger.backup(path)
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{path}: cannot be written: {error}", 1) from None
    finally:
        ledger.close()


def restore(folder: str | None, source: str) -> None:
    """Put a backup in the place of the ledger, which must not be there.

    Raises:
        UserError: The file is no ledger, or a ledger is there.
    """
    target = Path(folder or default_folder()) / FILE
    if target.exists():
        raise UserError(f"{target}: a ledger is there; stop meterline run and move it away first", 1)
    try:
        with closing(open_to_read(Path(source))) as file:
            file.execute("SELECT count(*) FROM day").fetchall()
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy = sqlite3.connect(target)
            file.backup(copy)
            copy.close()
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{source}: is no ledger that can be read: {error}", 1) from None


def _ledger(folder: str | None) -> Ledger:
    ledger = Ledger(folder or default_folder(), only_read=True)
    check_readable(ledger.path, NOTHING_YET)
    return ledger


def _zone(ledger: Ledger, meter: str) -> ZoneInfo:
    try:
        return ZoneInfo((ledger.entry(zone_key(meter)) or b"UTC").decode())
    except (ValueError, ZoneInfoNotFoundError):
        return ZoneInfo("UTC")


def _moment(day: date | None, zone: ZoneInfo, otherwise: int) -> int:
    return int(datetime.combine(day, time(), zone).timestamp()) if day else otherwise
