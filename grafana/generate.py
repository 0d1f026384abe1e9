"""Write the dashboards beside this file: home.json, broute.json and linky.json (`python grafana/generate.py`)."""

from __future__ import annotations

from pathlib import Path

from broute import broute
from home import home
from linky import linky, linky_prices
from panels import dashboard, variables

FOLDER = Path(__file__).parent


def dashboards() -> dict[str, str]:
    """File → its text."""
    return {
        "home.json": dashboard(
            "meterline-home",
            "Smart meters",
            "All meters that meterline reads.",
            variables("meter", "smartmeter_up"),
            home(),
        ),
        "broute.json": dashboard(
            "meterline-broute",
            "Smart meters: B-route",
            "Japanese meters on the B-route, and the radio that they are reached by.",
            variables("meter", "smartmeter_session_up"),
            broute(),
        ),
        "linky.json": dashboard(
            "meterline-linky",
            "Linky (names of linky-exporter)",
            "Historic mode, with the names linky_* of the program that meterline replaces.",
            [*variables("job", "linky_papp"), *linky_prices()],
            linky(),
        ),
    }


def main() -> None:
    """Write them."""
    for name, text in dashboards().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
