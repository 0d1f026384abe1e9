"""meterline check FILE: is this configuration usable?"""

from __future__ import annotations

from meterline.config import load


def check(path: str) -> None:
    """One line for each meter; UserError names what is wrong."""
    config = load(path)
    for meter in config.meters:
        print(f"{meter.name}: {meter.protocol or 'detected'} at {meter.link}")
    print(f"{path}: good, {len(config.meters)} meter{'s' * (len(config.meters) != 1)}")
