"""Control point of the open profile: requests, responses and their error codes.

The host writes a `ControlRequest`; the device answers every one with exactly one
indication, a `ControlResponse` (``F0 opcode status parameters``).
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from plethprint.errors import ControlError

__all__ = [
    "RESPONSE_MARK",
    "Capabilities",
    "ControlRequest",
    "ControlResponse",
    "ControlStatus",
    "Opcode",
    "StreamFlags",
    "StreamState",
]

RESPONSE_MARK = 0xF0
"""First byte of every response."""

_RESPONSE = struct.Struct("<BBB")
_STATE = struct.Struct("<BBIIIH")
_CAPABILITIES = struct.Struct("<BBB")


class Opcode(enum.IntEnum):
    """Requests of the control point."""

    CAPABILITIES = 0x01
    """Which rates work with a set of channels."""
    STATE = 0x02
    """What the stream is doing now."""
    START = 0x10
    """Start (or resume) the PPG stream."""
    STOP = 0x11
    """Stop the PPG stream; fine when nothing streams."""
    START_FINGERPRINTS = 0x12
    """Start notifying fingerprints computed on the device."""
    STOP_FINGERPRINTS = 0x13
    """Stop notifying fingerprints; fine when there are none."""
    SET_TIME = 0x20
    """Tell the device the time of day, for stamping its own fingerprints."""


class ControlStatus(enum.IntEnum):
    """Result of a request."""

    OK = 0x00
    UNKNOWN_OPCODE = 0x01
    BAD_LENGTH = 0x02
    BAD_PARAMETER = 0x03
    UNSUPPORTED_RATE = 0x04
    UNSUPPORTED_CHANNELS = 0x05
    NOT_SUBSCRIBED = 0x06
    NOT_SUPPORTED = 0x07
    MTU_TOO_SMALL = 0x08
    BUSY = 0x09
    INTERNAL = 0x0A


# Layout of the parameters behind the opcode, and the request fields they fill.
_PARAMETERS: dict[Opcode, tuple[struct.Struct, tuple[str, ...]]] = {
    Opcode.CAPABILITIES: (struct.Struct("<B"), ("channel_mask",)),
    Opcode.STATE: (struct.Struct("<"), ()),
    Opcode.START: (struct.Struct("<IB"), ("rate_mhz", "channel_mask")),
    Opcode.STOP: (struct.Struct("<"), ()),
    Opcode.START_FINGERPRINTS: (struct.Struct("<H"), ("hop_ms",)),
    Opcode.STOP_FINGERPRINTS: (struct.Struct("<"), ()),
    Opcode.SET_TIME: (struct.Struct("<Q"), ("unix_time_us",)),
}


@dataclass(frozen=True)
class ControlRequest:
    """One request to the control point; fields that its opcode does not use stay 0.

    Examples
    --------
    >>> ControlRequest(Opcode.START, rate_mhz=125_000, channel_mask=0b1).to_bytes().hex()
    '1048e8010001'
    """

    opcode: Opcode
    """What to do."""
    rate_mhz: int = 0
    """START: sample rate in thousandths of a hertz, one of `Info.rates_mhz`."""
    channel_mask: int = 0
    """START, CAPABILITIES: bit i stands for channel i of `Info.channels`."""
    hop_ms: int = 0
    """START_FINGERPRINTS: time between the starts of two windows, milliseconds, >= 100."""
    unix_time_us: int = 0
    """SET_TIME: microseconds since 1970-01-01 UTC at the moment of writing."""

    def to_bytes(self) -> bytes:
        """Bytes to write to the ``control`` characteristic.

        Raises
        ------
        ControlError
            A parameter does not fit its field.
        """
        layout, names = _PARAMETERS[self.opcode]
        try:
            parameters = layout.pack(*(getattr(self, name) for name in names))
        except struct.error as error:
            raise ControlError(
                f"{self.opcode.name} parameter out of range: {error}", opcode=self.opcode
            ) from None
        return bytes([self.opcode]) + parameters

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> ControlRequest:
        """Decode what was written to the ``control`` characteristic.

        Raises
        ------
        ControlError
            With the `opcode` that came (0 for an empty write) and the `status` to answer:
            UNKNOWN_OPCODE or BAD_LENGTH.
        """
        data = bytes(data)
        if not data:
            raise ControlError(
                "an empty control request", opcode=0, status=ControlStatus.BAD_LENGTH
            )
        try:
            opcode = Opcode(data[0])
        except ValueError:
            raise ControlError(
                f"unknown control opcode 0x{data[0]:02x}",
                opcode=data[0],
                status=ControlStatus.UNKNOWN_OPCODE,
            ) from None
        layout, names = _PARAMETERS[opcode]
        if len(data) != 1 + layout.size:
            raise ControlError(
                f"{opcode.name} has {1 + layout.size} bytes, got {len(data)}",
                opcode=opcode,
                status=ControlStatus.BAD_LENGTH,
            )
        return cls(opcode, **dict(zip(names, layout.unpack_from(data, 1), strict=True)))


class StreamFlags(enum.IntFlag):
    """State bits in every `StreamState`."""

    STREAMING = 0x01
    """The PPG stream runs."""
    RESUMED = 0x02
    """START found the same stream still running: sequence and buffer went on."""
    FINGERPRINTS = 0x04
    """On-device fingerprints are on."""
    TIME_SET = 0x08
    """The device knows the time of day."""


@dataclass(frozen=True)
class StreamState:
    """What the device's stream is doing; parameters of every OK but CAPABILITIES."""

    flags: StreamFlags
    """State bits."""
    channel_mask: int
    """Channels of the stream, 0 when idle."""
    rate_mhz: int
    """Sample rate in force, thousandths of a hertz, 0 when idle."""
    next_index: int
    """Index of the sample that will be taken next, modulo 2**32."""
    device_time_us: int
    """Device clock now, microseconds modulo 2**32."""
    sequence: int
    """Sequence number that the next frame made will carry."""


@dataclass(frozen=True)
class Capabilities:
    """Answer to CAPABILITIES: what works with the channels asked for."""

    channel_mask: int
    """The channels asked for."""
    bits: int
    """Significant bits per count with these channels."""
    rates_mhz: tuple[int, ...]
    """Sample rates possible with them, thousandths of a hertz."""


@dataclass(frozen=True)
class ControlResponse:
    """One answer of the control point.

    Examples
    --------
    >>> ControlResponse(0x77, ControlStatus.UNKNOWN_OPCODE).to_bytes().hex()
    'f07701'
    """

    opcode: int
    """Opcode of the request that is answered, known or not."""
    status: ControlStatus
    """OK, or why the request was refused."""
    state: StreamState | None = None
    """Present with every OK except the one to CAPABILITIES."""
    capabilities: Capabilities | None = None
    """Present with the OK to CAPABILITIES."""

    def to_bytes(self) -> bytes:
        """Bytes to indicate on the ``control`` characteristic."""
        head = _RESPONSE.pack(RESPONSE_MARK, self.opcode, self.status)
        if (state := self.state) is not None:
            return head + _STATE.pack(
                state.flags,
                state.channel_mask,
                state.rate_mhz,
                state.next_index,
                state.device_time_us,
                state.sequence,
            )
        if (can := self.capabilities) is not None:
            rates = struct.pack(f"<{len(can.rates_mhz)}I", *can.rates_mhz)
            return (
                head
                + _CAPABILITIES.pack(can.channel_mask, can.bits, len(can.rates_mhz))
                + rates
            )
        return head

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> ControlResponse:
        """Decode an indication of the control point.

        Raises
        ------
        ControlError
            The bytes are no response. (A response that *refuses* decodes normally; see
            `raise_for_status`.)
        """
        data = bytes(data)
        if len(data) < _RESPONSE.size or data[0] != RESPONSE_MARK:
            raise ControlError(f"not a control response: {data[:20].hex() or 'empty'}")
        _, opcode, code = _RESPONSE.unpack_from(data)
        body = data[_RESPONSE.size :]
        try:
            status = ControlStatus(code)
        except ValueError:
            raise ControlError(
                f"unknown control status 0x{code:02x}", opcode=opcode, status=code
            ) from None
        if status is not ControlStatus.OK:
            return cls(opcode, status)
        if opcode == Opcode.CAPABILITIES:
            return cls(opcode, status, capabilities=_capabilities(body, opcode))
        if len(body) != _STATE.size:
            raise ControlError(
                f"a stream state has {_STATE.size} bytes, got {len(body)}", opcode=opcode
            )
        flags, *rest = _STATE.unpack(body)
        return cls(opcode, status, state=StreamState(StreamFlags(flags), *rest))

    def raise_for_status(self) -> ControlResponse:
        """Return self when OK.

        Raises
        ------
        ControlError
            The device refused; `opcode` and `status` say what and why.
        """
        if self.status is ControlStatus.OK:
            return self
        known = {int(opcode): opcode.name for opcode in Opcode}
        name = known.get(self.opcode, f"opcode 0x{self.opcode:02x}")
        raise ControlError(
            f"the wearable refused {name}: {self.status.name}",
            opcode=self.opcode,
            status=self.status,
        )


def _capabilities(body: bytes, opcode: int) -> Capabilities:
    if len(body) < _CAPABILITIES.size or len(body) != _CAPABILITIES.size + 4 * body[2]:
        raise ControlError(f"capabilities of wrong length: {body.hex()}", opcode=opcode)
    mask, bits, count = _CAPABILITIES.unpack_from(body)
    return Capabilities(
        mask, bits, struct.unpack_from(f"<{count}I", body, _CAPABILITIES.size)
    )
