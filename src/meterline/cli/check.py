"""meterline check FILE: check a configuration file."""

from __future__ import annotations

from datetime import date

from meterline import world
from meterline.billing.price_lapses import to_come
from meterline.config.schema import load
from meterline.link.url import shown


def check(path: str, today: date | None = None) -> None:
    """Print one line for each meter, and a warning for each time from today on at which its prices end.

    Args:
        path: The configuration file.
        today: The first day to check prices of; None: today.

    Raises:
        UserError: The file is not readable or not valid: one line for each fault.
    """
    config, warnings = load(path), 0
    for meter in config.meters:
        print(f"{meter.name}: {meter.protocol or 'detected'} at {shown(meter.link)}")
        for lapse in to_come(meter.tariffs, today or date.fromtimestamp(world.current.now())) if meter.tariffs else ():
            warnings += 1
            print(f"{meter.name}: warning: tariffs: {lapse.what}")
    if mqtt := config.mqtt:
        print(f"mqtt: {mqtt.host}:{mqtt.port}{' with TLS' * mqtt.tls}, instance {mqtt.instance}, discovery {mqtt.discovery}")
    count = f", {warnings} warning{'s' * (warnings != 1)}" if warnings else ""
    print(f"{path}: valid, {len(config.meters)} meter{'s' * (len(config.meters) != 1)}{count}")
