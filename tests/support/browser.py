"""A browser for the tests: headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

from support.live_meters import LIMIT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--no-first-run",
    "--mute-audio",
    "--hide-scrollbars",
)
LOUD = ("warning", "error")


@contextmanager
def chromium() -> Iterator[int]:
    """A running browser: the port of its DevTools."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(prefix="meterline-browser-", ignore_cleanup_errors=True) as folder:
        words = [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _port(Path(folder, "DevToolsActivePort"), process)
        finally:
            process.terminate()
            process.wait(LIMIT)


def _port(file: Path, process: subprocess.Popen[bytes]) -> int:
    """What the browser writes there once it listens."""
    deadline = time.monotonic() + LIMIT
    while not (file.exists() and "\n" in (text := file.read_text(encoding="utf-8"))):
        assert process.poll() is None, "the browser ended"
        assert time.monotonic() < deadline, "the browser does not listen"
        time.sleep(0.02)
    return int(text.partition("\n")[0])


class Tab:
    """One tab: `call` a method of the protocol, `ask` for the value of an expression. `complaints`: of console and log."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self._connection = connection
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._number = 0
        self.complaints: list[str] = []

    async def listen(self) -> None:
        """Take in what the browser says, until it hangs up."""
        while (text := await self._connection.read_message()) is not None:
            said = json.loads(text)
            if future := self._answers.pop(said.get("id", 0), None):
                future.set_result(said)
            elif said.get("method") == "Log.entryAdded" and said["params"]["entry"]["level"] in LOUD:
                self.complaints.append(said["params"]["entry"]["text"])
            elif said.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(str(said["params"]["exceptionDetails"]))
            elif said.get("method") == "Runtime.consoleAPICalled" and said["params"]["type"] in LOUD:
                self.complaints.append(str(said["params"]["args"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a method."""
        self._number += 1
        number = self._number
        future = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._connection.write_message(json.dumps({"id": number, "method": method, "params": parameters}))
        answer = await asyncio.wait_for(future, LIMIT)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = LIMIT) -> Any:
        """Wait until it is true, whatever page is there meanwhile; its value."""
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            with contextlib.suppress(AssertionError):
                if value := await self.ask(expression):
                    return value
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{expression} is not true of: {await self.ask('document.body?.innerText')}")
            await asyncio.sleep(0.05)

    async def go(self, url: str) -> None:
        """Load a page."""
        await self.call("Page.navigate", url=url)
        await self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    async def size(self, width: int, height: int, scale: float = 1) -> None:
        """As large as a phone, say."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=width < 600
        )

    async def picture(self) -> bytes:
        """A PNG of what is to be seen."""
        return base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


@asynccontextmanager
async def tab(port: int) -> AsyncIterator[Tab]:
    """A new tab of the browser, closed at the end."""

    def ask(path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/json/{path}", method=method)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            found: bytes = answer.read()
            return found

    target = json.loads(await asyncio.to_thread(ask, "new?about:blank", "PUT"))
    connection = await websocket_connect(target["webSocketDebuggerUrl"], max_message_size=32 << 20)
    opened = Tab(connection)
    listening = asyncio.create_task(opened.listen())
    try:
        for domain in ("Page", "Runtime", "Log"):
            await opened.call(f"{domain}.enable")
        yield opened
    finally:
        await asyncio.to_thread(ask, f"close/{target['id']}")
        connection.close()
        await asyncio.gather(listening, return_exceptions=True)
