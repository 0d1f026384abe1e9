"""Names of hosts: a resolver that hangs costs one thread a name."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from meterline.link.resolver import look_up


def test_a_name_that_is_being_looked_up_gets_no_second_thread_and_is_looked_up_anew_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered, asked = threading.Event(), []

    def resolve(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        answered.wait()
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{len(asked)}", 0))]

    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "look up slow.example"]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        tries = [look_up("slow.example") for _ in range(5)]
        assert len(threads()) == 1
    finally:
        answered.set()
    assert [one.result() for one in tries] == [["192.0.2.1"]] * 5
    for one in threads():
        one.join()
    assert look_up("slow.example").result() == ["192.0.2.2"]
    assert asked == ["slow.example"] * 2
