"""Passwords: asked for on every path, checked off the loop, two at once, remembered until the file changes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
from support.http_client import CLOSED, ask, connected
from support.https_server import serving
from support.live_meters import LIMIT, command, until

from meterline.web.http import basic_auth
from meterline.web.http.basic_auth import PENDING_MAX, PENDING_MAX_OF_ADDRESS, RUNNING_MAX, Auth

SECRET = "correct horse"
PATHS = ("/", "/metrics", "/-/healthy", "/-/ready", "/nothing", "/favicon.ico")


def cheap(password: str, version: bytes = b"2b") -> str:
    """A hash of the lowest cost."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).replace(b"$2b$", b"$%s$" % version).decode()


def write(folder: Path, **users: str) -> Path:
    file = folder / "web.yml"
    file.write_text("basic_auth_users:\n" + "".join(f"  {name}: {value}\n" for name, value in users.items()))
    return file


class Checks:
    """Stands before bcrypt: what was checked, how many at once; they end when they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, held: bool = False) -> None:
        self.costs: list[bytes] = []
        self.running = self.most = 0
        self.threads: set[int] = set()
        self.go = threading.Event()
        self._check: Callable[[bytes, bytes], bool] = bcrypt.checkpw
        if not held:
            self.go.set()
        monkeypatch.setattr(bcrypt, "checkpw", self)

    def __call__(self, password: bytes, value: bytes) -> bool:
        self.costs.append(value[4:6])
        self.threads.add(threading.get_ident())
        self.running += 1
        self.most = max(self.most, self.running)
        assert self.go.wait(LIMIT)
        self.running -= 1
        return self._check(password, value)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_asks_for_the_password(tmp_path: Path, path: str) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port:
            refused = await ask(port, path=path)
            assert refused.status == 401
            assert refused.headers["Www-Authenticate"] == 'Basic realm="meterline", charset="UTF-8"'
            assert "Server" not in refused.headers
            assert (await ask(port, path=path, user=f"alice:{SECRET}")).status in (200, 404, 503)

    asyncio.run(test())


@pytest.mark.parametrize(
    "user", ["alice:wrong", "alice:", ":", f"bob:{SECRET}", f"Alice:{SECRET}", "alice", "", "\0:\0", "é:é"]
)
def test_what_is_not_right_is_refused(tmp_path: Path, user: str) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port:
            assert (await ask(port, user=user)).status == 401

    asyncio.run(test())


@pytest.mark.parametrize(
    "header", ["", "Basic", "Basic ", "Basic !!!!", "Basic é", "Bearer YWxpY2U6Y29ycmVjdCBob3JzZQ==", "x" * 9000]
)
def test_a_header_that_holds_no_password_is_refused_without_a_check(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)

    async def test() -> None:
        asked = Auth()
        asked.use({"alice": cheap(SECRET)})
        assert await asked.status(header, "here") == 401
        assert await asked.status("bAsIc YWxpY2U6Y29ycmVjdCBob3JzZQ==", "here") == 200

    asyncio.run(test())
    assert len(checks.costs) == 1


@pytest.mark.parametrize(("method", "body"), [("HEAD", ""), ("POST", "x" * 100), ("PUT", "x" * 15000), ("DELETE", "")])
def test_every_method_asks_for_the_password(tmp_path: Path, method: str, body: str) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port, connected(port) as client:
            assert (await client.ask("/metrics", method=method, body=body)).status == 401
            assert await client.closed()

    asyncio.run(test())


@pytest.mark.parametrize("version", [b"2a", b"2b", b"2y"])
def test_hashes_of_other_programs_are_understood(tmp_path: Path, version: bytes) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap("pâté:", version), bob=cheap("x" * 72, version))) as port:
            assert (await ask(port, user="alice:pâté:")).status == 200
            assert (await ask(port, user=f"bob:{'x' * 80}")).status == 200
            assert (await ask(port, user=f"bob:{'x' * 71}")).status == 401

    asyncio.run(test())


def test_a_right_password_is_checked_once_and_a_wrong_one_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)

    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port:
            assert [(await ask(port, user=f"alice:{SECRET}")).status for _ in range(3)] == [200] * 3
            assert len(checks.costs) == 1
            assert [(await ask(port, user="alice:wrong")).status for _ in range(3)] == [401] * 3
            assert len(checks.costs) == 4

    asyncio.run(test())
    assert threading.get_ident() not in checks.threads


def test_an_unknown_user_costs_a_check_like_those_of_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch)
    dearer = bcrypt.hashpw(b"x", bcrypt.gensalt(5)).decode()

    async def test() -> None:
        asked = Auth()
        asked.use({"alice": dearer})
        for name in (b"alice", b"bob", b"carol"):
            assert not await asked._check(name, b"wrong")
        assert not await asked._check(b"bob", b"x")  # the right password of another

    asyncio.run(test())
    assert checks.costs == [b"05"] * 4


def test_a_changed_file_is_in_force_on_open_connections_and_forgets_what_was_right(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port, connected(port) as client:
            assert (await client.ask(user=f"alice:{SECRET}")).status == 200
            write(tmp_path, alice=cheap("another"))
            assert (await client.ask(user=f"alice:{SECRET}")).status == 401
            assert (await ask(port, user="alice:another")).status == 200

    asyncio.run(test())


def test_a_check_that_ends_after_a_change_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch, held=True)
    header = "Basic YWxpY2U6Y29ycmVjdCBob3JzZQ=="

    async def test() -> None:
        asked = Auth()
        asked.use({"alice": cheap(SECRET)})
        old = asyncio.create_task(asked.status(header, "here"))
        await until(lambda: checks.running)
        asked.use({"alice": cheap("another")})
        checks.go.set()
        await old
        assert await asked.status(header, "here") == 401

    asyncio.run(test())


def test_two_checks_run_at_once_and_more_wait_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = Checks(monkeypatch, held=True)

    async def test() -> None:
        asked = Auth()
        asked.use({"alice": cheap(SECRET)})
        header = "Basic YWxpY2U6d3Jvbmc="
        waiting = [asyncio.create_task(asked.status(header, str(n // PENDING_MAX_OF_ADDRESS))) for n in range(PENDING_MAX)]
        await until(lambda: checks.running == RUNNING_MAX)
        assert await asked.status(header, "elsewhere") == 503
        checks.go.set()
        assert await asyncio.gather(*waiting) == [401] * PENDING_MAX
        assert await asked.status(header, "elsewhere") == 401

    asyncio.run(test())
    assert checks.most == RUNNING_MAX


def test_a_guesser_who_fills_his_share_shuts_nobody_else_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks = Checks(monkeypatch, held=True)

    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port, contextlib.AsyncExitStack() as stack:
            guessing = []
            for n in range(PENDING_MAX_OF_ADDRESS):
                client = await stack.enter_async_context(connected(port, source="127.0.0.2"))
                guessing.append(asyncio.create_task(client.ask(user=f"alice:{n}")))
            await until(lambda: checks.running == RUNNING_MAX)
            one_more = await stack.enter_async_context(connected(port, source="127.0.0.2"))
            answer = await one_more.ask(user="alice:x")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
            right = asyncio.create_task(ask(port, user=f"alice:{SECRET}"))
            checks.go.set()
            assert (await right).status == 200
            assert {answer.status for answer in await asyncio.gather(*guessing)} == {401}

    asyncio.run(test())


def test_checks_hold_up_nobody_whose_password_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks = Checks(monkeypatch)

    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port:
            assert (await ask(port, user=f"alice:{SECRET}")).status == 200
            checks.go.clear()
            guessing = asyncio.create_task(ask(port, user="alice:wrong"))
            await until(lambda: checks.running)
            assert (await ask(port, path="/metrics", user=f"alice:{SECRET}")).status == 200
            assert not guessing.done()
            checks.go.set()
            assert (await guessing).status == 401

    asyncio.run(test())


def test_a_client_that_leaves_during_its_check_does_no_harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checks = Checks(monkeypatch, held=True)

    async def test() -> None:
        async with serving(write(tmp_path, alice=cheap(SECRET))) as port:
            async with connected(port) as client:
                asking = asyncio.create_task(client.ask(user=f"alice:{SECRET}"))
                await until(lambda: checks.running)
            assert await asking == CLOSED
            checks.go.set()
            assert (await ask(port, user=f"alice:{SECRET}")).status == 200

    asyncio.run(test())


def test_what_is_remembered_is_bounded_and_no_password() -> None:
    async def test() -> None:
        asked = Auth()
        asked.use({"alice": cheap("x" * 72)})
        for n in range(basic_auth.REMEMBERED_MAX + 5):
            header = base64.b64encode(b"alice:" + b"x" * 72 + str(n).encode()).decode()
            assert await asked.status(f"Basic {header}", "here") == 200
        assert len(asked._accepted) <= basic_auth.REMEMBERED_MAX
        assert not any(b"xxx" in digest for digest in asked._accepted)

    asyncio.run(test())


def test_hash_password_prints_only_the_hash() -> None:
    made = command("hash-password", input="pâté\n")
    assert (made.returncode, made.stderr) == (0, "")
    value = made.stdout.removesuffix("\n")
    assert value.startswith("$2b$10$")
    assert bcrypt.checkpw("pâté".encode(), value.encode())


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ("\n", "the password is empty; enter one line"),
        ("", "the password is empty; enter one line"),
        ("é" * 37 + "\n", "the password has 74 bytes; bcrypt uses the first 72 only: choose a shorter one"),
    ],
)
def test_hash_password_says_what_is_wrong_in_one_line(typed: str, fault: str) -> None:
    refused = command("hash-password", input=typed)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"meterline: hash-password: {fault}\n"


def test_hash_password_without_bcrypt_says_how_to_install_it() -> None:
    hidden = "import sys; sys.modules['bcrypt'] = None; from meterline.cli.main import main; main(['hash-password'])"
    refused = subprocess.run([sys.executable, "-c", hidden], input="x\n", capture_output=True, text=True, check=False)
    pinned = Path(__file__).parents[3] / "requirements" / "auth.txt"
    remedy = f"bcrypt is not installed; {sys.executable} -m pip install --require-hashes -r {pinned}"
    assert (refused.returncode, refused.stdout, refused.stderr) == (2, "", f"meterline: hash-password: {remedy}\n")


@pytest.mark.parametrize(("second", "status"), [("typed", 0), ("mistyped", 2)])
def test_hash_password_asks_a_terminal_twice_and_shows_nothing(second: str, status: int) -> None:
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "meterline", "hash-password"]
    # In a session of its own it has no other terminal to ask than this one.
    streams = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": theirs}
    with subprocess.Popen(words, **streams, start_new_session=True, text=True) as process:  # type: ignore[call-overload]
        os.close(theirs)
        shown = b""
        for prompt, line in ((b"Password: ", "typed"), (b"Once more: ", second)):
            while prompt not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, f"{line}\n".encode())
        printed = process.stdout.read()
        with contextlib.suppress(OSError):  # how a terminal ends
            while more := os.read(ours, 1000):
                shown += more
        assert process.wait() == status
    os.close(ours)
    assert b"typed" not in shown
    assert (b"the two passwords differ; try again" in shown) == bool(status)
    assert printed.startswith("$2b$10$") != bool(status)
