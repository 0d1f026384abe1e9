"""Which settings are shown, and to whom: none that its dataclass does not call public."""

from __future__ import annotations

import dataclasses

import pytest

from meterline.config.labels import Labels
from meterline.config.mqtt import Mqtt
from meterline.config.schema import Config, MeterConfig
from meterline.config.settings import settings, settings_of
from meterline.protocols import PROTOCOLS, broute

PUBLIC = {
    Config: {"log_level"},
    MeterConfig: {"name", "link", "protocol", "stale_after"},
    **{protocol.options: set() for protocol in PROTOCOLS.values()},
    PROTOCOLS["tic"].options: {"baud", "mode"},
    broute.Options: {"interval", "channel", "write_flash"},
    Mqtt: {
        *("verify", "prefix", "instance", "discovery", "discovery_prefix", "birth_topic", "language", "interval", "serial"),
    },
}


@pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_a_key_becomes_public_only_where_a_test_names_it(kind: type) -> None:
    assert {field.name for field in dataclasses.fields(kind) if field.metadata.get("public")} == PUBLIC[kind]


def test_an_option_that_says_nothing_of_itself_is_masked() -> None:
    options = dataclasses.make_dataclass("Options", [("token", str), ("empty", str, "")])("hush")
    meter = MeterConfig("home", "/dev/x", "tic", options)
    assert {setting.key: setting.masked("…") for setting in settings_of(meter)} == {
        "name": "home",
        "link": "/dev/x",
        "protocol": "tic",
        "token": "…",
    }
    assert "hush" not in repr(list(settings_of(meter)))


def test_labels_are_for_the_readers_of_the_page_and_not_for_strangers() -> None:
    meter = MeterConfig("home", "/dev/x", labels=Labels(owner="Dupont"))
    (setting,) = (setting for setting in settings_of(meter) if setting.key.startswith("labels"))
    assert (setting.key, setting.privacy, setting.masked("…")) == ("labels: owner", "private", "…")


def test_a_meter_without_options_has_its_own_keys_alone() -> None:
    assert [setting.key for setting in settings_of(MeterConfig("home", "/dev/x"))] == ["name", "link"]
    assert list(settings(None)) == []
