"""Public holidays of a country or of a part of it, from the library `holidays`. It is imported where a tariff names a country.

The library knows the laws of the day on which it was released: a holiday that is moved later needs a newer release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from types import ModuleType
from typing import Any, TypeAlias

from meterline.extras import how_to_install

_EXPECTED = "expected a list of dates, or a country or a part of it such as FR, FR-57, DE-BY, JP (ISO 3166)"


@dataclass(frozen=True)
class PublicHolidays:
    """Days that are public holidays there, substitute days among them. `in` takes a local date.

    Attributes:
        code: The country, and the part of it where there is one: ``JP``, ``FR-57``.
    """

    code: str
    _days: Any = field(repr=False, compare=False)
    """The library's days. It finds those of a year when the year is asked for first."""

    @classmethod
    def parse(cls, text: str) -> PublicHolidays:
        """The holidays of a code.

        Raises:
            ValueError: The code is not known, or the library is not installed.
        """
        code = text.strip()
        match = re.fullmatch(r"([A-Z]{2})(?:-(.+))?", code)
        if not match:
            raise ValueError(f"{text!r} is not allowed; {_EXPECTED}")
        library, (country, part) = _library(code), match.groups()
        try:
            known = library.country_holidays(country).subdivisions
        except NotImplementedError:
            raise ValueError(f"{code!r}: the library holidays does not know the country {country}; {_EXPECTED}") from None
        if part and part not in known:
            allowed = ", ".join(f"{country}-{one}" for one in known)
            raise ValueError(f"{code!r} is not known; allowed: {', '.join(filter(None, (country, allowed)))}")
        return cls(code, library.country_holidays(country, subdiv=part))

    def __contains__(self, day: date) -> bool:
        return day in self._days


Holidays: TypeAlias = tuple[date, ...] | PublicHolidays
"""Days that `holiday` means in a tariff: those listed, or those of a country."""


def _library(code: str) -> ModuleType:
    try:
        import holidays
    except ImportError:
        how = how_to_install("holidays", "holidays")
        raise ValueError(f"{code!r} needs the library holidays, which is not installed; {how}; or list the dates") from None
    return holidays
