"""URLs of links: what each leads to, what is wrong with one, and that no text shows a user or a password."""

from __future__ import annotations

import pytest

from meterline.link.errors import LinkError, LinkErrorKind
from meterline.link.url import Bridge, Capture, Device, Endpoint, UrlError, parse_url, shown


@pytest.mark.parametrize(
    ("url", "endpoint", "name"),
    [
        ("/dev/ttyUSB0", Device("/dev/ttyUSB0"), "ttyUSB0"),
        ("/dev/serial/by-id/usb-FTDI_[x]?y#z", Device("/dev/serial/by-id/usb-FTDI_[x]?y#z"), "usb-FTDI_[x]?y#z"),
        ("tcp://bridge:2000", Bridge("bridge", 2000), "bridge"),
        ("tcp://[2001:db8::1]:2000", Bridge("2001:db8::1", 2000), "2001:db8::1"),
        ("tcp://jean:secret@bridge:2000", Bridge("bridge", 2000), "bridge"),
        ("file:/tmp/linky.bin?baud=1200", Capture("/tmp/linky.bin", 1200), "linky"),
        ("file:linky.bin", Capture("linky.bin"), "linky"),
    ],
)
def test_a_url_leads_to_a_device_a_bridge_or_a_capture_with_a_short_name(url: str, endpoint: Endpoint, name: str) -> None:
    assert parse_url(url) == endpoint
    assert endpoint.name == name


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ttyUSB0", "a device begins with /, such as /dev/ttyUSB0"),
        ("", "a device begins with /, such as /dev/ttyUSB0"),
        ("tcp://bridge", "expected tcp://host:port"),
        ("tcp://:2000", "expected tcp://host:port"),
        ("tcp://bridge:0", "expected tcp://host:port"),
        ("tcp://bridge:99999", "the port must be a number from 1 to 65535"),
        ("tcp://bridge:door", "the port must be a number from 1 to 65535"),
        ("tcp://[bridge:2000", "not a name or address of a host"),
        ("tcp://important..host:2000", "not a name or address of a host"),
        (f"tcp://{'x' * 64}.example:2000", "not a name or address of a host"),
        ("file:/x.bin?baud=slow", "baud must be a whole number"),
        ("file:/x.bin?baud=0", "baud must be a whole number"),
        ("socket://bridge:2000", "socket:// is not known; use a device, tcp://host:port or file:PATH"),
    ],
)
def test_a_wrong_url_is_an_error_with_the_url_and_the_fault(url: str, problem: str) -> None:
    with pytest.raises(UrlError) as caught:
        parse_url(url)
    assert str(caught.value) == f"link {url!r}: {problem}"


SECRETS = [
    ("tcp://jean:s3cret@bridge:2000", "tcp://bridge:2000"),
    ("tcp://jean:s3/cr@t@bridge:2000", "tcp://bridge:2000"),
    ("tcp:jean:s3cret@bridge", "tcp:bridge"),
    ("socket://jean:s3cret@bridge:2000", "socket://bridge:2000"),
    ("jean:s3cret@bridge:2000", "jean:bridge:2000"),
    ("jean s3cret@bridge:2000", "bridge:2000"),
]


@pytest.mark.parametrize(("url", "text"), SECRETS)
def test_user_and_password_of_a_url_are_in_no_error(url: str, text: str) -> None:
    assert shown(url) == text
    assert str(LinkError(url, LinkErrorKind.CLOSED, "closed")) == f"{text}: closed"
    assert "s3" not in str(UrlError(url, "wrong"))


@pytest.mark.parametrize("url", ["/dev/tty@x:y@z", "file:/home/a@b/x.bin", "tcp://bridge:2000", "ttyUSB0"])
def test_a_url_without_user_is_shown_as_it_is(url: str) -> None:
    assert shown(url) == url
