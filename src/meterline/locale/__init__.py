"""Texts for people, one file a language: `en.json`, `fr.json`, `ja.json`. A new language is a new file, and no change of code.

Each file holds these tables. The keys and the {fields} are those of `en.json`; a test compares them.

| table    | key → text                                                                                             |
|----------|--------------------------------------------------------------------------------------------------------|
| format   | `thousands` and `point` of a number; `money`: currency → the form of an amount, such as ``€{}``        |
| page     | sentences of the page and of commands                                                                  |
| tariffs  | registers of a tariff, by the name that the meter gives them, such as ``HCHC``                         |
| families | metrics, without ``smartmeter_``; ``info address`` is the label `address` of an info family            |
| values   | values of labels, such as ``blue``                                                                     |

Texts are plain: who writes one into HTML escapes it. A file is read when its language is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from meterline.locale.currencies import digits

FOLDER = Path(__file__).parent
FALLBACK = "en"
"""The language of a reader for whom there is no file."""


class Language:
    """The texts of one language, and how it writes numbers, amounts and ages.

    Attributes:
        code: ISO 639-1, the name of the file.
    """

    def __init__(self, code: str) -> None:
        """Read the file of a language.

        Args:
            code: One of `codes()`.

        Raises:
            FileNotFoundError: There is no such file.
        """
        self.code = code
        tables: dict[str, Any] = json.loads((FOLDER / f"{code}.json").read_text(encoding="utf-8"))
        self._page: dict[str, str] = tables["page"]
        self._tariffs: dict[str, str] = tables["tariffs"]
        self._families: dict[str, str] = tables["families"]
        self._values: dict[str, str] = tables["values"]
        self._money: dict[str, str] = tables["format"]["money"]
        self._point: str = tables["format"]["point"]
        self._separators = {ord(","): tables["format"]["thousands"], ord("."): self._point}

    def say(self, key: str, **fields: object) -> str:
        """A sentence of the table `page`.

        Args:
            key: Which one.
            fields: Values for the {fields} of its text.

        Raises:
            KeyError: The file has no such key, or the text has a field without a value.
        """
        text = self._page[key]
        return text.format(**fields) if fields else text

    def tariff(self, register: str) -> str | None:
        """The name of a tariff register, such as ``HCHC``; None for a register without a name."""
        return self._tariffs.get(register)

    def family(self, key: str) -> str:
        """The name of a metric, or `key` itself where the file has none."""
        return self._families.get(key, key)

    def value(self, text: str) -> str:
        """The name of a value of a label, or `text` itself where the file has none."""
        return self._values.get(text, text)

    def number(self, value: float, decimals: int = 0) -> str:
        """A number with that many decimals, and thousands apart."""
        return f"{value:,.{decimals}f}".translate(self._separators)

    def short(self, value: float) -> str:
        """A number with at most three decimals, without zeros at their end."""
        return self.number(value, 3).rstrip("0").rstrip(self._point)

    def money(self, value: float, currency: str | None) -> str:
        """An amount, rounded to the smallest unit of its currency.

        Args:
            value: The amount.
            currency: ISO 4217; one without a form of its own stands behind the number; None: no currency is known.
        """
        text = self.number(value, digits(currency))
        return self._money[currency].format(text) if currency in self._money else f"{text}\u00a0{currency or ''}".strip()

    def ago(self, seconds: float) -> str:
        """An age, in the largest unit of which there is more than one."""
        for limit, unit, size in ((2, "now", 1), (100, "seconds", 1), (6000, "minutes", 60), (172_800, "hours", 3600)):
            if seconds < limit:
                return self.say(f"ago_{unit}", n=int(seconds // size))
        return self.say("ago_days", n=int(seconds // 86_400))


@cache
def codes() -> tuple[str, ...]:
    """The languages that have a file, in alphabetical order (ISO 639-1)."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.json")))


@cache
def language(code: str) -> Language:
    """The language of one of `codes()`; its file is read once."""
    return Language(code)


def preferred(accept: str) -> Language:
    """The language for a browser.

    Args:
        accept: The header Accept-Language (RFC 9110, 12.5.4).

    Returns:
        The language with the greatest weight that has a file, else `FALLBACK`.
    """
    best, most = FALLBACK, 0.0
    for choice in accept.split(","):
        tag, _, rest = choice.strip().partition(";")
        code = tag.partition("-")[0].lower()
        try:
            weight = float(rest.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if weight > most and code in codes():
            best, most = code, weight
    return language(best)


def of_environment(variables: Mapping[str, str]) -> Language:
    """The language for a terminal.

    Args:
        variables: The environment. LC_ALL counts, else LC_MESSAGES, else LANG.

    Returns:
        The language that they name, if it has a file, else `FALLBACK`.
    """
    chosen = variables.get("LC_ALL") or variables.get("LC_MESSAGES") or variables.get("LANG") or ""
    code = chosen[:2].lower()
    return language(code if code in codes() else FALLBACK)
