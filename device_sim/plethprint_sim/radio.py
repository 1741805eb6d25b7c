"""The air between virtual devices: connection events, retransmission, shadowing, loss.

bumble's own `LocalLink` hands every packet over at once and never loses any. `AirLink`
adds what decides how a real stream arrives:

* data moves only at connection events, a limited number of packets each;
* a packet with a bit error ends the event and is sent again at the next one, so errors
  show as delay and never as a hole (the Bluetooth link layer is reliable);
* a stall (a body between the antennas) delays everything, and ends the link when it
  outlasts the supervision timeout;
* advertisements are lost without a trace.

Not modelled: channels and interference, peripheral latency, the cost of power.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

__all__ = ["SUPERVISION_TIMEOUT", "AirLink", "AirStatistics"]

_LOGGER = logging.getLogger(__name__)

SUPERVISION_TIMEOUT = 0x08
"""HCI reason of a link that died in silence."""

# A boundary that lies less than this ahead counts as now: the difference of two floats
# would otherwise give a timer of length zero, again and again.
_EPSILON_S = 1e-6


@dataclass
class AirStatistics:
    """What happened on the air since the link was made."""

    packets: int = 0
    """Link-layer data packets that got through."""
    retransmissions: int = 0
    """Link-layer data packets that had to be sent again."""
    adverts_lost: int = 0
    """Advertisements that a listener did not hear."""
    links_lost: int = 0
    """Connections that died without a goodbye."""


@dataclass
class _Packet:
    """One upper-layer packet and how many link-layer packets of it are still to go."""

    parts: int
    deliver: Callable[[], None]
    credit: Callable[[], None] | None = None


@dataclass
class _AirConnection:
    """Packets under way between two addresses, one queue per sender."""

    queues: dict[str, deque[_Packet]] = field(default_factory=dict)


class AirLink(LocalLink):
    """Virtual air between the controllers of `plethprint_sim.air_controller`.

    Parameters
    ----------
    connection_interval_s : float
        Time between connection events, 0.0075..4 s.
    packets_per_event : int
        Most link-layer packets that one side sends in an event.
    packet_error : float
        Probability that a link-layer packet arrives damaged, 0 <= p < 1.
    adv_loss : float
        Probability that a listener misses an advertisement, 0..1.
    supervision_timeout_s : float
        A stall longer than this ends the link.
    payload_bytes : int
        Payload of a link-layer packet: 251 with data length extension, 27 without.
    seed : int
        Same seed, same fate for every packet.

    Raises
    ------
    ValueError
        A parameter lies outside its range.
    """

    def __init__(
        self,
        *,
        connection_interval_s: float = 0.015,
        packets_per_event: int = 6,
        packet_error: float = 0.0,
        adv_loss: float = 0.0,
        supervision_timeout_s: float = 6.0,
        payload_bytes: int = 251,
        seed: int = 0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        if not 0.0075 <= connection_interval_s <= 4.0:
            raise ValueError(
                f"connection_interval_s must lie in 0.0075..4, got {connection_interval_s}"
            )
        if packets_per_event < 1 or payload_bytes < 1:
            raise ValueError("packets_per_event and payload_bytes must be at least 1")
        if supervision_timeout_s <= connection_interval_s:
            raise ValueError("supervision_timeout_s must exceed the connection interval")
        self.connection_interval_s = connection_interval_s
        self.packets_per_event = packets_per_event
        self.packet_error = packet_error
        self.adv_loss = adv_loss
        self.supervision_timeout_s = supervision_timeout_s
        self.payload_bytes = payload_bytes
        self.statistics = AirStatistics()
        self._packet_dice = random.Random(f"packets {seed}")
        self._advert_dice = random.Random(f"adverts {seed}")
        self._listeners: list[Controller] = []  # a set would have no fixed order
        self._connections: dict[tuple[str, str], _AirConnection] = {}
        self._scan_responses: dict[str, bytes] = {}
        self._uncredited: dict[Controller, _Packet] = {}
        self._event_timer: asyncio.TimerHandle | None = None
        self._supervision_timer: asyncio.TimerHandle | None = None
        self._stalled = False

    @property
    def packet_error(self) -> float:
        """Probability that a link-layer packet arrives damaged; may change at any time."""
        return self._packet_error

    @packet_error.setter
    def packet_error(self, value: float) -> None:
        if not 0.0 <= value < 1.0:
            raise ValueError(f"packet_error must lie in 0 <= p < 1, got {value}")
        self._packet_error = value

    @property
    def adv_loss(self) -> float:
        """Probability that a listener misses an advertisement; may change at any time."""
        return self._adv_loss

    @adv_loss.setter
    def adv_loss(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"adv_loss must lie in 0..1, got {value}")
        self._adv_loss = value

    @property
    def stalled(self) -> bool:
        """True while nothing gets through; may change at any time."""
        return self._stalled

    @stalled.setter
    def stalled(self, value: bool) -> None:
        if value == self._stalled:
            return
        self._stalled = value
        if value:
            self._supervision_timer = asyncio.get_running_loop().call_later(
                self.supervision_timeout_s, self.lose_link
            )
        else:
            if self._supervision_timer is not None:
                self._supervision_timer.cancel()
            self._schedule_event()

    async def stall(self, duration_s: float) -> None:
        """Let nothing through for a while, then open the air again."""
        self.stalled = True
        try:
            await asyncio.sleep(duration_s)
        finally:
            self.stalled = False

    def lose_link(self, reason: int = SUPERVISION_TIMEOUT, *, address: str = "") -> int:
        """End connections at once on both sides; what was under way is lost.

        Parameters
        ----------
        reason : int
            HCI error code that both hosts are told.
        address : str
            Only connections from or to this address; all when empty.

        Returns
        -------
        int
            Connections that ended.
        """
        lost: set[tuple[str, str]] = set()
        for controller in self._listeners:
            for connection in list(controller.le_connections.values()):
                pair = _pair(connection.self_address, connection.peer_address)
                if not address or any(_same(address, end) for end in pair):
                    self._connections.pop(pair, None)
                    lost.add(pair)
                    controller.on_le_disconnected(connection, reason)
        self.statistics.links_lost += len(lost)
        return len(lost)

    # What bumble's controllers call.

    def add_controller(self, controller: Controller) -> None:
        """Let a controller take part."""
        super().add_controller(controller)
        self._listeners.append(controller)

    def remove_controller(self, controller: Controller) -> None:
        """Take a controller off the air."""
        super().remove_controller(controller)
        self._listeners.remove(controller)

    def scan_response(self, address: hci.Address) -> bytes:
        """What the advertiser at `address` answers to an active scanner."""
        return self._scan_responses.get(str(address), b"")

    def hold_credit(self, controller: Controller, release: Callable[[], None]) -> bool:
        """Keep back the completion of the packet that `controller` has just sent."""
        packet = self._uncredited.pop(controller, None)
        if packet is None:
            return False
        packet.credit = release
        return True

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        """Broadcast an advertisement, or set up a connection that heard one."""
        if isinstance(packet, ll.ConnectInd):
            pair = _pair(packet.initiator_address, packet.advertiser_address)
            self._connections[pair] = _AirConnection()
        elif isinstance(packet, ll.AdvInd):
            response = sender_controller.le_legacy_advertiser.scan_response_data
            self._scan_responses[str(packet.advertiser_address)] = response
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            if listener is sender_controller:
                continue
            lossy = not isinstance(packet, ll.ConnectInd)
            if lossy and (self._stalled or self._advert_dice.random() < self._adv_loss):
                self.statistics.adverts_lost += 1
            else:
                loop.call_soon(listener.on_ll_advertising_pdu, packet)

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Queue one L2CAP packet for the next connection events."""
        connection = sender_controller.le_connections.get(destination_address)
        receiver = self.find_le_controller(destination_address)
        if transport != PhysicalTransport.LE or connection is None or receiver is None:
            _LOGGER.warning("data for %s has nowhere to go", destination_address)
            return
        # The base class always answers with the sender's random address, which breaks
        # hosts that connect with their public one.
        source = connection.self_address
        packet = _Packet(
            parts=-(-len(data) // self.payload_bytes),
            deliver=lambda: receiver.on_link_acl_data(source, transport, data),
        )
        if self._enqueue(source, destination_address, packet):
            self._uncredited[sender_controller] = packet

    def send_ll_control_pdu(
        self,
        sender_address: hci.Address,
        receiver_address: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        """Queue one link-layer control packet; it keeps its place among the data."""
        receiver = self.find_le_controller(receiver_address)
        if receiver is not None:
            deliver = lambda: receiver.on_ll_control_pdu(sender_address, packet)
            self._enqueue(sender_address, receiver_address, _Packet(1, deliver))

    def _enqueue(self, source: hci.Address, target: hci.Address, packet: _Packet) -> bool:
        connection = self._connections.get(_pair(source, target))
        if connection is None:  # the link died while the packet was on its way here
            return False
        connection.queues.setdefault(str(source), deque()).append(packet)
        self._schedule_event()
        return True

    def _schedule_event(self) -> None:
        waiting = any(any(c.queues.values()) for c in self._connections.values())
        if self._event_timer is not None or self._stalled or not waiting:
            return
        loop = asyncio.get_running_loop()
        interval_s = self.connection_interval_s
        next_event = (loop.time() + _EPSILON_S) // interval_s + 1
        self._event_timer = loop.call_at(next_event * interval_s, self._connection_event)

    def _connection_event(self) -> None:
        self._event_timer = None
        if not self._stalled:
            for connection in list(self._connections.values()):
                self._exchange(connection)
        self._schedule_event()

    def _exchange(self, connection: _AirConnection) -> None:
        for queue in list(connection.queues.values()):
            for _ in range(self.packets_per_event):
                if not queue:
                    break
                if self._packet_dice.random() < self._packet_error:
                    self.statistics.retransmissions += 1
                    return  # a damaged packet closes the event for both sides
                self.statistics.packets += 1
                queue[0].parts -= 1
                if queue[0].parts <= 0:
                    packet = queue.popleft()
                    packet.deliver()
                    if packet.credit is not None:
                        packet.credit()


def _pair(one: hci.Address, other: hci.Address) -> tuple[str, str]:
    first, second = sorted((str(one), str(other)))
    return first, second


def _same(address: str, other: str) -> bool:
    return address.split("/")[0].upper() == other.split("/")[0].upper()
