"""The kinds of meters, one folder each."""

from types import ModuleType

from meterline.protocols import broute, tic

PROTOCOLS: dict[str, ModuleType] = {"tic": tic, "broute": broute}
