"""The table of fields says of each label what its groups give, and a group gives nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.decoder_contract import fuzz
from support.tic_bytes import legal_groups

from meterline.meter.families import FAMILIES, REGISTERS
from meterline.meter.readings import Series
from meterline.protocols.tic.contracts import CONTRACT_OF, SUPPLIER_REGISTERS
from meterline.protocols.tic.derived import group_readings
from meterline.protocols.tic.fields import FIELDS, Field
from meterline.protocols.tic.stge import STATUS, SUPPLIER_TARIFF, TEMPO_TODAY, TEMPO_TOMORROW

REGISTER_LABELS = {
    *CONTRACT_OF,
    *SUPPLIER_REGISTERS,
    *("EAST", "EAIT"),
    *(f"EASD0{number}" for number in range(1, 5)),
    *(f"ERQ{number}" for number in range(1, 5)),
}


def is_declared(series: Series, declared: tuple[Series, ...]) -> bool:
    """Whether a series is one of the table's, or of one of its families."""
    return any(series[: len(known)] == known for known in declared)


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_every_series_of_the_table_is_in_the_catalogue(field: Field) -> None:
    for series in field.series:
        family = FAMILIES[series[0]]
        if family.type == "info":
            assert series[1] in family.labels
        elif series not in field.decoded:
            assert len(series) == 1 + len(family.labels)


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_field_with_a_time_has_a_timestamp(field: Field) -> None:
    assert field.time is None or field.timestamp is not None


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_a_field_gives_either_single_values_or_what_its_function_decodes(field: Field) -> None:
    assert (field.decode is None) == (not field.decoded)
    assert field.decode is None or not (field.value or field.time or field.flags)


@fuzz
@given(st.sampled_from(sorted(FIELDS)), st.data())
def test_fuzz_a_group_gives_the_series_of_its_field_and_no_others(label: str, data: st.DataObject) -> None:
    field = FIELDS[label]
    given_series = {reading.series for reading in group_readings(data.draw(legal_groups(label)))}
    assert all(is_declared(series, field.series) for series in given_series)
    if field.decode is None:
        assert given_series == {*field.series}


DECODED = [(field, series) for field in FIELDS.values() for series in field.decoded]


@pytest.mark.parametrize(("field", "series"), DECODED, ids=[f"{field.label}-{'-'.join(series)}" for field, series in DECODED])
def test_every_series_that_a_function_is_said_to_decode_comes_from_some_data(field: Field, series: Series) -> None:
    examples = {
        "ADCO": ("042175000001",),
        "ADSC": ("042175000001",),
        "OPTARIF": ("BASE",),
        "PTEC": ("HPJR", "PM.."),
        "DEMAIN": ("BLEU",),
        "PPOT": ("00",),
        "STGE": ("003AC301",),
        "RELAIS": ("000",),
    }
    readings = [reading for data in examples[field.label] for reading in field.readings(data, None)]
    assert any(is_declared(reading.series, (series,)) for reading in readings)


def test_the_registers_of_the_table_are_the_indexes_of_the_wire() -> None:
    assert {field.label for field in FIELDS.values() if field.value and field.value[0] in REGISTERS} == REGISTER_LABELS


def test_no_bit_of_the_status_register_means_two_things() -> None:
    rows = (*STATUS, SUPPLIER_TARIFF, TEMPO_TODAY, TEMPO_TOMORROW)
    bits = [row.low + place for row in rows for place in range(row.width)]
    assert len(bits) == len({*bits})
    assert {*range(32)} - {*bits} == {5, 17, 18}
