"""Control point of Polar's Measurement Data protocol (PMD): requests and responses."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from plethprint.errors import ControlError, ProtocolError

__all__ = [
    "PmdMeasurement",
    "PmdOpcode",
    "PmdRequest",
    "PmdResponse",
    "PmdSetting",
    "PmdSettings",
    "PmdStatus",
    "features_from_bytes",
    "features_to_bytes",
]

_RESPONSE_MARK = 0xF0
_FEATURES_MARK = 0x0F
_FEATURES_BYTES = 17


class PmdOpcode(enum.IntEnum):
    """Requests of the control point."""

    GET_SETTINGS = 0x01
    START = 0x02
    STOP = 0x03
    GET_SDK_MODE_SETTINGS = 0x04


class PmdMeasurement(enum.IntEnum):
    """What can be measured; the wearable's feature bits are numbered like this."""

    ECG = 0
    PPG = 1
    ACCELERATION = 2
    PEAK_TO_PEAK = 3
    GYROSCOPE = 5
    MAGNETOMETER = 6
    SDK_MODE = 9
    """Not a measurement: started, it opens more rates and stops Polar's own algorithms."""


class PmdStatus(enum.IntEnum):
    """Result of a request, by Polar's own names."""

    SUCCESS = 0
    ERROR_INVALID_OP_CODE = 1
    ERROR_INVALID_MEASUREMENT_TYPE = 2
    ERROR_NOT_SUPPORTED = 3
    ERROR_INVALID_LENGTH = 4
    ERROR_INVALID_PARAMETER = 5
    ERROR_ALREADY_IN_STATE = 6
    ERROR_INVALID_RESOLUTION = 7
    ERROR_INVALID_SAMPLE_RATE = 8
    ERROR_INVALID_RANGE = 9
    ERROR_INVALID_MTU = 10
    ERROR_INVALID_NUMBER_OF_CHANNELS = 11
    ERROR_INVALID_STATE = 12
    ERROR_DEVICE_IN_CHARGER = 13
    ERROR_DISK_FULL = 14


_REMEDIES = {
    PmdStatus.ERROR_ALREADY_IN_STATE: "it streams already; another app may hold it",
    PmdStatus.ERROR_INVALID_STATE: "it is busy with something else; stop that first",
    PmdStatus.ERROR_DEVICE_IN_CHARGER: "take it off the charger",
    PmdStatus.ERROR_INVALID_MTU: "the link's MTU is too small for its frames",
    PmdStatus.ERROR_INVALID_SAMPLE_RATE: "ask for a rate that it offers",
}


class PmdSetting(enum.IntEnum):
    """Settings of a measurement."""

    SAMPLE_RATE = 0
    """Hz, u16."""
    RESOLUTION = 1
    """Bits, u16."""
    RANGE = 2
    """u16."""
    RANGE_MILLIUNIT = 3
    """u32."""
    CHANNELS = 4
    """u8."""
    FACTOR = 5
    """By which samples are multiplied, single precision, as its 32 bits."""
    SECURITY = 6
    """16 bytes."""


_SETTING_BYTES = {0: 2, 1: 2, 2: 2, 3: 4, 4: 1, 5: 4, 6: 16}

PmdSettings = dict[PmdSetting, tuple[int, ...]]
"""Settings and their values: one each in a request, all that are on offer in an answer."""


def _settings_to_bytes(settings: PmdSettings) -> bytes:
    out = bytearray()
    for setting, values in settings.items():
        size = _SETTING_BYTES[setting]
        try:
            out += bytes([setting, len(values)])
            out += b"".join(value.to_bytes(size, "little") for value in values)
        except (OverflowError, ValueError) as error:
            raise ProtocolError(f"{setting.name} {values} does not fit: {error}") from None
    return bytes(out)


def _settings_from_bytes(data: bytes) -> PmdSettings:
    """Settings up to the first one of a kind that is not known: its size is not either."""
    settings: PmdSettings = {}
    at = 0
    while at < len(data) and data[at] in _SETTING_BYTES:
        kind, count = PmdSetting(data[at]), data[at + 1] if at + 1 < len(data) else 0
        size = _SETTING_BYTES[kind]
        at += 2
        if count == 0 or len(data) - at < count * size:
            raise ProtocolError(
                f"setting {kind.name} announces {count} values of {size} bytes, "
                f"{max(len(data) - at, 0)} bytes are left"
            )
        settings[kind] = tuple(
            int.from_bytes(data[i : i + size], "little")
            for i in range(at, at + count * size, size)
        )
        at += count * size
    return settings


@dataclass(frozen=True)
class PmdRequest:
    """One write to the control point.

    Examples
    --------
    >>> start = PmdRequest(PmdOpcode.START, PmdMeasurement.PPG, {
    ...     PmdSetting.SAMPLE_RATE: (55,), PmdSetting.RESOLUTION: (22,),
    ...     PmdSetting.CHANNELS: (4,)})
    >>> start.to_bytes().hex()
    '02010001370001011600040104'
    """

    opcode: PmdOpcode
    measurement: PmdMeasurement
    settings: PmdSettings = field(default_factory=dict)
    """START: the value chosen for each."""

    def to_bytes(self) -> bytes:
        """Bytes to write.

        Raises
        ------
        ProtocolError
            A setting does not fit its field.
        """
        return bytes([self.opcode, self.measurement]) + _settings_to_bytes(self.settings)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> PmdRequest:
        """Decode a write, as a device does.

        Raises
        ------
        ControlError
            With the `PmdStatus` that a device answers.
        """
        data = bytes(data)
        opcode = data[0] if data else 0
        if opcode not in set(PmdOpcode):
            raise _refusal(opcode, PmdStatus.ERROR_INVALID_OP_CODE)
        if len(data) < 2:
            raise _refusal(opcode, PmdStatus.ERROR_INVALID_LENGTH)
        if data[1] not in set(PmdMeasurement):
            raise _refusal(opcode, PmdStatus.ERROR_INVALID_MEASUREMENT_TYPE)
        try:
            settings = _settings_from_bytes(data[2:])
        except ProtocolError:
            raise _refusal(opcode, PmdStatus.ERROR_INVALID_LENGTH) from None
        return cls(PmdOpcode(opcode), PmdMeasurement(data[1]), settings)


def _refusal(opcode: int, status: int) -> ControlError:
    known = status in set(PmdStatus)
    name = PmdStatus(status).name if known else f"unknown status {status}"
    remedy = _REMEDIES.get(PmdStatus(status), "") if known else ""
    asked = PmdOpcode(opcode).name if opcode in set(PmdOpcode) else f"request {opcode}"
    return ControlError(
        f"the Polar wearable refused {asked}: {name}{'; ' if remedy else ''}{remedy}",
        opcode=opcode,
        status=status,
    )


@dataclass(frozen=True)
class PmdResponse:
    """One indication of the control point: ``F0 opcode measurement status more ...``.

    Examples
    --------
    >>> PmdResponse.from_bytes(bytes.fromhex("f002010600")).raise_for_status()
    Traceback (most recent call last):
        ...
    plethprint.errors.ControlError: the Polar wearable refused START: \
ERROR_ALREADY_IN_STATE; it streams already; another app may hold it
    """

    opcode: int
    """Opcode that is answered."""
    measurement: int
    """Measurement it was about."""
    status: int
    """A `PmdStatus`, or one that is not known here."""
    parameters: bytes = b""
    """What follows; settings in the answers to GET_SETTINGS and START."""
    more: bool = False
    """Whether a further indication goes on with the parameters."""

    @property
    def settings(self) -> PmdSettings:
        """The parameters as settings.

        Raises
        ------
        ProtocolError
            They are cut.
        """
        return _settings_from_bytes(self.parameters)

    def to_bytes(self) -> bytes:
        """Bytes of the indication."""
        head = (_RESPONSE_MARK, self.opcode, self.measurement, self.status, self.more)
        return bytes(head) + self.parameters

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> PmdResponse:
        """Decode an indication.

        Raises
        ------
        ControlError
            Not a response.
        """
        data = bytes(data)
        if len(data) < 4 or data[0] != _RESPONSE_MARK:
            raise ControlError(
                f"not a PMD response: {data[:20].hex() or 'nothing'}; expected f0, opcode, "
                "measurement, status"
            )
        more = len(data) > 4 and data[4] != 0
        return cls(data[1], data[2], data[3], data[5:], more)

    def raise_for_status(self) -> PmdResponse:
        """Return self when it says SUCCESS.

        Raises
        ------
        ControlError
            With Polar's name for the reason and, where there is one, a remedy; `status`
            is the `PmdStatus`.
        """
        if self.status != PmdStatus.SUCCESS:
            raise _refusal(self.opcode, self.status)
        return self


def features_to_bytes(features: set[PmdMeasurement]) -> bytes:
    """Value of the control point when it is read: what the wearable can measure."""
    bits = sum(1 << feature for feature in features)
    return bytes([_FEATURES_MARK]) + bits.to_bytes(_FEATURES_BYTES - 1, "little")


def features_from_bytes(data: bytes | bytearray | memoryview) -> set[PmdMeasurement]:
    """Decode what reading the control point gives.

    Raises
    ------
    ProtocolError
        Not a list of features.
    """
    data = bytes(data)
    if len(data) < 2 or data[0] != _FEATURES_MARK:
        raise ProtocolError(f"not a list of PMD features: {data[:20].hex() or 'nothing'}")
    bits = int.from_bytes(data[1:_FEATURES_BYTES], "little")
    return {feature for feature in PmdMeasurement if bits >> feature & 1}
