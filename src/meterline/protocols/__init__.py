"""The kinds of meters, one folder each."""

from types import ModuleType

from meterline.protocols import tic

PROTOCOLS: dict[str, ModuleType] = {"tic": tic}
