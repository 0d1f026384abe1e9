"""Connect to a broker: TLS, login, pauses between two tries, and errors in words.

The library connects in a thread of the loop's pool. So the name of the host is looked up before, in a separate thread, where a
hanging resolver blocks nobody; the library gets an address.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttConnectError

from meterline import world
from meterline.config.mqtt import Mqtt

KEEPALIVE_S = 20
"""Seconds of silence after which we ask whether the broker is there. After one and a half times as long the broker says our
last will: so long may the values of a machine without power look alive.
"""
PATIENCE_S = 10.0
"""Seconds within which the broker must answer."""
MOST_WAITING = 10_000
"""Received messages that wait; the library drops further ones."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0
"""Home Assistant tries each ten seconds, and shows the values from before the outage until we send others."""

MqttError = aiomqtt.MqttError
Client = aiomqtt.Client
Message = aiomqtt.Message


class NotTrusted(OSError):
    """The certificate of the broker is not that of an authority that we trust, or not for the host of the configuration."""


class _NamedContext(ssl.SSLContext):
    """Checks the certificate for the host of the configuration, whatever address was dialled."""

    host = ""
    refusal: str | None = None
    """Why the last certificate was not trusted. The library makes a text of every error."""

    def wrap_socket(self, sock: Any, *words: Any, **options: Any) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(sock, *words, **options | {"server_hostname": self.host})
        try:
            wrapped.settimeout(PATIENCE_S)
            wrapped.do_handshake()
        except OSError as error:
            if isinstance(error, ssl.SSLCertVerificationError):
                self.refusal = error.verify_message
            wrapped.close()  # the library would leave it open
            raise
        return wrapped


@asynccontextmanager
async def connected(options: Mqtt, process: str, topic: str, offline: str) -> AsyncIterator[Client]:
    """A connection to the broker.

    A try that has begun is not broken off: the library's thread would connect all the same, and nobody would end the
    connection.

    Args:
        options: The broker, and how to get in.
        process: What tells this process apart from all others.
        topic: Where the broker says our last will ...
        offline: ... and what it says.

    Raises:
        MqttError, OSError: There is none; `problem` says why.
    """
    client = await _connect(options, process, aiomqtt.Will(topic, offline, qos=1, retain=True))
    try:
        yield client
    finally:
        with contextlib.suppress(MqttError):
            await asyncio.shield(asyncio.ensure_future(client.__aexit__(None, None, None)))


async def _connect(options: Mqtt, process: str, will: aiomqtt.Will) -> Client:
    """A client that is connected to the first address of the host that answers."""
    try:
        addresses = await world.current.look_up(options.host)
    except UnicodeError:
        raise OSError("not a name or address of a host") from None
    tls = await world.current.in_thread(_context, options) if options.tls else None
    for last, address in enumerate(addresses, 1 - len(addresses)):
        client = aiomqtt.Client(
            address,
            options.port,
            username=options.user or None,
            password=options.password or None,
            identifier=f"meterline-{process}",
            will=will,
            clean_session=True,
            timeout=PATIENCE_S,
            keepalive=KEEPALIVE_S,
            max_queued_incoming_messages=MOST_WAITING,
            max_inflight_messages=20,
            tls_context=tls,
            tls_insecure=True if tls and not options.verify else None,
        )
        connecting = asyncio.ensure_future(client.__aenter__())
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            with contextlib.suppress(MqttError):
                await connecting
                await client.__aexit__(None, None, None)
            raise
        except MqttConnectError:  # it answered
            raise
        except MqttError:
            if tls and tls.refusal:
                raise NotTrusted(tls.refusal) from None
            if not last:
                raise
        else:
            return client
    raise OSError("the host has no address")


def _context(options: Mqtt) -> _NamedContext:
    context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.host = options.host
    if not options.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif options.ca_file:
        context.load_verify_locations(options.ca_file)
    else:
        context.load_default_certs()
    if options.cert_file:
        context.load_cert_chain(options.cert_file, options.key_file)
    return context


def pauses() -> Iterator[float]:
    """Doubling pauses with jitter, so that many clients do not connect to a restarted broker at one moment."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause * world.current.random.uniform(0.75, 1.25)
        pause = min(2 * pause, LONGEST_PAUSE_S / 1.25)


def problem(error: Exception, options: Mqtt) -> str:
    """The problem and its remedy in one line, without user and password."""
    if isinstance(error, MqttConnectError):
        number = getattr(error.rc, "value", error.rc)
        if number in (4, 5, 134, 135):
            return "the broker refuses user and password; correct user and password under mqtt:"
        return f"the broker refuses the connection ({error})"
    if isinstance(error, NotTrusted):
        name = f"ca_file ({options.ca_file})" if options.ca_file else "ca_file"
        return f"the certificate of the broker is not trusted ({error}); {name} must hold the authority that signed it"
    return str(error) or type(error).__name__
