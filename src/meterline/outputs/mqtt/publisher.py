"""The task that publishes the meters of a runtime on a broker.

Only present values matter, so no message is queued while the broker is away: values are taken from the meter when a message is
written. Once a second, all meters are checked for a message that is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Iterable

from meterline import world
from meterline.config.mqtt import Mqtt, slug
from meterline.config.schema import Config
from meterline.locale import language
from meterline.logs import Reminders, RepeatFilter, about
from meterline.meter.generation import Generation
from meterline.meter.meter import Meter
from meterline.meter.program_health import BrokerCounts
from meterline.outputs.mqtt.connection import Client, Message, MqttError, connected, pauses, problem
from meterline.outputs.mqtt.discovery import FORMER, MIGRATE, REMOVED, Facts, announcements, facts
from meterline.outputs.mqtt.identity import Device, Topics
from meterline.outputs.mqtt.pace import LONGEST_S, SHORTEST_S, Pace, Situation
from meterline.outputs.mqtt.presence import Presence
from meterline.outputs.mqtt.retained import Retained
from meterline.outputs.mqtt.state import Sayings, series_of, situation
from meterline.service.supervisor import Runtime

log = logging.getLogger("meterline")

QUIET_S, LONGEST_LOOK_S = 1.0, 10.0
"""Seconds without a retained message after which all of them have arrived; and the longest wait."""
BIRTH_S = (1.0, 5.0)
"""Seconds between the birth message of Home Assistant and the new announcement: at least, at most."""
FAREWELL_S = 2.0
STEADY_S = 30.0
"""Seconds of connection after which the next pause is a short one again."""


class Sender:
    """One meter on the broker."""

    def __init__(self, meter: Meter, memory: dict[str, object], interval: float) -> None:
        self.meter = meter
        self.slug = slug(meter.name)
        self.generation = Generation(memory)
        self.pace = Pace(interval)
        self.sayings = Sayings()
        self.facts: Facts | None = None
        """Those that were announced; None: nothing is announced."""
        self.announced: dict[str, int] = {}
        """Topic → hash of what was announced there."""
        self.removed: dict[str, str] = {}
        self.available: bool | None = None
        """What the broker was told; None: nothing."""
        self.keep_at = -math.inf

    @property
    def device(self) -> Device:
        """Which device it is now."""
        return Device(self.slug, self.generation.number)

    def forget_connection(self) -> None:
        """Announce and publish everything anew."""
        self.facts, self.available = None, None
        self.announced.clear()

    def begin_device(self) -> None:
        """Begin the device of another meter, with none of the entities of the former meter."""
        self.forget_connection()
        self.sayings, self.removed = Sayings(), {}


class Publisher:
    """Publishes the meters of a runtime on one broker. `run` goes on until cancelled; `end` ends it with a farewell."""

    def __init__(self, runtime: Runtime, options: Mqtt, counts: BrokerCounts) -> None:
        self._runtime, self._options, self._counts = runtime, options, counts
        self._topics = Topics(options.prefix, options.instance, options.discovery_prefix, options.birth_topic)
        self._language = language(options.language)
        self._clock = runtime.clock
        self._process = f"{world.current.random.getrandbits(48):012x}"
        self._news, self._reminders = RepeatFilter(self._clock), Reminders(self._clock)
        self._config: Config | None = None
        self._senders: dict[str, Sender] = {}
        self._withdraws = False
        self._begin_session()

    def _begin_session(self) -> None:
        self._found: dict[str, bytes] | None = {}
        """Retained messages while they arrive, topic → payload; None afterwards."""
        self._heard_at = self._clock()
        self._birth_at = math.inf
        self._retained = Retained(self._topics, {})
        self._strange: list[str] = []
        """Topics of meters that are not configured: removed once no other process can own them."""
        self._presence = Presence(self._process)

    async def run(self) -> None:
        """Connect, publish, and connect again, for ever."""
        waits = pauses()
        while True:
            begun = self._clock()
            try:
                self._begin_session()
                async with connected(
                    self._options, self._process, self._topics.status, self._presence.status("offline")
                ) as client:
                    await self._publish_all(client)
            except (MqttError, OSError) as error:
                self._say(logging.WARNING, f"no connection: {problem(error, self._options)}; meterline tries again")
            except Exception as error:  # our own defect: never the end of the meters
                text = f"a defect in meterline; please report it. meterline connects again. {error!r}"
                self._say(logging.ERROR, text, error)
            if self._counts.is_connected and self._clock() - begun > STEADY_S:
                waits = pauses()
            self._counts.is_connected = False
            await world.current.sleep(next(waits))

    async def end(self, task: asyncio.Task[None], withdraws: bool = False) -> None:
        """End `run`, the `task`. `withdraws`: and remove everything from the broker."""
        self._withdraws = withdraws
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def _say(self, level: int, text: str, defect: Exception | None = None) -> None:
        place = f"{self._options.host}:{self._options.port}"
        self._news.tell(level, f"mqtt: {place}: {text}", defect=defect)

    # A session

    async def _publish_all(self, client: Client) -> None:
        """Publish over one connection, until it ends."""
        listening = asyncio.create_task(self._listen(client), name="listen to the broker")
        publishing = asyncio.create_task(self._publish(client), name="publish")
        try:
            await asyncio.wait({listening, publishing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (listening, publishing):
                if task.done():
                    task.result()
        except asyncio.CancelledError:
            await self._stop(listening, publishing)
            with contextlib.suppress(MqttError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await self._say_farewell(client)
            raise
        finally:
            await self._stop(listening, publishing)

    async def _stop(self, *tasks: asyncio.Task[None]) -> None:
        """End them. The library waits by `wait_for`, which in Python 3.11 may swallow that a task is cancelled."""
        while running := [task for task in tasks if not task.done()]:
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=0.1)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish(self, client: Client) -> None:
        topics = self._topics
        filters = (topics.every_config, topics.every_available)
        await client.subscribe([(topic, 1) for topic in (topics.status, topics.birth, *filters)])
        await self._look_around()
        await client.unsubscribe(list(filters))
        self._counts.is_connected, self._counts.connections = True, self._counts.connections + 1
        self._say(logging.INFO, "connected")
        for sender in self._senders.values():
            sender.forget_connection()
        await self._look_at_all(client)
        # After the states: as soon as we are online, Home Assistant shows the last ones that it has.
        await self._send_status(client)
        while True:
            await world.current.sleep(SHORTEST_S)
            await self._look_at_all(client)

    async def _look_around(self) -> None:
        """Wait for all retained messages of this process."""
        begun = self._heard_at = self._clock()
        while self._clock() - self._heard_at < QUIET_S and self._clock() - begun < LONGEST_LOOK_S:
            await world.current.sleep(QUIET_S / 4)
        found, self._found = self._found or {}, None
        self._retained = Retained(self._topics, found)
        self._config = None

    async def _listen(self, client: Client) -> None:
        async for message in client.messages:
            self._hear(message)

    def _hear(self, message: Message) -> None:
        topic, payload = str(message.topic), message.payload if isinstance(message.payload, bytes) else b""
        if topic == self._topics.birth:
            if payload == b"online" and not message.retain:
                self._birth_at = self._clock() + world.current.random.uniform(*BIRTH_S)
        elif topic == self._topics.status:
            if self._presence.hear(payload, message.retain, self._clock()) and self._reminders.due("another"):
                log.warning(
                    "mqtt: another process publishes as the instance %r on this broker, and each overwrites the other; "
                    "give each its own instance under mqtt:",
                    self._options.instance,
                )
        elif self._found is not None and message.retain:
            self._found[topic] = payload
            self._heard_at = self._clock()

    # Every second

    async def _look_at_all(self, client: Client) -> None:
        now = self._clock()
        if self._config is not self._runtime.config:
            await self._take_meters(client)
        if self._strange and self._presence.is_alone(now):
            await self._remove(client, self._strange)
            self._strange = []
        if is_born := now >= self._birth_at:
            self._birth_at = math.inf
            for sender in self._senders.values():
                sender.forget_connection()
        for sender in list(self._senders.values()):
            try:
                await self._look_at(client, sender)
            except (MqttError, OSError):
                raise
            except Exception as error:  # our own defect: never the end of the other meters
                self._say(logging.ERROR, f"a defect in meterline; please report it. {sender.slug}: {error!r}", error)
        if is_born or self._presence.is_answer_due(now):
            self._presence.note_answered(now)
            await self._send_status(client)

    async def _look_at(self, client: Client, sender: Sender) -> None:
        """Send the values of a meter, if a message is due."""
        meter, before = sender.meter, sender.device
        is_settled = sender.generation.hear(meter.address, meter.is_address_sure)
        if sender.device != before:
            log.info("mqtt: the meter was exchanged: its device is %s from now on", sender.device.name, extra=about(meter.name))
            await self._send_former(client, before)
            sender.begin_device()
        self._keep(sender)
        found = situation(meter, is_settled)
        if sender.facts is None or sender.pace.is_due(self._clock(), found):
            await self._send(client, sender, found)

    async def _take_meters(self, client: Client) -> None:
        """Take the meters of a new configuration: announce all of them, and remove those that are gone."""
        self._config = self._runtime.config
        gone = dict(self._senders)
        self._senders = {}
        for name, meter in self._runtime.meters.items():
            sender = gone.pop(name, None)
            if sender is None or sender.meter is not meter:
                sender = Sender(meter, self._runtime.state.recall(self._key(name)), self._options.interval)
            sender.generation.find_announced(self._retained.highest(sender.slug))
            sender.removed |= self._retained.restore(sender.device, sender.sayings)
            sender.forget_connection()
            self._senders[name] = sender
        devices = [sender.device for sender in self._senders.values()]
        for sender in gone.values():
            if sender.slug not in {device.slug for device in devices}:
                await self._remove(client, [*sender.announced, self._topics.available(sender.device)])
        for device in self._retained.former(devices):
            await self._send_former(client, device)
        moved = self._retained.moved(devices, self._options.discovery)
        if self._options.discovery != "off":
            for topic in moved:
                await self._send_text(client, topic, MIGRATE, is_kept=True)
            for sender in self._senders.values():
                if sender.sayings.entities:
                    await self._announce(client, sender, self._facts(sender))
        await self._remove(client, moved)
        self._strange = self._retained.strange(devices)
        self._retained = Retained(self._topics, {})

    async def _send(self, client: Client, sender: Sender, found: Situation) -> None:
        """Send the values of a meter; announce new entities before."""
        meter, books = sender.meter, self._runtime.books
        books.refresh()
        said = series_of(meter, books) if found.is_settled else [(("smartmeter_up",), 0.0)]
        is_new = sender.sayings.take(said, self._options.serial)
        facts = self._facts(sender)
        if is_new or facts != sender.facts:
            await self._announce(client, sender, facts)
            sender.pace.note_announced(self._clock())
        is_available = found.is_up and found.is_settled
        if not is_available:
            await self._send_available(client, sender, False)
        text = sender.sayings.text(books.starts(meter.name))
        await self._send_text(client, self._topics.state(sender.device), text)
        if is_available:
            await self._send_available(client, sender, True)
        sender.pace.note_sent(self._clock(), found)

    def _facts(self, sender: Sender) -> Facts:
        return facts(sender.meter.name, sender.device, sender.sayings, sender.meter.labels.get("area"))

    def _keep(self, sender: Sender) -> None:
        """Write the generation to the state; after a failure, try again a minute later."""
        generation, now = sender.generation, self._clock()
        if not generation.is_kept and generation.address is not None and now >= sender.keep_at:
            generation.is_kept = self._runtime.state.keep(self._key(sender.meter.name), generation.to_json())
            sender.keep_at = now if generation.is_kept else now + LONGEST_S

    def _key(self, name: str) -> str:
        """The name of a meter's row in the state. No link begins so."""
        return f"mqtt {self._options.instance} {slug(name)}"

    # What is sent

    async def _announce(self, client: Client, sender: Sender, facts: Facts) -> None:
        """Publish the announcements that differ from the last ones."""
        for topic, payload in announcements(
            self._options.discovery, self._topics, sender.device, facts, sender.sayings, self._language, sender.removed
        ):
            if sender.announced.get(topic) != hash(payload):
                await self._send_text(client, topic, payload, is_kept=True)
                sender.announced[topic] = hash(payload)
        sender.facts = facts

    async def _send_available(self, client: Client, sender: Sender, is_available: bool) -> None:
        if sender.available is not is_available:
            word = "online" if is_available else "offline"
            await self._send_text(client, self._topics.available(sender.device), word, is_kept=True)
            sender.available = is_available

    async def _send_former(self, client: Client, device: Device) -> None:
        """A device whose meter was exchanged: unavailable for ever."""
        await self._send_text(client, self._topics.available(device), "offline", is_kept=True)
        await self._send_text(client, self._topics.state(device), FORMER)

    async def _send_status(self, client: Client, word: str = "online") -> None:
        await self._send_text(client, self._topics.status, self._presence.status(word), is_kept=True)

    async def _remove(self, client: Client, topics: Iterable[str]) -> None:
        for topic in topics:
            await self._send_text(client, topic, REMOVED, is_kept=True)

    async def _send_text(self, client: Client, topic: str, payload: str, is_kept: bool = False) -> None:
        """Publish; done when the kernel has taken the message.

        A confirmation (QoS 1) would prove no more, since what is lost with a connection is said again over the next one; and to
        wait for the confirmation of each message in turn takes 40 ms a message (Nagle, delayed ACK).
        """
        await client.publish(topic, payload, qos=0, retain=is_kept)
        self._counts.messages += 1

    async def _say_farewell(self, client: Client) -> None:
        """Publish that this process and its meters are offline, or remove all of them from the broker."""
        for sender in self._senders.values():
            if self._withdraws:
                await self._remove(client, [*sender.announced, self._topics.available(sender.device)])
            else:
                await self._send_available(client, sender, False)
        if self._withdraws:
            await self._remove(client, [self._topics.status])
        else:
            await self._send_status(client, "offline")
