"""The outputs of a configuration: begun, changed and ended with it. What is not configured is not imported."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meterline.meter.program_health import BrokerCounts
from meterline.service.supervisor import Runtime

if TYPE_CHECKING:
    from meterline.outputs.mqtt.publisher import Publisher


class Outputs:
    """The outputs beside the meters of a runtime.

    Attributes:
        broker: How publishing on an MQTT broker goes; None while none is configured.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.broker: BrokerCounts | None = None
        self._publishing: tuple[Publisher, asyncio.Task[None]] | None = None
        self._options = runtime.config.mqtt

    def begin(self) -> None:
        """Publish, if the configuration of the runtime says so."""
        options = self._options = self._runtime.config.mqtt
        if options is None:
            self.broker = None
            return
        from meterline.outputs.mqtt.publisher import Publisher

        self.broker = self.broker or BrokerCounts()
        publisher = Publisher(self._runtime, options, self.broker)
        self._publishing = publisher, asyncio.create_task(publisher.run(), name="publish on the broker")

    async def change(self) -> None:
        """The runtime has another configuration. Where another place is published on, nothing stays in the old one."""
        options = self._runtime.config.mqtt
        if options == self._options:
            return  # a publisher takes other meters by itself
        before = self._options
        await self.end(withdraws=before is not None and (options is None or options.place != before.place))
        self.begin()

    async def end(self, withdraws: bool = False) -> None:
        """Publish no more. `withdraws`: and remove everything that is kept elsewhere."""
        if self._publishing:
            publisher, task = self._publishing
            self._publishing = None
            await publisher.end(task, withdraws)
