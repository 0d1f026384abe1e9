"""The table of decimals: what Babel says of every currency."""

from __future__ import annotations

import runpy
from decimal import Decimal
from pathlib import Path

import pytest
from babel.numbers import get_currency_precision, list_currencies

from meterline.billing.invoice import money
from meterline.locale.currencies import OTHERS, digits

ROOT = Path(__file__).parents[2]


def test_every_currency_has_the_decimals_that_babel_gives_it() -> None:
    codes = list_currencies()
    assert {"EUR", "JPY", "KWD", "CLF"} <= codes
    assert {code: digits(code) for code in codes} == {code: get_currency_precision(code) for code in codes}
    assert OTHERS.keys() <= codes
    assert set(OTHERS.values()) == {0, 3, 4}


def test_the_file_is_the_one_that_make_docs_writes() -> None:
    generate = runpy.run_path(str(ROOT / "docs" / "generate_currencies.py"))
    assert generate["FILE"].read_text(encoding="utf-8") == generate["source"](), "run make docs"


def test_an_unknown_currency_and_none_have_the_usual_two() -> None:
    assert (digits("XYZ"), digits(None)) == (2, 2)


@pytest.mark.parametrize(
    ("currency", "text"), [("EUR", "1234.57"), ("JPY", "1235"), ("KWD", "1234.568"), ("XAF", "1235"), ("CLF", "1234.5678")]
)
def test_an_amount_of_a_bill_is_rounded_to_the_smallest_unit(currency: str, text: str) -> None:
    assert money(Decimal("1234.56784"), currency) == text
