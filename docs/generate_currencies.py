"""Write src/meterline/locale/currencies.py from Babel: `make docs`."""

from __future__ import annotations

from pathlib import Path

from babel.numbers import get_currency_precision, list_currencies

FILE = Path(__file__).parents[1] / "src" / "meterline" / "locale" / "currencies.py"
USUAL = 2


def source() -> str:
    """The file, as the formatter of the project leaves it."""
    decimals = {code: get_currency_precision(code) for code in sorted(list_currencies())}
    entries = [f'    "{code}": {number},\n' for code, number in decimals.items() if number != USUAL]
    return f'''"""Decimals of an amount, by its currency. Written by docs/generate_currencies.py, a part of `make docs`.

The source is Babel with the data of the CLDR, which counts the decimals that people use: the dinar of Iraq has none,
although ISO 4217 gives it three.
"""

USUAL = {USUAL}
OTHERS = {{
{"".join(entries)}}}
"""ISO 4217 → decimals, of all currencies that have not the usual number; also of those that are not in use any more."""


def digits(currency: str | None) -> int:
    """Decimals of an amount, by its currency (ISO 4217): 0 with JPY, 2 with EUR, 3 with KWD."""
    return OTHERS.get(currency or "", USUAL)
'''


if __name__ == "__main__":
    FILE.write_text(source(), encoding="utf-8")
