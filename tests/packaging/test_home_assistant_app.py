"""The app of Home Assistant OS: its files against the documented keys, and its command with an invented Supervisor."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import runpy
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.live_meters import LIMIT, command, environment, free_port, page, program, shows
from support.mosquitto import mosquitto, watching

from meterline import __version__
from meterline.cli.home_assistant import INGRESS, PORT, Supervisor, prepare
from meterline.config.schema import load
from meterline.errors import UserError
from meterline.locale import codes
from meterline.protocols import PROTOCOLS

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "packaging" / "home-assistant"
APP = REPOSITORY / "meterline"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text(encoding="utf-8"))

# https://developers.home-assistant.io/docs/apps/configuration, as of 2026.
REQUIRED = {"name": str, "version": str, "slug": str, "description": str, "arch": list}
OPTIONAL = {
    **dict.fromkeys(("machine", "devices", "privileged", "map", "discovery", "services", "breaking_versions"), list),
    **dict.fromkeys(("backup_exclude",), list),
    **dict.fromkeys(("ports", "ports_description", "environment", "options", "schema", "ulimits"), dict),
    **dict.fromkeys(("url", "startup", "webui", "boot", "homeassistant", "hassio_role", "apparmor", "image"), str),
    **dict.fromkeys(("ingress_entry", "panel_icon", "panel_title", "backup", "backup_pre", "backup_post"), str),
    **dict.fromkeys(("stage", "watchdog"), str),
    **dict.fromkeys(("timeout", "ingress_port"), int),
    **dict.fromkeys(("host_network", "host_ipc", "host_dbus", "host_pid", "host_uts", "hassio_api", "homeassistant_api"), bool),
    **dict.fromkeys(("docker_api", "full_access", "audio", "video", "gpio", "usb", "uart", "udev", "devicetree"), bool),
    **dict.fromkeys(("kernel_modules", "stdin", "legacy", "tmpfs", "auth_api", "ingress", "ingress_stream"), bool),
    **dict.fromkeys(("panel_admin", "init", "realtime", "journald"), bool),
}
ALLOWED = {
    "startup": {"initialize", "system", "services", "application", "once"},
    "boot": {"auto", "manual", "manual_only"},
    "backup": {"hot", "cold"},
    "stage": {"stable", "experimental", "deprecated"},
}
FOLDERS = {
    *("homeassistant_config", "app_config", "all_app_configs", "local_apps", "ssl", "backup", "share", "media", "data"),
}
KIND = re.compile(r"(str|bool|int|float|email|url|password|port|match\(.+\)|list\([^()]+\)|device(\(subsystem=\w+\))?)\??")
SECRET = 'pass: "word" ${HOME} #{x}\\'


def test_every_key_of_the_app_is_documented_and_of_its_type() -> None:
    assert set(REQUIRED) <= set(CONFIG)
    for key, value in CONFIG.items():
        assert isinstance(value, {**REQUIRED, **OPTIONAL}[key]), key
        assert value in ALLOWED.get(key, {value} if isinstance(value, str) else [value]), key
    assert CONFIG["arch"] == ["aarch64", "amd64"]
    assert re.fullmatch(r"[-_.A-Za-z0-9]+", CONFIG["slug"])
    assert {entry["type"] for entry in CONFIG["map"]} <= FOLDERS
    assert all(re.fullmatch(r"\w+:(provide|want|need)", service) for service in CONFIG["services"])


def test_the_app_has_the_version_of_the_program_and_serves_where_home_assistant_asks() -> None:
    assert CONFIG["version"] == __version__
    assert CONFIG["ingress_port"] == PORT
    assert list(CONFIG["ports"]) == [f"{PORT}/tcp"]
    assert CONFIG["ports"][f"{PORT}/tcp"] is None, "nothing is open until a person opens it"
    assert f"ENV HEALTH_PORT={PORT}" in (APP / "Dockerfile.stage").read_text(encoding="utf-8")
    assert (CONFIG["uart"], CONFIG["services"], CONFIG["ingress"]) == (True, ["mqtt:need"], True)


def test_the_app_asks_for_no_right_that_it_does_not_need() -> None:
    rights = {key for key, kind in OPTIONAL.items() if kind is bool and CONFIG.get(key)}
    assert rights == {"uart", "usb", "ingress", "ingress_stream"}
    assert not {"privileged", "devices", "apparmor", "hassio_role"} & set(CONFIG)


def fields() -> dict[str, str]:
    (entry,) = CONFIG["schema"]["meters"]
    return dict(entry)


def test_the_options_have_documented_types_and_all_defaults_are_in_the_schema() -> None:
    kinds = {**{key: kind for key, kind in CONFIG["schema"].items() if key != "meters"}, **fields()}
    for key, kind in kinds.items():
        assert KIND.fullmatch(kind), key
    assert set(CONFIG["options"]) == set(CONFIG["schema"])
    assert kinds["protocol"] == f"list({'|'.join(['detected', *PROTOCOLS])})?"
    assert kinds["language"] == f"list({'|'.join(sorted(codes()))})"
    assert all(kind.endswith("?") for key, kind in fields().items() if key != "name")
    assert all(fields()[key].startswith("password") for key in ("broute_id", "broute_password"))


def test_an_option_of_a_protocol_is_one_that_the_protocol_takes() -> None:
    for key in fields():
        of, _, name = key.partition("_")
        if of in PROTOCOLS:
            assert name in {field.name for field in dataclasses.fields(PROTOCOLS[of].options)}, key


@pytest.mark.parametrize("code", sorted(codes()))
def test_every_option_and_port_has_a_text_in_each_language(code: str) -> None:
    text = yaml.safe_load((APP / "translations" / f"{code}.yaml").read_text(encoding="utf-8"))
    assert set(text) == {"configuration", "network"}
    assert set(text["configuration"]) == set(CONFIG["schema"])
    assert list(text["configuration"]["meters"]["fields"]) == list(fields())
    assert set(text["network"]) == set(CONFIG["ports"])
    assert sorted(file.stem for file in (APP / "translations").iterdir()) == sorted(codes())


def test_every_option_is_explained() -> None:
    documentation = (APP / "DOCS.md").read_text(encoding="utf-8")
    for key in ("meters", "language", "log_level", *(f"meters: {field}" for field in fields())):
        assert f"`{key}`" in documentation, key


def test_the_repository_has_the_documented_keys() -> None:
    repository = yaml.safe_load((REPOSITORY / "repository.yaml").read_text(encoding="utf-8"))
    assert {"name"} <= set(repository) <= {"name", "url", "maintainer"}


def test_the_folder_of_the_app_holds_all_that_its_image_is_made_of(tmp_path: Path) -> None:
    runpy.run_path(str(REPOSITORY / "assemble.py"))["assemble"](tmp_path / "made")
    app = tmp_path / "made" / "meterline"
    dockerfile = (app / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M) == ["build", "program", "home-assistant"]
    assert "ARG REQUIREMENTS=mqtt.txt\n" in dockerfile
    assert "BUILD_FROM" not in dockerfile, "the Supervisor no longer gives it"
    for words in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.M):
        for source in words.split()[:-1]:
            assert source == "wheels*" or (app / source).exists(), source
    assert [str(file.relative_to(app)) for file in app.rglob("config.y*ml")] == ["config.yaml"]
    assert {"CHANGELOG.md", "DOCS.md", "README.md", "translations"} <= {file.name for file in app.iterdir()}
    assert not (app / "build.yaml").exists(), "no longer used since 2026.04"


# Its command.


@contextmanager
def supervisor(mqtt: dict[str, Any] | None, opened: int | None = None, token: str = "token") -> Iterator[str]:
    """What the command asks of a Supervisor: its address. `mqtt`: None where there is no broker."""
    answers = {
        "/services/mqtt": mqtt,
        "/addons/self/info": {"network": {f"{PORT}/tcp": opened}, "ingress_port": PORT},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers["Authorization"] == f"Bearer {token}"
            found = answers.get(self.path) if is_known else None
            said = {"result": "ok", "data": found} if found else {"result": "error", "message": "Service not enabled"}
            body = json.dumps(said).encode()
            self.send_response(200 if found else 400 if is_known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


BROKER = {
    "host": "core-mosquitto",
    "port": 1883,
    "ssl": False,
    "username": "addons",
    "password": SECRET,
    "addon": "core_mosquitto",
}


def prepared(
    folder: Path, options: object, mqtt: dict[str, Any] | None = BROKER, own: str = "", opened: int | None = None
) -> list[str]:
    """The words of the command for these options. `own`: the user's file."""
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    (folder / "own").mkdir()
    if own:
        (folder / "own" / "meterline.yml").write_text(own, encoding="utf-8")
    with supervisor(mqtt, opened) as url:
        return prepare(folder, folder / "own", Supervisor(url, "token"), PORT)


def test_options_become_a_configuration_that_check_accepts(tmp_path: Path) -> None:
    meters = [
        {"name": "Maison d\u2019été", "device": "/dev/ttyUSB0", "protocol": "tic", "tic_baud": "1200", "area": 'Cave: "1" # x'},
        {
            "name": "東京",
            "device": "/dev/ttyUSB1",
            "protocol": "broute",
            "broute_id": "0" * 32,
            "broute_password": "0123456789AB",
        },
        {"name": "farm", "link": "tcp://192.168.1.20:2000", "protocol": "detected", "device": ""},
    ]
    words = prepared(tmp_path, {"meters": meters, "language": "fr", "log_level": "debug"})
    file = tmp_path / "meterline.yml"
    checked = command("check", str(file))
    assert (checked.returncode, checked.stderr) == (0, "")
    config = load(str(file))
    assert [meter.name for meter in config.meters] == [meter["name"] for meter in meters]
    assert config.meters[0].labels == {"area": 'Cave: "1" # x'}
    assert config.meters[0].options.baud == 1200
    assert (config.meters[1].protocol, config.meters[2].protocol) == ("broute", None)
    assert (config.log_level, config.mqtt.language) == ("debug", "fr")
    assert (config.mqtt.host, config.mqtt.port, config.mqtt.tls) == ("core-mosquitto", 1883, False)
    assert (config.mqtt.user, config.mqtt.password) == ("addons", SECRET)
    assert words[-2:] == ["--web.allow-from", INGRESS]
    for name in ("meterline.yml", "mqtt-user", "mqtt-password"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_a_port_that_a_person_opens_answers_everybody(tmp_path: Path) -> None:
    words = prepared(tmp_path, {"meters": [{"name": "home", "device": "/dev/x"}]}, opened=10230)
    assert "--web.allow-from" not in words


def test_a_broker_with_tls_and_without_a_password_is_taken_as_it_is(tmp_path: Path) -> None:
    options = {"meters": [{"name": "home", "device": "/dev/x"}]}
    prepared(tmp_path, options, {"host": "broker.example", "port": "8883", "ssl": True})
    mqtt = load(str(tmp_path / "meterline.yml")).mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls, mqtt.user, mqtt.verify) == ("broker.example", 8883, True, "", True)


def test_a_file_of_the_user_is_the_configuration_and_gets_the_broker(tmp_path: Path) -> None:
    own = "meters: [{name: home, link: /dev/x, labels: {flat: 012}, stale_after: 15}]\nlog_level: warn\n"
    prepared(tmp_path, {"meters": [], "language": "ja"}, own=own)
    config = load(str(tmp_path / "meterline.yml"))
    assert (config.meters[0].labels, config.meters[0].stale_after, config.log_level) == ({"flat": "012"}, 15.0, "warn")
    assert (config.mqtt.host, config.mqtt.language) == ("core-mosquitto", "ja")


def test_a_broker_that_the_user_names_needs_none_of_home_assistant(tmp_path: Path) -> None:
    own = "meters: [{name: home, link: /dev/x}]\nmqtt: {url: mqtt://mine.example}\n"
    prepared(tmp_path, {}, None, own)
    assert load(str(tmp_path / "meterline.yml")).mqtt.host == "mine.example"


@pytest.mark.parametrize(
    ("options", "mqtt", "own", "said"),
    [
        ({"meters": []}, BROKER, "", r"^no meter is configured"),
        ({"meters": [{"name": "home", "device": "/dev/x"}]}, None, "", r"^Home Assistant has no MQTT broker \(400\); install"),
        ({"meters": [{"name": "home", "device": "/dev/x"}]}, {"port": 1}, "", r"names no host of its MQTT broker$"),
        ({"meters": [{"name": "home"}]}, BROKER, "", r"^meter 'home': give either a device or a link$"),
        ({"meters": [{"name": "a", "device": "/dev/x", "link": "tcp://y:1"}]}, BROKER, "", r"^meter 'a': give either"),
        ({"meters": [{"name": "a", "device": "/dev/x", "broute_id": "0"}]}, BROKER, "", "broute_id needs the protocol broute$"),
        ({"meters": [{"name": "a", "device": "/dev/x"}]}, BROKER, "meters: []", r"^the options list meters, and so does"),
        ({}, BROKER, "meters: [", r"meterline\.yml: line 1: "),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, options: object, mqtt: dict[str, Any] | None, own: str, said: str
) -> None:
    with pytest.raises(UserError, match=said) as caught:
        prepared(tmp_path, options, mqtt, own)
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_supervisor_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "options.json").write_text('{"meters": [{"name": "home", "device": "/dev/x"}]}', encoding="utf-8")
    words = ["--data", str(tmp_path), "--own", str(tmp_path), "--supervisor", f"http://127.0.0.1:{free_port()}"]
    run = [sys.executable, "-m", "meterline.cli.home_assistant", *words]
    answer = subprocess.run(run, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment())
    assert answer.returncode == 1
    assert re.fullmatch(r"meterline: the Supervisor of Home Assistant does not answer \(services/mqtt\): .*\n", answer.stderr)


def entry_point() -> list[str]:
    """With what the image starts."""
    (found,) = re.findall(r"^ENTRYPOINT (.*)$", (APP / "Dockerfile.stage").read_text(encoding="utf-8"), re.M)
    words: list[str] = json.loads(found)
    return [sys.executable, *words[1:]]


def test_the_command_of_the_image_brings_a_meter_to_the_broker_that_the_supervisor_names(tmp_path: Path) -> None:
    link, port = tmp_path / "meter", free_port()
    users = tmp_path / "users"
    rules = ("allow_anonymous false", f"password_file {users}")
    options = {"meters": [{"name": "home", "device": str(link), "area": "Cellar"}], "language": "en", "log_level": "info"}
    (tmp_path / "options.json").write_text(json.dumps(options), encoding="utf-8")
    made = shutil.which("mosquitto_passwd") or pytest.skip("no mosquitto here: it is in Debian's package mosquitto")
    subprocess.run([made, "-b", "-c", str(users), "addons", SECRET], check=True, capture_output=True)
    with mosquitto(tmp_path, *rules) as broker, program("simulate", "tic", "--pty", str(link)) as simulator:
        assert simulator.stdout
        simulator.stdout.readline()
        said = {**BROKER, "host": "127.0.0.1", "port": broker.port}

        async def hears() -> Any:
            async with watching(broker.port, username="addons", password=SECRET) as watcher:
                await watcher.hears("meterline/main/home/state")
                return watcher.last("meterline/main/home/state")

        with supervisor(said, token="of this app") as url:
            words = ["--data", str(tmp_path), "--own", str(tmp_path / "none"), "--supervisor", url, "--port", str(port)]
            run = [*entry_point(), *words]
            known = environment(SUPERVISOR_TOKEN="of this app")
            with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=known) as process:
                try:
                    shows(port, 'smartmeter_up{area="Cellar",meter="home"} 1.0')
                    assert asyncio.run(asyncio.wait_for(hears(), LIMIT))["up"] is True
                    assert "area: Cellar" in page(port, "/")
                    assert (tmp_path / "state").is_dir()
                finally:
                    process.terminate()
                    out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, out
    assert "the meter speaks" in out
    assert SECRET not in out
