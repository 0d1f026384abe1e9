"""Write docs/metrics.md and docs/meters.md from the code: `make docs`."""

from __future__ import annotations

from pathlib import Path

from meterline.metrics import CATALOGUE
from meterline.model import REASONS
from meterline.protocols.broute.properties import MAKERS
from meterline.protocols.tic.readers import DEVICE_TYPES, MANUFACTURERS

FOLDER = Path(__file__).parent
GENERATED = "<!-- Written by `make docs`; change the code instead. -->\n"


MODULES = (
    ("ROHM BP35A1, JORJIN WSR35A1-00", "single"),
    ("Tessera RL7023 Stick-D/IPS", "single"),
    ("Tessera RL7023 Stick-D/DSS", "dual"),
    ("ROHM BP35C0, BP35C2", "dual"),
    ("RATOC RS-WSUHA-P", "dual"),
)


def metrics() -> str:
    """The catalogue as a table."""
    rows = [
        f"| `{family.name}` | {family.type} | {', '.join(f'`{label}`' for label in family.labels) or '–'} "
        f"| {family.help} | {family.source} |"
        for family in CATALOGUE
    ]
    return "\n".join(
        [
            "# Metrics",
            "",
            GENERATED,
            "Every series also has the label `meter`, the name from the configuration. An info family is one series with the",
            "value 1 and its texts as labels: those that are known at the moment. *From* says which words of the meter it",
            "comes from; *ours* means that it is about the line and stays when the meter is silent, but that a gauge about an",
            "open link (its speed, the signal, the session's start) goes with the link, and `smartmeter_session_up` is 0",
            "without one; *booked* means that it",
            "is from our books ([costs](costs.md)): its counters and prices stay as well, what a day or a billing period came",
            "to vanishes with the meter and comes back with its next reading. All others vanish when the meter has not",
            "confirmed them for `stale_after` seconds.",
            "",
            "| family | type | labels | meaning | from |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"`reason` is one of {', '.join(f'`{reason}`' for reason in REASONS)}.",
            "",
            "`tariff` is the register's own name: `BASE`, `HCHC`, `HCHP`, `EJPHN`, `EJPHPM`, `BBRHCJB` … `BBRHPJR` in historic",
            "mode, `EASF01` … `EASF10` and `EASD01` … `EASD04` in standard mode; so energy, price and the active",
            "tariff join by it. Of what is booked it is the register too, or the name of a rate, `tier1` … or `TOTAL`: as the",
            "configuration has prices.",
            "",
            "`rung` is one of `request`, `join`, `scan`, `reset`, `reopen`: the ladder by which a lost B-route meter is found",
            "again. `every` is `30m` or `1m`. `property` is the code of a property, such as `E8`.",
            "",
            "The page also holds what is said of the program itself: `process_*`, `meterline_build_info`,",
            "`meterline_config_last_reload_successful` and `meterline_config_last_reload_success_timestamp_seconds`, and",
            "`meterline_state_writable`, 0 while what must survive a restart cannot be kept.",
            "",
        ]
    )


def meters() -> str:
    """The list of meters."""
    types = [f"| {digits} | {name} |" for digits, name in DEVICE_TYPES.items()]
    makers = ", ".join(f"{digits} {name}" for digits, name in MANUFACTURERS.items())
    return "\n".join(
        [
            "# Meters",
            "",
            GENERATED,
            "## TIC: French meters, historic and standard mode",
            "",
            "Every Linky, and the electronic residential meters before it (historic mode only): single-phase and three-phase,",
            "consumer and producer, contracts Base, HC/HP, EJP and Tempo; any other contract in standard mode. Digits 5 and",
            "6 of the meter's number (ADCO, ADSC) are its type:",
            "",
            "| type | meter |",
            "|---|---|",
            *types,
            "",
            f"Digits 1 and 2 are the maker: {makers}. Other numbers work as well; only these two words are missing then.",
            "",
            "Not supported: the meters of companies (CJE, ICE, PME-PMI, SAPHIR). The log says so when one is found.",
            "",
            "## B-route: Japanese low-voltage smart meters",
            "",
            "Every meter of class 0288 that a Wi-SUN module can join: what it offers in its property map is read, whatever its",
            f"generation. Makers shown by name: {', '.join(sorted(set(MAKERS.values())))}; others by their code.",
            "",
            "| module | edition |",
            "|---|---|",
            *[f"| {module} | {edition} |" for module, edition in MODULES],
            "",
            "Edition and form of the data are found out, so others with SKSTACK commands work as well. Not supported: J11",
            "firmware (BP35C0-J11, RS-WSUHA-J11), the B-route over Ethernet, Wi-Fi or power line, high voltage (class 028A).",
            "",
        ]
    )


def main() -> None:
    """Write both."""
    (FOLDER / "metrics.md").write_text(metrics(), encoding="utf-8")
    (FOLDER / "meters.md").write_text(meters(), encoding="utf-8")


if __name__ == "__main__":
    main()
