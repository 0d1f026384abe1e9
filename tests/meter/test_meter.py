"""Never a wrong number, never a stale number: what `Meter.take` believes, and for how long."""

from __future__ import annotations

import pytest

from meterline.meter.meter import Meter
from meterline.meter.readings import Observation, Reading, Rejected, Series, Snapshot, Text, Total, Value

TOTAL = ("smartmeter_energy_import_watthours_total",)
PEAK = ("smartmeter_energy_import_tariff_watthours_total", "HCHP")
OFF_PEAK = ("smartmeter_energy_import_tariff_watthours_total", "HCHC")
EXPORT = ("smartmeter_energy_export_watthours_total",)
POWER = ("smartmeter_apparent_power_import_voltamperes",)
SUBSCRIBED = ("smartmeter_subscribed_power_voltamperes",)
NAME = ("smartmeter_tariff_info", "name")
SUM = Total(TOTAL, (OFF_PEAK, PEAK))


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter(clock: Clock) -> Meter:
    return Meter("home", clock=clock)


def says(*readings: tuple[Series, Value], address: str | None = None, **facts: object) -> Snapshot:
    return Snapshot(tuple(Reading(*reading) for reading in readings), address, **facts)  # type: ignore[arg-type]


def test_there_is_no_value_before_the_first_frame(meter: Meter) -> None:
    assert not meter.up
    assert not meter.text.blocks


def test_a_reading_is_shown_with_the_meters_name(meter: Meter) -> None:
    meter.take(says((POWER, 1230)))
    assert meter.up
    assert meter.text.blocks == {POWER[0]: f'{POWER[0]}{{meter="home"}} 1230.0\n'}


def test_a_name_with_quotes_and_percent_signs_is_escaped(clock: Clock) -> None:
    meter = Meter('a"b%s\\', clock=clock)
    meter.take(says((POWER, 1), (NAME, "100 %")))
    assert meter.text.blocks[POWER[0]] == POWER[0] + r'{meter="a\"b%s\\"} 1.0' + "\n"
    assert meter.text.blocks[NAME[0]] == NAME[0] + r'{meter="a\"b%s\\",name="100 %"} 1.0' + "\n"


def test_all_values_of_a_silent_meter_vanish_after_stale_after(meter: Meter, clock: Clock) -> None:
    meter.take(says((POWER, 1230), (NAME, "HP")))
    clock.wait(10)
    meter.expire()
    assert meter.up
    assert len(meter.text.blocks) == 2
    clock.wait(0.1)
    meter.expire()
    assert not meter.up
    assert not meter.text.blocks


def test_a_reading_that_is_not_confirmed_vanishes_although_the_meter_is_up(meter: Meter, clock: Clock) -> None:
    meter.take(says((POWER, 1230), (SUBSCRIBED, 6000)))
    for _ in range(11):
        clock.wait(1)
        meter.take(says((POWER, 1230)))
        meter.expire()
    assert meter.value(*POWER) == 1230
    assert meter.value(*SUBSCRIBED) is None
    assert SUBSCRIBED[0] not in meter.text.blocks


def test_a_missing_reading_does_not_flicker(meter: Meter, clock: Clock) -> None:
    for second in range(30):
        clock.wait(1)
        meter.take(says((POWER, 1230)) if second % 3 else says((POWER, 1230), (SUBSCRIBED, 6000)))
        meter.expire()
        assert second < 1 or meter.value(*SUBSCRIBED) == 6000


def test_while_short_frames_run_the_others_stay_for_thirty_seconds(meter: Meter, clock: Clock) -> None:
    meter.take(says((SUBSCRIBED, 18_000)))
    for _ in range(29):
        clock.wait(1)
        meter.take(says((POWER, 1230), short=True))
    assert meter.value(*SUBSCRIBED) == 18_000
    clock.wait(2)
    meter.take(says((POWER, 1230), short=True))
    assert meter.value(*SUBSCRIBED) is None


def test_a_reading_of_none_means_that_there_is_no_value_now(meter: Meter) -> None:
    meter.take(says((POWER, 1230)))
    meter.take(says((POWER, None)))
    assert not meter.text.blocks


def test_a_register_that_falls_is_held_back_and_counted(meter: Meter, clock: Clock) -> None:
    meter.take(says((EXPORT, 5000)))
    clock.wait(1)
    meter.take(says((EXPORT, 4000)))
    assert meter.value(*EXPORT) == 5000
    assert meter.counters.rejected["implausible"] == 1


def test_a_register_that_jumps_is_held_back_and_counted(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 1_056_439)))
    clock.wait(1)
    meter.take(says((PEAK, 1_656_439)))
    clock.wait(1)
    meter.take(says((PEAK, 1_056_440)))
    assert meter.value(*PEAK) == 1_056_440
    assert meter.counters.rejected["implausible"] == 1


def test_what_was_held_back_is_believed_when_the_next_one_bears_it_out(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 5000)))
    for value in (90_000, 90_001):
        clock.wait(1)
        meter.take(says((PEAK, value)))
    assert meter.value(*PEAK) == 90_001


def test_two_different_damages_in_a_row_are_not_believed(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 5000)))
    for value in (90_000, 70_000, 90_000, 8000):
        clock.wait(1)
        meter.take(says((PEAK, value)))
    assert meter.value(*PEAK) == 5000
    assert meter.counters.rejected["implausible"] == 4


def test_damage_between_two_right_values_does_not_hold_back_the_second(meter: Meter, clock: Clock) -> None:
    for value in (5000, 900_000, 5001, 900_000, 5002):
        clock.wait(1)
        meter.take(says((PEAK, value)))
    assert meter.value(*PEAK) == 5002


def test_a_register_may_rise_by_one_and_a_half_times_the_subscribed_power(meter: Meter, clock: Clock) -> None:
    meter.take(says((SUBSCRIBED, 6000), (PEAK, 5000)))
    clock.wait(8)
    most = int(2 + 1.5 * 6000 * 8 / 3600)
    meter.take(says((PEAK, 5000 + most)))
    assert meter.value(*PEAK) == 5000 + most
    clock.wait(8)
    meter.take(says((PEAK, 5001 + 2 * most)))
    assert meter.value(*PEAK) == 5000 + most


def test_after_a_long_silence_a_register_may_have_risen_by_as_much_as_the_time_allows(meter: Meter, clock: Clock) -> None:
    meter.take(says((SUBSCRIBED, 6000), (PEAK, 5000)))
    clock.wait(3600)
    assert meter.value(*PEAK) is None
    meter.take(says((SUBSCRIBED, 6000), (PEAK, 14_000)))
    assert meter.value(*PEAK) == 14_000
    clock.wait(3600)
    meter.take(says((SUBSCRIBED, 6000), (PEAK, 24_000)))
    assert meter.value(*PEAK) is None
    assert meter.counters.rejected["implausible"] == 1


def test_a_damaged_low_value_after_a_silence_is_held_back_too(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 5000)))
    clock.wait(60)
    meter.expire()
    meter.take(says((PEAK, 100)))
    assert meter.value(*PEAK) is None


def test_a_fall_too_small_for_a_reset_is_not_shown_until_the_register_is_there_again(meter: Meter, clock: Clock) -> None:
    shown = []
    for value in (20_012_312, 20_012_321, 20_012_313, 20_012_314, 20_012_315):  # two digits of the second were swapped
        clock.wait(1)
        meter.take(says((PEAK, value)))
        shown.append(meter.value(*PEAK))
    assert shown == [20_012_312, 20_012_321, 20_012_321, 20_012_321, 20_012_321]
    for value in range(20_012_316, 20_012_330):
        clock.wait(1)
        meter.take(says((POWER, 1), (PEAK, value)))
        shown.append(meter.value(*PEAK))
    numbers = [number for number in shown if number is not None]
    assert numbers == sorted(numbers)
    assert shown[-1] == 20_012_329


def test_a_real_reset_is_believed(meter: Meter, clock: Clock) -> None:
    for value in (999_999_990, 3, 4):
        clock.wait(1)
        meter.take(says((PEAK, value)))
    assert meter.value(*PEAK) == 4


def test_what_is_held_back_does_not_confirm_the_old_value(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 5000)))
    for second in range(11):
        clock.wait(1)
        meter.take(says((POWER, 1), (PEAK, 4000 - 100 * second)))
    assert meter.value(*PEAK) is None
    assert meter.value(*POWER) == 1


def test_a_capture_at_full_speed_has_no_clock_so_only_falls_are_held_back(meter: Meter) -> None:
    meter.take(says((PEAK, 5000)), timed=False)
    meter.take(says((PEAK, 900_000)), timed=False)
    assert meter.value(*PEAK) == 900_000
    meter.take(says((PEAK, 5000)), timed=False)
    assert meter.value(*PEAK) == 900_000


def test_free_text_is_believed_when_two_in_a_row_agree(meter: Meter) -> None:
    meter.take(says((NAME, Text("HEURE CREUSE"))))
    assert meter.value(*NAME) is None
    meter.take(says((NAME, Text("HEURE CREUSE"))))
    assert meter.value(*NAME) == "HEURE CREUSE"


def test_damaged_text_neither_replaces_the_right_one_nor_keeps_it_alive(meter: Meter, clock: Clock) -> None:
    for _ in range(2):
        meter.take(says((NAME, Text("BASE"))))
    for letter in "abcdefghijk":
        clock.wait(1)
        meter.take(says((NAME, Text(f"{letter}ASE"))))
        meter.expire()
    assert meter.value(*NAME) is None


def test_text_damaged_now_and_then_stays_right(meter: Meter, clock: Clock) -> None:
    for second in range(20):
        clock.wait(1)
        meter.take(says((NAME, Text("B@SE" if second % 2 else "BASE"))))
        meter.take(says((NAME, Text("BASE"))))
        assert second == 0 or meter.value(*NAME) == "BASE"


def test_a_total_is_shown_only_when_each_of_its_registers_is_known(meter: Meter) -> None:
    meter.take(says((PEAK, 5000), totals=(SUM,)))
    assert meter.value(*TOTAL) is None
    meter.take(says((OFF_PEAK, 1000), totals=(SUM,)))
    assert meter.value(*TOTAL) == 6000


def test_a_total_uses_the_last_believed_value_of_each_register_and_never_falls(meter: Meter, clock: Clock) -> None:
    meter.take(says((OFF_PEAK, 1000), (PEAK, 5000), totals=(SUM,)))
    shown = []
    for step in (((PEAK, 5001),), ((PEAK, 3),), ((OFF_PEAK, 900), (PEAK, 5002)), ((OFF_PEAK, 1000), (PEAK, 5003))):
        clock.wait(1)
        meter.take(says(*step, totals=(SUM,)))
        shown.append(meter.value(*TOTAL))
    assert shown == [6001, 6001, 6002, 6003]


def test_a_total_is_no_fresher_than_its_oldest_register(meter: Meter, clock: Clock) -> None:
    meter.take(says((OFF_PEAK, 1000), (PEAK, 5000), totals=(SUM,)))
    for _ in range(11):
        clock.wait(1)
        meter.take(says((PEAK, 5000), totals=(SUM,)))
    assert meter.value(*PEAK) == 5000
    assert meter.value(*OFF_PEAK) is None
    assert meter.value(*TOTAL) is None


def test_another_address_is_believed_when_two_frames_in_a_row_say_it(meter: Meter) -> None:
    meter.take(says((PEAK, 5000), (POWER, 1), address="042175000001"))
    meter.take(says((PEAK, 70), (POWER, 2), address="042175000002"))
    assert (meter.counters.swaps, meter.value(*PEAK), meter.value(*POWER)) == (0, 5000, 1)
    meter.take(says((PEAK, 70), address="042175000002"))
    assert (meter.counters.swaps, meter.value(*PEAK), meter.value(*POWER)) == (1, 70, None)


def test_one_damaged_address_changes_nothing(meter: Meter, clock: Clock) -> None:
    for address in ("042175000001", "042175000801", "042175000001", "042175000801", "042175000001"):
        clock.wait(1)
        meter.take(says((PEAK, 5000), address=address))
    assert meter.counters.swaps == 0
    assert meter.value(*PEAK) == 5000


def test_an_address_is_sure_once_two_frames_have_said_it(meter: Meter) -> None:
    found = []
    for address in ("042175000801", "042175000001", "042175000001", "042175000001", None, "042175000002", "042175000002"):
        meter.take(says((PEAK, 5000), address=address))
        found.append((meter.address, meter.is_address_sure))
    damaged, right, other = "042175000801", "042175000001", "042175000002"
    assert found == [(damaged, False), (damaged, False), *[(right, True)] * 4, (other, True)]


def test_readings_that_disappear_are_counted(meter: Meter, clock: Clock) -> None:
    meter.take(says((PEAK, 5000), (POWER, 1)))
    before = meter.gone
    meter.take(says((PEAK, 5000), (POWER, None)))
    assert meter.gone == before + 1
    clock.now += 11
    meter.expire()
    assert meter.gone == before + 2


def test_a_frame_without_an_address_is_not_believed_while_a_stranger_is_on_the_line(meter: Meter, clock: Clock) -> None:
    meter.take(says((POWER, 1), address="042175000001"))
    meter.take(says((POWER, 9990), address="042175000002"))
    meter.take(says((POWER, 9990)))
    assert meter.value(*POWER) == 1
    clock.wait(11)
    meter.take(says((POWER, 2)))
    assert meter.value(*POWER) == 2


def test_values_of_a_link_that_dies_in_short_frames_go_with_the_meter(meter: Meter, clock: Clock) -> None:
    meter.take(says((POWER, 1), short=True))
    clock.wait(10.5)
    meter.expire()
    assert not meter.up
    assert not meter.text.blocks


def test_a_frame_without_an_address_is_the_known_meters(meter: Meter) -> None:
    meter.take(says((POWER, 1), address="042175000001"))
    meter.take(says((POWER, 2)))
    assert meter.value(*POWER) == 2


def test_what_a_driver_says_about_itself_stays(meter: Meter, clock: Clock) -> None:
    speed = ("smartmeter_link_speed_bauds",)
    meter.counters.observe(Observation(speed, 1200))
    meter.counters.observe(Observation(speed, 9600))
    clock.wait(100)
    meter.expire()
    assert meter.counters.observed == {speed: 9600}
    meter.counters.observe(Observation(speed, 2, increment=True))
    assert meter.counters.observed == {speed: 9602}


def test_rejects_are_counted_by_reason(meter: Meter) -> None:
    meter.counters.reject(Rejected("checksum", b"x"))
    meter.counters.reject(Rejected("checksum", b"y"))
    assert meter.counters.rejected["checksum"] == 2
    assert meter.counters.rejected["malformed"] == 0
