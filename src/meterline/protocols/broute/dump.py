"""What a capture of a module holds, for people: messages of the module, and the ECHONET Lite frames in its datagrams."""

from __future__ import annotations

from typing import Any

from meterline.meter.readings import Rejected
from meterline.protocols.broute import echonet, skstack
from meterline.protocols.broute.echonet import Frame
from meterline.protocols.broute.readings import readings


class Decoder:
    """`feed` it what the module sends; it gives the module's messages, ECHONET Lite as frames. Never raises."""

    def __init__(self) -> None:
        self._decoder = skstack.Decoder()

    def feed(self, data: bytes) -> list[skstack.Message | Frame]:
        """What is complete now."""
        return [
            echonet.decode(message.payload)
            if isinstance(message, skstack.Datagram) and message.destination_port == echonet.PORT
            else message
            for message in self._decoder.feed(data)
        ]


def proves(event: skstack.Message | Frame) -> bool:
    """Whether only a module says this: a line of text is accepted, and anybody's."""
    return not isinstance(event, Rejected | skstack.Line)


def facts(event: skstack.Message | Frame) -> dict[str, Any] | None:
    """What `decode` prints of an accepted event. Messages of the log-in hold the ID: only their length is told."""
    match event:
        case Rejected():
            return None
        case skstack.Datagram():
            return {"from": event.source, "port": event.destination_port, "bytes": len(event.payload)}
        case Frame():
            return _frame(event)
        case skstack.Event():
            return {"event": f"{event.number:02X}", "address": event.address, "result": event.parameter}
        case skstack.Pan():
            facts = event._asdict() | {"channel": f"{event.channel:02X}", "pan_id": f"{event.pan_id:04X}"}
            return {"network": facts | {"dbm": skstack.dbm(event.lqi)}}
        case skstack.Fail():
            return {"fail": str(event)}
        case skstack.Ok():
            return {"ok": event.value}
    return {type(event).__name__.lower(): event[0]}


def _frame(frame: Frame) -> dict[str, Any]:
    found, _ = readings(frame.properties, None)
    return {
        "service": echonet.SERVICES[frame.esv],
        "tid": f"{frame.tid:04X}",
        "from": frame.seoj.hex().upper(),
        "to": frame.deoj.hex().upper(),
        "properties": {f"{epc:02X}": edt.hex().upper() for epc, edt in (*frame.properties, *frame.gets)},
        "readings": {" ".join(reading.series): reading.value for reading in found if reading.value is not None},
    }
