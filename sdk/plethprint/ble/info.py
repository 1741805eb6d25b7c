"""What a wearable says about itself: the ``info`` characteristic."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from plethprint.ble.field_reader import MAX_TEXT_BYTES, FieldReader
from plethprint.ble.frame import MAX_CHANNELS
from plethprint.errors import ProtocolError

__all__ = [
    "PROTOCOL_MAJOR",
    "PROTOCOL_MINOR",
    "Channel",
    "ChannelKind",
    "Features",
    "Info",
]

PROTOCOL_MAJOR, PROTOCOL_MINOR = 1, 1
"""Version of the open profile. Another major version cannot be read; a later minor can."""

_INFO = struct.Struct("<BBHBBBBHHHH")
_CHANNEL = struct.Struct("<BbH")
_RATE = struct.Struct("<I")
_MAX_RATES = 16


class Features(enum.IntFlag):
    """Optional parts of the profile that a device implements."""

    SELF_TEST = 0x01
    """The ``self-test`` characteristic answers."""
    FINGERPRINTS = 0x02
    """The device computes fingerprints and notifies them."""
    CALIBRATION = 0x04
    """The ``calibration`` characteristic holds values of this very unit."""
    WALL_CLOCK = 0x08
    """SET_TIME is accepted."""
    FIRMWARE_CHECK = 0x10
    """The ``self-test`` characteristic checks the whole firmware too (since 1.1)."""


class ChannelKind(enum.IntEnum):
    """Light that a channel measures."""

    OTHER = 0
    GREEN = 1
    RED = 2
    INFRARED = 3
    AMBIENT = 4


@dataclass(frozen=True)
class Channel:
    """One optical channel."""

    kind: ChannelKind
    """Light source."""
    polarity: int
    """+1 when more blood gives more counts, -1 when it gives fewer (raw reflectance).

    0 when nobody knows: then the pulse itself has to tell. The open profile always says it.
    """
    wavelength_nm: int
    """Peak wavelength in nanometres, 0 when unknown."""


@dataclass(frozen=True)
class Info:
    """Contents of the ``info`` characteristic.

    Examples
    --------
    >>> info = Info(channels=(Channel(ChannelKind.GREEN, -1, 525),), rates_mhz=(125_000,))
    >>> Info.from_bytes(info.to_bytes()) == info
    True
    """

    channels: tuple[Channel, ...]
    """Channels in the order of the frame and of the channel mask (bit 0 first), 1..4."""
    rates_mhz: tuple[int, ...]
    """Sample rates on offer, in thousandths of a hertz, 1..16 of them."""
    bits: int = 24
    """Significant bits per count, sign included, 8..24."""
    features: Features = Features(0)  # noqa: RUF009 - enum members are constants
    """Optional parts that this device has."""
    fingerprint_dim: int = 0
    """Numbers in an on-device fingerprint, 0 without a model."""
    window_samples: int = 0
    """Length of the model's int8 input window, 0 without a model."""
    buffer_ms: int = 0
    """Depth of the transmit buffer, milliseconds."""
    linger_s: int = 0
    """How long a stream survives a lost link, seconds."""
    firmware: str = ""
    """Firmware version, up to 64 bytes of UTF-8."""
    model: str = ""
    """Model id ``name@version+hash8``, up to 64 bytes of UTF-8, empty without a model."""
    version: tuple[int, int] = (PROTOCOL_MAJOR, PROTOCOL_MINOR)
    """Profile version (major, minor)."""

    @property
    def rates_hz(self) -> tuple[float, ...]:
        """Sample rates on offer in hertz."""
        return tuple(rate / 1000 for rate in self.rates_mhz)

    def to_bytes(self) -> bytes:
        """Value of the ``info`` characteristic.

        Raises
        ------
        ProtocolError
            A field does not fit the layout.
        """
        texts = [text.encode() for text in (self.firmware, self.model)]
        if not 1 <= len(self.channels) <= MAX_CHANNELS:
            raise ProtocolError(f"expected 1..{MAX_CHANNELS} channels, got {self.channels}")
        if not 1 <= len(self.rates_mhz) <= _MAX_RATES:
            raise ProtocolError(f"expected 1..{_MAX_RATES} rates, got {self.rates_mhz}")
        if any(len(text) > MAX_TEXT_BYTES for text in texts):
            raise ProtocolError(f"info texts are at most {MAX_TEXT_BYTES} bytes long")
        if not 8 <= self.bits <= 24 or 0 in self.rates_mhz:
            raise ProtocolError(f"bits must be 8..24 and rates positive, got {self}")
        try:
            return b"".join(
                [
                    _INFO.pack(
                        *self.version,
                        self.features,
                        len(self.channels),
                        self.bits,
                        len(self.rates_mhz),
                        0,
                        self.fingerprint_dim,
                        self.window_samples,
                        self.buffer_ms,
                        self.linger_s,
                    ),
                    *(
                        _CHANNEL.pack(c.kind, c.polarity, c.wavelength_nm)
                        for c in self.channels
                    ),
                    *(_RATE.pack(rate) for rate in self.rates_mhz),
                    *(bytes([len(text)]) + text for text in texts),
                ]
            )
        except struct.error as error:
            raise ProtocolError(f"info field out of range: {error}") from None

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Info:
        """Decode the ``info`` characteristic.

        Bytes behind the last known field belong to later minor versions and are skipped.

        Raises
        ------
        ProtocolError
            The bytes are no info of this major version, or contradict themselves.
        """
        reader = FieldReader(bytes(data), "info")
        major, minor, features, n_channels, bits, n_rates, *rest = reader.take(_INFO)
        _, dim, window, buffer_ms, linger_s = rest
        if major != PROTOCOL_MAJOR:
            raise ProtocolError(
                f"the wearable speaks open profile {major}.{minor}, this is "
                f"{PROTOCOL_MAJOR}.x; update plethprint or the wearable's firmware"
            )
        if not (1 <= n_channels <= MAX_CHANNELS and 1 <= n_rates <= _MAX_RATES):
            raise ProtocolError(
                f"info names {n_channels} channels and {n_rates} sample rates"
            )
        if not 8 <= bits <= 24:
            raise ProtocolError(f"info names {bits} bits per count, expected 8..24")
        channels = tuple(_channel(*reader.take(_CHANNEL)) for _ in range(n_channels))
        rates = tuple(int(reader.take(_RATE)[0]) for _ in range(n_rates))
        if 0 in rates:
            raise ProtocolError(f"info names a sample rate of 0 mHz among {rates}")
        return cls(
            channels=channels,
            rates_mhz=rates,
            bits=bits,
            features=Features(features),
            fingerprint_dim=dim,
            window_samples=window,
            buffer_ms=buffer_ms,
            linger_s=linger_s,
            firmware=reader.text(),
            model=reader.text(),
            version=(major, minor),
        )


def _channel(kind: int, polarity: int, wavelength_nm: int) -> Channel:
    if polarity not in (1, -1):
        raise ProtocolError(f"a channel's polarity is +1 or -1, got {polarity}")
    known = ChannelKind(kind) if kind in set(ChannelKind) else ChannelKind.OTHER
    return Channel(known, polarity, wavelength_nm)
