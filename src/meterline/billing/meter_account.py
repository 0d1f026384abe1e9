"""One meter and its account: which of its registers are booked, and what /metrics shows of it."""

from __future__ import annotations

import math
from decimal import Decimal

from meterline.billing.account import Account
from meterline.billing.calendar import ONE_DAY
from meterline.billing.contract_check import ContractCheck
from meterline.billing.price_lapses import PriceLapse, to_come
from meterline.billing.pricing import EXPORT, names
from meterline.billing.tariff import WHOLE, Terms
from meterline.history.clock import EARLIEST_UNIX
from meterline.meter.meter import Meter
from meterline.meter.readings import Contract, Resolution, Series, Snapshot

SURE_AFTER = 3
"""Readings until a register is booked after a start: a damaged first one is mended by then."""
LOOK_AGAIN = 86_400
"""Seconds, where no change of the price is known."""
FORESIGHT = 7 * ONE_DAY
"""For so long before prices run out it is said."""

_IMPORT = "smartmeter_energy_import_watthours_total"
_EXPORT = "smartmeter_energy_export_watthours_total"
_BY_TARIFF = "smartmeter_energy_import_tariff_watthours_total"
_MATCH = "smartmeter_tariffs_match_contract"
_LIVE = (
    "smartmeter_energy_import_day_watthours",
    "smartmeter_energy_import_period_watthours",
    "smartmeter_energy_export_day_watthours",
    "smartmeter_cost_day",
    "smartmeter_cost_period",
)


class MeterAccount:
    """The account of one meter: which registers are booked, and what /metrics shows of the account."""

    def __init__(self, meter: Meter, account: Account, by_tariff: bool) -> None:
        self.meter, self.account = meter, account
        self.kept = account.began > 0
        self.batches = self.settled = 0
        self.doubted_since: float | None = None
        """Since when the clock does not fit the books (monotonic)."""
        self.by_tariff = by_tariff
        self.shown: dict[str, list[tuple[Series, float]]] = {}
        """Family → what /metrics shows of it."""
        self._seen: dict[str, int] = {}
        self._swaps = meter.counters.swaps
        self._last = -math.inf
        self._day_ends = 0
        self._price_changes = 0
        self._agreement = ContractCheck()
        self._compared: tuple[Contract | None, Terms | None] | None = None
        """What was compared last; None where it is not shown."""
        self._lapse: PriceLapse | None = None
        """What makes prices unknown, now or next."""
        self._soon: str | None = None
        """The same in words, where it is so now or soon."""
        self._looked = self._look_again = 0
        """Between which moments that is so."""

    def registers(self) -> dict[str, Decimal]:
        """What its registers stand at, as far as they are sure."""
        if self._swaps != self.meter.counters.swaps:
            self._swaps = self.meter.counters.swaps
            self._seen.clear()
        found = {}
        for series, value in self.meter.registers.items():
            if register := self._register(series):
                seen = self._seen[register] = self._seen.get(register, 0) + 1
                if seen >= SURE_AFTER:
                    found[register] = decimal(value)
        return found

    def resolutions(self, snapshot: Snapshot) -> dict[str, tuple[Decimal, Decimal | None]]:
        """Step and end of the registers of a snapshot that count otherwise than most of them."""
        found = {}
        for series, resolution in snapshot.resolutions.items():
            if register := self._register(series):
                found[register] = step_and_end(resolution)
        return found

    @property
    def booked(self) -> bool:
        """Its registers are known since this start, and where they began is kept."""
        return self._last > -math.inf and self.kept

    def _register(self, series: Series) -> str | None:
        if series[0] == _BY_TARIFF:
            return series[1] if self.by_tariff else None
        if series[0] == _EXPORT:
            return EXPORT
        return WHOLE if series[0] == _IMPORT and not self.by_tariff else None

    def show_live(self, now: int, moved: bool) -> None:
        """Day and billing period, as they stand."""
        self._last = self.meter.clock()
        if not moved and self._day_ends:
            return
        day, period = self.account.day(now), self.account.period(now)
        self._day_ends = self.account.calendar.midnight(self.account.calendar.at(now).day + ONE_DAY)
        self._show("smartmeter_energy_import_day_watthours", day.watthours)
        self._show("smartmeter_energy_import_period_watthours", period.watthours)
        if EXPORT in self.account.marks:
            self._show("smartmeter_energy_export_day_watthours", day.export)
        if currency := self.account.currency:
            self._show("smartmeter_cost_day", day.cost, currency)
            self._show("smartmeter_cost_period", period.cost, currency)

    def show_kept(self, now: int) -> None:
        """The counters."""
        kept, currency = self.account.kept, self.account.currency
        if currency:
            family, costs = "smartmeter_cost_total", self.account.kept_costs(now)
            self._show_all(family, [((family, currency, tariff), float(cost)) for tariff, cost in costs.items()])
            self._show("smartmeter_standing_cost_total", kept.standing, currency)
            self._show("smartmeter_export_credit_total", kept.credit, currency)
            self._show("smartmeter_cost_estimated_total", kept.estimated, currency)
            self._show("smartmeter_unpriced_energy_watthours_total", kept.unpriced)

    def show_prices(self, now: int) -> None:
        """The prices that hold now."""
        account = self.account
        if not account.currency:
            return
        family = "smartmeter_price"
        prices = account.prices(now)
        self._show_all(family, [((family, account.currency, tariff), float(price)) for tariff, price in prices.items()])
        if now >= EARLIEST_UNIX:
            self._show_known(now)
        if now >= self._price_changes:
            change = account.calendar.change_after(now)
            self._price_changes = change or now + LOOK_AGAIN
            family = "smartmeter_price_next_change_timestamp_seconds"
            self._show_all(family, [((family,), change)] if change else [])

    def compare_contract(self, said: Contract | None, now: int) -> str | None:
        """Whether the tariffs price the registers of the contract that the meter names; in words where they do not any more."""
        self._agreement.hear(said)
        terms = self.account.calendar.at(now).terms
        if (compared := (self._agreement.contract, terms)) == self._compared:
            return None
        self._compared, prices = compared, terms.period.registers if terms else None
        agrees = self._agreement.agrees(prices) if prices else None
        self._show_all(_MATCH, [] if agrees is None else [((_MATCH,), float(agrees))])
        return self._agreement.words(prices) if prices and agrees is False else None

    def look_ahead(self, now: int) -> str | None:
        """Whether prices are known, and for how long, found anew each day. In words where they are not, or not for long."""
        calendar = self.account.calendar
        if calendar.tariffs and not self._looked <= now < self._look_again:
            today = calendar.day(now)
            self._looked, self._look_again = now, calendar.midnight(today + ONE_DAY)
            self._lapse = lapse = next(iter(to_come(calendar.tariffs, today)), None)
            self._soon = f"tariffs: {lapse.what}" if lapse and lapse.since <= today + FORESIGHT else None
            self._show_known(now)
            self._show_remaining(now)
        return self._soon

    def _show_known(self, now: int) -> None:
        """Whether there is a price for what the meter says, and all of it."""
        stretch, read = self.account.calendar.at(now), [name for name in self.account.marks if name != EXPORT]
        priced = stretch.terms is not None and (not read or bool(names(stretch.terms, read)))
        self._show("smartmeter_price_known", Decimal(priced and not (self._lapse and self._lapse.holds(stretch.day))))

    def _show_remaining(self, now: int) -> None:
        """For how long prices are known."""
        family = "smartmeter_price_remaining_seconds"
        calendar, lapse = self.account.calendar, self._lapse
        if lapse is None:
            self._show_all(family, [])
        else:
            left = calendar.midnight(lapse.since) - now if lapse.since > calendar.at(now).day else 0
            self._show(family, Decimal(left))

    def is_live(self, now: int) -> bool:
        """The meter bears out what is shown of today."""
        return now < self._day_ends and self.meter.clock() - self._last <= self.meter.freshness()

    def refresh(self, now: int) -> None:
        """Hide what the meter does not bear out any more; show a price that changed without a reading."""
        if self._day_ends and not self.is_live(now):
            self._day_ends = 0
            for family in _LIVE:
                self._show_all(family, [])
        if self._compared and self.meter.clock() - self.meter.last_frame > self.meter.freshness():
            self._compared = None
            self._show_all(_MATCH, [])
        if self.account.currency and now >= EARLIEST_UNIX:
            if now >= self._price_changes:
                self.show_prices(now)
            self.look_ahead(now)
            if self._lapse:
                self._show_remaining(now)

    def forget_times(self) -> None:
        """The clock was wrong: what hangs on it is found out anew."""
        self._day_ends = self._price_changes = self._look_again = 0

    def _show(self, family: str, value: Decimal, *labels: str) -> None:
        self._show_all(family, [((family, *labels), float(value))])

    def _show_all(self, family: str, shown: list[tuple[Series, float]]) -> None:
        self.shown[family] = shown
        self.meter.text.show(family, shown)


def step_and_end(resolution: Resolution) -> tuple[Decimal, Decimal | None]:
    """A resolution as `Account` takes it; None: the register has no known end."""
    wraps_at = resolution.wraps_at
    return decimal(resolution.step), None if math.isinf(wraps_at) else decimal(wraps_at)


def decimal(value: float) -> Decimal:
    """Registers have four decimals at most (a tenth of a watt-hour, B-route)."""
    return Decimal(int(value)) if value == int(value) else Decimal(repr(round(value, 4)))
