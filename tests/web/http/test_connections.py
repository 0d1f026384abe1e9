"""Many, slow and malformed clients: they push out one another, and scrapes go on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from support import certificates
from support.http_client import Client, ask, connected
from support.https_server import serving
from support.live_meters import LIMIT, logged, page, port_of, program, until

from bench.malformed import GOOD, OVERSIZED, corpus
from meterline.errors import UserError
from meterline.web.http import connections
from meterline.web.http import server as server_module
from meterline.web.http.connections import share_of
from meterline.web.http.server import parse_network

SLOW = b"GET /metrics HTTP/1.1\r\nX-Slow: "
TEN_MIB = 10 << 10
"""In KiB, as the kernel counts."""


async def slow(stack: contextlib.AsyncExitStack, port: int, count: int, source: str) -> list[Client]:
    clients = [await stack.enter_async_context(connected(port, source=source)) for _ in range(count)]
    for client in clients:
        client.send(SLOW)
    return clients


def test_300_slow_clients_leave_scrapes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HEADER_TIMEOUT_S", LIMIT)  # the test may take longer than they are given time

    async def test() -> None:
        async with serving() as port, contextlib.AsyncExitStack() as stack:
            clients = await slow(stack, port, 300, "127.0.0.1")
            assert [(await ask(port, path="/metrics")).status for _ in range(5)] == [200] * 5
            for client in clients:  # nobody was pushed out for it
                client.send(b"x\r\nHost: x\r\n\r\n")
            assert {(await client.answer()).status for client in clients} == {200}

    asyncio.run(test())


def test_whom_the_list_does_not_name_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "THIS_MACHINE", (ip_network("127.0.0.1/32"),))

    async def test() -> None:
        async with serving(allowed=(ip_network("127.0.1.0/24"),)) as port:
            for source, is_answered in (("127.0.0.1", True), ("127.0.1.7", True), ("127.0.0.2", False)):
                async with connected(port, source=source) as client:
                    assert (await client.ask()).status == (200 if is_answered else 0), source

    asyncio.run(test())


def test_a_network_that_is_none_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^--web\.allow-from 'home': expected an address or a network"):
        parse_network("home")


def test_who_has_most_makes_room_for_a_new_one(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 8)

    async def test() -> None:
        async with serving() as port, contextlib.AsyncExitStack() as stack:
            kept = await stack.enter_async_context(connected(port))
            assert (await kept.ask()).status == 200
            greedy = await slow(stack, port, 7, "127.0.0.2")
            assert (await ask(port, path="/metrics")).status == 200
            assert await greedy[0].closed()  # the oldest
            more = await slow(stack, port, 3, "127.0.0.2")
            assert [await client.closed() for client in greedy[1:3]] == [True] * 2
            assert (await kept.ask()).status == 200
            more[2].send(b"x\r\nHost: x\r\n\r\n")
            assert (await more[2].answer()).status == 200

    asyncio.run(test())
    told = "8 connections are open; each new connection closes the oldest one of the address that has the most"
    assert logged(caplog) == [told]


def test_connections_that_end_are_no_longer_counted(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)

    async def test() -> None:
        async with serving() as port, connected(port, source="127.0.0.2") as kept:
            for _ in range(20):
                assert (await ask(port)).status == 200
                await asyncio.sleep(0)
            assert (await kept.ask()).status == 200

    asyncio.run(test())
    assert logged(caplog) == []


def test_half_of_the_files_of_the_process_are_for_connections_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 64))

    async def test() -> None:
        async with serving() as port, contextlib.AsyncExitStack() as stack:
            clients = await slow(stack, port, 33, "127.0.0.1")
            assert await clients[0].closed()
            assert (await ask(port)).status == 200

    asyncio.run(test())


def test_addresses_of_one_ipv6_network_count_as_one() -> None:
    ours, others = ("2001:db8::1", 1, 0, 0), ("2001:db8:0:1::1", 1, 0, 0)
    family = 10
    assert share_of(family, ours) == share_of(family, ("2001:db8::ffff:2", 2, 0, 0)) != share_of(family, others)
    assert share_of(family, ("fe80::1%eth0", 1, 0, 2)) == share_of(family, ("fe80::2", 1, 0, 2))
    assert share_of(2, ("192.0.2.1", 1)) != share_of(2, ("192.0.2.2", 1))


@pytest.mark.parametrize("path", ["/nothing", "/metrics"])
def test_who_asks_and_takes_no_answer_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str) -> None:
    monkeypatch.setattr(server_module, "ANSWER_TIMEOUT_S", 0.3)
    file = tmp_path / "web.yml"  # large answers, so that few of them fill what the kernel keeps
    file.write_text(f"http_server_config: {{headers: {{Content-Security-Policy: {'x' * 20_000}}}}}")

    async def test() -> None:
        async with serving(file) as port:
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # little that the kernel takes for it
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, ("127.0.0.1", port))
                with pytest.raises(ConnectionError):
                    async with asyncio.timeout(LIMIT):
                        while True:
                            await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 200)
                while (await ask(port)).status != 200:  # who takes it in time gets it; here that depends on the machine
                    pass

    asyncio.run(test())


@pytest.mark.parametrize("length", [17_000, 100_000, 200_000])
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
def test_headers_that_are_too_large_are_answered_431(
    encrypted: bool, length: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(connections, "DRAIN_TIMEOUT_S", 60.0)
    tls, file = None, None
    if encrypted:
        tls, file = certificates.client(certificates.make(tmp_path)), tmp_path / "web.yml"
        file.write_text("tls_server_config: {cert_file: server.pem, key_file: server-key.pem}", encoding="utf-8")

    async def test() -> None:
        async with serving(file) as port:
            async with connected(port, tls) as client:
                assert (await client.ask()).status == 200, "the first request of a connection, and then"
                client.writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"x" * length + b"\r\n\r\n")
                answer = await client.answer()
                assert (answer.status, answer.headers["Connection"]) == (431, "close")
                assert await client.closed()
            assert (await ask(port, tls)).status == 200

    asyncio.run(test())


def test_no_more_is_read_of_a_request_that_was_refused_than_a_moment_brings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "DRAIN_TIMEOUT_S", 0.05)

    async def test() -> None:
        async with serving() as port, connected(port) as client:
            client.writer.write(SLOW + b"x" * 17_000)
            assert (await client.answer()).status == 431
            await until(lambda: not connections._draining)
            with pytest.raises(ConnectionError):
                async with asyncio.timeout(20):
                    while True:
                        client.writer.write(b"x" * 1000)
                        await client.writer.drain()

    asyncio.run(test())


async def send(port: int, requests: Iterator[bytes]) -> None:
    """Each on a connection of its own, which ends as the server or the request ends it."""
    for request in requests:
        async with connected(port) as client:
            client.send(request)
            client.finish()
            await client.read()


async def crowd(*clients: Coroutine[Any, Any, None]) -> None:
    """All at once; where one fails, none stays behind."""
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client)


def resident(pid: int) -> int:
    """KiB of memory."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def test_10000_malformed_requests_and_oversized_headers_neither_stop_scrapes_nor_cost_memory() -> None:
    async def test(pid: int, port: int) -> None:
        await send(port, iter([GOOD] * 100))
        before = resident(pid)
        requests = corpus(1, 10_000)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(crowd(*(send(port, requests) for _ in range(20))))
            while not sending.done():
                assert (await ask(port, path="/metrics")).status == 200
        await crowd(*(send(port, iter([OVERSIZED] * 25)) for _ in range(20)))
        assert (await ask(port, path="/metrics")).status == 200
        assert resident(pid) - before < TEN_MIB

    with program("run", "/dev/null", "--web.listen-address", "127.0.0.1:0", "--log.level", "warn") as process:
        port = port_of(process)
        page(port)
        asyncio.run(test(process.pid, port), debug=False)
        process.terminate()
        assert process.stdout
        told = process.stdout.read().splitlines()
    assert [line for line in told if "/dev/null" not in line] == []


def test_no_web_configuration_is_imported_without_the_flag() -> None:
    found = (
        "import asyncio, json, sys\n"
        "from meterline.cli.run import Web, serve\n"
        "from meterline.config.schema import single\n"
        "async def main():\n"
        "    task = asyncio.create_task(serve(single('/dev/null'), Web('127.0.0.1:0')))\n"
        "    await asyncio.sleep(0.1)\n"
        "    task.cancel()\n"
        "    await asyncio.gather(task, return_exceptions=True)\n"
        "asyncio.run(main())\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True, env=os.environ)
    loaded = set(json.loads(done.stdout))
    assert "meterline.web.http.middleware" in loaded
    assert not loaded & {
        "bcrypt",
        "yaml",
        "cattrs",
        *(f"meterline.web.http.{name}" for name in ("reloading", "tls", "basic_auth", "web_config")),
    }
