"""How a broker is reached: TLS, passwords, what is said where it cannot be, and what a program costs that has none."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.certificates import make
from support.live_meters import LIMIT, environment, fetch, free_port, logged, page, program, run, shows, until, wait_until
from support.mosquitto import ENERGY, Broker, configured, mosquitto, publishing, retained

from bench.process import port_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, trustme.CA]:
    """A folder with those of the broker, and the authority."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = make(folder)
    own = authority.issue_cert("meterline")
    own.private_key_and_cert_chain_pem.write_to_path(folder / "own.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    return folder, authority


def tls(folder: Path) -> tuple[str, ...]:
    return (f"cafile {folder}/ca.pem", f"certfile {folder}/server.pem", f"keyfile {folder}/server-key.pem")


async def connects(broker: Broker, **options: Any) -> None:
    """Publish until the meter is on the broker."""
    async with publishing(configured(broker.port, "home", **options)) as stage:
        stage.say("home", {ENERGY: 5})
        counts = stage.outputs.broker
        assert counts
        await until(lambda: counts.is_connected and counts.messages)


async def fails(broker: Broker, caplog: pytest.LogCaptureFixture, sentence: str, **options: Any) -> None:
    """Try to publish until the log says why that cannot be done."""
    with caplog.at_level(logging.INFO):
        async with publishing(configured(broker.port, "home", **options)) as stage:
            await until(lambda: any(sentence in text for text in logged(caplog)))
            assert stage.messages == 0


def test_the_certificate_of_the_broker_is_verified(
    tmp_path: Path, certificates: tuple[Path, trustme.CA], caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = certificates
    with mosquitto(tmp_path, "allow_anonymous true", *tls(folder)) as broker:
        for host in ("localhost", "127.0.0.1"):
            run(connects(broker, url=f"mqtts://{host}:{broker.port}", ca_file=str(folder / "ca.pem")))
        stranger = str(folder / "stranger.pem")
        run(fails(broker, caplog, "is not trusted", url=f"mqtts://localhost:{broker.port}", ca_file=stranger))
        run(fails(broker, caplog, "ca_file must hold", url=f"mqtts://localhost:{broker.port}"))
        run(connects(broker, url=f"mqtts://localhost:{broker.port}", verify=False))


def test_the_name_in_the_certificate_must_be_that_of_the_configuration(
    tmp_path: Path, certificates: tuple[Path, trustme.CA], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(_: object, host: str) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr("meterline.world.World.look_up", look_up)
    folder, _ = certificates
    with mosquitto(tmp_path, "allow_anonymous true", *tls(folder)) as broker:
        ours = {"ca_file": str(folder / "ca.pem")}
        run(fails(broker, caplog, "Hostname mismatch", url=f"mqtts://elsewhere:{broker.port}", **ours))


def test_a_broker_that_asks_for_a_certificate_gets_ours(
    tmp_path: Path, certificates: tuple[Path, trustme.CA], caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = certificates
    with mosquitto(tmp_path, "allow_anonymous true", "require_certificate true", *tls(folder)) as broker:
        ours = {"url": f"mqtts://localhost:{broker.port}", "ca_file": str(folder / "ca.pem")}
        run(connects(broker, **ours, cert_file=str(folder / "own.pem")))
        run(fails(broker, caplog, "no connection", **ours))


def test_a_wrong_password_is_said_without_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = tmp_path / "passwords"
    words.write_text("me:$7$101$MTIzNDU2Nzg5MDEy$", encoding="utf-8")
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(words), "me", "right-word"], check=True, capture_output=True)
    secret = tmp_path / "secret"
    secret.write_text("right-word\n", encoding="utf-8")
    with mosquitto(tmp_path, "allow_anonymous false", f"password_file {words}") as broker:
        run(connects(broker, user="me", password="right-word"))
        run(connects(broker, user="me", password_file=str(secret)))
        run(connects(broker, url=f"mqtt://me:right-word@127.0.0.1:{broker.port}"))
        run(fails(broker, caplog, "the broker refuses user and password", user="me", password="hush-hush"))
        run(fails(broker, caplog, "the broker refuses user and password"))
    assert "hush-hush" not in caplog.text
    assert "right-word" not in caplog.text


def test_a_broker_that_is_not_there_is_tried_again_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        config = configured(free_port(), "home")
        async with publishing(config) as stage:
            await until(lambda: any("no connection" in text for text in logged(caplog)))
            await asyncio.sleep(2.5)
            assert stage.outputs.broker
            assert stage.outputs.broker.connections == 0

    with caplog.at_level(logging.INFO):
        run(test())
    assert sum("no connection" in text for text in logged(caplog)) == 1


def config_file(folder: Path, broker: Broker, more: str = "") -> Path:
    file = folder / "meterline.yml"
    mqtt = f'mqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n' if more != "none" else ""
    file.write_text(f"{mqtt}meters:\n  - {{name: home, link: /dev/nothing-here}}\n", encoding="utf-8")
    return file


def test_a_program_that_is_killed_is_offline_and_one_that_ends_says_so(tmp_path: Path) -> None:
    def status() -> str:
        found = asyncio.run(retained(broker.port)).get("meterline/main/status", "{}")
        return str(json.loads(found).get("status"))

    with mosquitto(tmp_path) as broker:
        words = ("run", "--config.file", str(config_file(tmp_path, broker)), "--web.listen-address", "127.0.0.1:0")
        for end in (signal.SIGKILL, signal.SIGTERM):
            with program(*words, "--state.dir", str(tmp_path / "state")) as process:
                wait_until(lambda: status() == "online")
                process.send_signal(end)
                process.wait(LIMIT)
                wait_until(lambda: status() == "offline")


def test_metrics_and_page_tell_how_the_broker_is_and_nothing_where_none_is_configured(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        file = config_file(tmp_path, broker)
        with program("run", "--config.file", str(file), "--web.listen-address", "127.0.0.1:0") as process:
            port = port_of(process)
            found = shows(port, "meterline_mqtt_connected 1.0")
            assert "# TYPE meterline_mqtt_messages_total counter" in found
            assert "\nmeterline_mqtt_reconnects_total 0.0\n" in found
            assert "MQTT: connected" in page(port, "/")
            assert fetch(f"http://127.0.0.1:{port}/metrics", Accept="application/openmetrics-text")[0] == 200
            broker.stop()
            shows(port, "meterline_mqtt_connected 0.0")
            assert "MQTT: no connection" in page(port, "/")
            config_file(tmp_path, broker, "none")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: "meterline_mqtt" not in page(port))
            assert "MQTT" not in page(port, "/").partition("<script>")[0]


def test_without_a_broker_in_the_configuration_nothing_of_it_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "meterline.yml"
    file.write_text("meters: [{name: home, link: /dev/nothing-here}]", encoding="utf-8")
    words = (
        "import asyncio, sys; from meterline.cli import run; from meterline.config.schema import load\n"
        "async def test():\n"
        f"    config = load({str(file)!r})\n"
        "    task = asyncio.create_task(run.serve(config, run.Web('127.0.0.1:0')))\n"
        "    await asyncio.sleep(0.5)\n"
        "    task.cancel()\n"
        "asyncio.run(test())\n"
        "names = ('aiomqtt', 'paho', 'meterline.outputs.mqtt', 'meterline.config.mqtt')\n"
        "print([name for name in sys.modules if name.startswith(names)])"
    )
    found = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=LIMIT, env=environment(), check=True, cwd=ROOT
    )
    assert found.stdout == "[]\n"


def test_without_the_library_the_configuration_says_how_to_install_it(tmp_path: Path) -> None:
    file = tmp_path / "meterline.yml"
    file.write_text("mqtt: {url: 'mqtt://localhost'}\nmeters: [{name: home, link: /dev/x}]", encoding="utf-8")
    words = f"import sys; sys.modules['aiomqtt'] = None; from meterline.cli.main import main; main(['check', {str(file)!r}])"
    found = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, timeout=LIMIT, env=environment(), check=False
    )
    assert found.returncode == 2
    assert "mqtt: it needs the library aiomqtt, which is not installed; " in found.stderr
    assert f"{ROOT}/requirements/mqtt.txt" in found.stderr
    assert "Traceback" not in found.stderr


def test_the_context_of_tls_wants_a_certificate_that_it_trusts() -> None:
    from meterline.config.mqtt import Mqtt
    from meterline.outputs.mqtt.connection import _context

    context = _context(Mqtt("mqtts://broker"))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
