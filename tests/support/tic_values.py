"""Values that the readings of the TIC can take, for tests."""

from __future__ import annotations

from meterline.meter.readings import Series

TARIFF = "smartmeter_energy_import_tariff_watthours_total"


DISTRIBUTOR = "smartmeter_energy_import_distributor_watthours_total"


REACTIVE = "smartmeter_energy_reactive_varhours_total"


CURRENT = "smartmeter_current_amperes"


CURRENT_MAX = "smartmeter_current_max_amperes"


SUBSCRIBED = ("smartmeter_subscribed_power_voltamperes",)


EASF = tuple(f"EASF{n:02d}" for n in range(1, 11))


NUMBERS: dict[str, tuple[str, Series, int]] = {
    # historic: data, series, what one unit of the data is worth
    "ISOUSC": ("30", ("smartmeter_subscribed_current_amperes",), 1),
    "BASE": ("010151175", (TARIFF, "BASE"), 1),
    "HCHC": ("024243439", (TARIFF, "HCHC"), 1),
    "HCHP": ("022032205", (TARIFF, "HCHP"), 1),
    "EJPHN": ("001111111", (TARIFF, "EJPHN"), 1),
    "EJPHPM": ("002222222", (TARIFF, "EJPHPM"), 1),
    "BBRHCJB": ("018328856", (TARIFF, "BBRHCJB"), 1),
    "BBRHPJB": ("023739545", (TARIFF, "BBRHPJB"), 1),
    "BBRHCJW": ("001466099", (TARIFF, "BBRHCJW"), 1),
    "BBRHPJW": ("002132883", (TARIFF, "BBRHPJW"), 1),
    "BBRHCJR": ("000860118", (TARIFF, "BBRHCJR"), 1),
    "BBRHPJR": ("000844115", (TARIFF, "BBRHPJR"), 1),
    "IINST": ("012", (CURRENT, "1"), 1),
    "IINST1": ("010", (CURRENT, "1"), 1),
    "IINST2": ("005", (CURRENT, "2"), 1),
    "IINST3": ("008", (CURRENT, "3"), 1),
    "IMAX": ("090", (CURRENT_MAX, "1"), 1),
    "IMAX1": ("038", (CURRENT_MAX, "1"), 1),
    "IMAX2": ("042", (CURRENT_MAX, "2"), 1),
    "IMAX3": ("044", (CURRENT_MAX, "3"), 1),
    "PAPP": ("05998", ("smartmeter_apparent_power_import_voltamperes",), 1),
    # standard
    "EAST": ("021849106", ("smartmeter_energy_import_watthours_total",), 1),
    **{register: (f"{n:02d}4855593", (TARIFF, register), 1) for n, register in enumerate(EASF, 1)},
    **{f"EASD0{n}": (f"00{n}889106", (DISTRIBUTOR, f"EASD0{n}"), 1) for n in range(1, 5)},
    "EAIT": ("001048576", ("smartmeter_energy_export_watthours_total",), 1),
    **{f"ERQ{n}": (f"00000{n}123", (REACTIVE, str(n)), 1) for n in range(1, 5)},
    **{f"IRMS{n}": (f"0{n}1", (CURRENT, str(n)), 1) for n in (1, 2, 3)},
    **{f"URMS{n}": (f"23{n}", ("smartmeter_voltage_volts", str(n)), 1) for n in (1, 2, 3)},
    "PREF": ("09", SUBSCRIBED, 1000),
    "PCOUP": ("12", ("smartmeter_cutoff_power_voltamperes",), 1000),
    "SINSTS": ("01407", ("smartmeter_apparent_power_import_voltamperes",), 1),
    "SINST1": ("01408", ("smartmeter_apparent_power_import_voltamperes",), 1),
    **{f"SINSTS{n}": (f"0{n}531", ("smartmeter_phase_apparent_power_import_voltamperes", str(n)), 1) for n in (1, 2, 3)},
    "SINSTI": ("01258", ("smartmeter_apparent_power_export_voltamperes",), 1),
    "NJOURF": ("03", ("smartmeter_day_profile", "today"), 1),
    "NJOURF+1": ("09", ("smartmeter_day_profile", "tomorrow"), 1),
}
"""Labels whose data is one number: an example, its series, and what one unit of it is worth."""


IMPORT_MAX = "smartmeter_apparent_power_import_max"


PHASE_IMPORT_MAX = "smartmeter_phase_apparent_power_import_max"


EXPORT_MAX = "smartmeter_apparent_power_export_max"


_DAYS = (("", "today"), ("-1", "yesterday"))


DATED: dict[str, tuple[str, Series, Series]] = {
    # data, series of the value, series of its time
    **{
        f"SMAX{word}{suffix}": ("02560", (f"{IMPORT_MAX}_voltamperes", day), (f"{IMPORT_MAX}_timestamp_seconds", day))
        for suffix, day in _DAYS
        for word in ("SN", "N")
    },
    **{
        f"SMAXSN{n}{suffix}": (
            f"0{n}560",
            (f"{PHASE_IMPORT_MAX}_voltamperes", day, n),
            (f"{PHASE_IMPORT_MAX}_timestamp_seconds", day, n),
        )
        for suffix, day in _DAYS
        for n in "123"
    },
    **{
        f"SMAXIN{suffix}": ("01971", (f"{EXPORT_MAX}_voltamperes", day), (f"{EXPORT_MAX}_timestamp_seconds", day))
        for suffix, day in _DAYS
    },
    **{
        f"CC{way}{suffix}": (
            "00170",
            (f"smartmeter_mean_power_{word}_watts", point),
            (f"smartmeter_mean_power_{word}_timestamp_seconds", point),
        )
        for way, word in (("ASN", "import"), ("AIN", "export"))
        for suffix, point in (("", "last"), ("-1", "previous"))
    },
    **{
        f"UMOY{n}": ("229", ("smartmeter_mean_voltage_volts", n), ("smartmeter_mean_voltage_timestamp_seconds", n))
        for n in "123"
    },
}
"""Labels whose data is one number with its own time."""
