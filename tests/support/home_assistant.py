"""A real Home Assistant for tests: started without a screen, asked over its own WebSocket API, and ended.

Its environment is made by ``make home-assistant``, which names its folder in METERLINE_HOME_ASSISTANT. Without that name the
tests skip.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tornado.httpclient import HTTPError
from tornado.websocket import WebSocketClientConnection, websocket_connect

from support.live_meters import free_port

LIMIT = 90.0
"""Seconds in which Home Assistant does whatever it is asked for, also beside other tests."""
FIRST_WITH_DEVICES = (2024, 11)
"""The first release that takes one announcement for a whole device."""
CONFIGURATION = """\
homeassistant:
  name: Home
  latitude: 48.85
  longitude: 2.35
  elevation: 35
  unit_system: metric
  time_zone: Europe/Paris
  currency: EUR
  country: FR
http:
  server_host: 127.0.0.1
  server_port: {port}
config:
frontend:
history:
energy:
recorder:
  commit_interval: 1
logger:
  default: warning
"""
LOUD = re.compile(
    r"^\S+ \S+ (WARNING|ERROR|CRITICAL) .*"
    r"\[homeassistant\.(components\.(mqtt(?!\.client)|sensor|binary_sensor|energy)|helpers|util)"
)
"""Lines of the log that say something is wrong with what we send ..."""
HARMLESS = "No device components to cleanup"
"""... but this one: so Home Assistant says that a device is gone, once for each of its entities."""


class Seen(NamedTuple):
    """A state that a person would have seen from this moment (Unix time) on.

    None: the entity was removed; without a name of an entity: Home Assistant ended.
    """

    at: float
    entity: str
    state: str | None


class HomeAssistant:
    """One Home Assistant. It may be stopped and started again; its folder stays.

    Attributes:
        seen: Every state of every entity, in the order in which they were shown.
    """

    def __init__(self, environment: Path, folder: Path, broker: int) -> None:
        self.port = free_port()
        self.seen: list[Seen] = []
        self.token = _write_storage(folder / ".storage", broker)
        self._hass, self._folder = environment / "bin" / "hass", folder
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: WebSocketClientConnection | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        (folder / "configuration.yaml").write_text(CONFIGURATION.format(port=self.port), encoding="utf-8")

    @property
    def url(self) -> str:
        """Its address for a browser."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until it runs."""
        self._launch()
        await self._connect()
        await self._watch()
        await self.until(self._is_running, "Home Assistant does not run")

    async def stop(self) -> None:
        """End it, and wait until it has ended."""
        process, self._process = self._process, None
        if process:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
        if self._connection:
            self._connection.close()
        if self._listening:
            await asyncio.gather(self._listening, return_exceptions=True)

    async def ask(self, command: str, **words: Any) -> Any:
        """The result of a command of the WebSocket API."""
        assert self._connection
        self._number += 1
        number = self._number
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._connection.write_message(json.dumps({"id": number, "type": command, **words}))
        answer = await asyncio.wait_for(future, LIMIT)
        assert answer["success"], f"{command}: {answer['error']}"
        return answer["result"]

    async def states(self) -> dict[str, dict[str, Any]]:
        """Entity → its state and attributes."""
        return {state["entity_id"]: state for state in await self.ask("get_states")}

    async def devices(self) -> dict[str, dict[str, Any]]:
        """Name → device, of those that came over MQTT."""
        found = await self.ask("config/device_registry/list")
        return {device["name"]: device for device in found if any(domain == "mqtt" for domain, _ in device["identifiers"])}

    async def entities(self, device: str) -> dict[str, dict[str, Any]]:
        """Key of an entity in our messages → its entry in the registry, for the device with that name; {} without it."""
        if not (found := (await self.devices()).get(device)):
            return {}
        ((_, identifier),) = found["identifiers"]
        entries = await self.ask("config/entity_registry/list")
        return {
            entry["unique_id"].removeprefix(f"{identifier}_"): entry
            for entry in entries
            if entry["device_id"] == found["id"] and entry["platform"] == "mqtt"
        }

    async def until(self, condition: Any, otherwise: str, seconds: float = LIMIT) -> Any:
        """Wait for a condition, an async function; its value."""
        deadline = time.monotonic() + seconds
        while not (value := await condition()):
            assert time.monotonic() < deadline, f"{otherwise}\n{self.complaints()}"
            await asyncio.sleep(0.1)
        return value

    async def shows(self, entity: str, *states: str, seconds: float = LIMIT) -> None:
        """Wait until an entity has one of these states."""
        deadline = time.monotonic() + seconds
        while (found := self.shown(entity)) not in states:
            assert time.monotonic() < deadline, f"{entity} is {found}, not {' or '.join(states)}"
            await asyncio.sleep(0.05)

    def shown(self, entity: str) -> str | None:
        """What a person sees of an entity now."""
        return next((one.state for one in reversed(self.seen) if one.entity in (entity, "")), None)

    def complaints(self) -> list[str]:
        """Lines of its log that say something is wrong with what was sent to it."""
        text = (self._folder / "home-assistant.log").read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if LOUD.match(line) and HARMLESS not in line]

    def _launch(self) -> None:
        words = [str(self._hass), "--config", str(self._folder), "--skip-pip"]
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL)

    async def _connect(self) -> None:
        url, deadline = f"ws://127.0.0.1:{self.port}/api/websocket", time.monotonic() + LIMIT
        while True:
            assert self._process
            assert self._process.poll() is None, (self._folder / "output").read_text(encoding="utf-8")[-2000:]
            with contextlib.suppress(OSError, HTTPError):
                self._connection = await websocket_connect(url, connect_timeout=5, max_message_size=32 << 20)
                break
            assert time.monotonic() < deadline, "Home Assistant does not listen"
            await asyncio.sleep(0.1)
        await self._connection.read_message()
        await self._connection.write_message(json.dumps({"type": "auth", "access_token": self.token}))
        answer = json.loads(str(await self._connection.read_message()))
        assert answer["type"] == "auth_ok", answer
        self._listening = asyncio.create_task(self._listen(self._connection))

    async def _watch(self) -> None:
        """Follow each state from now on."""
        await self.ask("subscribe_events", event_type="state_changed")
        for entity, state in (await self.states()).items():
            self.seen.append(Seen(time.time(), entity, state["state"]))

    async def _listen(self, connection: WebSocketClientConnection) -> None:
        while (text := await connection.read_message()) is not None:
            said = json.loads(text)
            if said["type"] == "event":
                data = said["event"]["data"]
                new = data["new_state"]
                self.seen.append(Seen(time.time(), data["entity_id"], new and new["state"]))
            elif future := self._answers.pop(said["id"], None):
                future.set_result(said)
        self.seen.append(Seen(time.time(), "", None))

    async def _is_running(self) -> bool:
        return bool((await self.ask("get_config"))["state"] == "RUNNING")


def environment() -> Path:
    """The virtual environment of Home Assistant; without it the test is skipped."""
    folder = os.environ.get("METERLINE_HOME_ASSISTANT")
    if not folder:
        pytest.skip("no Home Assistant: `make home-assistant` makes its environment and runs these tests")
    return Path(folder).absolute()


def discovery() -> str:
    """The form of discovery that the Home Assistant of this environment takes."""
    (file,) = environment().glob("lib/python3.*/site-packages/homeassistant/const.py")
    year, month = re.findall(r"^M\w+_VERSION: Final = (\d+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return "device" if (int(year), int(month)) >= FIRST_WITH_DEVICES else "component"


@asynccontextmanager
async def home_assistant(folder: Path, broker: int) -> AsyncIterator[HomeAssistant]:
    """A running Home Assistant that is connected with the broker on this port. Its log may hold no complaint about us."""
    folder.mkdir()
    home = HomeAssistant(environment(), folder, broker)
    try:
        await home.start()
        yield home
    finally:
        await home.stop()
    assert home.complaints() == []


def _write_storage(folder: Path, broker: int) -> str:
    """What a person clicks together at first: an owner, the broker, and a token, which is returned."""
    folder.mkdir(parents=True)
    user, token, key = secrets.token_hex(16), secrets.token_hex(16), secrets.token_hex(64)
    entry = {
        "entry_id": "meterline-tests",
        "version": 1,
        "minor_version": 1,
        "domain": "mqtt",
        "title": "broker",
        "source": "user",
        "unique_id": None,
        "disabled_by": None,
        "data": {"broker": "127.0.0.1", "port": broker, "discovery": True, "discovery_prefix": "homeassistant"},
        "options": {},
        "pref_disable_new_entities": False,
        "pref_disable_polling": False,
    }
    owner = {
        "id": user,
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "Owner",
        "system_generated": False,
        "local_only": False,
    }
    refreshing = {
        "id": token,
        "user_id": user,
        "client_id": None,
        "client_name": "tests",
        "client_icon": None,
        "token_type": "long_lived_access_token",
        "created_at": "2026-01-01T00:00:00+00:00",
        "access_token_expiration": 315_360_000.0,
        "token": secrets.token_hex(64),
        "jwt_key": key,
        "last_used_at": None,
        "last_used_ip": None,
        "credential_id": None,
        "version": None,
    }
    groups = [{"id": f"system-{name}", "name": name} for name in ("admin", "users", "read-only")]
    stored = {
        "core.config_entries": (1, {"entries": [entry]}),
        "onboarding": (4, {"done": ["user", "core_config", "analytics", "integration"]}),
        "auth": (1, {"users": [owner], "groups": groups, "credentials": [], "refresh_tokens": [refreshing]}),
    }
    for name, (version, data) in stored.items():
        text = json.dumps({"version": version, "minor_version": 1, "key": name, "data": data})
        (folder / name).write_text(text, encoding="utf-8")
    return _signed({"iss": token, "iat": int(time.time()), "exp": int(time.time()) + 315_360_000}, key)


def _signed(claims: dict[str, Any], key: str) -> str:
    """A JSON Web Token (RFC 7519), signed with HMAC and SHA-256."""

    def coded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = ".".join(coded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{text}.{coded(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest())}"
