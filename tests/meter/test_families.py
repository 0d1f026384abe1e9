"""The catalogue: each family says how people read it, each label who may see it."""

from __future__ import annotations

from meterline.meter.families import CATALOGUE, LABELS, privacy


def test_the_kind_of_a_family_is_the_one_that_its_help_tells() -> None:
    for family in CATALOGUE:
        told = "state" if family.help.startswith("1 for ") else "flag" if family.help.startswith("1 wh") else "number"
        assert family.kind == told, family.name


def test_a_state_has_a_label_that_says_which() -> None:
    assert all(family.labels for family in CATALOGUE if family.kind == "state")


def test_every_label_of_the_catalogue_says_who_may_see_it() -> None:
    assert {label for family in CATALOGUE for label in family.labels} <= LABELS.keys()
    assert privacy("of-tomorrow") == "secret"


def test_only_the_delivery_point_is_secret() -> None:
    assert [label for label in LABELS if privacy(label) == "secret"] == ["prm"]
