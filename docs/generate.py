"""Write docs/metrics.md and docs/meters.md from the code: `make docs`."""

from __future__ import annotations

from pathlib import Path

from meterline.metrics import CATALOGUE
from meterline.model import REASONS
from meterline.protocols.tic.readers import DEVICE_TYPES, MANUFACTURERS

FOLDER = Path(__file__).parent
GENERATED = "<!-- Written by `make docs`; change the code instead. -->\n"


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
            "comes from; *ours* means that it is about the line and stays when the meter is silent. All others vanish when",
            "the meter has not confirmed them for `stale_after` seconds.",
            "",
            "| family | type | labels | meaning | from |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"`reason` is one of {', '.join(f'`{reason}`' for reason in REASONS)}.",
            "",
            "`tariff` is the register's own name: `BASE`, `HCHC`, `HCHP`, `EJPHN`, `EJPHPM`, `BBRHCJB` … `BBRHPJR` in historic",
            "mode, `EASF01` … `EASF10` and `EASD01` … `EASD04` in standard mode; so energy, price and the active",
            "tariff join by it.",
            "",
            "The page also holds `process_*` of the program itself and `meterline_build_info`.",
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
        ]
    )


def main() -> None:
    """Write both."""
    (FOLDER / "metrics.md").write_text(metrics(), encoding="utf-8")
    (FOLDER / "meters.md").write_text(meters(), encoding="utf-8")


if __name__ == "__main__":
    main()
