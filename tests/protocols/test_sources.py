"""Every family of the catalogue that a meter gives has its labels or properties in the documentation, and no other has."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz
from support.tic_bytes import legal_groups

from meterline.meter.families import CATALOGUE, FAMILIES, Family
from meterline.protocols import PROTOCOLS
from meterline.protocols.broute import properties as p
from meterline.protocols.broute.readings import FIELDS as PROPERTIES
from meterline.protocols.tic.derived import readings
from meterline.protocols.tic.fields import FIELDS, HISTORIC
from meterline.protocols.tic.frames import Frame

SOURCES: dict[str, dict[str, str]] = {
    name: import_module(f"meterline.protocols.{name}.sources").sources() for name in PROTOCOLS
}

GIVEN_BY_NO_METER_YET = {"smartmeter_energy_export_tariff_watthours_total"}
"""Families for the protocols that others add: `docs/add-a-protocol.md` has one that gives them."""


@pytest.mark.parametrize("family", CATALOGUE, ids=lambda family: family.name)
def test_a_family_has_sources_exactly_where_a_meter_gives_its_values(family: Family) -> None:
    expected = family.origin == "meter" and family.name not in GIVEN_BY_NO_METER_YET
    assert any(family.name in texts for texts in SOURCES.values()) == expected


def test_every_field_of_the_tic_is_the_source_of_something() -> None:
    text = ", ".join(SOURCES["tic"].values())
    for label in FIELDS:
        first = re.sub(r"(?<=[A-Z])(0?)\d+", r"\g<1>1", label)  # a range is written by its ends
        assert re.search(rf"\b{re.escape(label)}\b|\b{re.escape(first)} … ", text), label


def test_ranges_of_labels_are_written_by_their_ends() -> None:
    tariffs = SOURCES["tic"]["smartmeter_energy_import_tariff_watthours_total"]
    assert tariffs.endswith("BBRHCJR, BBRHPJR, EASF01 … EASF10")
    phases = SOURCES["tic"]["smartmeter_phase_apparent_power_import_max_voltamperes"]
    assert phases == "SMAXSN1 … SMAXSN3, SMAXSN1-1 … SMAXSN3-1"
    assert SOURCES["tic"]["smartmeter_mean_power_import_watts"] == "CCASN, CCASN-1"


def test_every_property_that_gives_readings_has_a_name_and_series_of_the_catalogue() -> None:
    for code, field in PROPERTIES.items():
        assert code in p.NAMES
        for family, *labels in field.series:
            known = FAMILIES[family].labels
            assert labels[0] in known if FAMILIES[family].type == "info" else len(labels) == len(known)


@fuzz
@given(st.booleans(), st.booleans(), st.data())
def test_fuzz_the_families_of_a_frame_are_those_that_its_sources_name(
    historic: bool, complete: bool, data: st.DataObject
) -> None:
    labels = sorted(HISTORIC if historic else FIELDS.keys() - HISTORIC)
    found = data.draw(st.lists(st.sampled_from(labels).flatmap(legal_groups), min_size=1, max_size=20))
    frame = Frame({group.label: group for group in found}, complete)
    snapshot = readings(frame, prm=True)
    series = [*(reading.series for reading in snapshot.readings), *(total.series for total in snapshot.totals)]
    assert {name for name, *_ in series} <= SOURCES["tic"].keys()
