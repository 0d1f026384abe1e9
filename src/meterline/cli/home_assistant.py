"""Start as an app of Home Assistant: `python3 -m meterline.cli.home_assistant`. Options and broker → a configuration → `run`.

The Supervisor writes the options that a person has set to ``/data/options.json``, and says by HTTP where the broker is
(https://developers.home-assistant.io/docs/apps/communication#services-api). What names the broker's user is written to files of
their own, so that no character of a password means anything in the configuration.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from meterline.config.yaml_file import read
from meterline.errors import UserError
from meterline.protocols import PROTOCOLS

PORT = 8099
"""Where Home Assistant asks for the page; ``ingress_port`` of the app."""
INGRESS = "172.30.32.2"
"""The address from which Home Assistant passes its users on. They are logged in already; nobody else may ask."""
PATIENCE_S = 10.0
DETECTED = "detected"
"""What a person chooses in a list where nothing is to be configured."""


def main() -> None:
    """The command."""
    words = argparse.ArgumentParser(prog="meterline.cli.home_assistant", description="Start as an app of Home Assistant.")
    words.add_argument("--data", type=Path, default=Path("/data"), help="the folder of the app (default /data)")
    words.add_argument("--own", type=Path, default=Path("/config"), help="the folder of the user's files (default /config)")
    words.add_argument("--supervisor", default="http://supervisor", help="default: http://supervisor")
    words.add_argument("--port", type=int, default=PORT, help=f"where to serve (default {PORT})")
    given = words.parse_args()
    try:
        command = prepare(given.data, given.own, Supervisor(given.supervisor), given.port)
    except UserError as error:
        error.say("meterline")
        sys.exit(error.status)
    os.execv(sys.executable, [sys.executable, "-m", "meterline", *command])


def prepare(data: Path, own: Path, supervisor: Supervisor, port: int) -> list[str]:
    """Write the configuration.

    Args:
        data: Holds the options, and gets the configuration and the state.
        own: May hold a configuration of the user, ``meterline.yml``.
        supervisor: Knows the broker.
        port: Where to serve.

    Returns:
        The words of a command of meterline.

    Raises:
        UserError: The options, or what the Supervisor says, are not enough.
    """
    options = _json(data / "options.json")
    document = _document(options, own / "meterline.yml")
    if "mqtt" not in document:
        document["mqtt"] = _broker(supervisor, data) | {"language": options.get("language", "en")}
    file = data / "meterline.yml"
    _write(file, json.dumps(document, ensure_ascii=False, indent=2))  # JSON is YAML
    words = ["run", "--config.file", str(file), "--state.dir", str(data / "state"), "--web.listen-address", f":{port}"]
    # A port that a person has opened is for whoever that person lets into the network.
    return words if supervisor.is_open(port) else [*words, "--web.allow-from", INGRESS]


class Supervisor:
    """What Home Assistant's Supervisor says by HTTP."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self._url = url
        self._token = os.environ.get("SUPERVISOR_TOKEN", "") if token is None else token

    def mqtt(self) -> dict[str, Any]:
        """Host, port, user and password of the broker. UserError: there is none."""
        try:
            return self._ask("services/mqtt")
        except urllib.error.HTTPError as error:
            error.close()
            remedy = "install and start the app Mosquitto broker, or write mqtt: into meterline.yml"
            raise UserError(f"Home Assistant has no MQTT broker ({error.code}); {remedy}", 1) from None

    def is_open(self, port: int) -> bool:
        """Whether a person has given our port a port of the machine."""
        try:
            return bool((self._ask("addons/self/info").get("network") or {}).get(f"{port}/tcp"))
        except urllib.error.HTTPError as error:
            error.close()
            return False

    def _ask(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self._url}/{path}", headers={"Authorization": f"Bearer {self._token}"})
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=PATIENCE_S) as answer:
                found = json.load(answer)["data"]
        except urllib.error.HTTPError:
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"the Supervisor of Home Assistant does not answer ({path}): {error!r}", 1) from None
        return found if isinstance(found, dict) else {}


def _document(options: dict[str, Any], own: Path) -> dict[str, Any]:
    """The configuration without the broker: that of the user, or what the options say."""
    meters = options.get("meters") or []
    if own.exists():
        if meters:
            raise UserError(f"the options list meters, and so does {own.name}; use one of them")
        found = read(str(own))
        return found if isinstance(found, dict) else {"meters": found}
    if not meters:
        raise UserError(f"no meter is configured: add one to the options, or write {own.name}")
    return {"log_level": options.get("log_level", "info"), "meters": [_meter(meter) for meter in meters]}


def _meter(option: dict[str, Any]) -> dict[str, Any]:
    """An entry of `meters:`. An option of a protocol has the name of the protocol in front."""
    name = option.get("name", "?")
    links = [option[key] for key in ("device", "link") if option.get(key)]
    if len(links) != 1:
        raise UserError(f"meter {name!r}: give either a device or a link")
    found: dict[str, Any] = {"name": name, "link": links[0]}
    if (protocol := option.get("protocol", DETECTED)) != DETECTED:
        found["protocol"] = protocol
    for key, value in option.items():
        of, _, key_of_protocol = key.partition("_")
        if of not in PROTOCOLS or value in (None, "", DETECTED, False):
            continue
        if of != protocol:
            raise UserError(f"meter {name!r}: {key} needs the protocol {of}")
        found.setdefault("options", {})[key_of_protocol] = value
    if option.get("area"):
        found["labels"] = {"area": option["area"]}
    return found


def _broker(supervisor: Supervisor, data: Path) -> dict[str, Any]:
    """The section `mqtt:`."""
    said = supervisor.mqtt()
    if not said.get("host"):
        raise UserError("the Supervisor of Home Assistant names no host of its MQTT broker", 1)
    secure = said.get("ssl") in (True, "true")
    found: dict[str, Any] = {"url": f"{'mqtts' if secure else 'mqtt'}://{said['host']}:{said.get('port') or 1883}"}
    for key, name in (("user", "username"), ("password", "password")):
        file = data / f"mqtt-{key}"
        if said.get(name):
            _write(file, str(said[name]))
            found[f"{key}_file"] = str(file)
    return found


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: {getattr(error, 'strerror', None) or 'not JSON'}") from None
    return found if isinstance(found, dict) else {}


def _write(file: Path, text: str) -> None:
    """A file that its owner alone may read."""
    new = file.with_name(f".{file.name}")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)
    new.replace(file)


if __name__ == "__main__":
    main()
